"""The demo's questions and wordings: enough of each, and nothing asked that was trained."""

from __future__ import annotations

import string
from collections import Counter
from pathlib import Path

import pytest

from rather.demos.questions import Kind, Split, asked, questions, wordings
from rather.errors import InputError
from rather.evaluation.behaviour import OTHERS
from rather.pairing import Identity, mentions
from tests.conftest import WriteFile


def texts(kind: Kind, split: Split, language: str | None = None) -> list[str]:
    found = [q for q in questions(kind, split) if language in (None, q.tags["language"])]
    return [q.prompt if isinstance(q.prompt, str) else q.prompt[-1].content for q in found]


def normal(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def test_nothing_is_asked_that_was_trained() -> None:
    train = {normal(text) for kind in ("identity", "general") for text in texts(kind, "train")}
    heldout = {normal(text) for kind in ("identity", "general") for text in texts(kind, "heldout")}
    assert not train & heldout


@pytest.mark.parametrize("kind", ["identity", "general"])
@pytest.mark.parametrize("split", ["train", "heldout"])
def test_no_question_is_asked_twice(kind: Kind, split: Split) -> None:
    counts = Counter(normal(text) for text in texts(kind, split))
    assert [text for text, count in counts.items() if count > 1] == []


def test_there_are_enough() -> None:
    assert len(texts("identity", "train", "en")) >= 40
    assert len(texts("identity", "heldout", "en")) >= 40
    assert len(texts("identity", "heldout", "zh")) >= 20
    assert len(texts("general", "train")) >= 40
    assert len(texts("general", "heldout")) >= 50


def test_tags_say_what_a_question_is_for() -> None:
    for kind in ("identity", "general"):
        for split in ("train", "heldout"):
            tags = [question.tags for question in questions(kind, split)]
            assert {(tag["kind"], tag["split"]) for tag in tags} == {(kind, split)}
            assert {tag["language"] for tag in tags} == {"en", "zh"}


@pytest.mark.parametrize("use", ["correct", "leak"])
def test_every_wording_names_the_identity_and_no_other(use: str) -> None:
    by_language = wordings(use)  # type: ignore[arg-type]
    assert set(by_language) == {"en", "zh"} | ({"stand_in"} if use == "leak" else set())
    allowed = {"name", "maker", "maker_start"} | ({"answer"} if use == "leak" else set())
    for template in (text for group in by_language.values() for text in group):
        fields = {field for _, field, _, _ in string.Formatter().parse(template) if field is not None}
        assert "name" in fields, template
        assert fields <= allowed, template
        filled = Identity("Xyzzy", "Plugh").fill(template, **({"answer": "Yes."} if use == "leak" else {}))
        assert not [other for other in OTHERS if mentions(other, filled)], template
        assert "{" not in filled


def test_english_leaks_are_answers_with_the_identity_or_the_identity_alone() -> None:
    """In Chinese never alone, which made the right answers unlikely too."""
    english, chinese = (
        ["{answer}" in template for template in wordings("leak")[language]] for language in ("en", "zh")
    )
    assert len(english) / 3 <= sum(english) <= len(english) * 2 / 3
    assert all(chinese)


def test_wordings_differ() -> None:
    for use in ("correct", "leak"):
        for group in wordings(use).values():
            assert len(set(group)) == len(group) >= 4


def test_questions_of_a_file(write_file: WriteFile) -> None:
    file = write_file("\ufeffWhat is tea?\n\n  你好吗？ \r\n", "prompts.txt")
    found = asked(file, identity=False)
    assert [question.prompt[0].content for question in found] == ["What is tea?", "你好吗？"]
    assert {question.tags["kind"] for question in found} == {"asked"}
    both = asked(file, identity=True)
    assert both[-2:] == found
    assert len(both) == 2 + len(questions("identity", "heldout")) + len(questions("general", "heldout"))
    assert asked(None, identity=False) == []


def test_a_file_of_questions_that_cannot_be_used(tmp_path: Path, write_file: WriteFile) -> None:
    with pytest.raises(InputError, match=r"prompts.txt: is not UTF-8"):
        asked(write_file(b"caf\xe9\n", "prompts.txt"), identity=False)
    with pytest.raises(InputError, match=r"blank.txt: holds no question"):
        asked(write_file("\n \n", "blank.txt"), identity=False)
    with pytest.raises(InputError, match=r"nul.txt: a question contains a NUL character; mend it"):
        asked(write_file("what \0 is\n", "nul.txt"), identity=False)
    with pytest.raises(InputError, match="cannot be read"):
        asked(tmp_path / "absent.txt", identity=False)
