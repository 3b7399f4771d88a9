"""Sequence-classification models of transformers: open one, and what it says of whole conversations. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedTokenizerBase

from rather.config import did_you_mean
from rather.errors import ConfigError, ModelError, RowError
from rather.judging.scorers import sample_of
from rather.model import Renderer, Sample, load_tokenizer, pick_device
from rather.model.load import blaming, folder_of, without_bars
from rather.model.logps import autocast
from rather.model.reward import load_reward, scores, scores_pack
from rather.records import Response


@dataclass(frozen=True)
class Opened:
    """A model's tokens of an answer, and its scores of some answers' tokens."""

    sample: Callable[[Response], Sample]
    scores: Callable[[Sequence[Sample]], list[float]]


def open_reward(name: str, *, max_length: int, dtype: Literal["fp32", "bf16"]) -> Opened:
    """A reward model. Where it is a causal language model with a linear head, a prompt is computed once for its answers.

    One without a chat template is given prompt and answer as its tokenizer joins two texts.
    """
    config = _config(name)
    if not any("SequenceClassification" in kind for kind in getattr(config, "architectures", None) or ()):
        raise ModelError(
            f"{name} is no reward model: it has no head for scores; `rather train --objective reward` makes one"
        )
    if config.num_labels != 1:
        labels = ", ".join(str(label) for label in list(config.id2label.values())[:6])
        raise ModelError(
            f"{name} has {config.num_labels} outputs ({labels}); a reward model has one: use classifier:{name}"
        )
    tokenizer, precision = load_tokenizer(name), torch.bfloat16 if dtype == "bf16" else torch.float32
    window = _window(config, max_length)
    if not tokenizer.chat_template:
        model = _load(name, config)
        read = _reader(tokenizer, window, two=True)
        return Opened(read, lambda samples: _logits(model, samples, precision, types=_types(tokenizer))[:, 0].tolist())
    renderer = Renderer(tokenizer, max_length=window, whole=True)
    try:
        model = load_reward(name, seed=0).model
    except ModelError:  # an encoder, whose head is of another form
        model = _load(name, config)
        return Opened(
            lambda response: sample_of(renderer, response),
            lambda samples: _logits(model, samples, precision)[:, 0].tolist(),
        )
    packed: list[bool] = []

    def of(samples: Sequence[Sample]) -> list[float]:
        if not packed:
            packed.append(scores_pack(model, [samples], dtype=precision))
        with torch.no_grad():
            return scores(model, samples, dtype=precision, packed=packed[0]).tolist()

    return Opened(lambda response: sample_of(renderer, response), of)


def open_classifier(name: str, label: str, *, max_length: int, dtype: Literal["fp32", "bf16"]) -> Opened:
    """A text classifier's probability of `label`, of the answer alone. Of one output it is the logistic function."""
    config = _config(name)
    labels = {str(text): int(index) for index, text in config.id2label.items()}
    if label not in labels:
        raise ConfigError(f"--label {label}: {name} has no such label{did_you_mean(label, list(labels))}")
    tokenizer, precision = load_tokenizer(name), torch.bfloat16 if dtype == "bf16" else torch.float32
    model = _load(name, config)
    several = getattr(config, "problem_type", None) == "multi_label_classification" or len(labels) == 1

    def of(samples: Sequence[Sample]) -> list[float]:
        logits = _logits(model, samples, precision, types=_types(tokenizer))
        shares = logits.sigmoid() if several else logits.softmax(dim=-1)
        return shares[:, labels[label]].tolist()

    return Opened(_reader(tokenizer, _window(config, max_length), two=False), of)


def _config(name: str) -> Any:
    folder = folder_of(name)
    with blaming(name, folder, "config.json"):
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)


def _load(name: str, config: Any) -> Any:
    folder = folder_of(name)
    with blaming(name, folder, "the weights"), without_bars():
        model, found = AutoModelForSequenceClassification.from_pretrained(
            folder, config=config, dtype=torch.float32, trust_remote_code=False, use_safetensors=True,
            output_loading_info=True,
        )  # fmt: skip
    if found["missing_keys"]:  # transformers would go on with random numbers in their place
        raise ModelError(f"{name} has no weights for {min(found['missing_keys'])}; it is no trained classifier")
    return model.eval().to(pick_device())


def _window(config: Any, max_length: int) -> int:
    length = getattr(config.get_text_config(), "max_position_embeddings", None)
    return min(max_length, length) if isinstance(length, int) and length > 1 else max_length


def _reader(tokenizer: PreTrainedTokenizerBase, window: int, *, two: bool) -> Callable[[Response], Sample]:
    """Tokens of an answer, or of prompt and answer as two texts, with the special tokens of the tokenizer's own."""

    def read(response: Response) -> Sample:
        prompt = response.question.prompt
        asked = prompt if isinstance(prompt, str) else "\n".join(turn.content for turn in prompt)
        encoded = tokenizer(asked, response.text) if two else tokenizer(response.text)
        tokens, types = encoded.input_ids, encoded.get("token_type_ids") or []
        if len(tokens) > window:
            raise RowError(f"the text has {len(tokens):,} tokens, and the model takes {window:,}; leave the row out")
        return Sample(tuple(tokens), types.index(1) if 1 in types else len(tokens))

    return read


def _types(tokenizer: PreTrainedTokenizerBase) -> bool:
    """True for a model that is told which of its two texts a token belongs to."""
    return "token_type_ids" in tokenizer.model_input_names


def _logits(model: Any, samples: Sequence[Sample], dtype: torch.dtype, *, types: bool = False) -> torch.Tensor:
    """[R, labels] by the model's own forward, an answer at a time: no padding, so nothing for a model to mistake."""
    device = next(model.parameters()).device
    rows = []
    with torch.no_grad(), autocast(device, dtype):
        for sample in samples:
            given = {"input_ids": torch.tensor([sample.tokens], device=device)}
            if types:
                second = len(sample.tokens) - sample.prompt_tokens
                given["token_type_ids"] = torch.tensor([[0] * sample.prompt_tokens + [1] * second], device=device)
            rows.append(model(**given).logits[0])
    return torch.stack(rows).float()
