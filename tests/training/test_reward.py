"""Reward models: a folder that transformers alone loads, and scores in it that are training's."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from rather.errors import ConfigError, ModelError
from rather.model import Renderer, load, load_tokenizer
from rather.model.reward import load_reward, scores, scores_pack
from rather.records import Message, Pair
from rather.training.config import TrainConfig
from rather.training.objective import objective_of
from rather.training.run import train
from rather.training.said import Said
from rather.training.step import MicroBatch, StepStats, train_step
from tests.conftest import WriteFile
from tests.training.test_step import PAIRS

ROWS: list[dict[str, Any]] = [
    {
        "prompt": [{"role": "user", "content": f"Question {i}?"}],
        "chosen": [{"role": "assistant", "content": f"It is {i}."}],
        "rejected": [{"role": "assistant", "content": f"Ask {i + 9} others!"}],
    }
    for i in range(8)
]
FAST: dict[str, Any] = {"objective": "reward", "lr": 3e-3, "batch_pairs": 4, "epochs": 4, "warmup": 0.0}


def metrics(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("lora_rank", [None, 4])
def test_transformers_alone_gives_the_scores_of_training(
    tiny: Path, tmp_path: Path, write_file: WriteFile, lora_rank: int | None
) -> None:
    """The last update has a rate of almost nothing, so its figures are those of the model that is saved."""
    out, options = tmp_path / "out", {**FAST, "batch_pairs": 8, "epochs": 12, "shuffle": False, "lora_rank": lora_rank}
    result = train(write_file(ROWS), model=str(tiny), out=out, **options)
    rows = metrics(out)
    assert sorted(rows[0]) == [
        "accuracy", "chosen_reward", "grad_norm", "loss", "lr", "margin", "pairs_per_s", "rejected_reward", "step",
    ]  # fmt: skip
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[-1]["accuracy"] == 1.0
    model = AutoModelForSequenceClassification.from_pretrained(result.model)
    tokenizer = AutoTokenizer.from_pretrained(result.model)
    assert model.config.num_labels == 1
    assert model.config.pad_token_id == tokenizer.pad_token_id
    texts = [
        tokenizer.apply_chat_template([*row["prompt"], *row[side]], tokenize=False)
        for row in ROWS
        for side in ("chosen", "rejected")
    ]
    batch = tokenizer(texts, add_special_tokens=False, padding=True, return_tensors="pt")
    with torch.no_grad():
        together = model(**batch).logits[:, 0]
    ours = load_reward(str(result.model), seed=5)
    renderer = Renderer(load_tokenizer(str(result.model)), whole=True)
    samples = [
        sample
        for row in ROWS
        for sample in renderer.pair(
            Pair(
                prompt=(Message(**row["prompt"][0]),),
                chosen=row["chosen"][0]["content"],
                rejected=row["rejected"][0]["content"],
            )
        ).samples
    ]
    with torch.no_grad():
        torch.testing.assert_close(
            scores(ours.model, samples, dtype=torch.float32).cpu(), together, rtol=1e-4, atol=1e-5
        )
    chosen, rejected = together.view(-1, 2).unbind(1)
    assert float(chosen.mean()) == pytest.approx(rows[-1]["chosen_reward"], abs=0.2)
    assert float((chosen - rejected).mean()) == pytest.approx(rows[-1]["margin"], abs=0.2)


def test_packed_is_plain(tiny: Path) -> None:
    model = load_reward(str(tiny), seed=0, device="cpu").model
    samples = [sample for pair in PAIRS for sample in pair]
    with torch.no_grad():
        packed = scores(model, samples, dtype=torch.float32)
        plain = scores(model, samples, dtype=torch.float32, packed=False)
    torch.testing.assert_close(packed, plain, rtol=1e-5, atol=1e-6)
    assert scores_pack(model, PAIRS, dtype=torch.float32)


def updated(
    tiny: Path, cuts: list[int], said: Said, *, packed: bool = True
) -> tuple[dict[str, torch.Tensor], StepStats]:
    model = load_reward(str(tiny), seed=0, device="cpu").model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    objective = objective_of(TrainConfig(objective="reward", loss="bradley_terry", center_rewards_coefficient=0.05))
    batches, start = [], 0
    for size in cuts:
        part = tuple(PAIRS[start : start + size])
        ids = tuple(f"pair{index}" for index in range(start, start + size))
        batches.append(MicroBatch(part, None, ids, said.of(range(start, start + size))))
        start += size
    stats = None
    for _ in range(2):
        stats = train_step(
            model, batches, objective, optimizer, max_grad_norm=1e9, reward_scale=1.0, packed=packed
        )  # fmt: skip
    assert stats is not None
    return {name: p.detach().clone() for name, p in model.named_parameters()}, stats


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(1, 7), values=st.lists(st.floats(0.1, 2), min_size=8, max_size=8))
def test_any_split_and_the_plain_path_give_the_same_update(tiny: Path, cut: int, values: list[float]) -> None:
    said = Said(margin=torch.tensor(values), weight=torch.tensor(values), label=torch.tensor(values) / 2)
    whole, stats = updated(tiny, [8], said)
    for cuts, packed in (([cut, 8 - cut], True), ([8], False)):
        again, others = updated(tiny, cuts, said, packed=packed)
        assert all((whole[name] - again[name]).abs().max() < 2e-6 for name in whole)
        assert others.row() == pytest.approx(stats.row(), rel=1e-3, abs=1e-5)


def test_margins_and_centring_reach_the_loss(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    """Against the formula on the scores of the model before its first update."""
    rows = [{**row, "margin": 1.5} for row in ROWS]
    options = {**FAST, "batch_pairs": 8, "epochs": 1, "shuffle": False, "center_rewards_coefficient": 0.3}
    train(write_file(rows), model=str(tiny), out=tmp_path / "out", **options)
    first = metrics(tmp_path / "out")[0]
    loaded = load_reward(str(tiny), seed=0, device="cpu")
    renderer = Renderer(loaded.tokenizer, whole=True)
    total = 0.0
    for row in ROWS:
        pair = Pair(
            prompt=(Message(**row["prompt"][0]),),
            chosen=row["chosen"][0]["content"],
            rejected=row["rejected"][0]["content"],
        )
        with torch.no_grad():
            c, r = scores(loaded.model, renderer.pair(pair).samples, dtype=torch.float32, packed=False).tolist()
        total += math.log1p(math.exp(-(c - r - 1.5))) + 0.3 * (c + r) ** 2
    assert first["loss"] == pytest.approx(total / 8, rel=1e-4)


def test_a_conversation_is_scored_as_the_template_renders_it(tiny: Path) -> None:
    """With the line break that ChatML writes behind the end of the turn, for that is what a user's template will give."""
    tokenizer = load_tokenizer(str(tiny))
    prompt = (Message(role="user", content="Q"),)
    item = Renderer(tokenizer, whole=True).pair(Pair(prompt=prompt, chosen="a", rejected="b"))
    turns = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "a"}]
    text = tokenizer.apply_chat_template(turns, tokenize=False)
    assert list(item.chosen.tokens) == tokenizer(text, add_special_tokens=False).input_ids


def test_plain_text_ends_with_a_token_that_is_no_padding(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    """The tiny model pads with its end-of-turn; with that as padding transformers would read the token before it."""
    rows = [{"prompt": f"Q {i}?", "chosen": f" It is {i}.", "rejected": f" Ask {i}!"} for i in range(4)]
    result = train(write_file(rows), model=str(tiny), out=tmp_path / "out", allow={"all": "a test"}, **FAST)
    tokenizer = AutoTokenizer.from_pretrained(result.model)
    model = AutoModelForSequenceClassification.from_pretrained(result.model)
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    sample = Renderer(tokenizer, whole=True).pair(Pair(prompt="Q 1?", chosen=" It is 1.", rejected=" Ask 1!")).chosen
    padded = torch.tensor([[*sample.tokens, *[tokenizer.pad_token_id] * 3]])
    with torch.no_grad():
        theirs = model(input_ids=padded, attention_mask=(padded != tokenizer.pad_token_id).long()).logits[0, 0]
        ours = scores(model, [sample], dtype=torch.float32)[0]
    assert float(ours) == pytest.approx(float(theirs), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"loss": "dpo"}, "--loss dpo does not train a reward model; with --objective reward leave --loss out"),
        ({"sft_weight": 0.5}, "--sft-weight does nothing with --objective reward"),
        ({"load_in_4bit": True, "lora_rank": 4}, "--load-in-4bit does not go with --objective reward"),
        ({"beta": 0.5}, "--beta does nothing in the loss bradley_terry"),
        ({"ref_sync_steps": 3}, "--ref-sync-steps does nothing in the loss bradley_terry, which has no reference"),
    ],
    ids=str,
)
def test_what_a_reward_model_has_no_use_for_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TrainConfig.build({"objective": "reward", **options})
    assert TrainConfig.build({"objective": "reward"}).loss == "bradley_terry"


def test_lists_and_single_answers_are_refused(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    file = write_file([{"prompt": "Q", "ranked": [" a", " b"]}])
    with pytest.raises(ConfigError, match="--objective reward does not take ranked lists; it compares the two answers"):
        train(file, model=str(tiny), out=tmp_path / "out", objective="reward")
    assert not (tmp_path / "out").exists()


def test_a_reward_model_is_no_language_model(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    result = train(write_file(ROWS), model=str(tiny), out=tmp_path / "out", **{**FAST, "epochs": 1})
    with pytest.raises(ModelError, match="is a reward model, which scores answers and writes none"):
        load(str(result.model))
    # Its own head is taken up, and not drawn anew.
    again = train(write_file(ROWS), model=str(result.model), out=tmp_path / "again", **{**FAST, "epochs": 1})
    assert again.last["loss"] < result.last["loss"]


@pytest.mark.parametrize("options", [{}, {"lora_rank": 4}], ids=str)
def test_layers_computed_again_change_nothing(
    tiny: Path, tmp_path: Path, write_file: WriteFile, options: dict[str, Any]
) -> None:
    file, config = write_file(ROWS), {**FAST, **options}
    train(file, model=str(tiny), out=tmp_path / "plain", **config)
    train(file, model=str(tiny), out=tmp_path / "again", gradient_checkpointing=True, **config)
    one, two = (load_file(tmp_path / run / "model" / "model.safetensors") for run in ("plain", "again"))
    assert all(torch.equal(one[name], two[name]) for name in one)
