"""Models that score: reward models, classifiers, the implicit reward; against transformers' own numbers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
)

from rather.errors import ConfigError, InputError, ModelError
from rather.formats import Refusal, iter_judgments
from rather.judging import JUDGES
from rather.judging.run import judge
from rather.records import Message, Rating
from tests.conftest import WriteFile
from tests.judging.given import candidates
from tests.tiny import make_model, make_tokenizer

PROMPT = (Message(role="user", content="Why?"),)
ANSWERS = ("Because it is so.", "No reason!", "Ask somebody else.")


def scores(name: str, prompt: Any = PROMPT, answers: tuple[str, ...] = ANSWERS, **options: Any) -> list[float]:
    [outcome] = JUDGES[name].build(options).judge([candidates(prompt, *answers)], signed=name)
    assert not outcome.refused
    return [rating.score for rating in outcome.judgments]


@pytest.fixture(scope="module")
def reward(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reward model with a random head."""
    folder = tmp_path_factory.mktemp("reward") / "rm"
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_pretrained(tiny, num_labels=1).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that tells two texts apart by token types and has three labels; no chat template."""
    folder = tmp_path_factory.mktemp("bert") / "toxic"
    tokenizer = make_tokenizer(template=None)
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, id2label={0: "clean", 1: "rude", 2: "toxic"}, label2id={"clean": 0, "rude": 1, "toxic": 2},
        initializer_range=0.5,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_reward_models_scores_are_transformers_own(reward: Path) -> None:
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(reward), AutoTokenizer.from_pretrained(reward)
    theirs = []
    for answer in ANSWERS:
        turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": answer}]
        ids = tokenizer(tokenizer.apply_chat_template(turns, tokenize=False), add_special_tokens=False).input_ids
        with torch.no_grad():
            theirs.append(float(model(torch.tensor([ids])).logits[0, 0]))
    assert scores("reward", reward_model=str(reward)) == pytest.approx(theirs, abs=1e-4)
    assert len(set(theirs)) == 3


def test_the_implicit_reward(tiny: Path, tmp_path: Path) -> None:
    """β times the difference of the two models' log-probabilities of the answer and its end-of-turn."""
    policy = make_model(tmp_path / "policy", seed=1)
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    models = [AutoModelForCausalLM.from_pretrained(folder) for folder in (policy, tiny)]
    expected = []
    for answer in ANSWERS:
        given = tokenizer.apply_chat_template(
            [{"role": "user", "content": "Why?"}], tokenize=False, add_generation_prompt=True
        )
        start = tokenizer(given, add_special_tokens=False).input_ids
        end = tokenizer(answer + "<|im_end|>", add_special_tokens=False).input_ids
        sums = []
        for model in models:
            with torch.no_grad():
                table = model(torch.tensor([start + end])).logits[0].log_softmax(-1)
            sums.append(sum(float(table[len(start) - 1 + i, token]) for i, token in enumerate(end)))
        expected.append(0.5 * (sums[0] - sums[1]))
    found = scores("implicit", policy=str(policy), reference=str(tiny), beta=0.5)
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-3)
    assert scores("implicit", policy=str(tiny), reference=str(tiny)) == pytest.approx([0, 0, 0], abs=1e-6)


def test_a_classifiers_probability_of_a_label(bert: Path) -> None:
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(bert), AutoTokenizer.from_pretrained(bert)
    theirs = []
    for answer in ANSWERS:
        ids = tokenizer(answer).input_ids
        with torch.no_grad():
            theirs.append(float(model(torch.tensor([ids])).logits[0].softmax(-1)[2]))
    assert scores("classifier", classifier=str(bert), label="toxic") == pytest.approx(theirs, abs=1e-6)
    assert scores("classifier", classifier=str(bert), label="toxic", label_is="bad") == pytest.approx(
        [1 - p for p in theirs], abs=1e-6
    )
    with pytest.raises(ConfigError, match=r'--label toxc: .* has no such label; did you mean "toxic"'):
        scores("classifier", classifier=str(bert), label="toxc")


def test_a_reward_model_of_another_kind_is_given_prompt_and_answer_as_two_texts(bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "rm"
    shutil.copytree(bert, folder)
    torch.manual_seed(1)
    BertForSequenceClassification(BertConfig.from_pretrained(bert, num_labels=1)).save_pretrained(folder)
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    theirs = []
    for answer in ANSWERS:
        with torch.no_grad():
            theirs.append(float(model(**tokenizer("Why?", answer, return_tensors="pt")).logits[0, 0]))
    assert scores("reward", "Why?", reward_model=str(folder)) == pytest.approx(theirs, abs=1e-5)


def test_what_is_no_reward_model(tiny: Path, bert: Path) -> None:
    with pytest.raises(ModelError, match="is no reward model: it has no head for scores"):
        scores("reward", reward_model=str(tiny))
    with pytest.raises(
        ModelError, match=r"has 3 outputs \(clean, rude, toxic\); a reward model has one: use classifier:"
    ):
        scores("reward", reward_model=str(bert))


def test_rows_that_a_model_cannot_take_are_refused(reward: Path, write_file: WriteFile, tmp_path: Path) -> None:
    prompt = [{"role": "user", "content": "Why?"}]
    rows = [
        {"prompt": prompt, "response": "short"},
        {"prompt": prompt, "response": "long " * 40},
        {"prompt": prompt, "response": "trick <|im_end|> trick"},
        {"prompt": [{"role": "user", "content": "Other?"}], "response": "fine"},
    ]
    options: dict[str, Any] = {"by": f"reward:{reward}", "max_length": 100}
    with pytest.raises(
        InputError, match=r"pairs.jsonl:2: reward:rm: prompt and response have more than 100 tokens; raise --max-length"
    ):
        judge(write_file(rows), out=tmp_path / "strict", **options)
    result = judge(write_file(rows), out=tmp_path / "out", skip_bad=True, **options)
    assert (result.total, result.refused) == (2, 2)
    found = [r for r in iter_judgments(tmp_path / "out" / "judgments.jsonl") if not isinstance(r, Refusal)]
    assert [(r.judge, r.by, r.answers[0]) for r in found if isinstance(r, Rating)] == [
        ("reward:rm", "model", "short"), ("reward:rm", "model", "fine"),
    ]  # fmt: skip
    refused = [json.loads(line)["reason"] for line in (tmp_path / "out" / "refused.jsonl").read_text().splitlines()]
    assert "special token <|im_end|>" in refused[1]
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["inputs"].keys() == {
        "responses",
        "reward:rm model",
    }


def test_answers_are_scored_alike_alone_and_together(reward: Path) -> None:
    groups = [candidates((Message(role="user", content=f"Question {i}?"),), *ANSWERS) for i in range(6)]
    judge_one = JUDGES["reward"].build({"reward_model": str(reward)})
    together = [[r.score for r in outcome.judgments] for outcome in judge_one.judge(groups, signed="rm")]
    for group, scored in zip(groups, together, strict=True):
        [alone] = judge_one.judge([group], signed="rm")
        assert [r.score for r in alone.judgments] == pytest.approx(scored, abs=1e-4)
