"""What is asked for, and with which seeds."""

from __future__ import annotations

from typing import Any

import pytest

from rather.errors import ConfigError
from rather.generation.config import GenerateConfig
from rather.generation.plan import plan
from rather.records import Message, Question

CHAT = Question(prompt=(Message(role="user", content="Hi"),))
OWN_SYSTEM = Question(prompt=(Message(role="system", content="Be brief."), Message(role="user", content="Hi")))
TEXT = Question(prompt="Once upon")


def asks(questions: list[Question], models: list[str] | None = None, **options: Any) -> list[Any]:
    placed = [(f"q:{number}", question) for number, question in enumerate(questions, start=1)]
    return list(plan(placed, models or ["m"], GenerateConfig.build(options)))


def test_n_answers_by_each_model_at_each_temperature_with_each_system_prompt_but_one_if_greedy() -> None:
    found = asks([CHAT, TEXT], ["a", "b"], n=3, temperature=[0, 0.7, 1.0], system_prompt=["X", "Y"])
    # A chat: 2 models × 2 system prompts × (1 + 3 + 3); a text, which takes no system prompt: 2 × (1 + 3 + 3).
    assert len(found) == 28 + 14
    assert len({ask.key for ask in found}) == len(found)
    assert len({ask.seed for ask in found}) == len(found)
    assert all(0 <= ask.seed < 2**31 for ask in found)


def test_a_seed_depends_on_what_is_asked_and_on_nothing_beside_it() -> None:
    alone = {ask.key for ask in asks([CHAT], n=2)}
    assert alone < {ask.key for ask in asks([TEXT, CHAT, OWN_SYSTEM], ["m", "z"], n=4, temperature=[0.7, 1.0])}
    assert not alone & {ask.key for ask in asks([CHAT], n=2, seed=1)}
    assert [ask.seed for ask in asks([CHAT], ["here"])] == [ask.seed for ask in asks([CHAT], ["there"])]


def test_a_system_prompt_stands_before_conversations_that_have_none() -> None:
    first, own = asks([CHAT, OWN_SYSTEM], n=1, system_prompt=["X"])
    assert [message.content for message in first.prompt] == ["X", "Hi"]
    assert (own.system, own.prompt) == (None, OWN_SYSTEM.prompt)
    both = asks([CHAT, OWN_SYSTEM], n=1, system_prompt=["X"], also_plain=True)
    assert [ask.system for ask in both] == [None, "X", None]
    with pytest.raises(ConfigError, match="--system-prompt does nothing"):
        asks([OWN_SYSTEM, TEXT], system_prompt=["X"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"temperature": [-0.1]}, "temperature"),
        ({"temperature": []}, "temperature"),
        ({"n": 0}, "n = 0"),
        ({"temperature": [0.7, 0.7]}, "one value twice"),
        ({"system_prompt": [" "]}, "system_prompt"),
        ({"also_plain": True}, "--also-plain does nothing without --system-prompt"),
        ({"temperature": [0], "n": 3}, "--n does nothing"),
        ({"temperature": [0], "seed": 3}, "--seed does nothing"),
        ({"temperature": [0], "top_p": 0.5}, "--top-p does nothing"),
        ({"api": "127.0.0.1:80", "api_model": ["m"]}, "must be an address"),
        ({"api": "http://x/v1"}, "belong together"),
        ({"api_model": ["m"]}, "belong together"),
        ({"api": "http://x/v1", "api_model": ["m"], "dtype": "bf16"}, "--dtype does nothing with --api"),
        ({"api": "http://x/v1", "api_model": ["m"], "backend": "vllm"}, "--backend does nothing with --api"),
        ({"timeout": 3}, "--timeout does nothing without --api"),
        ({"backend": "vllm", "batch": 3}, "--batch does nothing"),
        ({"correct_with": "m"}, "belong together"),
        ({"instruction": "Be brief."}, "belong together"),
    ],
)
def test_what_cannot_act_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        GenerateConfig.build(options)
    assert said in str(caught.value)


def test_an_address_is_taken_with_the_path_of_a_request() -> None:
    built = GenerateConfig.build({"api": "http://x:1/v1/chat/completions/", "api_model": ["m"]})
    assert built.api == "http://x:1/v1"
