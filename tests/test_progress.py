"""Of several ranks the first speaks."""

from __future__ import annotations

import pytest

from rather.progress import hushed, say, task


def test_within_hushed_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with hushed():
        say("a secret")
        with task("work", 2) as bar:
            bar.advance(2, "done")
    assert capsys.readouterr() == ("", "")
    assert bar.done == 2
    say("a word")
    assert capsys.readouterr().err == "a word\n"
