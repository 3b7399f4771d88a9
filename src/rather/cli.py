"""The command line: it puts the verbs together, runs one, and makes one line of an error. Nothing here computes."""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module

from cyclopts import CycloptsError

from rather.app import app
from rather.distributed.launch import hush_torch, is_first, require_alone
from rather.errors import ConfigError, Interrupted, RatherError
from rather.options import complaint, in_config_file, require_as_written, without_config

# Verbs and their files in commands/, whose import adds them to the app. A verb that is named needs only its own: a server must be
# there within a second, and the options of all the others would take half of it.
VERBS = {
    verb: f"rather.commands.{verb}"
    for verb in (
        "annotate", "audit", "chat", "convert", "demo", "evaluate", "generate", "judge", "loop", "merge", "pair", "plan", "preview",
        "report", "signals", "train",
    )
} | {"compare": "rather.commands.evaluate"}  # fmt: skip

# What the base install lacks.
TRAIN_EXTRA = frozenset({"gguf", "huggingface_hub", "peft", "safetensors", "torch", "transformers"})

ANNOTATE_EXTRA = frozenset(
    {"alembic", "argon2", "httptools", "markdown_it", "nh3", "pg8000", "sqlalchemy", "uvicorn", "uvloop"}
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; errors are one line on stderr and exit status 2 (130 after Ctrl-C)."""
    # Model files come from disk or were asked for by name; progress bars of libraries would tear ours apart.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # Paths and answers may hold what the terminal's encoding does not.
    sys.stdout.reconfigure(errors="replace")  # pyright: ignore[reportAttributeAccessIssue]
    arguments = sys.argv[1:] if arguments is None else arguments
    named = arguments[0] if arguments else ""
    for module in (VERBS[named],) if named in VERBS else VERBS.values():
        import_module(module)
    try:
        if named in VERBS and named != "train":
            require_alone(named)
        hush_torch()
        arguments, file = without_config(arguments)
        app.config = (*(() if file is None else (in_config_file(file),)), require_as_written)
        status = app(arguments, exit_on_error=False, print_error=False)
        sys.stdout.flush()  # here, where a closed pipe is expected, and not at exit
    except CycloptsError as error:
        return _fail(ConfigError(complaint(error)))
    except RatherError as error:
        return _fail(error)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        extra = "train" if package in TRAIN_EXTRA else "annotate" if package in ANNOTATE_EXTRA else None
        if extra is None:
            raise
        return _fail(ConfigError(f"this command needs {error.name}; pip install 'rather[{extra}]'"))
    except KeyboardInterrupt:
        return _fail(Interrupted("stopped; the same command goes on from what is done"))
    except BrokenPipeError:
        # The reader (`| head`) has seen enough.
        _drop_stdout()
        return 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _drop_stdout()
        return _fail(RatherError("no space left for what this command prints; send its output elsewhere"))
    return status or 0


def _drop_stdout() -> None:
    """So that Python does not complain once more while it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(error: RatherError) -> int:
    if is_first() or error.speaks:  # of several ranks one speaks
        print(f"rather: {_one_line(str(error))}", file=sys.stderr)
    return error.exit_status


def _one_line(text: str) -> str:
    return " ".join(text.split())


def entry() -> None:
    """The console script."""
    raise SystemExit(main())
