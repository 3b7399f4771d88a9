"""The log of answers: what was answered is there again, whatever ended the process."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.errors import RunDirError
from rather.generation.log import Log
from rather.generation.plan import Answer, Ask
from rather.records import Question

ANSWERS = st.builds(
    Answer,
    st.text(),
    st.none() | st.lists(st.integers(0, 99), max_size=3).map(tuple),
    st.none() | st.booleans(),
    st.none() | st.text(min_size=1),
)


def ask(number: int) -> Ask:
    return Ask("q:1", Question(prompt="Hi"), "m", 0.7, None, number, 1000 + number)


@given(st.lists(ANSWERS, max_size=6), st.integers(0, 400))
def test_a_log_cut_anywhere_keeps_every_whole_line(
    tmp_path_factory: pytest.TempPathFactory, answers: list[Answer], cut: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "answers.jsonl"
    ends = [0]
    with Log(path) as log:
        for number, answer in enumerate(answers):
            log.add(ask(number), answer)
            ends.append(path.stat().st_size)
    assert path.exists() == bool(answers)  # a log of nothing is taken away
    path.write_bytes(path.read_bytes()[:cut] if answers else b"")
    whole = sum(end <= min(cut, ends[-1]) for end in ends) - 1
    with Log(path) as log:
        assert len(log) == whole
        assert [ask(number) in log for number in range(len(answers))] == [n < whole for n in range(len(answers))]
        assert [log.get(ask(number)) for number in range(whole)] == answers[:whole]
        log.add(ask(99), Answer("later"))
    with Log(path) as log:
        assert log.get(ask(99)) == Answer("later")
        assert len(log) == whole + 1


def test_half_a_surrogate_pair_does_not_break_the_log(tmp_path: Path) -> None:
    with Log(tmp_path / "log") as log:
        log.add(ask(0), Answer("\ud83d\u2028\n"))
    with Log(tmp_path / "log") as log:
        assert log.get(ask(0)).text == "\ud83d\u2028\n"


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text('{"key": "a", "text": ""}\nnonsense\n')
    with pytest.raises(RunDirError, match=r"log:2: is damaged"):
        Log(path)
