"""One round, from the model that it begins as to the one that it leaves: read it from top to bottom.

Every step is a folder of its own in the round's, and `round.json` is written last: a round that has one is done.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rather.errors import AuditStop, NothingToPair, RunDirError
from rather.formats.responses import NAME as RESPONSES
from rather.generation.run import generate
from rather.judging.run import judge
from rather.looping import questions as asking
from rather.looping.config import LoopConfig
from rather.looping.gathered import VOTES, taken_now, to_train_on
from rather.looping.online import online
from rather.looping.panel import signed, together, write_panel
from rather.looping.people import ITEMS, ask
from rather.looping.risky import without_risky
from rather.looping.verifying import against, verify
from rather.pairing.run import PAIRS, pair
from rather.records import Question
from rather.rundir import MANIFEST, read_manifest, remove_folder, write_json
from rather.training.allocator import give_back_memory
from rather.training.config import TrainConfig
from rather.training.gate import audit
from rather.training.run import train
from rather.training.saving import MODEL

ROUND, SECONDS = "round.json", "seconds.json"
REWARD = "reward model"
"""What the judgments of a round's own reward model are signed with."""

Facts = dict[str, Any]


class Ending(Exception):
    """The loop ends in this round, before it is done; `str` says why."""


class Waiting(Exception):
    """A round waits for people's votes at `place`."""

    def __init__(self, place: Path) -> None:
        super().__init__(str(place))
        self.place = place


@dataclass(frozen=True)
class Round:
    """A round's number and folder, the model that it begins as, and what the rounds before it left."""

    number: int
    folder: Path
    config: LoopConfig
    asked: Sequence[Question]
    heldout: Sequence[Question]
    dtype: str
    earlier: Sequence[Facts]
    clock: dict[str, float] = field(default_factory=dict)

    @property
    def began_as(self) -> str:
        """The policy that answers."""
        return self.earlier[-1]["policy"] if self.earlier else self.config.model

    @property
    def trained_from(self) -> str:
        return self.began_as if self.config.start == "previous" else self.config.model

    @property
    def reference(self) -> str | None:
        """What training stays near to, where that is not what it begins as."""
        kept = self.config.reference == "first" and self.trained_from != self.config.model
        return self.config.model if kept and self.config.has_reference else None

    @property
    def seed(self) -> int:
        return self.config.seed * 1000 + self.number

    @contextmanager
    def step(self, name: str) -> Iterator[Path]:
        """A step's folder; its seconds, of all parts that came to their end, are kept beside it."""
        started = time.monotonic()
        yield self.folder / name
        self.clock[name] = self.clock.get(name, 0.0) + round(time.monotonic() - started, 3)
        write_json(self.folder / SECONDS, self.clock)


def read_round(folder: Path) -> Facts | None:
    """What a round came to, if it is done. Raises RunDirError for a file that is damaged."""
    return _json(folder / ROUND)


def run_round(this: Round) -> Facts:
    """Everything from questions to figures. Raises Ending, Waiting, and what the steps raise."""
    this.folder.mkdir(exist_ok=True)
    this.clock.update(_json(this.folder / SECONDS) or {})
    facts: Facts = {"round": this.number, "began_as": this.began_as, "trained_from": this.trained_from}
    facts["reference"] = this.reference or this.trained_from
    proxy = _learned(this, facts)
    give_back_memory()
    with this.step("evaluate") as folder:
        judges = this.config.verify or this.config.judge
        panel = write_panel(this.folder / "verify.toml", together(judges, proxy))
        facts |= verify(
            this.config, facts["policy"], this.heldout, panel=panel, out=folder, dtype=this.dtype, seed=this.seed
        )
    with this.step("against") as folder:
        before = None if not this.earlier else Path(this.earlier[-1]["folder"]) / "evaluate" / RESPONSES
        facts["against"] = against(this.folder / "evaluate", facts["policy"], before, panel=panel, out=folder)
    facts |= {
        "held_out": signed(judges),
        "proxy": signed(proxy),
        "folder": str(this.folder),
        "seconds": dict(this.clock),
    }
    write_json(this.folder / ROUND, facts)
    return facts


def _learned(this: Round, facts: Facts) -> Sequence[Mapping[str, Any]]:
    """Make the round's policy, `facts["policy"]`; return the judges whose judgments made its pairs."""
    config, proxy = this.config, this.config.judge
    questions = this.folder / asking.QUESTIONS
    if not questions.is_file():
        asking.write(questions, asking.of_round(this.asked, this.number, config))
    if config.online is not None:
        _online(this, facts)
        return proxy
    sources = _judged(this, questions, facts)
    if config.reward_model is not None:
        proxy, sources = _reward_model(this, facts)
    if config.people is not None:
        _ask_people(this, sources, facts)
    _paired(this, sources, facts)
    own = this.folder / "pair" / PAIRS
    if config.drop_risky:
        with this.step("risk") as folder:
            facts["dropped_as_risky"] = without_risky(folder, own, this.trained_from, config)
        own = folder / PAIRS
    with this.step("mix") as folder:
        file = to_train_on(folder, own, this.earlier, config, seed=this.seed)
    _audited(this, file, facts)
    with this.step("train") as folder:
        result = train(
            file, model=this.trained_from, out=folder, reference=this.reference,
            config=config.train.changed(_training(this, config.train)), **_let_pass(config),
        )  # fmt: skip
        facts |= {"policy": str(folder / MODEL), "updates": result.updates, "last": result.last}
        facts["trained_pairs"] = read_manifest(folder)["pairs"]
    return proxy


def _judged(this: Round, questions: Path, facts: Facts) -> list[Path]:
    """The policy's answers, and what the judges say of them; nothing where people alone judge."""
    config = this.config
    with this.step("generate") as folder:
        made = generate(questions, out=folder, model=this.began_as, config=_generating(this))
        facts["generated"] = {key: made.figures[key] for key in ("questions", "answers", "responses", "tokens")}
        facts["generated"]["distinct_2"] = made.figures["diversity"]["distinct_2"]
    if not config.judge:
        return []
    with this.step("judge") as folder:
        limit = None if config.reward_model is None else config.reward_model.prompts
        panel = write_panel(this.folder / "judge.toml", config.judge)
        said = judge(this.folder / "generate", out=folder, panel=panel, limit=limit, skip_bad=True)
        facts["judgments"], facts["not_judged"] = said.total, said.refused
    return [folder]


def _ask_people(this: Round, sources: Sequence[Path], facts: Facts) -> None:
    """Write what people are asked. Raises Waiting where their votes are waited for."""
    answers = this.folder / "generate" / RESPONSES
    policies = [earlier["policy"] for earlier in this.earlier]
    with this.step("people") as folder:
        facts["people"] = ask(folder, answers, sources, policies, this.config, dtype=this.dtype, seed=this.seed)
    if this.config.people is not None and this.config.people.wait and not (folder / VOTES).is_file():
        raise Waiting(folder / ITEMS)


def _paired(this: Round, sources: Sequence[Path], facts: Facts) -> None:
    """Pairs of what the judges said and of what has come from elsewhere. Raises Ending where there is none."""
    config = this.config
    with this.step("pair") as folder:
        votes = taken_now(this.folder, this.earlier, config, this.folder / "people")
        facts["votes"] = votes.count
        pairing = config.pair.changed({"seed": this.seed} if config.pair_is_drawn else {})
        try:
            paired = pair([*sources, *votes.files], out=folder, skip_bad=True, config=pairing)
        except NothingToPair as error:
            raise Ending(f"there is nothing left to learn from: {error}") from error
        facts["pairs"], facts["dropped"] = paired.counts["written"], paired.counts["dropped"]


def _online(this: Round, facts: Facts) -> None:
    """The round's updates from fresh answers; the gate stands behind them, before what was learned is taken."""
    config = this.config
    with this.step("online") as folder:
        panel = write_panel(this.folder / "judge.toml", config.judge)
        asked = asking.of_round(this.asked, this.number, config)
        try:
            made = online(
                asked, out=folder, model=this.trained_from, reference=this.reference, panel=panel, config=config,
                dtype=this.dtype, seed=this.seed,
            )  # fmt: skip
        except NothingToPair as error:
            raise Ending(f"there is nothing left to learn from: {error}") from error
    facts["generated"] = {
        "questions": len(asked), "answers": made["answers"], "tokens": made["tokens"], "distinct_2": made["distinct_2"],
    }  # fmt: skip
    facts |= {
        "online": made,
        "votes": 0,
        "pairs": made["pairs"],
        "trained_pairs": made["pairs"],
        "dropped": {"tie": made["ties"]},
    }
    facts |= {"policy": str(folder / MODEL), "updates": made["updates"], "last": made["last"]}
    _audited(this, folder / PAIRS, facts)


def _reward_model(this: Round, facts: Facts) -> tuple[Sequence[Mapping[str, Any]], list[Path]]:
    """Train a reward model on what the judges said so far, and let it judge all answers of the round."""
    table = this.config.reward_model
    assert table is not None
    with this.step("reward-pairs") as folder:
        judged = [Path(facts["folder"]) / "judge" for facts in this.earlier] + [this.folder / "judge"]
        try:
            pair(judged, out=folder, skip_bad=True, rule="all", heldout_share=0.0)
        except NothingToPair as error:
            raise Ending(f"the judges tell no two answers apart, so no reward model can be trained: {error}") from error
    with this.step("reward") as folder:
        result = train(
            this.folder / "reward-pairs" / PAIRS, model=table.model or this.config.model, out=folder,
            config=table.train.changed(_training(this, table.train)), **_let_pass(this.config),
        )  # fmt: skip
        facts["reward"] = {"model": str(folder / MODEL), "pairs": read_manifest(folder)["pairs"], "last": result.last}
    with this.step("rejudge") as folder:
        proxy = [{"by": f"reward:{this.folder / 'reward' / MODEL}", "name": REWARD}]
        panel = write_panel(this.folder / "reward.toml", proxy)
        judge(this.folder / "generate", out=folder, panel=panel, skip_bad=True)
    return proxy, [folder]


def _audited(this: Round, file: Path, facts: Facts) -> None:
    """The gate. One that said stop is asked again: the thresholds may be others now. Raises AuditStop."""
    config = this.config
    with this.step("audit") as folder:
        if (folder / MANIFEST).is_file() and read_manifest(folder)["verdict"] == "stop":
            remove_folder(folder)
        found = audit(
            file, out=folder, model=this.trained_from, max_length=config.train.max_length, **_let_pass(config)
        )
    facts["audit"] = found.verdict
    facts["doubts"] = sorted({finding.check for finding in found.findings if finding.verdict != "pass"})
    stops = sorted({finding.check for finding in found.findings if finding.verdict == "stop"})
    if found.verdict == "stop":
        raise AuditStop(
            f"the audit of round {this.number} says stop ({', '.join(stops)}): see {folder / 'audit.json'}; mend what made the "
            f'pairs, or let it pass with [audit] allow = {{{stops[0]} = "why"}}'
        )


def _let_pass(config: LoopConfig) -> Facts:
    """What the gate is told, in a round's audit as in its training."""
    table = config.audit
    return {"intended": table.intended, "allow": table.allow, "thresholds": table.thresholds}


def _generating(this: Round) -> Any:
    config = this.config
    said: Facts = {"dtype": config.dtype} if config.dtype != "auto" else {}
    if config.system_prompt is not None:
        own, hints = (config.system_prompt,), config.generate.system_prompt
        # "Plain" is as the loop asks: with its own system prompt, where it has one.
        said |= {
            "system_prompt": (*own, *hints) if config.generate.also_plain or not hints else hints,
            "also_plain": False,
        }
    if set(config.generate.temperature) != {0}:
        said["seed"] = this.seed
    return config.generate.changed(said)


def _training(this: Round, table: TrainConfig) -> Facts:
    said: Facts = {"dtype": this.dtype}
    if table.shuffle or table.lora_rank:
        said["seed"] = this.seed
    if this.config.system_prompt is not None:
        said["system_prompt"] = this.config.system_prompt
    return said


def _json(file: Path) -> Facts | None:
    if not file.is_file():
        return None
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunDirError(f"{file} is damaged ({error}); remove it: what the round's steps left is kept") from error
