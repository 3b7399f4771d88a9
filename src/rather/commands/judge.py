"""The command `rather judge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rather.app import app
from rather.judging.options import JudgeOptions


@app.command
def judge(
    responses: Path,
    /,
    *,
    out: Path,
    by: Annotated[list[str] | None, Parameter(negative="", consume_multiple=False)] = None,
    panel: Path | None = None,
    limit: int | None = None,
    skip_bad: Annotated[bool, Parameter(negative="")] = False,
    ray: int | None = None,
    ray_address: str | None = None,
    config: Annotated[JudgeOptions | None, Parameter(name="*", negative_iterable="")] = None,  # pyright: ignore[reportInvalidTypeForm]
) -> None:
    """Say which answers are better: by metrics, rules, functions of your own, models, or what users did.

    Parameters
    ----------
    responses
        What `rather generate` left in its --out, or JSONL, JSON or Parquet (also .gz) with "prompt" and "response"; a log of
        events for behaviour.
    out
        Folder for judgments.jsonl, refused.jsonl and manifest.json. The same command resumes a run that was stopped.
    by
        A judge of docs/judges.md, or NAME:VALUE (function:MODULE:FUNCTION, pairwise:MODEL). May be repeated: each judges by itself.
    panel
        TOML file with a list of [[judges]], each with its "by" and its own options.
    limit
        Judge the answers to the first so many prompts.
    skip_bad
        List rows that cannot be judged in refused.jsonl and go on without them.
    ray
        Judge on so many workers of a Ray cluster: of one of this machine's own, if no address is given.
    ray_address
        HOST:PORT of a running Ray cluster that this machine is part of, or auto.
    """
    from rather.judging.run import judge as run

    result = run(
        responses, by=by or (), out=out, panel=panel, limit=limit, skip_bad=skip_bad, ray=ray, ray_address=ray_address,
        config=config,
    )  # fmt: skip
    for name, counts in result.counts.items():
        print(f"{name}: {', '.join(f'{count:,} {what}' for what, count in counts.items())}")
    print(f"judgments: {result.judgments}")
