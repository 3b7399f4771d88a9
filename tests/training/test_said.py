"""Soft labels, margins and weights of pairs, from the row to the update."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from rather.errors import InputError, RunDirError
from rather.losses import FACTS, LOSSES, losses_taking
from rather.records import Pair
from rather.training.config import TrainConfig
from rather.training.objective import Objective, Term
from rather.training.run import train
from rather.training.said import UNSAID, Said, require_used
from rather.training.step import MicroBatch, StepStats, train_step
from tests.conftest import WriteFile
from tests.training.test_step import PAIRS, micro_batch

CPU = torch.device("cpu")
ROWS: list[dict[str, Any]] = [
    {"prompt": f"Question {i}?", "chosen": f" It is {i}.", "rejected": f" Ask {i + 9} others!"} for i in range(8)
]


def pair(**said: float) -> Pair:
    return Pair(prompt="Q", chosen="a", rejected="b", source="pairs.jsonl:1", **said)


def test_a_pair_that_does_not_say_it_has_the_neutral_value_beside_those_that_do() -> None:
    said = Said.by([pair(), pair(probability=0.75, margin=2.0), pair(weight=3.0)], device=CPU)
    assert said.label is not None
    assert said.margin is not None
    assert said.weight is not None
    assert (said.label.tolist(), said.margin.tolist(), said.weight.tolist()) == ([1, 0.75, 1], [0, 2, 0], [1, 1, 3])
    some = said.of((2, 1))
    assert some.label is not None
    assert some.label.tolist() == [1, 0.75]
    assert Said.by([pair(), pair()], device=CPU) == UNSAID


def first_loss(tiny: Path, out: Path, file: Path, **options: Any) -> float:
    train(file, model=str(tiny), out=out, batch_pairs=8, allow={"all": "a test"}, **options)
    return json.loads((out / "metrics.jsonl").read_text().splitlines()[0])["loss"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        # at step 0 the margin of every pair is 0, so that z = −margin and the loss is −q·log σ(z) − (1 − q)·log σ(−z)
        ({"margin": 2.0}, math.log1p(math.exp(2))),
        ({"margin": 2.0, "probability": 0.75}, 0.75 * math.log1p(math.exp(2)) + 0.25 * math.log1p(math.exp(-2))),
        ({"weight": 3.0}, 3 * math.log(2)),
    ],
    ids=str,
)
@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_the_first_loss_is_the_formulas(
    tiny: Path, tmp_path: Path, write_file: WriteFile, said: dict[str, float], expected: float, suffix: str
) -> None:
    rows = [{**row, **said} for row in ROWS]
    if suffix == "parquet":
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        file = tmp_path / "pairs.parquet"
        pq.write_table(pa.Table.from_pylist(rows), file)
    else:
        file = write_file(rows)
    assert first_loss(tiny, tmp_path / "out", file) == pytest.approx(expected, rel=1e-5)


def test_the_weighted_sum_is_divided_by_the_number_of_pairs(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    """One pair of eight weighs 5: (7 + 5)·ln 2 / 8, not ln 2, which dividing by the weights' sum would give."""
    file = write_file([{**ROWS[0], "weight": 5.0}, *ROWS[1:]])
    assert first_loss(tiny, tmp_path / "out", file) == pytest.approx(12 / 8 * math.log(2), rel=1e-6)


def test_another_weight_is_another_run(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    first_loss(tiny, tmp_path / "out", write_file([{**row, "weight": 2.0} for row in ROWS]))
    with pytest.raises(RunDirError, match="pairs"):
        first_loss(tiny, tmp_path / "out", write_file([{**row, "weight": 3.0} for row in ROWS]))


def update(tiny: Path, cuts: list[int], said: Said, *, loss: str, packed: bool = True) -> tuple[Any, StepStats]:
    model = AutoModelForCausalLM.from_pretrained(tiny)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    objective = Objective((Term(loss, 1.0, partial(LOSSES[loss])),))
    batches, start = [], 0
    for size in cuts:
        plain = micro_batch(model, PAIRS[start : start + size], first=start)
        batches.append(MicroBatch(plain.samples, plain.reference, plain.ids, said.of(range(start, start + size))))
        start += size
    for _ in range(2):
        stats = train_step(
            model, batches, objective, optimizer, max_grad_norm=1e9, reward_scale=0.1, packed=packed
        )  # fmt: skip
    return {name: p.detach().clone() for name, p in model.named_parameters()}, stats


UP_TO = {"probability": st.floats(0, 1), "margin": st.floats(0, 5), "weight": st.floats(0.01, 5)}
SAYINGS = st.lists(
    st.fixed_dictionaries({}, optional=UP_TO).map(lambda said: pair(**said)), min_size=len(PAIRS), max_size=len(PAIRS)
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=SAYINGS, first=st.integers(1, 7), loss=st.sampled_from(["dpo", "dpo_norm"]))
def test_any_split_and_the_plain_path_give_the_same_update(
    tiny: Path, pairs: list[Pair], first: int, loss: str
) -> None:
    said = Said.by(pairs, device=CPU)
    whole, stats = update(tiny, [8], said, loss=loss)
    for cuts, packed in (([first, 8 - first], True), ([8], False)):
        again, others = update(tiny, cuts, said, loss=loss, packed=packed)
        assert all((whole[name] - again[name]).abs().max() < 2e-6 for name in whole)
        assert others.loss == pytest.approx(stats.loss, rel=1e-4)


def test_a_weight_of_2_is_the_pair_told_twice(tiny: Path) -> None:
    """But for the divisor, which is 9 pairs told singly and 8 with a weight; the rate makes up for it."""
    doubled, _ = update(tiny, [8], Said(weight=torch.tensor([2.0, *[1.0] * 7])), loss="dpo")
    model = AutoModelForCausalLM.from_pretrained(tiny)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01 * 9 / 8)
    batches = [micro_batch(model, PAIRS), micro_batch(model, PAIRS[:1])]
    objective = Objective((Term("dpo", 1.0, LOSSES["dpo"]),))
    for _ in range(2):
        train_step(model, batches, objective, optimizer, max_grad_norm=1e9, reward_scale=0.1)
    assert all((doubled[name] - p).abs().max() < 2e-6 for name, p in model.named_parameters())


TRAINED = [name for name, facts in FACTS.items() if facts.input in ("pair", "sample")]


@pytest.mark.parametrize("loss", TRAINED)
@pytest.mark.parametrize(("field", "word"), [("probability", "label"), ("margin", "margin"), ("weight", "weight")])
def test_what_a_loss_does_not_use_is_refused(loss: str, field: str, word: str) -> None:
    pairs, config = [pair(), pair(**{field: 0.6})], TrainConfig(loss=loss)
    if loss in losses_taking(word):
        require_used(pairs, config)
        return
    with pytest.raises(InputError) as caught:
        require_used(pairs, config)
    said = f'pairs.jsonl:1: has a "{field}", which the loss {loss} does not use; losses that do: dpo, dpo_norm, '
    assert str(caught.value).startswith(said)
    assert "bradley_terry" not in str(caught.value)


def test_in_a_sum_one_term_that_uses_a_label_is_enough_and_a_weight_is_for_all() -> None:
    require_used([pair(probability=0.6, margin=1.0, weight=2.0)], TrainConfig(loss="dpo:0.8,sft:0.2"))
    with pytest.raises(InputError, match='has a "weight"'):
        require_used([pair(weight=2.0)], TrainConfig(loss="dpo:0.8,aot:0.2"))
