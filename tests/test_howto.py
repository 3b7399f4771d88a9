"""The how-to and concept pages: every block of commands is run as it stands there, or says why not, and is counted.

What stands in a comment above a block says what becomes of it: nothing (it is run), `slow: why` (run by `make test-slow`), or
`no-run: why`. (Behind the language of the fence the site would take it for text.) Options of all commands in all pages, run or
not, are held against the command line.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import rather
from rather.docs import commands
from rather.losses import LOSSES, loss_options
from rather.training.config import TrainConfig

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*(DOCS / "howto").glob("*.md"), *(DOCS / "concepts").glob("*.md")])
QUICK = {"bradley-terry-to-dpo", "from-trl"}  # the others start many processes
BLOCK = re.compile(r"(?:^<!-- (slow|no-run): ([^\n]+) -->\n)?^```(bash|sh|python)\n(.*?)^```", flags=re.S | re.M)
WORDS = ("Why is the sky blue at noon", "and red in the evening", "when the sun stands low over the sea")


@dataclass(frozen=True)
class Block:
    """A block of a page: bash, sh or python; run, slow or no-run."""

    language: str
    kind: str
    why: str
    text: str


def blocks(page: Path) -> list[Block]:
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(language, kind or "run", why, text) for kind, why, language, text in found]


def test_no_block_is_passed_over() -> None:
    """A fence that BLOCK does not know would be a block that nobody runs."""
    for page in PAGES:
        fences = re.findall(r"^```(\w+)", page.read_text(encoding="utf-8"), flags=re.M)
        assert sum(fence in ("bash", "sh", "python") for fence in fences) == len(blocks(page)), page
        assert set(fences) <= {"bash", "sh", "python", "diff", "json", "toml", "text"}, page


def test_blocks_are_counted_in_the_index() -> None:
    counts = Counter(block.kind for page in PAGES for block in blocks(page))
    index = (DOCS / "howto" / "index.md").read_text(encoding="utf-8")
    assert counts["run"] > 2 * counts["no-run"]
    sentence = f"{counts.total()} blocks: {counts['run']} are run, {counts['slow']} among the slow tests, {counts['no-run']} not"
    assert sentence in " ".join(index.split())
    assert all(len(block.why) > 10 for page in PAGES for block in blocks(page) if block.kind != "run")


@pytest.fixture(scope="module")
def ready(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the pages take it for given: pairs.jsonl, heldout.jsonl and a run, runs/a."""
    folder = tmp_path_factory.mktemp("ready")
    pairs = [
        rather.Pair(
            prompt=(rather.Message(role="user", content=f"{WORDS[place % 3]}, and {place} times?"),),
            chosen=f"Because of number {place}.", rejected=f"I do not know the number {place}.",
        )
        for place in range(12)
    ]  # fmt: skip
    rather.write_pairs(folder / "pairs.jsonl", pairs[:8])
    rather.write_pairs(folder / "heldout.jsonl", pairs[8:])
    rather.train(
        folder / "pairs.jsonl",
        model=str(tiny),
        out=folder / "runs" / "a",
        epochs=2,
        batch_pairs=4,
        allow={"all": "a test"},
    )
    return folder


def run_page(page: Path, ready: Path, model: Path, folder: Path, kinds: set[str]) -> int:
    """Run a page's blocks of these kinds one after the other in a copy of `ready`; how many there were."""
    import shutil

    shutil.copytree(ready, folder, dirs_exist_ok=True)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    ran = 0
    for block in blocks(page):
        if block.kind not in kinds:
            continue
        if block.language == "python":
            text = re.sub(r"\bMODEL\b", repr(str(model)), block.text.replace('"MODEL"', "MODEL"))
            command = [sys.executable, "-c", text]
        else:
            allowed = 'rather() { command rather "$@" $([ "$1" = train ] && echo --allow all=test); }\n'
            command = ["bash", "-euo", "pipefail", "-c", allowed + re.sub(r"\bMODEL\b", str(model), block.text)]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=500
        )
        assert done.returncode == 0, f"{page.name}:\n{block.text}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        ran += 1
    return ran


def runnable(page: Path, kinds: set[str]) -> bool:
    return any(block.kind in kinds for block in blocks(page))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.stem in QUICK and runnable(page, {"run"})], ids=lambda page: page.stem
)
def test_quick_blocks_run(page: Path, ready: Path, tiny: Path, tmp_path: Path) -> None:
    assert run_page(page, ready, tiny, tmp_path, {"run"})


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "page", [page for page in PAGES if runnable(page, {"run", "slow"})], ids=lambda page: page.stem
)
def test_every_block_runs(page: Path, ready: Path, tiny: Path, tmp_path: Path) -> None:
    assert run_page(page, ready, tiny, tmp_path, {"run", "slow"})


# Options of commands that stand in any page


@cache
def options() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path, command in commands.commands():
        names = {"--config", "--help", "--version"}
        for argument in command.assemble_argument_collection() if command.default_command else ():
            names |= set(argument.names)
        found[path] = names
    return found


def said(page: Path) -> Iterator[tuple[str, list[str]]]:
    """`rather VERB …` and the options behind it, of every command of a page."""
    known = set(options())
    for _, text in re.findall(r"^```(bash|sh)[^\n]*\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.S | re.M):
        text = re.sub(r"<<'(\w+)'.*?^\1$", "", text, flags=re.S | re.M).replace("\\\n", " ")
        for line in re.split(r"\n|&&|\|\|?|;", text):
            if not re.search(r"\brather [a-z]", line):
                continue
            words = shlex.split(line, comments=True)
            if "rather" not in words:
                continue
            words = words[words.index("rather") :]
            path = " ".join(words[:3]) if " ".join(words[:3]) in known else " ".join(words[:2])
            yield path, [word.partition("=")[0] for word in words if word.startswith("--")]


@pytest.mark.parametrize(
    "page", sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")]), ids=lambda page: str(page.relative_to(ROOT))
)
def test_every_option_in_a_page_is_there(page: Path) -> None:
    known = options()
    for path, given in said(page):
        assert path in known, f"{page.name}: {path}"
        assert set(given) <= known[path], f"{page.name}: {path} {set(given) - known[path]}"


def test_commands_are_found_in_pages() -> None:
    found = {path for page in DOCS.rglob("*.md") for path, _ in said(page)}
    assert {"rather train", "rather annotate import", "rather loop", "rather signals"} <= found


# From TRL and from LLaMA-Factory

FROM_TRL = DOCS / "howto" / "from-trl.md"


def diff() -> tuple[list[str], list[str], list[str]]:
    """The lines of From TRL's diff that go, that come, and that stay; as scripts: gone and stay, come and stay."""
    (block,) = re.findall(r"^```diff\n(.*?)^```", FROM_TRL.read_text(encoding="utf-8"), flags=re.S | re.M)
    lines = block.splitlines()
    before, after = ([line[1:] for line in lines if not line.startswith(sign)] for sign in "+-")
    return before, after, lines


def test_a_trl_script_moves_in_ten_lines() -> None:
    before, after, lines = diff()
    gone, come = (sum(line.startswith(sign) for line in lines) for sign in "-+")
    assert max(gone, come) <= 10
    numbers = ["none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    assert f"{numbers[come].capitalize()} lines in place of {numbers[gone]}." in FROM_TRL.read_text(encoding="utf-8")
    ast.parse("\n".join(before))
    ast.parse("\n".join(after))


@pytest.mark.slow
def test_the_moved_script_trains(ready: Path, tiny: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(ready, tmp_path, dirs_exist_ok=True)
    text = "\n".join(diff()[1]).replace('"MODEL"', repr(str(tiny))).replace("beta=", "allow={'all': 'a test'}, beta=")
    done = subprocess.run([sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "dpo" / "model" / "model.safetensors").is_file()


def names(page: Path, column: int, header: str) -> set[str]:
    """Names in backticks in one column of the tables of a page whose head holds `header`."""
    found: set[str] = set()
    inside = False
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if not line.startswith("|"):
            inside = False
        elif header in cells[column]:
            inside = True
        elif inside and not set(cells[0]) <= {"-", " "}:
            found |= set(re.findall(r"`([a-z_]+)(?=`| ?=)", cells[column]))
    return found


@pytest.mark.parametrize("page", ["from-trl.md", "from-llama-factory.md"])
def test_the_names_of_ours_are_ours(page: str) -> None:
    ours = names(DOCS / "howto" / page, 1, "`rather`")
    assert {"batch_pairs", "beta", "lr"} & ours or page == "from-trl.md"
    known = {
        *TrainConfig.model_fields,
        *LOSSES,
        "heldout",
        *(option for loss in LOSSES for option in loss_options(loss)),
    }
    assert ours - known == set()
    losses = names(FROM_TRL, 1, "`loss`")
    assert {"dpo_norm", "sppo", "wpo"} <= losses
    assert losses - known == set()


def test_the_names_of_theirs_are_theirs() -> None:
    trl = pytest.importorskip("trl")
    theirs = names(FROM_TRL, 0, "TRL (1.16)") - {"peft_config", "eval_dataset", "resume_from_checkpoint"}
    assert theirs <= set(trl.DPOConfig.__dataclass_fields__)


def test_the_config_of_from_llama_factory_is_one() -> None:
    import tomllib

    text = (DOCS / "howto" / "from-llama-factory.md").read_text(encoding="utf-8")
    (toml,) = re.findall(r"dpo\.toml <<'END'\n(.*?)^END", text, flags=re.S | re.M)
    config = TrainConfig.build(tomllib.loads(toml))
    assert (config.lora_rank, config.beta, config.batch_pairs) == (8, 0.1, 8)
