"""What there is to judge: grouped by prompt wherever it stands, and never in memory."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.formats import Refusal
from rather.formats.responses import iter_with_columns
from rather.judging.base import Candidates
from rather.judging.given import read_candidates
from tests.conftest import WriteFile

ROWS = st.lists(
    st.fixed_dictionaries(
        {"prompt": st.sampled_from(["P", "Q", "R"]), "response": st.sampled_from(["x", "y", "z", " "])},
        optional={"reference": st.sampled_from(["x", ["x", "y"]]), "tags": st.just({"kind": "é"}), "seed": st.just(1)},
    ),
    min_size=1,
    max_size=12,
)


@given(ROWS)
def test_answers_to_one_prompt_come_together_in_the_order_of_prompts(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    """Against groups made in memory."""
    folder = tmp_path_factory.mktemp("given")
    file = folder / "r.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    groups: dict[str, dict[str, Any]] = {}
    for found in iter_with_columns(file):
        assert not isinstance(found, Refusal)
        if found[0].text.strip():
            groups.setdefault(found[0].question.id, {}).setdefault(found[0].text, found)
    expected = []
    for group in groups.values():
        responses, columns = zip(*group.values(), strict=True)
        expected.append(Candidates(responses[0].question, responses, columns))
    with read_candidates(file, folder=folder) as held:
        assert list(held.groups) == expected
        assert len(held.groups) == len(expected)
        for first in range(len(expected) + 2):
            assert list(held.groups[first:]) == expected[first:]
        answers = sum(len(group.responses) for group in expected)
        assert held.rows == len(rows) == answers + held.merged + len(held.refused)
    assert [entry.name for entry in folder.iterdir()] == ["r.jsonl"]


def test_the_first_prompts_alone(write_file: WriteFile, tmp_path: Path) -> None:
    rows = [{"prompt": prompt, "response": f"{number}"} for number, prompt in enumerate("PQRPQR")]
    with read_candidates(write_file(rows, "r.jsonl"), folder=tmp_path, limit=2) as held:
        said = [(group.question.prompt, [response.text for response in group.responses]) for group in held.groups]
    assert said == [("P", ["0", "3"]), ("Q", ["1", "4"])]


def test_memory_does_not_grow_with_the_answers(tmp_path: Path) -> None:
    """400 answers of 75 KB, scattered over 200 prompts: 30 MB are read, and 4 MB of memory are never reached."""
    file = tmp_path / "r.jsonl"
    with file.open("w") as lines:
        for number in range(400):
            lines.write(json.dumps({"prompt": f"P{number % 200}", "response": f"{number} " * 20_000}) + "\n")
    tracemalloc.start()
    try:
        with read_candidates(file, folder=tmp_path) as held:
            assert sum(len(group.responses) for group in held.groups) == 400
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert file.stat().st_size > 29e6
    assert peak < 4e6
