"""`rather pair`: judgments → reliability → scores → pairs, split by prompt."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rather.config import did_you_mean
from rather.errors import ConfigError, InputError, NothingToPair
from rather.formats import WRITERS, Refusal, require_clean, rows_said, say_refused, write_jsonl, write_refused
from rather.pairing.aggregates import AGGREGATES, RELIABILITY, Aggregated, default_aggregate
from rather.pairing.config import PairConfig
from rather.pairing.evidence import Evidence
from rather.pairing.forms import unpaired
from rather.pairing.ledger import Ledger
from rather.pairing.read import files_of, read_into
from rather.pairing.select import Picked, select
from rather.pairing.split import held_out, text_of
from rather.pairing.trust import reliability
from rather.pairing.write import Writer
from rather.progress import say
from rather.records import Judgment
from rather.rundir import (
    RunDir,
    hash_file,
    open_run,
    peak_memory_gb,
    read_manifest,
    require_usable,
    sweep_scratch,
    write_json,
)

PAIRS, HELDOUT, LOOSE = "pairs.jsonl", "heldout.jsonl", "unpaired.jsonl"
TRUST, REFUSED = "reliability.json", "refused.jsonl"
EXAMPLES = 3

Sources = str | Path | Sequence[str | Path] | Sequence[Judgment]


@dataclass
class Paired:
    """What `pair` made. `counts` is the manifest's; `lines` says it to people; `examples` are the first few rows."""

    out: Path
    pairs: Path
    heldout: Path | None
    counts: dict[str, Any] = field(default_factory=dict)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def lines(self) -> list[str]:
        """What went in, what the rule did, and what came out."""
        c = self.counts
        said = ", ".join(f"{count:,} {kind}s" for kind, count in c["judgments"].items())
        passed = "".join(f", {count:,} {why}" for why, count in c["passed_over"].items())
        lines = [
            f"{said} by {c['judges']:,} judge{'s' * (c['judges'] != 1)}: "
            f"{c['prompts']:,} prompts, {c['answers']:,} answers{passed}",
            f"scores: {c['method']}",
            f"rule {c['rule']}: {c['candidates']:,} picked, {c['kept']:,} kept",
        ]
        lines += [f"  {count:,} × {why}" for why, count in c["dropped"].items()]
        near = f" ({c['near_prompts']:,} prompts are near another and stay on its side)" if c["near_prompts"] else ""
        held = f", {c['heldout']:,} held out{near}" if self.heldout else ""
        lines.append(f"{c['what']}: {c['written']:,}{held}")
        if c["loose"]:
            lines.append(f"tied answers by themselves: {c['loose']:,} in {LOOSE}")
        for row in self.examples:
            lines += _shown(row)
        return lines


def pair(
    judgments: Sources,
    *,
    out: str | Path,
    skip_bad: bool = False,
    config: PairConfig | None = None,
    **options: Any,
) -> Paired:
    """Make pairs of judgments (files, folders of a step, or records) under `out`.

    Raises InputError for a row that cannot be used (unless `skip_bad`) and where no pair comes out, ConfigError for options that
    do not go with each other or with the judgments, RunDirError.
    """
    config, out = (config or PairConfig()).changed(options), Path(out)
    require_usable(out)
    sources = _sources(judgments)
    inputs = {str(source): hash_file(source) for source in sources if isinstance(source, Path)}
    if not inputs:
        inputs = {"judgments": _content(sources[0])}  # pyright: ignore[reportArgumentType]
    with open_run(
        out, step="pair", config={**config.model_dump(mode="json"), "skip_bad": skip_bad}, inputs=inputs
    ) as run:
        if not run.done:
            sweep_scratch(out)
            _make(run, sources, config, skip_bad)
        else:
            say(f"{out} is done; nothing to do")
    return _result(out)


def _make(run: RunDir, sources: list[Any], config: PairConfig, skip_bad: bool) -> None:
    with Ledger(run.path, aspect=config.aspect) as ledger:
        refused = _read(ledger, sources, skip_bad)
        evidence = Evidence(ledger)
        found, method = aggregated(evidence, config)
        picked = select(evidence, found, config)
        writer = Writer(evidence, found, picked, config)
        if not len(picked.better) and not picked.lists and all(label is None for label in writer.loose_labels()):
            raise NothingToPair(_no_pair(evidence, picked, config))
        counts = {
            "judgments": {kind: count for kind, count in sorted(evidence.kinds.items()) if count},
            "passed_over": dict(ledger.passed),
            "refused": len(refused), "judges": len(evidence.judges), "prompts": evidence.prompts, "answers": evidence.answers,
            "method": method, "rule": config.rule, "candidates": picked.candidates, "label": writer.label,
            "kept": len(picked.better) + len(picked.lists), "ties_kept": int(picked.tied.sum()), "dropped": dict(picked.dropped),
        }  # fmt: skip
        _write(run, writer, config, counts)
        write_json(run.path / TRUST, reliability(evidence, found, config.reliability, config.gold))
        write_refused(run.path / REFUSED, refused)
    outputs = [
        PAIRS,
        TRUST,
        REFUSED,
        *([HELDOUT] if config.heldout_share else []),
        *([LOOSE] if counts["loose"] else []),
    ]
    run.finish(outputs=outputs, counts=counts, peak_memory_gb=peak_memory_gb())


def aggregated(evidence: Evidence, config: PairConfig) -> tuple[Aggregated, str]:
    """Scores by the method that is asked for, and its name. Raises ConfigError where the judgments do not allow it."""
    if config.reliability is None:
        name = config.aggregate or default_aggregate(evidence)
        found = AGGREGATES[name](evidence)
    else:
        name = config.reliability
        if len(evidence.judges) < 2:
            raise ConfigError(
                f"--reliability {name} weighs judges against each other, and there is only one, {evidence.judges[0]}; leave it out"
            )
        found = RELIABILITY[name](evidence, _gold(evidence, config.gold))
    if found.odds is None and config.label in ("probability", "weight"):
        raise ConfigError(
            f"--label {config.label} needs a probability, and --aggregate {name} gives none; choose bradley-terry, newman, "
            "plackett-luce or a --reliability"
        )
    return found, name


def _gold(evidence: Evidence, names: tuple[str, ...]) -> np.ndarray:
    for name in names:
        if name not in evidence.judges:
            raise ConfigError(f"--gold {name}: no judge has this name{did_you_mean(name, evidence.judges[:20])}")
    gold = np.isin(evidence.judges, names) if names else np.zeros(len(evidence.judges), bool)
    if gold.all():
        raise ConfigError("--gold names every judge, so nobody is left to be weighed; leave --reliability out")
    return gold


def _sources(judgments: Sources) -> list[Any]:
    """Files, or one sequence of records. Raises InputError for nothing, and for a mixture."""
    if isinstance(judgments, str | Path):
        judgments = [judgments]
    records = [item for item in judgments if isinstance(item, Judgment)]
    if records and len(records) < len(judgments):
        raise InputError("judgments: records and files stand beside each other; give one of them")
    if not len(judgments):
        raise InputError("judgments: there are none")
    return [records] if records else list(files_of(judgments))  # pyright: ignore[reportArgumentType]


def _content(records: Sequence[Judgment]) -> str:
    """Hash of what records say, whatever their order."""
    return hashlib.sha256("\n".join(sorted(record.id for record in records)).encode()).hexdigest()


def _read(ledger: Ledger, sources: list[Any], skip_bad: bool) -> list[Refusal]:
    refused: list[Refusal] = []
    for source in sources:
        refused += read_into(ledger, source)
    taken = sum(ledger.kinds.values())
    rows = taken + sum(ledger.passed.values()) + len(refused)
    if not skip_bad:
        require_clean(refused, rows)
    if not taken and ledger.passed:
        known = [name for name in ledger.aspects.names if name is not None]
        have = f"; they have {', '.join(sorted(known)[:8])}" if known else "; none has an aspect"
        raise ConfigError(f"--aspect {ledger.aspect}: no judgment is of it{have}")
    if not taken:
        first = f"; the first: {refused[0].place}: {refused[0].reason}" if refused else ""
        raise InputError(f"no usable judgment in {rows_said(rows)}{first}")
    say_refused(refused, rows)
    return refused


def _write(run: RunDir, writer: Writer, config: PairConfig, counts: dict[str, Any]) -> None:
    """The pairs on either side of the split; `counts` gets what was written."""
    prompts = (
        [text_of(writer.prompt_at(place)) for place in range(writer.evidence.prompts)] if config.heldout_share else []
    )
    held, near = held_out(prompts, writer.evidence.lots(config.seed)[0], config.heldout_share)
    if not config.heldout_share:
        held = np.zeros(writer.evidence.prompts, bool)
    del prompts
    counts |= {"near_prompts": near, "both_good_and_bad": 0}
    counts["written"] = _side(run.path / PAIRS, writer, config, ~held, counts)
    counts["heldout"] = _side(run.path / HELDOUT, writer, config, held, counts) if config.heldout_share else 0
    if config.heldout_share and not (counts["heldout"] and counts["written"]):
        side = "heldout" if not counts["heldout"] else "pairs"
        say(
            f"note: {side}.jsonl is empty: there are few prompts; another --seed or --heldout-share splits them otherwise"
        )
    counts["what"] = {"list": "ranked lists"}.get(
        config.rule, "single answers" if config.form == "unpaired" else "pairs"
    )
    if config.ties == "unpaired" and config.form == "paired":
        rows = [WRITERS["sample"].write(single) for single in writer.loose(~held)]
        counts["loose"] = len(rows)
        unsaid = sum(label is None for label in writer.loose_labels())
        if unsaid:
            counts["dropped"]["tied answers that nothing calls good or bad"] = unsaid
        if rows:
            write_jsonl(run.path / LOOSE, rows)
    else:
        counts["loose"] = 0


def _side(path: Path, writer: Writer, config: PairConfig, prompts: np.ndarray, counts: dict[str, Any]) -> int:
    """Write the prompts of one side; how many rows that made."""
    written = 0

    def counting(records):  # type: ignore[no-untyped-def]
        nonlocal written
        for record in records:
            written += 1
            yield WRITERS[record.kind].write(record)

    if config.rule == "list":
        records = writer.lists(prompts)
    elif config.form == "unpaired":
        singles, both = unpaired(writer.pairs(prompts))
        counts["both_good_and_bad"] += both
        if both:
            reason = "answers both chosen and rejected"
            counts["dropped"][reason] = counts["dropped"].get(reason, 0) + both
        records = [*singles, *writer.loose(prompts)]
    else:
        records = writer.pairs(prompts)
    write_jsonl(path, counting(records))
    return written


def _no_pair(evidence: Evidence, picked: Picked, config: PairConfig) -> str:
    """Why nothing came out, and what would help."""
    reasons = "; ".join(f"{count:,} × {why}" for why, count in picked.dropped.most_common())
    most = picked.dropped.most_common(1)[0][0] if picked.dropped else ""
    cure = "give judgments of two or more answers to the same prompt"
    if "tie" in most and config.ties == "unpaired":
        cure = "nothing calls the tied answers good or bad; add judgments that decide them"
    elif "tie" in most:
        cure = "keep ties with --ties half or --ties unpaired, or add judgments that decide them"
    elif "empty" in most or "say something" in most:
        cure = "a pair needs two answers that say something: give judgments of others"
    elif "--margin" in most:
        cure = "lower --margin"
    elif "compared directly" in most:
        cure = "choose --rule all, or --reliability noisy-bradley-terry, which knows answers through others"
    return (
        f"--rule {config.rule} leaves no pair of {evidence.prompts:,} prompts with {evidence.answers:,} answers "
        f"({picked.candidates:,} picked: {reasons}); {cure}"
    )


def _result(out: Path) -> Paired:
    manifest = read_manifest(out)
    counts: Mapping[str, Any] = manifest["counts"]
    heldout = out / HELDOUT if HELDOUT in manifest["outputs"] else None
    examples: list[dict[str, Any]] = []
    with (out / PAIRS).open(encoding="utf-8") as file:
        for line in file:
            examples.append(json.loads(line))
            if len(examples) == EXAMPLES:
                break
    return Paired(out, out / PAIRS, heldout, dict(counts), examples)


def _shown(row: dict[str, Any]) -> list[str]:
    """An example as a few short lines."""
    prompt = row["prompt"] if isinstance(row["prompt"], str) else row["prompt"][-1]["content"]
    said = [f"{name} {row[name]:g}" for name in ("probability", "margin", "weight") if row.get(name) is not None]
    lines = [f"  prompt    {_short(prompt)}"]
    for name in ("chosen", "rejected", "completion"):
        if name in row:
            more = f" ({', '.join(said)})" if name == "chosen" and said else ""
            lines.append(f"  {name:<9} {_short(row[name])}{more}")
    lines += [f"  {place:<9} {_short(text)}" for place, text in enumerate(row.get("ranked", []), start=1)]
    if "label" in row:
        lines.append(f"  label     {'good' if row['label'] else 'bad'}")
    return lines


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 72 else text[:71] + "…"
