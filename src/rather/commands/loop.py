"""The command `rather loop`."""

from __future__ import annotations

from pathlib import Path

from rather.app import app
from rather.options import positive


@app.command
def loop(config: Path, /, *, out: Path | None = None, rounds: int | None = None, seed: int | None = None) -> None:
    """Rounds of generate → judge → pair → audit → train → evaluate. The same command goes on where it was stopped.

    Parameters
    ----------
    config
        TOML file of docs/loop.md; paths in it are relative to its folder.
    out
        Folder for the rounds, model/ (the best of them), loop.json and report.html; runs/NAME of NAME.toml, if not given.
    rounds
        Rounds at most, in place of what the file says.
    seed
        Seed of everything that is drawn, in place of what the file says.
    """
    from rather.looping.run import loop as run
    from rather.looping.run import said_of

    given = {
        name: value for name, value in (("rounds", positive("--rounds", rounds)), ("seed", seed)) if value is not None
    }
    result = run(config, out=out, **given)
    for facts in result.rounds:
        for line in said_of(facts):
            print(line)
    if result.waiting is not None:
        print(f"waiting for people: {result.waiting}")
        return
    print(f"stopped: {result.stopped}")
    if result.best is None:
        print("no round is better than the first model, by the held-out judges")
    else:
        print(f"round {result.best} is the result")
        print(f"model: {result.model}")
    print(f"report: {result.report}")
