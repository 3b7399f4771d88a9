"""Ranked lists and single answers in the trainer: the same values however they are cut, and those of the formulas."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from rather.errors import ConfigError, RunDirError
from rather.losses import FACTS, ListLogps, PairLogps, SampleLogps
from rather.model import Sample, TokenList, completions
from rather.records import Kind, Pair, RankedList, Single
from rather.training import loop
from rather.training.baseline import Baseline
from rather.training.config import TrainConfig
from rather.training.mismatch import mismatched
from rather.training.objective import Objective, joined, objective_of
from rather.training.run import train
from rather.training.said import UNSAID, Said, require_used
from rather.training.step import MicroBatch, StepStats, train_step
from tests.conftest import WriteFile

CPU = torch.device("cpu")

LISTS: list[dict[str, Any]] = [
    {"prompt": f"Question {i}?", "ranked": [f" It is {i}.", f" Maybe {i + 3}.", f" Ask {i + 9} others!"][: 2 + i % 2]}
    for i in range(8)
]
SINGLES: list[dict[str, Any]] = [
    {
        "prompt": f"Question {i}?",
        "completion": f" It is {i}." if i % 2 else f" Ask {i + 9} others!",
        "label": i % 2 == 1,
    }
    for i in range(8)
]


def answers(count: int, first: int) -> tuple[Sample, ...]:
    """`count` answers to one prompt, all of them different."""
    return tuple(
        Sample((60 + first, 61, 62, *range(70 + 5 * place, 72 + 5 * place + (first + place) % 3)), 3)
        for place in range(count)
    )


def updated(
    tiny: Path,
    examples: list[tuple[Sample, ...]],
    cuts: list[int],
    *,
    loss: str,
    kind: Kind,
    said: Said = UNSAID,
    packed: bool = True,
) -> tuple[dict[str, torch.Tensor], StepStats]:
    """Weights and figures after two updates, cut into micro-batches of these sizes."""
    model = AutoModelForCausalLM.from_pretrained(tiny)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    objective: Objective = objective_of(TrainConfig(loss=loss))
    baseline = Baseline.of(objective)
    batches, start = [], 0
    for size in cuts:
        part = examples[start : start + size]
        with torch.no_grad():
            reference = completions(model, [sample for example in part for sample in example])
        ids = tuple(f"example{index}" for index in range(start, start + size))
        batches.append(MicroBatch(tuple(part), reference, ids, said.of(range(start, start + size)), kind))
        start += size
    stats = None
    for _ in range(2):
        baseline.level = 0.2 if loss == "kto" else baseline.level
        stats = train_step(
            model, batches, objective, optimizer, max_grad_norm=1e9, reward_scale=0.1, packed=packed, baseline=baseline
        )
    assert stats is not None
    return {name: p.detach().clone() for name, p in model.named_parameters()}, stats


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all((one[name] - other[name]).abs().max() < 2e-6 for name in one)


few = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


@few
@given(lengths=st.lists(st.integers(2, 5), min_size=2, max_size=6), data=st.data())
def test_lists_of_any_lengths_in_any_split_and_on_the_plain_path(tiny: Path, lengths: list[int], data: Any) -> None:
    examples = [answers(count, first) for first, count in enumerate(lengths)]
    cut = data.draw(st.integers(1, len(lengths) - 1))
    weights = data.draw(st.lists(st.floats(0.1, 3), min_size=len(lengths), max_size=len(lengths)))
    options: dict[str, Any] = {"loss": "plackett_luce", "kind": "list", "said": Said(weight=torch.tensor(weights))}
    whole, stats = updated(tiny, examples, [len(lengths)], **options)
    for cuts, packed in (([cut, len(lengths) - cut], True), ([len(lengths)], False)):
        again, others = updated(tiny, examples, cuts, packed=packed, **options)
        assert same(whole, again)
        assert others.row() == pytest.approx(stats.row(), rel=1e-3, abs=1e-5)


@few
@given(count=st.integers(1, 6), weights=st.lists(st.floats(0.1, 3), min_size=6, max_size=6))
def test_a_list_of_two_is_dpo(tiny: Path, count: int, weights: list[float]) -> None:
    """Loss, every figure and every weight after two updates."""
    examples = [answers(2, first) for first in range(count)]
    said = Said(weight=torch.tensor(weights[:count]))
    lists, stats = updated(tiny, examples, [count], loss="plackett_luce", kind="list", said=said)
    pairs, others = updated(tiny, examples, [count], loss="dpo", kind="pair", said=said)
    assert same(lists, pairs)
    assert stats.row() == pytest.approx(others.row(), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("loss", [name for name, facts in FACTS.items() if facts.input == "sample"])
@few
@given(good=st.lists(st.booleans(), min_size=2, max_size=7), data=st.data())
def test_single_answers_in_any_split_and_on_the_plain_path(tiny: Path, loss: str, good: list[bool], data: Any) -> None:
    assume(
        not FACTS[loss].batch or len(set(good)) == 2
    )  # of one side alone it learns nothing: every figure is rounding
    examples = [answers(1, first) for first in range(len(good))]
    cut = data.draw(st.integers(1, len(good) - 1))
    weights = data.draw(st.lists(st.floats(0.1, 3), min_size=len(good), max_size=len(good)))
    weight = None if FACTS[loss].batch else torch.tensor(weights)
    said = Said(weight=weight, desirable=torch.tensor(good))
    options: dict[str, Any] = {"loss": loss, "kind": "sample", "said": said}
    whole, stats = updated(tiny, examples, [len(good)], **options)
    for cuts, packed in (([cut, len(good) - cut], True), ([len(good)], False)):
        again, others = updated(tiny, examples, cuts, packed=packed, **options)
        assert same(whole, again)
        assert others.row() == pytest.approx(stats.row(), rel=1e-3, abs=1e-5)


def test_the_figures_of_lists_by_hand() -> None:
    """Log-ratios 1, 2, −1 and 3, 0: best against last is 2 and 3; in order are 2 of 3 pairs and 1 of 1."""
    logps = ListLogps(
        policy=torch.tensor([[1.0, 2.0, -1.0], [3.0, 0.0, 0.0]]),
        present=torch.tensor([[True, True, True], [True, True, False]]),
        ref=torch.zeros(2, 3),
        tokens=torch.tensor([[1, 1, 2], [2, 1, 0]]),
    )
    stats = StepStats.of(logps, torch.tensor([1.0, 2.0]), scale=0.5, grad_norm=0.0)
    assert (stats.loss, stats.accuracy) == (1.5, pytest.approx((2 / 3 + 1) / 2))
    assert (stats.chosen_reward, stats.rejected_reward, stats.margin) == (1.0, -0.25, 1.25)
    assert (stats.chosen_logp_change_per_token, stats.rejected_logp_change_per_token) == (1.25, -0.25)


def test_the_figures_of_single_answers_by_hand() -> None:
    logps = SampleLogps(
        policy=torch.tensor([1.0, -3.0, 2.0, 0.0]),
        desirable=torch.tensor([True, True, False, False]),
        ref=torch.zeros(4),
        tokens=torch.tensor([1, 1, 2, 1]),
    )
    stats = StepStats.of(logps, torch.ones(4), scale=0.5, grad_norm=0.0)
    assert stats.accuracy == (1 + 0 + 0 + 0.5) / 4
    assert (stats.chosen_reward, stats.rejected_reward, stats.margin) == (-0.5, 0.5, -1.0)
    only_good = SampleLogps(torch.tensor([1.0]), torch.tensor([True]), torch.zeros(1), torch.ones(1))
    row = StepStats.of(only_good, torch.ones(1), scale=1.0, grad_norm=0.0).row()
    assert sorted(row) == [
        "accuracy",
        "chosen_logp",
        "chosen_logp_change_per_token",
        "chosen_reward",
        "grad_norm",
        "loss",
    ]


def test_joined_lists_are_padded_to_the_longest() -> None:
    short = ListLogps(torch.ones(1, 2), torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, 2), torch.ones(1, 2))
    long = ListLogps(torch.ones(1, 3), torch.ones(1, 3, dtype=torch.bool), torch.zeros(1, 3), torch.ones(1, 3))
    both = joined([short, long])
    assert isinstance(both, ListLogps)
    assert both.present.tolist() == [[True, True, False], [True, True, True]]


def metrics(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("rows", "loss", "first"),
    [
        # of K answers that are all alike there are K! orders; half of the lists have two and half three
        (LISTS, "plackett_luce", (math.log(2) + math.log(6)) / 2),
        (SINGLES, "kto", 0.5),
        (SINGLES, "apo_zero_unpaired", 0.5),
        (SINGLES, "bco_unpaired", math.log(2)),
        (SINGLES, "aot_unpaired", math.log(2)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_run_begins_at_the_neutral_loss_learns_and_resumes(
    tiny: Path,
    tmp_path: Path,
    write_file: WriteFile,
    monkeypatch: pytest.MonkeyPatch,
    rows: Any,
    loss: str,
    first: float,
) -> None:
    options: dict[str, Any] = {
        "model": str(tiny), "loss": loss, "lr": 3e-3, "batch_pairs": 4, "epochs": 4, "warmup": 0.0, "save_every": 1,
        "shuffle": False,
    }  # fmt: skip
    train(write_file(rows), out=tmp_path / "whole", **options)
    seen = metrics(tmp_path / "whole")
    assert seen[0]["loss"] == pytest.approx(first, abs=1e-6)
    assert seen[-1]["loss"] < first
    assert seen[-1]["margin"] > 0
    real, calls = loop.train_step, itertools.count(1)

    def stopped(*arguments: Any, **options: Any) -> Any:
        if next(calls) == 4:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(loop, "train_step", stopped)
    with pytest.raises(KeyboardInterrupt):
        train(write_file(rows), out=tmp_path / "parts", **options)
    monkeypatch.setattr(loop, "train_step", real)
    train(write_file(rows), out=tmp_path / "parts", **options)
    timeless = [[{k: v for k, v in row.items() if k != "pairs_per_s"} for row in both]
                for both in (seen, metrics(tmp_path / "parts"))]  # fmt: skip
    assert timeless[0] == timeless[1]


def test_other_labels_are_another_run(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    train(write_file(SINGLES), model=str(tiny), out=tmp_path / "out", loss="kto")
    with pytest.raises(RunDirError, match="pairs"):
        train(
            write_file([{**row, "label": not row["label"]} for row in SINGLES]),
            model=str(tiny), out=tmp_path / "out", loss="kto",
        )  # fmt: skip


RECORDS = {
    "pair": Pair(prompt="Q", chosen="a", rejected="b"),
    "list": RankedList(prompt="Q", ranked=("a", "b")),
    "sample": Single(prompt="Q", completion="a", label=True),
}
FIT = {"pair": {"pair"}, "sample": {"pair", "sample"}, "list": {"list"}}


@pytest.mark.parametrize("kind", RECORDS)
@pytest.mark.parametrize("loss", [name for name, facts in FACTS.items() if facts.input in FIT])
def test_a_loss_that_does_not_take_such_records_is_refused(kind: str, loss: str) -> None:
    if kind in FIT[FACTS[loss].input]:
        require_used([RECORDS[kind]], TrainConfig(loss=loss))
        return
    with pytest.raises(ConfigError, match=rf"^--loss {loss} does not take (pairs|ranked lists|single answers); "):
        require_used([RECORDS[kind]], TrainConfig(loss=loss))


@pytest.mark.parametrize(
    ("kind", "loss", "cure"),
    [
        ("list", "dpo", "losses that do: plackett_luce, which on two answers is dpo; or write the answers"),
        ("pair", "plackett_luce", "dpo is the same on pairs"),
        ("sample", "bco", "bco_unpaired does; losses that do: kto, apo_zero_unpaired, bco_unpaired, aot_unpaired"),
        ("sample", "kto:0.5,sft:0.5", "losses that do: kto, apo_zero_unpaired, bco_unpaired, aot_unpaired"),
    ],
)
def test_the_refusal_names_the_cure(kind: str, loss: str, cure: str) -> None:
    with pytest.raises(ConfigError, match=cure):
        require_used([RECORDS[kind]], TrainConfig(loss=loss))


@pytest.mark.parametrize(("batch_pairs", "said"), [(8, ""), (2, "4 of 4 updates"), (3, "1 of 3 updates")])
def test_aot_needs_both_sides_in_an_update(
    tiny: Path, tmp_path: Path, write_file: WriteFile, capsys: pytest.CaptureFixture[str], batch_pairs: int, said: str
) -> None:
    """Of 8 answers good, good, bad, bad …: by threes the last two are bad; by twos no update has both."""
    rows = [{**row, "label": place % 4 < 2} for place, row in enumerate(SINGLES)]
    options: dict[str, Any] = {"loss": "aot_unpaired", "batch_pairs": batch_pairs, "shuffle": False, "model": str(tiny)}
    if batch_pairs == 2:
        with pytest.raises(ConfigError, match=r"^--loss aot_unpaired compares .* raise --batch-pairs"):
            train(write_file(rows), out=tmp_path / "out", **options)
        return
    train(write_file(rows), out=tmp_path / "out", **options)
    assert ("1 of 3 updates" in " ".join(capsys.readouterr().err.split())) == bool(said)


def test_aot_of_single_answers_is_on_pairs_the_loss_of_their_ranks() -> None:
    """Log-ratios of chosen 1, −2, of rejected 0.5, 3: −2 meets 0.5 and 1 meets 3."""
    zero = torch.zeros(2)
    logps = PairLogps(torch.tensor([1.0, -2.0]), torch.tensor([0.5, 3.0]), zero, zero)
    values = objective_of(TrainConfig(loss="aot_unpaired", beta=1.0))(logps)
    low, high = math.log(1 + math.exp(2.5)), math.log(1 + math.exp(2.0))
    torch.testing.assert_close(values, torch.tensor([(high + low) / 2] * 2))


def test_bcos_level_is_the_mean_over_all_answers_so_far() -> None:
    level = Baseline.of(objective_of(TrainConfig(loss="bco_unpaired")))
    good = torch.tensor([True, False, False])
    level.seen(SampleLogps(torch.tensor([3.0, 0.0, 0.0]), good, torch.zeros(3)))
    assert (level.level, level.pairs) == (1.0, 3)
    level.seen(SampleLogps(torch.tensor([5.0]), good[:1], torch.zeros(1)))
    assert (level.level, level.pairs) == (2.0, 4)


def test_bco_of_single_answers_is_on_pairs_the_mean_of_bcos_two_terms() -> None:
    zero = torch.zeros(2)
    logps = PairLogps(torch.tensor([1.0, -2.0]), torch.tensor([0.5, 3.0]), zero, zero, baseline=torch.tensor(0.3))
    halves = objective_of(TrainConfig(loss="bco_unpaired"))(logps)
    torch.testing.assert_close(2 * halves, objective_of(TrainConfig(loss="bco"))(logps))


def test_the_mismatched_answer_is_the_next_one_of_another_prompt() -> None:
    """Prompts a a b a: the answers of places 2 and 2, then 3, and around the end 2 again."""
    prompts = [(1, 2), (1, 2), (3, 4), (1, 2)]
    items = [
        TokenList(RECORDS["sample"], (Sample((*prompt, 10 + place), 2),), (False,))
        for place, prompt in enumerate(prompts)
    ]
    found = mismatched(items, max_length=8)
    assert [item.samples[0].tokens for item in found] == [(1, 2, 12), (1, 2, 12), (3, 4, 13), (1, 2, 12)]
    with pytest.raises(ConfigError, match="needs two prompts at least"):
        mismatched(items[:2], max_length=8)
