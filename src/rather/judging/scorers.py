"""Models that score answers: reward models, text classifiers, a policy's implicit reward. torch is imported when they run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from rather.errors import ConfigError, ModelError, RowError
from rather.judging.base import Candidates, Judge, Outcome, rating
from rather.onray.once import once
from rather.records import By, Response, Single

if TYPE_CHECKING:
    from rather.model import Sample

# Tokens of one forward pass.
BATCH_TOKENS = 8192

Scores = Callable[[Sequence["Sample"]], list[float]]


class RewardModel(Judge):
    """A reward model's score of the whole conversation: any sequence classifier with one output, `rather`'s own among them."""

    kind: ClassVar[By] = "model"
    subject: ClassVar[str | None] = "reward_model"
    block: ClassVar[int] = 16

    reward_model: str
    """Folder or hub id of a reward model."""
    max_length: int = Field(default=4096, ge=8)
    """Tokens of prompt and answer together that a scoring model is given; longer ones are refused."""
    dtype: Literal["fp32", "bf16"] = "fp32"
    """Precision in which a model in this process computes."""

    def inputs(self) -> dict[str, str]:
        return {"model": _hash(self.reward_model)}

    def judge(self, asked: Sequence[Candidates], *, signed: str) -> Iterator[Outcome]:
        from rather.judging.classify import open_reward

        scorer = once(open_reward, self.reward_model, max_length=self.max_length, dtype=self.dtype)
        return _scored(asked, scorer.sample, scorer.scores, signed=signed)


class Classifier(Judge):
    """The probability that a text classifier gives to one of its labels, of the answer alone (toxicity, safety, sentiment …)."""

    kind: ClassVar[By] = "model"
    subject: ClassVar[str | None] = "classifier"
    block: ClassVar[int] = 16

    classifier: str
    """Folder or hub id of a text-classification model."""
    label: str
    """The classifier's label to look at."""
    label_is: Literal["good", "bad"] = "good"
    """bad: the score is 1 − the label's probability, so that an answer with the label is the worse one."""
    max_length: int = Field(default=4096, ge=8)
    """Tokens of prompt and answer together that a scoring model is given; longer ones are refused."""
    dtype: Literal["fp32", "bf16"] = "fp32"
    """Precision in which a model in this process computes."""

    def inputs(self) -> dict[str, str]:
        return {"model": _hash(self.classifier)}

    def judge(self, asked: Sequence[Candidates], *, signed: str) -> Iterator[Outcome]:
        from rather.judging.classify import open_classifier

        scorer = once(open_classifier, self.classifier, self.label, max_length=self.max_length, dtype=self.dtype)

        def scores(samples: Sequence[Sample]) -> list[float]:
            found = scorer.scores(samples)
            return found if self.label_is == "good" else [1.0 - value for value in found]

        return _scored(asked, scorer.sample, scores, signed=signed, scale=(0.0, 1.0))


class Implicit(Judge):
    """A policy's own implicit reward of the answer: β·(log π(y) − log π_ref(y)), Rafailov et al. 2023."""

    kind: ClassVar[By] = "model"
    subject: ClassVar[str | None] = "policy"
    block: ClassVar[int] = 16

    policy: str
    """The trained model whose implicit reward is taken."""
    reference: str
    """The model that the policy was trained from."""
    beta: float = Field(default=0.1, gt=0)
    """The β of the policy's training."""
    max_length: int = Field(default=4096, ge=8)
    """Tokens of prompt and answer together that a scoring model is given; longer ones are refused."""
    dtype: Literal["fp32", "bf16"] = "fp32"
    """Precision in which a model in this process computes."""

    def inputs(self) -> dict[str, str]:
        return {"policy": _hash(self.policy), "reference": _hash(self.reference)}

    def judge(self, asked: Sequence[Candidates], *, signed: str) -> Iterator[Outcome]:
        import torch

        from rather.model import Renderer, completions, load
        from rather.model.check import packing_is_exact

        precision = torch.bfloat16 if self.dtype == "bf16" else torch.float32
        models = [once(load, self.policy), once(load, self.reference)]
        if models[0].tokenizer.get_vocab() != models[1].tokenizer.get_vocab():
            raise ConfigError(
                f"{self.policy} and {self.reference} have different tokenizers; the probabilities do not compare"
            )
        window = min([self.max_length, *(model.window for model in models if model.window)])
        renderer = Renderer(models[0].tokenizer, max_length=window)
        packed: dict[int, bool] = {}

        def rewards(samples: Sequence[Sample]) -> list[float]:
            sums = []
            for number, loaded in enumerate(models):
                if number not in packed:
                    packed[number] = packing_is_exact(loaded.model, [samples], dtype=precision)
                with torch.no_grad():
                    found = completions(loaded.model, samples, dtype=precision, packed=packed[number])
                sums.append(found.sums().tolist())
            return [self.beta * (ours - theirs) for ours, theirs in zip(*sums, strict=True)]

        return _scored(asked, lambda response: sample_of(renderer, response), rewards, signed=signed)


def sample_of(renderer: Any, response: Response) -> Sample:
    """A whole conversation's tokens. Raises RowError for one that cannot be scored as it stands."""
    item = renderer.example(Single(prompt=response.question.prompt, completion=response.text, label=True))
    if any(item.truncated):
        raise RowError(
            f"prompt and response have more than {renderer.max_length:,} tokens; raise --max-length, or leave the row out"
        )
    return item.samples[0]


def _scored(
    asked: Sequence[Candidates],
    sample: Callable[[Response], Sample],
    scores: Scores,
    *,
    signed: str,
    scale: tuple[float, float] | None = None,
) -> Iterator[Outcome]:
    """Ratings of answers, some prompts in one forward pass; those to one prompt always together, so that they share it."""
    batch: list[tuple[Outcome, list[tuple[Response, Sample]]]] = []
    tokens = 0
    for candidates in asked:
        outcome, items = Outcome(), []
        for response in candidates.responses:
            try:
                items.append((response, sample(response)))
            except RowError as error:
                outcome.refuse(response, error.reason)
        size = sum(len(item.tokens) for _, item in items)
        if batch and tokens + size > BATCH_TOKENS:
            yield from _rate(batch, scores, signed, scale)
            batch, tokens = [], 0
        batch.append((outcome, items))
        tokens += size
    yield from _rate(batch, scores, signed, scale)


def _rate(
    batch: Sequence[tuple[Outcome, list[tuple[Response, Sample]]]],
    scores: Scores,
    signed: str,
    scale: tuple[float, float] | None,
) -> Iterator[Outcome]:
    samples = [sample for _, items in batch for _, sample in items]
    found = iter(scores(samples) if samples else [])
    for outcome, items in batch:
        for response, _ in items:
            score = next(found)
            if not math.isfinite(score):
                raise ModelError(
                    f"{signed} gives {response.source or response.id} the score {score}; its weights are damaged"
                )
            outcome.judgments.append(rating(response, score, signed=signed, kind="model", scale=scale))
        yield outcome


def _hash(name: str) -> str:
    from rather.model import model_hash

    return model_hash(name)
