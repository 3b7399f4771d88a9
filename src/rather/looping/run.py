"""`rather loop`: rounds until a rule stops them; the best by held-out judges is the result."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rather.errors import AuditStop, InputError
from rather.evaluation.harness import require_lm_eval
from rather.evaluation.suites import load_suites
from rather.judging.options import members_of_entries
from rather.looping import questions as asking
from rather.looping.config import NEUTRAL, LoopConfig
from rather.looping.deciding import best_of, over_optimised, reason_to_stop
from rather.looping.panel import together
from rather.looping.people import moved
from rather.looping.rounds import Ending, Facts, Round, Waiting, read_round, run_round
from rather.looping.verifying import further
from rather.model import bf16_is_fast, model_hash, pick_device
from rather.model.load import load_tokenizer
from rather.progress import say
from rather.reporting import report
from rather.rundir import (
    MANIFEST,
    RunDir,
    hash_file,
    link_tree,
    open_run,
    peak_memory_gb,
    read_manifest,
    require_usable,
    sweep_scratch,
    write_json,
)

LOOP, MODEL, QUESTIONS = "loop.json", "model", "questions"


@dataclass(frozen=True)
class LoopResult:
    """What a loop left. best: number of the round that is the result, None where no round beat the first model. model: where it
    is. waiting: the items that people are to be asked before it can go on.
    """

    out: Path
    rounds: list[Facts]
    best: int | None
    model: Path | None
    stopped: str | None
    report: Path | None
    waiting: Path | None = None


def loop(config: str | Path | LoopConfig, *, out: str | Path | None = None, **options: Any) -> LoopResult:
    """Run rounds into `out` (runs/NAME of the file NAME.toml, if not given) until a rule stops them. The same call goes on.

    config: a file, or what would be in one. options: keys of its top level, over those of `config`.
    Raises what its steps raise.
    """
    file = None if isinstance(config, LoopConfig) else Path(config)
    if file is not None:
        folder = str(file.resolve().parent)
        if folder not in sys.path:  # reward functions lie beside the file that names them
            sys.path.insert(0, folder)
        config = LoopConfig.read(file)
    assert isinstance(config, LoopConfig)
    config = config.changed(options)
    out = Path(out) if out is not None else Path("runs") / (file.stem if file is not None else "loop")
    require_usable(out)
    _require_there(config)
    inputs = {"model": model_hash(config.model), "questions": asking.hashed(config)}
    if config.mix is not None:
        inputs["mix"] = hash_file(config.mix.pairs) if config.mix.pairs.is_file() else ""
    with open_run(out, step="loop", config=config.identity, inputs=inputs) as run:
        until = config.model_dump(mode="json", include=set(NEUTRAL))
        if run.done and read_manifest(out).get("until") == until:
            say(f"{out}: already done")
            return _kept(out)
        (out / MANIFEST).unlink(missing_ok=True)
        for folder in (out, *out.glob("round-*")):
            sweep_scratch(folder)
        try:
            return _rounds(run, config, until)
        except Waiting as waiting:
            return LoopResult(out, _done(out), None, None, None, None, waiting.place)


def _require_there(config: LoopConfig) -> None:
    """What is named must be there before a folder is made: the model, suites, and whoever judges."""
    load_tokenizer(config.model)
    load_suites([*config.evaluate.suite, *config.result.suite])
    if config.evaluate.lm_eval or config.result.lm_eval:
        require_lm_eval()
    for member in members_of_entries(together(config.judge, config.verify), where="judge "):
        member.judge.inputs()


def _rounds(run: RunDir, config: LoopConfig, until: dict[str, Any]) -> LoopResult:
    out, dtype = run.path, _dtype(config)
    asked, heldout = asking.split(config, out / QUESTIONS)
    rounds = _done(out)
    while (stopped := reason_to_stop(rounds, config.rounds, config.stop)) is None:
        number = len(rounds) + 1
        say(f"round {number} of at most {config.rounds}")
        this = Round(number, folder_of(out, number), config, asked, heldout, dtype, rounds)
        try:
            facts = run_round(this)
        except (Ending, AuditStop) as ending:
            if not rounds:  # there is no result yet, and so this is no end
                raise (InputError(str(ending)) if isinstance(ending, Ending) else ending) from ending.__cause__
            stopped = str(ending)
            break
        rounds.append(facts)
        for line in said_of(facts):
            say(line)
        _write(out, config, rounds, len(heldout))
    say(f"stopped: {stopped}")
    best = best_of(rounds, config.stop)
    result: Facts = {}
    if best is not None:
        say(f"round {best['round']} is the result; what else it does is measured now")
        result = further(config, best, dtype)
        link_tree(Path(best["policy"]), out / MODEL)
    page = _write(out, config, rounds, len(heldout), stopped=stopped, result=result)
    run.finish(
        outputs=(LOOP, page.name, *([MODEL] if best else [])), until=until, stopped=stopped,
        best=None if best is None else best["round"], rounds=len(rounds),
        seconds=round(sum(sum(facts["seconds"].values()) for facts in rounds), 1), peak_memory_gb=peak_memory_gb(),
    )  # fmt: skip
    return _kept(out)


def _write(
    out: Path,
    config: LoopConfig,
    rounds: Sequence[Facts],
    heldout: int,
    *,
    stopped: str | None = None,
    result: Any = None,
) -> Path:
    """loop.json and the page, as far as the loop is, with the votes of people that have come since."""
    best = best_of(rounds, config.stop)
    figures = {
        "rounds": [moved(facts) for facts in rounds],
        "best": None if best is None else best["round"],
        "stopped": stopped,
        "result": result or {},
        "warnings": [said for facts in rounds if (said := over_optimised(facts)) is not None],
        "heldout_questions": heldout,
        "held_out_judge": any(set(facts["held_out"]) - set(facts["proxy"]) for facts in rounds),
    }
    write_json(out / LOOP, figures)
    return report(out)


def folder_of(out: Path, number: int) -> Path:
    """A round's folder."""
    return out / f"round-{number:02d}"


def said_of(facts: Facts) -> Sequence[str]:
    """What a round came to, in a line or two."""
    by = "; ".join(_rate(name, facts) for name in facts["judged"])
    lines = [
        f"round {facts['round']}: {facts['trained_pairs']:,} pairs; KL {facts['kl_detail']['exact']:.2f} nats an answer; {by}"
    ]
    warning = over_optimised(facts)
    return lines if warning is None else [*lines, f"warning: {warning}"]


def _rate(name: str, facts: Facts) -> str:
    row = facts["judged"][name]
    said = f"{name}: {row['rate']:.0%} ({row['low']:.0%} to {row['high']:.0%}) over the first model"
    score = facts["scores"].get(name)
    if score and None not in (score["before"]["value"], score["after"]["value"]):
        said += f", mean {score['before']['value']:.3g} → {score['after']['value']:.3g}"
    return said


def _done(out: Path) -> list[Facts]:
    """The rounds that are done, up to the first that is not."""
    found: list[Facts] = []
    while (facts := read_round(folder_of(out, len(found) + 1))) is not None:
        found.append(facts)
    return found


def _kept(out: Path) -> LoopResult:
    manifest = read_manifest(out)
    best = manifest["best"]
    return LoopResult(
        out, _done(out), best, None if best is None else out / MODEL, manifest["stopped"], out / "report.html"
    )


def _dtype(config: LoopConfig) -> str:
    if config.dtype != "auto":
        return config.dtype
    return "bf16" if bf16_is_fast(pick_device()) else "fp32"
