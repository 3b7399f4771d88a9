"""The seam to a model that judges: what was asked is remembered, and a model in this process replies in the form asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from rather.errors import JudgeError, ModelError
from rather.judging.asking import Ask, Refused, Remembering, _unspecial, in_process
from rather.judging.prompts import choice, read
from rather.model import load_tokenizer
from rather.records import Message, Prompt
from tests.tiny import make_model


def turn(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


class Echo:
    """Says what it was asked, and how often it was opened and asked."""

    def __init__(self) -> None:
        self.opened = 0
        self.asked: list[list[Prompt]] = []

    def open(self) -> Ask:
        self.opened += 1

        def ask(prompts: Sequence[Prompt]) -> list[str]:
            self.asked.append(list(prompts))
            return [f"re: {prompt}" for prompt in prompts]

        return ask


def test_what_was_asked_is_remembered_by_content(tmp_path: Path) -> None:
    echo = Echo()
    first = Remembering(echo.open, key={"model": "a"}, folder=tmp_path, at_once=2)
    assert first(["1", "2", "1", "3"]) == ["re: 1", "re: 2", "re: 1", "re: 3"]
    assert echo.asked == [["1", "2"], ["3"]]
    assert first.asked == 3
    again = Remembering(echo.open, key={"model": "a"}, folder=tmp_path)
    assert again(["3", "1"]) == ["re: 3", "re: 1"]
    assert (echo.opened, again.asked) == (1, 0)  # not even opened
    assert Remembering(echo.open, key={"model": "b"}, folder=tmp_path)(["1"]) == ["re: 1"]
    assert (echo.opened, len(echo.asked)) == (2, 3)


def test_what_was_asked_before_a_failure_is_kept_and_damage_is_asked_again(tmp_path: Path) -> None:
    def failing() -> Ask:
        calls = iter([True, False])

        def ask(prompts: Sequence[Prompt]) -> list[str]:
            if not next(calls):
                raise JudgeError("gone")
            return ["one"] * len(prompts)

        return ask

    with pytest.raises(JudgeError, match="gone"):
        Remembering(failing, key={}, folder=tmp_path, at_once=1)(["1", "2"])
    echo = Echo()
    ask = Remembering(echo.open, key={}, folder=tmp_path)
    assert ask(["1", "2"]) == ["one", "re: 2"]
    for file in tmp_path.rglob("*.json"):
        file.write_text(file.read_text()[:10])
    assert ask(["1"]) == ["re: 1"]
    [kept] = [json.loads(f.read_text()) for f in tmp_path.rglob("*.json") if len(f.read_text()) > 10]
    assert kept == {"key": {}, "prompt": "1", "reply": "re: 1"}


def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    ask = Remembering(Echo().open, key={}, folder=tmp_path / "file")
    assert ask(["1", "2"]) == ["re: 1", "re: 2"]
    assert capsys.readouterr().err.count("note: what is asked is not kept for later runs") == 1


def test_prompts_that_the_model_cannot_be_asked_are_asked_once_and_the_others_are_kept(tmp_path: Path) -> None:
    asked: list[Prompt] = []

    def ask(prompts: Sequence[Prompt]) -> list[str | Refused]:
        asked.extend(prompts)
        return [Refused(prompt, "too long") if prompt in ("1", "3") else f"re: {prompt}" for prompt in prompts]

    remembering = Remembering(lambda: ask, key={}, folder=tmp_path)
    for first in ("1", "1"):
        with pytest.raises(Refused, match="too long") as error:
            remembering(["1", "2", "3"])
        assert error.value.prompt == first
    with pytest.raises(Refused) as error:
        remembering(["2", "3"])
    assert error.value.prompt == "3"
    assert remembering(["2"]) == ["re: 2"]
    assert (asked, remembering.asked) == (["1", "2", "3"], 1)


def test_a_model_in_this_process_says_one_of_the_replies(tiny: Path) -> None:
    form = choice("better", ("A", "B", "tie"))
    ask = in_process(str(tiny), form, max_new_tokens=8, dtype="fp32")
    replies = ask([turn("Which?"), turn("And now?")])
    assert all(read(reply, "better") in ("A", "B", "tie") for reply in replies)
    assert ask([turn("And now?")]) == replies[1:]


def test_without_a_form_it_writes(tiny: Path) -> None:
    [reply] = in_process(str(tiny), None, max_new_tokens=8, dtype="fp32")([turn("Which?")])
    with pytest.raises(ValueError):  # noqa: PT011 (a random model)
        read(reply, "better")


def test_the_likeliest_reply_is_the_one_that_the_model_itself_gives_the_highest_probability(tiny: Path) -> None:
    """Against transformers' own forward, a reply at a time."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    form = choice("score", range(1, 6))
    [reply] = in_process(str(tiny), form, max_new_tokens=8, dtype="fp32")([turn("How good?")])
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny), AutoTokenizer.from_pretrained(tiny)
    given = tokenizer.apply_chat_template(
        [{"role": "user", "content": "How good?"}], tokenize=False, add_generation_prompt=True
    )
    start = tokenizer(given, add_special_tokens=False).input_ids
    logps = []
    for each in form.replies:
        end = tokenizer(each, add_special_tokens=False).input_ids
        with torch.no_grad():
            table = model(torch.tensor([start + end])).logits[0].log_softmax(-1)
        logps.append(sum(float(table[len(start) - 1 + i, token]) for i, token in enumerate(end)))
    assert reply == form.replies[logps.index(max(logps))]


def test_texts_spell_no_special_token_of_the_judge(tiny: Path) -> None:
    special = [str(token) for token in load_tokenizer(str(tiny)).all_special_tokens]
    [message] = _unspecial(turn("a <|im_end|> b <|endoftext|> c"), special)
    assert isinstance(message, Message)
    tokens = load_tokenizer(str(tiny))(message.content).input_ids
    ids = load_tokenizer(str(tiny)).all_special_ids
    assert not set(tokens) & set(ids)


def test_a_model_that_cannot_be_asked(tmp_path: Path, tiny: Path) -> None:
    bare = make_model(tmp_path / "bare", template=None)
    with pytest.raises(ModelError, match="has no chat template, so it cannot be asked to judge"):
        in_process(str(bare), None, max_new_tokens=8, dtype="fp32")
    with pytest.raises(Refused, match=r"what is asked has 3,\d+ tokens, and .* takes 2,048"):
        in_process(str(tiny), None, max_new_tokens=8, dtype="fp32")([turn("x" * 3000)])
