"""`rather signals …`: parse, call one function, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from rather.app import app
from rather.collecting.options import CollectOptions
from rather.judging.behaviour import Behaviour

signals_app = App(
    name="signals", help="Make judgments of what users of a running service did: likes, edits and the rest."
)
app.command(signals_app)


@signals_app.default
def signals(
    logs: Annotated[list[Path], Parameter(negative="", required=True)],
    /,
    *,
    out: Path,
    since: str | None = None,
    until: str | None = None,
    model: Annotated[list[str] | None, Parameter(negative="", consume_multiple=False)] = None,
    skip_bad: Annotated[bool, Parameter(negative="")] = False,
    config: Annotated[Behaviour | None, Parameter(name="*")] = None,
) -> None:
    """Make judgments of what users of a running service did: likes, edits and the rest.

    Parameters
    ----------
    logs
        Logs of events (JSONL, CSV or Parquet, also .gz), or folders of `rather signals serve`; several are taken together.
    out
        Folder for judgments.jsonl, refused.jsonl (every event that was left out, and why) and manifest.json.
    since
        Take what happened at this time or later: 2024-05-01, 2024-05-01T12:00:00Z, or seconds since 1970.
    until
        Take what happened before this time.
    model
        Take answers by this model alone, as the log names it. May be repeated.
    skip_bad
        List rows that cannot be read in refused.jsonl and go on without them.
    """
    from rather.collecting.run import signals as run

    result = run(logs, out=out, since=since, until=until, model=model or (), skip_bad=skip_bad, config=config)
    for line in result.lines():
        print(line)


@signals_app.command
def serve(folder: Path, /, *, config: Annotated[CollectOptions | None, Parameter(name="*")] = None) -> None:
    """Collect events over HTTP into a folder until Ctrl-C. The first start makes the token that who sends them needs.

    Parameters
    ----------
    folder
        Holds token, key and a log a day (events-DAY.jsonl); made if it is new.
    """
    from rather.collecting.serving import serve as run

    run(folder, config or CollectOptions())
