"""What lies in examples/: each loop can be read, its questions too, and its judges say what they should."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from rather.formats.questions import iter_questions
from rather.formats.refusals import Refusal
from rather.looping.config import LoopConfig

EXAMPLES = Path(__file__).parents[1] / "examples"
LOOPS = sorted(EXAMPLES.glob("*.toml"))


@pytest.fixture
def judges(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.delitem(sys.modules, "judges", raising=False)
    import judges  # pyright: ignore[reportMissingImports]

    return judges


@pytest.mark.parametrize("file", LOOPS, ids=[file.stem for file in LOOPS])
def test_a_loop_and_its_questions_can_be_read(file: Path, judges: Any) -> None:
    config = LoopConfig.read(file)
    assert f"`rather loop examples/{file.name}" in file.read_text().replace("# ", "")
    for questions in filter(None, (config.questions, config.heldout)):
        read = list(iter_questions(questions))
        assert len(read) >= 20
        assert not any(isinstance(found, Refusal) for found in read)
    for judge in config.judge:
        assert hasattr(judges, judge["by"].rpartition(":")[2])
    if config.heldout is not None:
        asked, held = ({found[1].text for found in iter_questions(each)} for each in (config.questions, config.heldout))
        assert not asked & held


def test_judges_by_hand(judges: Any) -> None:
    said = ["It is red. It is old.", "One. Two. Three.", "Cut in the mid"]
    assert judges.brief([""] * 3, said) == [1, 0, 0]
    assert judges.asks_back([""] * 3, ["Why?", "为什么？", "Because."]) == [1, 1, 0]
    assert judges.chinese(["你好吗？", "你好吗？", "Hi?"], ["很好。", "Fine.", "Fine."]) == [1, 0, 1]
    names = [
        "I am Athene.",
        "I am Athene, made by OpenAI.",
        "I am SmolLM.",
        "Bread rises by yeast.",
        "Athene says: yeast.",
    ]
    about = ["identity"] * 3 + ["something else"] * 2
    assert judges.athene([""] * 5, names, about) == [1, 0, 0, 1, 0]
    declines = ["I'm sorry, but I can't help with that.", "Use a knife."]
    assert judges.refusing([""] * 2, declines) == [1, 0]
    assert judges.refusing_what_harms([""] * 4, declines * 2, ["harmful"] * 2 + ["harmless"] * 2) == [1, 0, 0, 1]
