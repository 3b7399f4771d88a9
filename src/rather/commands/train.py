"""The command `rather train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rather.app import app
from rather.errors import ConfigError
from rather.options import Allow, Words, positive
from rather.training.config import TrainConfig


@app.command
def train(
    pairs: Path,
    /,
    *,
    model: str,
    out: Path,
    limit: int | None = None,
    as_chat: Annotated[bool, Parameter(negative="")] = False,
    skip_bad: Annotated[bool, Parameter(negative="")] = False,
    intended: Words = None,
    allow: Allow = None,
    thresholds: Path | None = None,
    heldout: Path | None = None,
    reference: str | None = None,
    ray: int | None = None,
    ray_address: str | None = None,
    sweep: Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)] = None,
    config: Annotated[TrainConfig | None, Parameter(name="*")] = None,
) -> None:
    """Train a model on preference pairs. The same command resumes a run that was stopped.

    Parameters
    ----------
    pairs
        JSONL, JSON or Parquet (also .gz): native, TRL's preference form, ShareGPT's, or HH transcripts.
    model
        A folder in Hugging Face layout, a hub id, or a catalogued name (smollm2-135m-instruct).
    out
        Folder for the run: model/, metrics.jsonl, refused.jsonl, audit.json, manifest.json.
    limit
        Use the first so many pairs that can be read; rows behind them are not looked at.
    as_chat
        Make each plain-text prompt a user turn of the model's chat template.
    skip_bad
        List rows that cannot be used in refused.jsonl and go on without them.
    intended
        A word that is meant to be learned; the audit judges the rest without it. May be repeated.
    allow
        CHECK=reason: train although this audit check says stop. May be repeated; `all` stands for every check.
    thresholds
        A TOML file that changes when the audit's checks warn and stop.
    heldout
        Pairs (ranked lists, single answers) that are not trained on: their loss, margin and accuracy go into metrics.jsonl, and
        the state in which their loss was lowest into best/.
    reference
        The model to stay near to, where that is not MODEL itself: the first one of several rounds, say.
    ray
        Train on so many ranks of a Ray cluster: of one of this machine's own, if no address is given.
    ray_address
        HOST:PORT of a running Ray cluster that this machine is part of, or auto.
    sweep
        option=value,value …: train once for each combination (beta=0.05,0.1,0.3 loss=dpo,ipo), with one reference for all,
        and compare them on one page.
    """
    from rather.auditing import parse_allow
    from rather.distributed.launch import is_first
    from rather.training.run import train as run
    from rather.training.sweep import parse_grid
    from rather.training.sweep import sweep as run_all

    limit, words, reasons = positive("--limit", limit), tuple(intended or ()), parse_allow(allow or [])
    given = {
        "limit": limit,
        "as_chat": as_chat,
        "skip_bad": skip_bad,
        "intended": words,
        "allow": reasons,
        "thresholds": thresholds,
        "heldout": heldout,
        "reference": reference,
    }
    if sweep is not None:
        if ray is not None or ray_address is not None:
            raise ConfigError("--ray does not go with --sweep; start the sweep with torchrun, or its runs one by one")
        from rather.reporting import report as write

        found = run_all(pairs, model=model, out=out, grid=parse_grid(sweep), config=config, **given)
        if not is_first():
            return
        for name, result in found.runs.items():
            print(f"{name}: {_summary(result.updates, result.last)}")
        print(f"report: {write(out)}")
        return
    result = run(pairs, model=model, out=out, config=config, ray=ray, ray_address=ray_address, **given)
    if not is_first():
        return
    print(_summary(result.updates, result.last))
    print(f"model: {result.model}")
    if result.best:
        print(f"best: {result.best}")


def _summary(updates: int, last: dict[str, float]) -> str:
    margin = f"margin {last['margin']:+.3f}, " if "margin" in last else ""
    return f"{updates} updates, loss {last['loss']:.4f}, {margin}accuracy {last['accuracy']:.0%}"
