"""When a check warns, and when it stops: every number of the audit in one place, with its meaning.

A TOML file changes them, a table for each check; what it leaves out stays as it is here:

    [duplicates]
    warn = 0.05

    [length_difference]
    warn = 0.55

    [people]
    alpha_warn = 0.4

The checks of people and judges share that one table. A check reads its own from `AuditInput.thresholds`. To give a new check
some, add a field to `Thresholds`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from rather.auditing.people_thresholds import PeopleLimits
from rather.config import Config, did_you_mean, read_toml
from rather.errors import ConfigError
from rather.records import Verdict

Share = Annotated[float, Field(ge=0)]
Level = Annotated[float, Field(gt=0, lt=1)]


class Shares(Config):
    """Of a check that counts records."""

    warn: Share = 0.0
    """Warn above this share of the records."""
    stop: Share | None = None
    """Stop at this share or more; above 1 means never."""

    def verdict(self, share: float) -> Verdict:
        """What a share of the records means; none of them is never a stop."""
        if self.stop is not None and 0 < share >= self.stop:
            return "stop"
        return "warn" if share > self.warn else "pass"


class Sample(Config):
    """What checks look at that fit a model or count words."""

    pairs: Annotated[int, Field(ge=100)] = 50_000
    """Of a larger set this many pairs, whole prompts by chance."""
    seed: int = 0
    """Which ones."""


class Shortcut(Config):
    """Of a check for what predicts the label without being meant."""

    level: Level = 0.01
    """Warn only if chance alone would look as strong in this share of fair sets."""
    warn: Share = 0.6
    """Warn from this AUC on; ½ is chance, and 1 tells every pair."""
    stop: Share | None = None
    """Stop from this AUC on; above 1 means never. Only you know whether a shortcut is the lesson."""


class Words(Config):
    """Of the check for words and pairs of words."""

    level: Level = 0.01
    """Share of false discoveries allowed among the words named."""
    warn: Share = 0.15
    """Warn if one word decides this share of the pairs: those in which it stands on one side, less what chance decides."""
    stop: Share | None = None
    """Stop from this share on; above 1 means never."""
    prompts: Annotated[int, Field(ge=2)] = 8
    """A word is tested if it tells two answers apart in this many prompts."""


class Topics(Config):
    """Of the check of topics."""

    topics: Annotated[int, Field(ge=2, le=100)] = 12
    """Groups of prompts, or a tenth of the prompts if that is fewer."""
    warn: Share = 0.5
    """Warn if one word of a subject stands in more than this share of the prompts."""
    thin: Share = 0.02
    """A topic with less than this share is named as thin."""


class Evenness(Config):
    """Of the check of how many prompts the records really are."""

    warn: Share = 0.1
    """Warn if the effective number of prompts is below this share of the records."""
    stop: Share | None = None
    """Stop below this share."""


class Mislabels(Shares):
    """Of the check of labels to ask again."""

    doubt: Level = 0.25
    """A label is doubtful if a model of the other prompts gives it less than this probability."""
    warn: Share = 0.02
    """Warn above this share of doubtful labels."""


class Thresholds(Config):
    """All of them, by check."""

    sample: Sample = Sample()
    """What checks look at that fit a model or count words."""
    identical_sides: Shares = Shares(stop=0.01)
    """Share of the records."""
    identical_after_truncation: Shares = Shares(stop=0.01)
    """Share of the records."""
    empty_sides: Shares = Shares(stop=0.05)
    """Share of the records."""
    chosen_truncated: Shares = Shares(warn=0.02, stop=0.5)
    """Of `missing_end_of_turn`: share of the records."""
    rejected_truncated: Shares = Shares(warn=0.05)
    """Of `missing_end_of_turn`: share of the records."""
    nothing_to_learn: Shares = Shares(stop=0.05)
    """Share of the records with an answer of which no token is left to train on."""
    shared_beginning: Shares = Shares(warn=0.2)
    """Share of the pairs whose answers begin alike for more than half of the shorter one."""
    displacement_risk: Shares = Shares(warn=0.2)
    """Share of the pairs with nine of ten tokens in common."""
    near_duplicates: Shares = Shares(warn=0.02)
    """Share of the records that say nearly the same as another."""
    near_prompts: Shares = Shares(warn=0.25)
    """Of `near_duplicates`: share of the different prompts that are nearly another one."""
    cycles: Shares = Shares(stop=0.2)
    """Share of the records on a circle of preferences."""
    one_prompt: Shares = Shares(warn=0.1, stop=0.8)
    """Share of the records that have the most common prompt."""
    leakage: Shares = Shares(stop=0.2)
    """Share of the held-out records whose prompt is trained on."""
    other_language: Shares = Shares(warn=0.02, stop=0.3)
    """Share of the records with an answer in another language than the prompt."""
    two_languages: Shares = Shares(warn=0.02)
    """Of `other_language`: share of the records whose answers are in different languages."""
    template_tokens: Shares = Shares(stop=0.1)
    """Share of the records."""
    markup: Shares = Shares(warn=0.02)
    """Share of the records."""
    prompt_injection: Shares = Shares(stop=0.1)
    """Share of the records."""
    personal_data: Shares = Shares(warn=0.005)
    """Share of the records."""
    secrets: Shares = Shares()
    """Share of the records."""
    duplicates: Shares = Shares(warn=0.01, stop=0.5)
    """Share of the records."""
    contradictions: Shares = Shares(stop=0.2)
    """Share of the records."""
    doubtful_labels: Shares = Shares()
    """Share of the pairs."""
    constant_answer: Shares = Shares(warn=0.2, stop=0.8)
    """Share of the records that have one and the same answer."""
    length_difference: Shortcut = Shortcut(warn=0.65)
    """`warn` and `stop`: share of the pairs of unequal length in which the longer answer, or the shorter, is chosen."""
    format_difference: Shortcut = Shortcut()
    """What a model of lists, bold, headers, code, tables, links, emoji, line breaks and capitals tells."""
    tone_difference: Shortcut = Shortcut()
    """What a model of apology, refusal, hedging, flattery, exclamations and questions tells."""
    telling_words: Words = Words()
    """Single words and pairs of words."""
    source_difference: Shortcut = Shortcut(warn=0.65)
    """What a model of who wrote each answer tells."""
    position_difference: Shortcut = Shortcut()
    """`warn` and `stop`: share of pairs, of all or of one judge's, in which the same place is chosen."""
    shortcuts_together: Shortcut = Shortcut(warn=0.65)
    """What a model of everything cheap tells."""
    prompt_balance: Evenness = Evenness()
    """The effective number of prompts."""
    topic_balance: Topics = Topics()
    """What prompts are about."""
    likely_mislabels: Mislabels = Mislabels()
    """Labels to ask again."""
    people: PeopleLimits = PeopleLimits()
    """Of all checks that read judgments, from `agreement` to `agreement_with_people`."""

    @classmethod
    def read(cls, file: Path) -> Thresholds:
        """The thresholds with a TOML file's changes. Raises ConfigError for an unknown check or key, or a wrong value."""
        return cls.changed_by(read_toml(file), where=f"{file}: ")

    @classmethod
    def changed_by(cls, tables: dict[str, Any], *, where: str = "") -> Thresholds:
        """The same from a dict of dicts."""
        changed: dict[str, Config] = {}
        for name, values in tables.items():
            if name not in cls.model_fields:
                raise ConfigError(
                    f'{where}no thresholds are called "{name}"{did_you_mean(name, list(cls.model_fields))}'
                )
            if not isinstance(values, dict):
                raise ConfigError(f"{where}{name} = {values!r:.60}: is a check; give its thresholds under [{name}]")
            before: Config = cls.model_fields[name].default
            changed[name] = type(before).build(
                {**before.model_dump(exclude_none=True), **values}, where=f"{where}[{name}] "
            )
            _require_warnings(changed[name], values, where=f"{where}[{name}] ")
        return cls(**changed)  # pyright: ignore[reportArgumentType]


def _require_warnings(limits: Config, given: dict[str, Any], *, where: str) -> None:
    """Raise ConfigError for a `warn` that cannot act, because everything beyond it stops already."""
    for warn, stop in (("warn", "stop"), ("alpha_warn", "alpha_stop")):
        at, end = getattr(limits, warn, None), getattr(limits, stop, None)
        if warn not in given or at is None or end is None:
            continue
        # Agreement and evenness are bad where they are low, everything else where it is high.
        downward = warn == "alpha_warn" or isinstance(limits, Evenness)
        if end > at if downward else end < at:
            beyond = "below" if downward else "above"
            raise ConfigError(
                f"{where}{warn} = {at:g}: all {beyond} it stops already, at {stop} = {end:g}; change {stop}, too"
            )


DEFAULTS = Thresholds()
