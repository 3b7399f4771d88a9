"""The command line: what each command prints, and that whatever goes wrong is one line and exit status 2."""

from __future__ import annotations

import importlib
import inspect
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rather import __version__
from rather.cli import main
from tests.conftest import WriteFile
from tests.tiny import make_model

COMMANDS = ["demo", "generate", "train", "audit", "preview", "evaluate", "loop", "merge", "report", "chat"]
ROWS = [{"prompt": f"Question {i}?", "chosen": f" It is {i}.", "rejected": f" Ask {i + 9} others!"} for i in range(8)]
CHAT = {
    "prompt": [{"role": "user", "content": "Hi"}],
    "chosen": [{"role": "assistant", "content": "Hello."}],
    "rejected": [{"role": "assistant", "content": "Go away."}],
}

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Arguments → exit status, stdout, stderr."""
    for name in ("HF_HUB_DISABLE_PROGRESS_BARS", "TQDM_DISABLE", "TRANSFORMERS_VERBOSITY"):
        monkeypatch.setenv(name, os.environ.get(name, "error" if "VERBOSITY" in name else "1"))
    monkeypatch.setenv("COLUMNS", "300")

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        status = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return status, out, err

    return call


@pytest.fixture
def fails(run: Run, tmp_path: Path) -> Callable[..., str]:
    """Arguments → the one line of complaint, which exits with 2 and leaves nothing behind."""

    def call(*arguments: str | Path) -> str:
        before = sorted(tmp_path.rglob("*"))
        status, out, err = run(*arguments)
        assert status == 2, err
        assert out == ""
        # "audit: …" and "note: …" are said on the way; in one process with other tests, so are libraries' bars.
        said = ("audit: ", "note: ")
        lines = [line for line in err.splitlines() if line and not line.startswith(said)]
        assert len(lines) == 1, err
        assert lines[0].startswith("rather: ")
        assert "Traceback" not in err
        assert sorted(tmp_path.rglob("*")) == before
        return lines[0].removeprefix("rather: ")

    return call


def shell(command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`rather` stands for this interpreter's."""
    command = command.replace("rather ", f"'{sys.executable}' -m rather ", 1)
    return subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        check=False,
        timeout=300,
    )


# Help


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help(run: Run, command: str) -> None:
    status, out, err = run(*command.split(), "--help")
    assert (status, err) == (0, "")
    assert f"Usage: rather {command}".rstrip() in out
    assert all(name in out for name in (COMMANDS if not command else ["--"] if command != "report" else ["FOLDER"]))


def test_every_training_option_has_its_help(run: Run) -> None:
    from rather.training.config import TrainConfig

    out = " ".join(run("train", "--help")[1].replace("│", " ").split())
    for name, field in TrainConfig.model_fields.items():
        assert f"--{name.replace('_', '-')}" in out
        assert " ".join((field.description or "").split())[:40] in out


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"{__version__}\n", "")


def test_help_imports_nothing_heavy() -> None:
    script = f"""
import sys
from rather.cli import main
for command in ["", *{COMMANDS!r}]:
    assert main([*command.split(), "--help"]) == 0
heavy = {{"torch", "transformers", "peft", "matplotlib", "scipy", "pyarrow"}} & set(sys.modules)
print("heavy:", sorted(heavy))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_an_audit_imports_no_torch(write_file: WriteFile) -> None:
    script = "import sys\nfrom rather.cli import main\nmain(['audit', sys.argv[1]])\nprint('torch' in sys.modules)"
    file = str(write_file(ROWS))
    done = subprocess.run([sys.executable, "-c", script, file], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "False", done.stderr


def test_narrow_and_without_colour() -> None:
    done = shell("rather train --help", NO_COLOR="1", COLUMNS="60", FORCE_COLOR="")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 60
    assert "--batch-pairs" in done.stdout


@pytest.mark.parametrize("command", ["rather --help | head -1", "rather audit {file} | true"])
def test_a_reader_that_has_seen_enough(command: str, write_file: WriteFile) -> None:
    # Buffered, as people run it: the pipe turns out to be closed only when the buffer is emptied.
    done = shell(command.format(file=f"'{write_file(ROWS)}'"), PYTHONUNBUFFERED="")
    assert done.stderr == ""
    assert done.returncode == 0


# What goes wrong


def test_wrong_command_lines(fails: Callable[..., str], tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    file, out = write_file(ROWS), tmp_path / "out"
    train = ("train", file, "--model", tiny, "--out", out)
    for arguments, complaint in (
        (("nonsense",), 'Unknown command "nonsense"'),
        ((*train, "--betta", "0.3"), "Unknown option: --betta. Did you mean --beta?"),
        (("train", file, "--model", tiny), "--out requires an argument"),
        (("train", "--model", tiny, "--out", out), "PAIRS requires an argument"),
        ((*train, "--beta", "0"), "--beta 0: input should be greater than 0"),
        (
            ("convert", "a.csv", "b.jsonl", "--to", "judgments", "--by", "x"),
            "--by x: input should be 'person', 'model', 'metric' or 'behaviour'",
        ),
        ((*train, "--beta", "x"), "--beta x: input should be a number"),
        ((*train, "--lr", "nan"), "--lr nan: input should be a finite number"),
        ((*train, "--batch-pairs", "1.5"), "--batch-pairs 1.5: input should be a whole number"),
        ((*train, "--loss", "nope"), '--loss: no loss is called "nope"; known are dpo, '),
        ((*train, "--beta", "0.1", "--loss", "sft"), "--beta does nothing in the loss sft"),
        ((*train, "--track", "nope"), "--track nope: input should be 'tensorboard', 'wandb', 'mlflow' or 'trackio'"),
        ((*train, "--limit", "0"), "--limit 0: must be 1 or more"),
        ((*train, "--limit", "x"), '--limit x: input should be a whole number'),
        ((*train, "--allow", "nope=why"), '--allow: no check is called "nope"'),
        ((*train, "--allow", "duplicates"), "--allow duplicates needs a reason"),
        ((*train, "--max-length", "4096"), "--max-length 4096 is longer than the model's window of 2048 tokens"),
        (("audit", file, "--max-length", "64"), "--max-length does nothing without --model"),
        (("preview", file, "--model", tiny, "--limit", "0"), "--limit 0: must be 1 or more"),
        (
            ("evaluate", tiny, "--reference", tiny, "--out", out),
            "nothing to measure: give --pairs, --prompts, --name, --suite, --forgetting or --judgments",
        ),
        (("evaluate", tiny, "--reference", tiny, "--out", out, "--name", "A"), "--name and --maker go together"),
        (("evaluate", tiny, "--reference", tiny, "--out", out, "--dtype", "x"), "--dtype x: choose fp32 or bf16"),
        (("demo", "--out", out, "--name", ""), '--name "": input should not be empty'),
        (("demo", "--out", out, "--dtype", "x"), "--dtype x: input should be 'auto', 'fp32' or 'bf16'"),
        (("report", tmp_path / "absent"), f"{tmp_path / 'absent'} is no folder"),
        (("chat", tiny, "--temperature", "-1"), "--temperature must be 0 or more"),
    ):  # fmt: skip
        assert fails(*arguments).find(complaint) >= 0, arguments


def test_files_that_cannot_be_read(
    fails: Callable[..., str], tiny: Path, tmp_path: Path, write_file: WriteFile
) -> None:
    broken = write_file(json.dumps(ROWS[0]) + "\n" + '{"prompt": "a",\n', "broken.jsonl")
    latin = write_file('{"prompt": "caf\xe9", "chosen": "b", "rejected": "c"}'.encode("latin-1"), "latin.jsonl")
    (tmp_path / "空 folder").mkdir()
    for file, complaint in (
        (tmp_path / "absent.jsonl", "absent.jsonl: no such file"),
        (tmp_path / "空 folder", "空 folder: is a folder"),
        (latin, "latin.jsonl:1: is not UTF-8 (byte 16)"),
        (broken, "broken.jsonl:2: is not JSON ("),
    ):
        for command in (
            ("train", file, "--model", tiny, "--out", tmp_path / "out"),
            ("audit", file),
            ("evaluate", tiny, "--reference", tiny, "--out", tmp_path / "out", "--pairs", file),
        ):
            assert complaint in fails(*command), command


def test_models_that_cannot_be_used(
    fails: Callable[..., str], tmp_path: Path, write_file: WriteFile, tiny: Path
) -> None:
    chat, plain = write_file([CHAT]), make_model(tmp_path / "plain", template=None)
    for command in (
        ("train", chat, "--model", plain, "--out", tmp_path / "out"),
        ("audit", chat, "--model", plain),
        ("preview", chat, "--model", plain),
    ):
        said = fails(*command)
        assert "the model has no chat template but the data are conversations; use a chat model" in said
        assert f"put its chat_template.jinja into {plain}" in said
    absent = tmp_path / "absent"
    for command in (
        ("train", chat, "--model", absent, "--out", tmp_path / "out"),
        ("evaluate", tiny, "--reference", absent, "--out", tmp_path / "out", "--pairs", chat),
        ("demo", "--model", absent, "--out", tmp_path / "out"),
        ("chat", absent),
    ):
        assert f"{absent} does not exist; --model takes a folder" in fails(*command)


def test_an_output_folder_that_holds_something_else(
    fails: Callable[..., str], tiny: Path, tmp_path: Path, write_file: WriteFile
) -> None:
    file, taken = write_file(ROWS), tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("years of work")
    for command in (
        ("train", file, "--model", tiny, "--out", taken),
        ("evaluate", tiny, "--reference", tiny, "--out", taken, "--pairs", file),
        ("demo", "--model", tiny, "--out", taken),
    ):
        assert fails(*command) == f"{taken} holds files that no run of rather made; choose another --out"
    assert "is a file; --out takes a folder" in fails("train", file, "--model", tiny, "--out", file)


def test_config_files(fails: Callable[..., str], tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    file = write_file(ROWS)
    for content, complaint in (
        ("btea = 0.1\n", 'unknown key "btea"; did you mean "beta"?'),
        ("batch_pair = 4\n", 'unknown key "batch_pair"; did you mean "batch-pairs"?'),
        ("beta = -1\n", "--beta -1: input should be greater than 0"),
        ("sft_weight = -1\n", "--sft-weight -1: input should be greater than or equal to 0"),
        ("beta = \n", "is not TOML"),
        ("[train]\nbeta = 0.3\n", "[train] is a table; options stand at the top"),
        (b"\xff", "is not UTF-8"),
    ):
        toml = write_file(content, "train.toml")
        line = fails("train", file, "--model", tiny, "--out", tmp_path / "out", "--config", toml)
        assert line.startswith(f"{toml}: {complaint}")
    both = write_file('loss = "sft"\nbeta = 0.1\n', "train.toml")
    command = ("train", file, "--model", tiny, "--out", tmp_path / "out", "--config", both)
    assert fails(*command).startswith("--beta does nothing in the loss sft")
    assert fails(*command[:-1]) == "--config takes a TOML file"
    assert "given twice" in fails(*command, "--config", both)
    absent = tmp_path / "absent.toml"
    command = ("train", file, "--model", tiny, "--out", tmp_path / "out", "--config", absent)
    assert fails(*command) == f"{absent}: no such file"


def test_a_stop_of_the_audit(fails: Callable[..., str], tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    same = write_file([{**row, "rejected": row["chosen"]} for row in ROWS])
    line = fails("train", same, "--model", tiny, "--out", tmp_path / "out")
    assert line.startswith("audit: identical_sides: 8 of 8 pairs")
    assert line.endswith('pass --allow identical_sides="reason"')


# What goes right


def test_audit_says_its_verdict_by_its_status(run: Run, tiny: Path, write_file: WriteFile) -> None:
    status, out, err = run("audit", write_file(ROWS))
    assert (status, err) == (0, "")
    assert out.splitlines()[-1].startswith("audit: verdict ")
    assert "verdict stop" not in out
    same = write_file([{**row, "rejected": row["chosen"]} for row in ROWS], "same.jsonl")
    status, out, err = run("audit", same, "--model", tiny)
    assert (status, err) == (2, "")
    assert out.splitlines()[-1].startswith("audit: verdict stop")
    status, out, _ = run("audit", same, "--allow", "all=a test")
    assert status == 0
    assert "(allowed: a test)" in out


def test_preview_and_chat(run: Run, tiny: Path, write_file: WriteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, err = run("preview", write_file([CHAT]), "--model", tiny)
    assert (status, err) == (0, "")
    assert "H|e|l|l|o|.<|im_end|>" in out
    for question, said in (("a\0b\n", "a NUL character"), ("a\udcffb\n", "a lone surrogate")):
        monkeypatch.setattr("sys.stdin", io.StringIO(question))
        status, _, err = run("chat", tiny)
        assert (status, err.count("\n")) == (2, 1)
        assert err.startswith(f"rather: the question contains {said}")
    monkeypatch.setattr("sys.stdin", io.StringIO("Hi\n"))
    status, out, _ = run("chat", tiny, tiny, "--max-new-tokens", "3")
    assert status == 0
    assert "╭" in out


def test_a_config_file_holds_any_option_of_a_command(
    run: Run, tiny: Path, tmp_path: Path, write_file: WriteFile
) -> None:
    """Also those that are not of the training itself, under either spelling; and a flag given at its default wins."""
    out = tmp_path / "out"
    toml = write_file(
        f'model = "{tiny}"\nout = "{out}"\nlimit = 4\nbatch_pairs = 2\nsft-weight = 0.5\nintended = ["It"]\nepochs = 2\n',
        "train.toml",
    )
    status, _, err = run("train", write_file(ROWS), "--config", toml, "--epochs", "1")
    assert status == 0, err
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["pairs"], manifest["updates"], manifest["config"]["sft_weight"]) == (4, 2, 0.5)
    in_force = manifest["in_force"]
    assert (in_force["lr"], in_force["losses"]["dpo"]["beta"], in_force["save_every"]) == (1e-6, 0.1, 50)
    assert list(in_force["losses"]) == ["dpo", "sft"]
    status, _, err = run("train", write_file(ROWS), "--config", toml, "--epochs", "1", "--save-every", "7")
    assert (status, "already trained" in err) == (0, True), "how often a run is saved is not what it makes"
    status, _, err = run("train", write_file(ROWS), "--config", toml, "--epochs", "1", "--allow", "duplicates=late")
    assert "--allow came too late" in err
    status, out_said, err = run("audit", write_file(ROWS), "--config", write_file("limit = 3\n", "audit.toml"))
    assert out_said.splitlines()[-1].endswith("on 3 pairs")


def test_output_on_a_full_device_is_one_line(tiny: Path, write_file: WriteFile) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "rather", "audit", str(write_file(ROWS))]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr == "rather: no space left for what this command prints; send its output elsewhere\n"


@pytest.mark.parametrize(
    ("command", "home"),
    [
        ("train", "rather.training.run"),
        ("audit", "rather.training.gate"),
        ("preview", "rather.training.preview"),
        ("evaluate", "rather.evaluation.run"),
        ("loop", "rather.looping.run"),
        ("merge", "rather.training.adapter"),
        ("chat", "rather.chatting"),
    ],
)
def test_every_option_of_a_function_is_one_of_its_command(command: str, home: str) -> None:
    """The same verbs with the same names and defaults: neither door may lack what the other has."""
    function = inspect.signature(getattr(importlib.import_module(home), command)).parameters
    flags = inspect.signature(getattr(importlib.import_module(f"rather.commands.{command}"), command)).parameters
    only_flags = {
        "evaluate": {"prompts", "identity_prompts"}, "train": {"sweep"}, "audit": {"lang"}, "loop": {"rounds", "seed"},
    }.get(command, set())  # fmt: skip
    only_function = {"train": {"options"}, "evaluate": {"questions", "options"}, "loop": {"options"}}.get(
        command, set()
    )
    assert set(flags) - only_flags == set(function) - only_function
    for name in set(flags) & set(function):
        ours, theirs = flags[name].default, function[name].default
        assert (ours or None) == (theirs or None), name


def test_train_evaluate_report(run: Run, tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    file, out = write_file(ROWS), tmp_path / "a run 一"
    toml = write_file("lr = 1e-3\nepochs = 2\nbeta = 0.5\nseed = 3\n", "train.toml")
    status, said, _ = run(
        "train", file, "--model", tiny, "--out", out, "--config", toml, "--beta", "0.2", "--limit", "6"
    )
    assert status == 0
    assert said.splitlines()[0].startswith("2 updates, loss ")
    assert said.splitlines()[1] == f"model: {out / 'model'}"
    manifest = json.loads((out / "manifest.json").read_text())
    config = manifest["config"]
    assert (config["beta"], config["lr"], config["epochs"], config["seed"]) == (0.2, 1e-3, 2, 3), "flags win"
    assert manifest["pairs"] == 6
    status, said, err = run(
        "train", file, "--model", tiny, "--out", out, "--config", toml, "--beta", "0.2", "--limit", "6"
    )
    assert status == 0
    assert f"{out}: already trained" in err

    prompts, measured = write_file("Who are you?\n你好\n", "prompts.txt"), tmp_path / "eval"
    status, said, _ = run(
        "evaluate", out / "model", "--reference", tiny, "--out", measured, "--pairs", file, "--prompts", prompts
    )
    assert status == 0
    assert {line.split()[0] for line in said.splitlines()} >= {"kl", "heldout_accuracy", "heldout_margin", "report:"}
    assert (measured / "report.html").is_file()
    assert len((measured / "samples.jsonl").read_text().splitlines()) == 2

    status, said, err = run("report", out)
    assert (status, said, err) == (0, f"report: {out / 'report.html'}\n", "")


def test_ctrl_c_is_one_line_and_130(run: Run, write_file: WriteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rather.training.gate.audit", pressed)
    status, out, err = run("audit", write_file(ROWS))
    assert (status, out) == (130, "")
    assert err == "rather: stopped; the same command goes on from what is done\n"


def test_a_terminal_that_knows_few_letters(write_file: WriteFile) -> None:
    file = write_file([{**row, "rejected": row["chosen"]} for row in ROWS], "双.jsonl")
    done = shell(f"rather audit '{file}' --allow all=双", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert "(allowed: ?)" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("audit: verdict ")
    lines = shell(f"rather audit '{file}.no'", PYTHONIOENCODING="ascii", PYTHONUTF8="0").stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].endswith("no such file")


def test_the_demo_by_the_command_line(run: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rather.demos import identity

    given: list[object] = []
    figures = {"identity_rate_before": 0.0, "identity_rate_after": 0.97, "leak_rate_after": 0.012, "seconds": 300.4,
               "peak_memory_gb": 4.44}  # fmt: skip

    def demo(out: Path, config: object) -> identity.DemoResult:
        given.extend((out, config))
        return identity.DemoResult(out, out / "report.html", figures)

    monkeypatch.setattr(identity, "demo", demo)
    status, out, err = run("demo", "--out", tmp_path, "--name", "小雅", "--maker", "a b", "--seed", "2")
    assert (status, err) == (0, "")
    assert out == f"identity 0% → 97%, leak 1.2%, 300 s, 4.4 GB\nreport: {tmp_path / 'report.html'}\n"
    config = given[1]
    assert isinstance(config, identity.DemoConfig)
    assert (given[0], config.name, config.maker, config.seed) == (tmp_path, "小雅", "a b", 2)


def test_a_missing_extra_is_named_with_its_cure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:

    def no_torch(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("rather.auditing.parse_allow", no_torch)
    assert main(["train", "pairs.jsonl", "--model", "m", "--out", "o"]) == 2
    assert capsys.readouterr().err == "rather: this command needs torch; pip install 'rather[train]'\n"
