"""What can be chosen when judgments become pairs."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from rather.config import Config
from rather.errors import ConfigError
from rather.pairing.rules import ONE_A_PROMPT

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class PairConfig(Config):
    """The knobs of `rather pair`."""

    rule: Literal["best-vs-worst", "best-vs-random", "best-vs-sigma", "neighbours", "all", "list"] = "best-vs-worst"
    """Which answers of a prompt make pairs: best-vs-sigma takes as rejected the one nearest to μ − 2σ; neighbours and all make
    several; list makes ranked lists."""
    aggregate: Literal["mean", "borda", "bradley-terry", "newman", "plackett-luce"] | None = None
    """How judgments become scores of answers: mean (ratings only), borda (share of comparisons won), bradley-terry (a tie is half
    a win), newman (a tie is an outcome), plackett-luce (whole rankings). If not given: mean for ratings alone, plackett-luce
    for rankings alone, newman for all else."""
    reliability: Literal["dawid-skene", "noisy-bradley-terry"] | None = None
    """Weigh judges by what their votes show of them, in place of --aggregate: dawid-skene judges each compared pair by itself,
    noisy-bradley-terry finds skill and side bias of judges together with scores of answers and models."""
    gold: tuple[Name, ...] = ()
    """A judge whose judgments are the truth that others are held against; only with --reliability. May be repeated."""
    aspect: Name | None = None
    """Use only judgments of this aspect (honesty, style, …)."""
    margin: float = Field(default=0.0, ge=0)
    """Leave out pairs whose answers are closer than this: in units of the score for mean and borda, in logits (log of how much
    likelier the one is better than the other) for all else."""
    per_prompt: int | None = Field(default=None, ge=1)
    """Keep at most so many pairs of a prompt, those of the largest margin; only with the rules neighbours and all."""
    ties: Literal["drop", "half", "unpaired"] = "drop"
    """What becomes of a picked pair that is a tie: drop, half (kept with probability ½), or unpaired (each answer by itself, good
    if it is better than its prompt's mean, bad if below it or if judges said that both are bad; in unpaired.jsonl)."""
    label: Literal["hard", "probability", "weight", "margin"] | None = None
    """What a pair says besides the order: hard (nothing), probability (a soft label), weight (2 · probability − 1), margin. If not
    given: probability where the aggregate gives one, else hard. mean and borda give none."""
    form: Literal["paired", "unpaired"] = "paired"
    """unpaired writes the answers of each pair by themselves, chosen as good and rejected as bad, for losses like KTO."""
    heldout_share: float = Field(default=0.1, ge=0, lt=1)
    """Share of prompts that go to heldout.jsonl, drawn by a hash of the prompt; prompts that are nearly the same stay together."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Seed of the split, of random picks, and of the order of equals."""

    @model_validator(mode="after")
    def _can_act(self) -> Self:
        if self.reliability and self.aggregate:
            raise ConfigError(
                f"--aggregate {self.aggregate} does nothing with --reliability {self.reliability}, which makes the scores itself; "
                "leave one of them out"
            )
        if self.gold and not self.reliability:
            raise ConfigError("--gold does nothing without --reliability; add one, or leave --gold out")
        if self.per_prompt is not None and self.rule in ONE_A_PROMPT:
            raise ConfigError(
                f"--per-prompt does nothing with --rule {self.rule}, which makes one a prompt; choose neighbours or all"
            )
        if self.rule == "list":
            self._fits_lists()
        if self.form == "unpaired":
            self._fits_unpaired()
        if self.ties == "half" and self.label in ("hard", "weight", "margin"):
            raise ConfigError(f"--ties half needs a probability in the file, and --label {self.label} writes none")
        drawn = self.heldout_share > 0 or self.rule != "all" or self.ties != "drop" or self.per_prompt is not None
        if "seed" in self.model_fields_set and not drawn:
            raise ConfigError("--seed does nothing here: there is no split, and every pair without a tie is taken")
        return self

    def _fits_lists(self) -> None:
        if self.ties != "drop":
            raise ConfigError(
                f"--ties {self.ties} does nothing with --rule list: a list has no place for ties; use drop"
            )
        if self.label not in (None, "hard"):
            raise ConfigError(f"--label {self.label} is of pairs; a ranked list has none")
        if self.form == "unpaired":
            raise ConfigError("--form unpaired does not go with --rule list; choose a rule that makes pairs")

    def _fits_unpaired(self) -> None:
        if self.ties == "half":
            raise ConfigError("--ties half does nothing with --form unpaired: an answer by itself is good or bad")
        if self.label not in (None, "hard"):
            raise ConfigError(f"--label {self.label} is of pairs; with --form unpaired there are none")
