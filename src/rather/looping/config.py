"""What can be chosen of a loop: one TOML file, with a table for every step that has options of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_origin

from pydantic import Field, model_validator

from rather.config import Config, read_toml
from rather.errors import ConfigError
from rather.evaluation.config import EvaluateConfig
from rather.generation.config import GenerateConfig
from rather.judging.options import members_of_entries
from rather.losses import FACTS
from rather.pairing.config import PairConfig
from rather.training.config import TrainConfig


class StopConfig(Config):
    """When no further round is begun, besides `rounds`, a verdict of the audit, and a round that has nothing to learn from."""

    kl: float | None = Field(default=None, gt=0)
    """Stop once KL(policy ‖ first model) is above so many nats an answer. A round above it is not taken as the result."""
    no_gain: bool = False
    """Stop once the interval of the win rate over the round before, by the held-out judges, is no longer above ½."""
    minutes: float | None = Field(default=None, gt=0)
    """Begin no round that, taking as long as the last one, would end later than this after the start (all parts of a loop that was
    stopped and went on counted together)."""


class AuditTable(Config):
    """The gate before training."""

    allow: dict[str, str] = Field(default_factory=dict)
    """check = "reason": train although this check says stop; all stands for every check."""
    intended: tuple[str, ...] = ()
    """Words that are meant to be learned."""
    thresholds: Path | None = None
    """A TOML file that changes when the checks warn and stop."""


class MixTable(Config):
    """A fixed set of pairs beside those of each round."""

    pairs: Path
    """A file of pairs, in any form of docs/formats.md."""
    share: float = Field(default=0.5, gt=0, lt=1)
    """Share of a round's training pairs that come from the file, drawn anew for each round; fewer if the file holds no more."""


class RewardTable(Config):
    """A reward model that is trained again in each round, on what the judges said in all rounds so far, and then judges all
    answers in their place.
    """

    model: str | None = None
    """What it begins as in each round; the first model of the loop, if not given."""
    prompts: int | None = Field(default=None, ge=2)
    """Ask the judges about so many of a round's prompts, and the reward model about all."""
    train: TrainConfig = Field(default_factory=lambda: TrainConfig(objective="reward"))
    """Options of `rather train --objective reward`."""


class PeopleTable(Config):
    """Pairs of answers that people are asked about, written for `rather annotate import`."""

    items: int = Field(default=40, ge=1)
    """Pairs of answers to ask in each round."""
    random_share: float = Field(default=0.25, gt=0, le=1)
    """Share of these that is drawn at random and not chosen, so that what choosing gains can be measured."""
    wait: bool = False
    """End each round's first part when the items are written, and go on once people's votes are there. Without it the votes that
    are there when a round makes its pairs are taken then, and later ones by the next round."""


class OnlineTable(Config):
    """Fresh answers every few updates, in place of one set of answers a round."""

    updates: int = Field(default=20, ge=1)
    """Updates of a round."""
    every: int = Field(default=1, ge=1)
    """Updates made from each set of fresh answers."""


JUDGES = ("judge", "verify")
TABLES: dict[str, type[Config]] = {
    "generate": GenerateConfig, "pair": PairConfig, "audit": AuditTable, "train": TrainConfig, "evaluate": EvaluateConfig,
    "result": EvaluateConfig, "stop": StopConfig, "mix": MixTable, "people": PeopleTable, "reward_model": RewardTable,
    "online": OnlineTable,
}  # fmt: skip

# What the loop itself says to the steps: in a table it would be a second word on the same thing.
OWN: dict[str, tuple[str, ...]] = {
    "generate": ("seed", "dtype", "api", "api_model", "correct_with", "instruction"),
    "pair": ("seed", "heldout_share", "form"),
    "train": ("seed", "dtype", "system_prompt", "objective", "eval_every"),
    "evaluate": ("by", "panel", "judgments", "proxy", "gold", "alpaca_files", "topics", "beta"),
    "result": (
        "kl_samples",
        "max_new_tokens",
        "by",
        "panel",
        "judgments",
        "proxy",
        "gold",
        "alpaca_files",
        "topics",
        "beta",
    ),
    "reward_model.train": ("seed", "objective", "system_prompt", "eval_every"),
}

# A loop goes on with others of these: what is done stays what it is.
NEUTRAL = frozenset({"rounds", "stop", "audit", "result", "judgments"})


class LoopConfig(Config):
    """A loop."""

    model: str
    """What the first round begins as: a folder, a hub id or a catalogued name."""
    questions: Path
    """What is asked: text with a question a line, or rows with a prompt."""
    heldout: Path | None = None
    """What is asked to verify, in no round trained on. Not given: a share of the questions."""
    heldout_share: float = Field(default=0.2, gt=0, lt=1)
    """Share of the questions that is held out where there is no file of them; those that are nearly the same stay together."""
    as_chat: bool = False
    """Make each plain-text prompt a user's turn."""
    prompts: int | None = Field(default=None, ge=2)
    """Questions of a round, other ones in each until all were asked; all in every round if not given."""
    rounds: int = Field(default=3, ge=1, le=1000)
    """Rounds at most. A loop that is done goes on if there may be more."""
    start: Literal["previous", "first"] = "previous"
    """What a round trains: the model that the round before left, or the first one anew."""
    reference: Literal["first", "previous"] = "first"
    """What a round stays near to: the first model, kept, or the one that the round begins as."""
    pairs: Literal["round", "all"] = "round"
    """What a round trains on: its own pairs, or those of all rounds so far."""
    drop_risky: float = Field(default=0.0, ge=0, lt=1)
    """Leave out this share of a round's pairs: those in which the two answers are so alike inside the model (CHES) that pushing the
    rejected one down would push the chosen one down, too."""
    system_prompt: str | None = None
    """Put before questions without a system turn, in answering, training and verifying, and into the saved chat template."""
    dtype: Literal["auto", "fp32", "bf16"] = "auto"
    """Precision of the products in all steps; auto takes bf16 where the processor has it."""
    seed: int = Field(default=0, ge=0, lt=2**20)
    """Seed of everything that is drawn."""
    judgments: tuple[Path, ...] = ()
    """Judgments from elsewhere (people's votes, a service's log) that are taken into the first round's pairs."""
    judge: tuple[dict[str, Any], ...] = ()
    """Whose judgments make pairs: [[judge]] tables, each with "by" (docs/judges.md) and its options, or names in a list."""
    verify: tuple[dict[str, Any], ...] = ()
    """Held-out judges, in the same form: they say which round is best. Without one the judges of the pairs do, which is said."""
    generate: GenerateConfig = Field(default_factory=GenerateConfig)
    """Options of `rather generate`."""
    pair: PairConfig = Field(default_factory=lambda: PairConfig(heldout_share=0))
    """Options of `rather pair`."""
    audit: AuditTable = Field(default_factory=AuditTable)
    """What the gate lets pass."""
    train: TrainConfig = Field(default_factory=TrainConfig)
    """Options of `rather train`."""
    evaluate: EvaluateConfig = Field(default_factory=EvaluateConfig)
    """What is measured of every round besides what its judges say: options of `rather evaluate`."""
    result: EvaluateConfig = Field(default_factory=lambda: EvaluateConfig(forgetting=True))
    """What is measured of the result: options of `rather evaluate`; forgetting, if there is no such table."""
    stop: StopConfig = Field(default_factory=StopConfig)
    """When to stop."""
    mix: MixTable | None = None
    """Pairs from a fixed set beside each round's own."""
    reward_model: RewardTable | None = None
    """A reward model that is trained anew in each round."""
    people: PeopleTable | None = None
    """What people are asked."""
    online: OnlineTable | None = None
    """Fresh answers every few updates."""

    @classmethod
    def read(cls, file: Path) -> LoopConfig:
        """A loop's file. Paths in it are relative to its folder. Raises ConfigError with file and table."""
        return cls.of(read_toml(file), where=f"{file}: ", folder=file.parent)

    @classmethod
    def of(cls, values: Mapping[str, Any], *, where: str = "", folder: Path = Path()) -> LoopConfig:
        """From a dict as a file holds it."""
        given = {key.replace("-", "_"): value for key, value in values.items()}
        for name, kind in TABLES.items():
            if name in given:
                given[name] = _table(kind, name, given[name], where, folder)
        for name in JUDGES:
            if name in given:
                given[name] = _judges(name, given[name], where)
        named = given.get("model")
        if isinstance(named, str) and (folder / named).is_dir():
            given["model"] = str(folder / named)
        return cls.build(_placed(cls, given, folder), where=where)

    @model_validator(mode="after")
    def _can_act(self) -> LoopConfig:
        if self.drop_risky and self.pair.rule == "list":
            raise ConfigError('drop_risky is for pairs, and [pair] rule = "list" makes ranked lists')
        if self.start == "first" and self.reference == "previous":
            raise ConfigError(
                'reference = "previous" does not go with start = "first": a round would begin as one model and stay near '
                "to another that it never was; leave one of them out"
            )
        if self.heldout is not None and "heldout_share" in self.model_fields_set:
            raise ConfigError("heldout_share does nothing with a file of held-out questions; leave one of them out")
        if not self.judge and not (self.people and self.people.wait):
            raise ConfigError('nobody judges: give judge = ["NAME"] (docs/judges.md), or [people] with wait = true')
        if self.reward_model is not None and not self.judge:
            raise ConfigError("[reward_model] learns from what judges say; give [[judge]]")
        if not (self.verify or self.judge):
            raise ConfigError(
                'nobody can say which round is best: give verify = ["NAME"], a judge that needs no people'
            )
        if "reference" in self.model_fields_set and not self.has_reference:
            raise ConfigError(f"reference does nothing in the loss {self.train.loss}, which has none; leave it out")
        if self.train.ref_sync_steps is not None and self.reference == "first":
            raise ConfigError('[train] ref_sync_steps moves the reference: say reference = "previous"')
        for name, table in (("evaluate", self.evaluate), ("result", self.result)):
            if "identity" in table.suite:
                raise ConfigError(
                    f"[{name}] suite identity needs a name to look for; ask it with `rather evaluate --name`"
                )
        self._online_can_act()
        return self

    def _online_can_act(self) -> None:
        if self.online is None:
            return
        for name in ("reward_model", "people", "mix"):
            if getattr(self, name) is not None:
                raise ConfigError(f"[{name}] does not go with [online], where pairs are made and used at once")
        idle = {"judgments": bool(self.judgments), "pairs": self.pairs == "all", "drop_risky": self.drop_risky > 0}
        for name, there in idle.items():
            if there:
                raise ConfigError(f"{name} does nothing with [online], where pairs are made and used at once")
        for name in (
            "epochs",
            "shuffle",
            "ref_sync_steps",
            "max_length",
            "gradient_checkpointing",
            "lora_rank",
            "track",
        ):
            if name in self.train.model_fields_set:
                raise ConfigError(f"[train] {name} does nothing with [online]; leave it out")
        if self.generate.backend != "transformers":
            raise ConfigError("[generate] backend does not go with [online], which answers in its own process")
        if self.generate.system_prompt:
            raise ConfigError(
                "[generate] system_prompt does not go with [online], whose answers are asked for as it trains"
            )
        if self.pair.model_fields_set - {"heldout_share"}:
            raise ConfigError("[pair] does nothing with [online], which takes the best answer and the worst")
        if any("kl" in FACTS[name].needs or name == "kto" for name, _ in self.train.terms) or not self.has_reference:
            raise ConfigError(f"[online] does not train with the loss {self.train.loss}; choose dpo or one like it")
        if self.start == "first":
            raise ConfigError(
                'start = "first" does not go with [online]: a round goes on from the answers of the one before'
            )

    @property
    def has_reference(self) -> bool:
        """False for losses that compare the policy with nothing, which stays near to no model."""
        return any(FACTS[name].reference for name, _ in self.train.terms)

    @property
    def pair_is_drawn(self) -> bool:
        """True where a seed of the pairs acts: see PairConfig."""
        return self.pair.rule != "all" or self.pair.ties != "drop" or self.pair.per_prompt is not None

    @property
    def identity(self) -> dict[str, Any]:
        """What makes a loop this one: everything but when it stops and what it lets pass."""
        return self.model_dump(mode="json", exclude=set(NEUTRAL))


def _table(kind: type[Config], name: str, values: Any, where: str, folder: Path) -> Config:
    place = f"{where}[{name}] "
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}{name} is a table: write [{name}] and its options below")
    given = {key.replace("-", "_"): value for key, value in values.items()}
    own = next((key for key in OWN.get(name, ()) if key in given), None)
    if own is not None:
        raise ConfigError(f"{place}{own} does nothing here: {_instead(own)}")
    if kind is RewardTable and "train" in given:
        given["train"] = _table(TrainConfig, f"{name}.train", given["train"], where, folder)
    if name == "reward_model.train":
        given["objective"] = "reward"
    if kind is PairConfig:
        given["heldout_share"] = 0.0
    if isinstance(given.get("suite"), str | list):
        listed = [given["suite"]] if isinstance(given["suite"], str) else given["suite"]
        given["suite"] = [_beside(folder, name) if str(name).endswith(".jsonl") else name for name in listed]
    return kind.build(_placed(kind, given, folder), where=place)


def _instead(key: str) -> str:
    if key in ("seed", "dtype", "system_prompt"):
        return "it stands at the top, for all steps"
    if key in ("by", "panel", "judgments", "proxy", "gold", "alpaca_files"):
        return "who judges stands in [[judge]] and [[verify]]"
    if key in ("api", "api_model"):
        return "a round's answers are those of the model that it trains"
    return "the loop says it itself"


def _judges(name: str, given: Any, where: str) -> tuple[dict[str, Any], ...]:
    """Names, or tables as in a panel's file, as such tables; checked, and one by one."""
    listed = given if isinstance(given, list | tuple) else [given]
    entries = [{"by": entry} if isinstance(entry, str) else entry for entry in listed]
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, Mapping):
            raise ConfigError(f'{where}{name} {number}: is neither a name of docs/judges.md nor a table with "by"')
    members_of_entries(entries, where=f"{where}{name} ")
    return tuple(dict(entry) for entry in entries)


def _placed(kind: type[Config], values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Paths put beside the file that names them, and one value where a list belongs made a list of one."""
    made = dict(values)
    for name, value in values.items():
        field = kind.model_fields.get(name)
        if field is None:
            continue
        if (
            get_origin(field.annotation) is tuple
            and isinstance(value, str | int | float)
            and not isinstance(value, bool)
        ):
            value = [value]
            made[name] = value
        if "Path" in str(field.annotation):
            made[name] = (
                [_beside(folder, path) for path in value] if isinstance(value, list) else _beside(folder, value)
            )
    return made


def _beside(folder: Path, value: Any) -> Any:
    return str(folder / value) if isinstance(value, str) and value.strip() else value
