"""Reward functions of a user's own: the signature that trainers have, and errors that name the row."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from rather.errors import ConfigError, JudgeError
from rather.judging import JUDGES, Outcome
from rather.records import Message
from tests.judging.given import candidates

_NUMBERS = itertools.count()


@pytest.fixture
def rewards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """(source of a function f) → its MODULE:f, importable from the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(source: str) -> str:
        name = f"rewards_{next(_NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(source)
        return f"{name}:f"

    return write


def judged(
    spec: str, *answers: str, columns: list[dict[str, Any]] | None = None, prompt: Any = "Q", **options: Any
) -> Outcome:
    judge = JUDGES["function"].build({"function": spec, **options})
    groups = [candidates(prompt, *answers, columns=columns)]
    judge.check(groups)
    [outcome] = judge.judge(groups, signed="f")
    return outcome


def test_it_gets_prompts_completions_and_the_columns_it_asks_for(rewards: Any) -> None:
    spec = rewards(
        "def f(prompts, completions, gold):\n    return [len(p) + len(c) + g for p, c, g in zip(prompts, completions, gold)]"
    )
    outcome = judged(spec, "a", "bb", columns=[{"gold": 10, "other": 1}, {"gold": 20}])
    assert [rating.score for rating in outcome.judgments] == [12, 23]
    assert outcome.judgments[0].judge == "f"


def test_conversations_come_as_turns_and_all_columns_where_it_takes_any(rewards: Any) -> None:
    spec = rewards(
        "def f(completions, prompts, **columns):\n"
        "    assert prompts[0] == [{'role': 'user', 'content': 'Hi'}]\n"
        "    assert completions == [[{'role': 'assistant', 'content': 'a'}], [{'role': 'assistant', 'content': 'b'}]]\n"
        "    assert columns == {'x': [1, None]}\n"
        "    return [True, None]"
    )
    outcome = judged(spec, "a", "b", columns=[{"x": 1}, {}], prompt=(Message(role="user", content="Hi"),))
    assert [rating.score for rating in outcome.judgments] == [1]
    assert outcome.counts == {"abstained: the function returned None": 1}


def test_an_async_function(rewards: Any) -> None:
    assert judged(rewards("async def f(prompts, completions):\n    return [1.5]"), "a").judgments[0].score == 1.5  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("[float('nan') if c == 'b' else 1 for c in completions]", "returned nan; a score must be finite"),
        ("['x' if c == 'b' else 1 for c in completions]", "returned 'x', which is no number"),
        ("[1 / (c != 'b') for c in completions]", "raised ZeroDivisionError: division by zero"),
    ],
)
def test_a_row_that_fails_is_named_and_the_others_are_judged(rewards: Any, body: str, reason: str) -> None:
    outcome = judged(rewards(f"def f(prompts, completions):\n    return {body}"), "a", "b", "c")
    assert [rating.answers for rating in outcome.judgments] == [("a",), ("c",)]
    [refused] = outcome.refused
    assert refused.place == "f:2"
    assert reason in refused.reason


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("[1.0]", "returned 1 scores for 3 answers, the first of them f:1"),
        ("0.5", "returned float, not a list of numbers"),
        (
            "[1 / (len(completions) < 2)]",
            "raised ZeroDivisionError: division by zero on the 3 answers from f:1 to f:3, and on none alone",
        ),
    ],
)
def test_a_function_that_is_wrong_as_a_whole_stops_the_step(rewards: Any, body: str, said: str) -> None:
    with pytest.raises(JudgeError, match=said):
        judged(rewards(f"def f(prompts, completions):\n    return {body}"), "a", "b", "c")


def test_what_is_known_to_be_wrong_before_it_is_called(rewards: Any) -> None:
    with pytest.raises(
        ConfigError, match='needs "goal", which no response has as a column or tag; did you mean "gold"'
    ):
        judged(rewards("def f(prompts, completions, goal):\n    return [1]"), "a", columns=[{"gold": 1}])
    with pytest.raises(ConfigError, match="takes no prompts; it must take prompts, completions"):
        judged(rewards("def f(texts, completions):\n    return [1]"), "a")
    with pytest.raises(ConfigError, match=r"no module no_such_rewards in "):
        judged("no_such_rewards:f", "a")
    with pytest.raises(ConfigError, match="has no function f; did you mean"):
        judged(rewards("def ff(prompts, completions):\n    return [1]"), "a")
    with pytest.raises(ConfigError, match="cannot be imported: ZeroDivisionError"):
        judged(rewards("1 / 0"), "a")
    with pytest.raises(ConfigError, match="nobody can say what f takes; wrap it in a function"):
        judged(rewards("f = type('T', (), {'__signature__': 3, '__call__': lambda self: 1})()"), "a")
    with pytest.raises(ConfigError, match="needs not_there_at_all, which is not installed"):
        judged(rewards("import not_there_at_all"), "a")
    with pytest.raises(ConfigError, match="must be module:function, as in"):
        JUDGES["function"].build({"function": "rewards"})
    outcome = judged(
        rewards("def f(prompts, completions, gold):\n    return gold"), "a", "b", columns=[{"gold": 1}, {}]
    )
    assert [r.reason for r in outcome.refused] == [f'has no "gold", which rewards_{next(_NUMBERS) - 1}:f needs']


def test_prompts_stay_whole_in_batches(rewards: Any) -> None:
    spec = rewards("def f(prompts, completions):\n    return [float(len(completions))] * len(completions)")
    judge = JUDGES["function"].build({"function": spec, "function_batch": 3})
    groups = [candidates(f"Q{i}", "a", "b") for i in range(5)]
    outcomes = list(judge.judge(groups, signed="f"))
    assert [[r.score for r in outcome.judgments] for outcome in outcomes] == [[4, 4]] * 4 + [[2, 2]]
