"""The commands of the tutorials, run as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).parents[1] / "docs" / "tutorials"


def commands(page: Path) -> str:
    """What a reader would copy into a shell."""
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.S | re.M))


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", sorted(TUTORIALS.glob("*.md")), ids=lambda page: page.stem)
def test_every_command_works(page: Path, smollm2: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("OMP_NUM_THREADS", None)  # one thread is for tiny models
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands(page)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=1100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in (tmp_path / "answers" / "responses.jsonl").read_text().splitlines()]
    assert len({json.dumps(row["prompt"]) for row in answers}) == 6
    pairs = [json.loads(line) for line in (tmp_path / "pairs" / "pairs.jsonl").read_text().splitlines()]
    assert 3 <= len(pairs) <= 6
    written = {(json.dumps(row["prompt"]), row["response"]) for row in answers}
    for pair in pairs:
        prompt = json.dumps(pair["prompt"])
        assert {(prompt, pair["chosen"]), (prompt, pair["rejected"])} <= written
        assert pair["chosen"] != pair["rejected"]
    assert (tmp_path / "trained" / "model" / "model.safetensors").is_file()
    assert (tmp_path / "trained" / "report.html").is_file()
