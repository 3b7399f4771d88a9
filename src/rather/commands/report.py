"""The command `rather report`."""

from __future__ import annotations

from pathlib import Path

from rather.app import app


@app.command
def report(folder: Path, /, *, lang: str = "en") -> None:
    """Write report.html for a run's folder.

    Parameters
    ----------
    folder
        The --out of a demo, a training run, an evaluation, an audit or a loop.
    lang
        en, or zh: the page of an audit in Chinese.
    """
    from rather.reporting import report as write

    print(f"report: {write(folder, lang=lang)}")
