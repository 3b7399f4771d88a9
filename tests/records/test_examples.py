from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rather.records import Finding, Message, Pair, Question, content_id

USER = Message(role="user", content="Who are you?")
PAIR = Pair(prompt=(USER,), chosen="I am R.", rejected="I am S.", tags={"kind": "identity"}, source="a.jsonl:1")


def test_content_id_is_the_hash_of_canonical_json():
    # Keys sorted, no white space, text as it is: the id is the same on every machine.
    canonical = '{"a":"é","b":[1,null]}'.encode()
    assert content_id({"b": [1, None], "a": "é"}) == hashlib.sha256(canonical).hexdigest()[:16]


def test_content_id_of_a_lone_surrogate_exists():
    assert len(content_id("\ud800")) == 16


def test_pair_id_is_that_of_prompt_and_answers_alone():
    canonical = '[[["user","Who are you?"]],"I am R.","I am S."]'
    assert PAIR.id == hashlib.sha256(canonical.encode()).hexdigest()[:16]
    assert PAIR.model_copy(update={"source": None, "tags": {}}).id == PAIR.id


@pytest.mark.parametrize(
    "other",
    [
        PAIR.swapped(),
        PAIR.model_copy(update={"chosen": "I am R. "}),
        PAIR.model_copy(update={"prompt": "Who are you?"}),
        PAIR.model_copy(update={"prompt": (Message(role="system", content="Who are you?"),)}),
    ],
)
def test_other_content_has_another_id(other: Pair):
    assert other.id != PAIR.id


SAID = {"probability": 0.7, "margin": 0.0, "weight": 2}


@pytest.mark.parametrize("field", SAID)
def test_what_is_said_of_a_pair_is_part_of_its_id_and_not_of_its_text(field: str):
    told = Pair(prompt=PAIR.prompt, chosen=PAIR.chosen, rejected=PAIR.rejected, **{field: SAID[field]})
    assert told.id != PAIR.id
    assert told.text_id == PAIR.text_id == PAIR.id
    assert getattr(told.swapped(), field) == SAID[field]


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("probability", 1.01, "less than or equal to 1"),
        ("probability", -0.01, "greater than or equal to 0"),
        ("probability", True, "valid number"),
        ("probability", "0.7", "valid number"),
        ("margin", -1, "is below 0: by it rejected is the better answer; exchange the sides"),
        ("weight", 0, "must be above 0; to leave a row out, remove it"),
        *((field, value, "finite number") for field in SAID for value in (float("nan"), float("inf"))),
    ],
)
def test_a_number_that_says_nothing_sensible_is_refused(field: str, value: object, complaint: str):
    with pytest.raises(ValidationError, match=complaint):
        Pair(prompt="Q", chosen="a", rejected="b", **{field: value})


def test_question_id_depends_on_the_prompt_only():
    assert Question(prompt="Hi", tags={"split": "train"}).id == Question(prompt="Hi").id == content_id("Hi")


def test_swapped_exchanges_the_answers_and_keeps_the_rest():
    swapped = PAIR.swapped()
    assert (swapped.chosen, swapped.rejected) == ("I am S.", "I am R.")
    assert (swapped.prompt, swapped.tags, swapped.source) == (PAIR.prompt, PAIR.tags, PAIR.source)
    assert swapped.swapped() == PAIR


def test_is_chat_tells_conversations_from_text():
    assert PAIR.is_chat
    assert not Pair(prompt="The sky is", chosen=" blue.", rejected=" black.").is_chat


BLANK = [("", "is empty"), (" \n\t\u3000", "is empty")]
NO_TEXT = [("a\x00b", "contains a NUL character"), ("a\ud800b", "contains a lone surrogate")]


@pytest.mark.parametrize("field", ["prompt", "chosen", "rejected"])
@pytest.mark.parametrize(("text", "complaint"), BLANK + NO_TEXT)
def test_pair_refuses_text_that_cannot_be_trained_on(field: str, text: str, complaint: str):
    with pytest.raises(ValidationError, match=complaint) as caught:
        Pair(**{"prompt": "Q", "chosen": "a", "rejected": "b", field: text})
    assert [error["loc"] for error in caught.value.errors()] == [(field,)]


@pytest.mark.parametrize(("text", "complaint"), NO_TEXT)
def test_message_and_tags_refuse_what_is_no_text(text: str, complaint: str):
    with pytest.raises(ValidationError, match=complaint):
        Message(role="user", content=text)
    with pytest.raises(ValidationError, match=complaint):
        Pair(prompt="Q", chosen="a", rejected="b", tags={"kind": text})


@pytest.mark.parametrize(
    ("prompt", "complaint"),
    [
        ((), "is empty"),
        ((Message(role="user", content=" "),), "is empty"),
        ((USER, Message(role="assistant", content="R.")), "ends with an assistant turn"),
    ],
)
def test_a_prompt_ends_where_the_assistant_should_speak(prompt: tuple[Message, ...], complaint: str):
    with pytest.raises(ValidationError, match=complaint):
        Pair(prompt=prompt, chosen="a", rejected="b")
    with pytest.raises(ValidationError, match=complaint):
        Question(prompt=prompt)


def test_an_empty_turn_inside_a_conversation_is_kept():
    prompt = (USER, Message(role="assistant", content=""), USER)
    assert Question(prompt=prompt).prompt == prompt


def test_records_are_frozen_closed_and_strict():
    with pytest.raises(ValidationError, match="frozen"):
        PAIR.chosen = "b"
    with pytest.raises(ValidationError, match="Extra inputs"):
        Message(role="user", content="a", name="b")
    with pytest.raises(ValidationError, match="valid string"):
        Message(role="user", content=3)
    with pytest.raises(ValidationError, match="'pass', 'warn' or 'stop'"):
        Finding(check="c", verdict="maybe", message="m")


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(str.strip)


@given(prompt=TEXT, chosen=TEXT, rejected=TEXT)
def test_json_and_back_is_the_same_pair(prompt: str, chosen: str, rejected: str):
    pair = Pair(prompt=(Message(role="user", content=prompt),), chosen=chosen, rejected=rejected)
    again = Pair.model_validate_json(pair.model_dump_json())
    assert again == pair
    assert again.id == pair.id
