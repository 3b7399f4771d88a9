"""`rather signals`: what of a log becomes judgments and pairs, and what is left out, counted by reason."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

import rather
from rather.cli import main
from rather.errors import ConfigError, InputError, RunDirError
from rather.formats import Refusal, iter_judgments
from rather.records import Comparison
from tests.collecting.collector import event
from tests.conftest import WriteFile


def log(*, users: int = 10, likes: int = 6, prompt: str = "Q", start: float = 1000.0) -> list[dict[str, Any]]:
    """Everybody is shown A and B, in turn the one and the other first; so many like A, nobody B."""
    rows = []
    for user in range(users):
        for place, answer in enumerate("AB" if user % 2 else "BA", start=1):
            rows.append(event(user=f"u{user}", answer=answer, position=place, prompt=prompt, time=start + user))
    rows += [event("like", user=f"u{user}", prompt=prompt, time=start + 50 + user) for user in range(likes)]
    return rows


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_likes_and_edits_become_judgments_and_these_pairs(write_file: WriteFile, tmp_path: Path) -> None:
    edit = event("edit", answer="B", user="u1", text="B, but better", time=1090.0)
    result = rather.signals(write_file([*log(), edit], "log.jsonl"), out=tmp_path / "out")
    made = [found for found in iter_judgments(tmp_path / "out") if isinstance(found, Comparison)]
    assert [(set(each.answers), each.answers["ab".index(each.verdict)]) for each in made] == [
        ({"B", "B, but better"}, "B, but better"),
        ({"A", "B"}, "A"),
    ]
    assert (made[0].judge, made[1].judge, made[0].confidence) == ("u1", "behaviour", None)
    assert made[1].confidence is not None
    assert made[1].confidence > 0.95
    assert result.counts == {
        "events": {"shown": 20, "like": 6, "edit": 1}, "users": 10, "prompts": 1, "left_out": {}, "not_compared": {},
        "users_of_two_minds": 0, "comparisons": 1, "edits": 1,
    }  # fmt: skip
    paired = rather.pair(tmp_path / "out", out=tmp_path / "pairs", rule="all", heldout_share=0)
    rows = lines(tmp_path / "pairs", "pairs.jsonl")
    assert {(row["chosen"], row["rejected"]) for row in rows} >= {("A", "B"), ("B, but better", "B")}
    assert paired.counts["judges"] == 2


def test_everything_that_is_left_out_is_counted_and_listed(write_file: WriteFile, tmp_path: Path) -> None:
    rows = [
        *log(),
        event("like", user="stranger", time=1001.0),
        event("like", answer="C", time=1001.0),
        *log(users=3, likes=1, prompt="few"),
        *log(users=6, likes=0, prompt="silent"),
        event("edit", answer="A", user="u1", text=" A ", time=1002.0),
    ]
    file = write_file(rows, "log.jsonl")
    with file.open("a") as more:
        more.write('{"user": "u1", "prom')
    result = rather.signals(file, out=tmp_path / "out")
    assert result.counts["left_out"] == {
        "of an answer that its user was not shown": 2, "the last line of a log, which is not finished yet": 1,
    }  # fmt: skip
    assert result.counts["not_compared"] == {
        "a pair of answers that fewer than 5 users were shown": 1, "a pair of answers that nobody reacted to": 1,
        "an edit that changes nothing": 1,
    }  # fmt: skip
    assert lines(tmp_path / "out", "refused.jsonl") == [
        {"place": f"{file}:27", "reason": "like: of an answer that its user was not shown"},
        {"place": f"{file}:28", "reason": "like: of an answer that its user was not shown"},
    ]
    assert "left out: 3" in result.lines()
    assert "  2 × of an answer that its user was not shown" in result.lines()


def test_a_row_that_cannot_be_read_is_the_users_to_mend(write_file: WriteFile, tmp_path: Path) -> None:
    file = write_file([*log(), event("love"), {"prompt": "Q", "answers": ["A"], "judge": "x", "score": 1}], "log.jsonl")
    with pytest.raises(InputError, match=r'log.jsonl:27: "event" is \'love\'; known are shown, like.*--skip-bad'):
        rather.signals(file, out=tmp_path / "out")
    result = rather.signals(file, out=tmp_path / "out", skip_bad=True)
    assert sum(result.counts["left_out"].values()) == 2
    assert len(lines(tmp_path / "out", "refused.jsonl")) == 2
    native = write_file([{"prompt": "Q", "answers": ["A"], "judge": "x", "score": 1}], "ratings.jsonl")
    with pytest.raises(InputError, match=r"ratings.jsonl:1: is a rating; a log holds events"):
        rather.signals(native, out=tmp_path / "other")


def test_a_time_and_a_model(write_file: WriteFile, tmp_path: Path) -> None:
    """Yesterday everybody liked A, today B; by time and by model each is seen alone."""
    turned = [
        {**row, "response": {"A": "B", "B": "A"}[row["response"]]} if row["event"] == "like" else row
        for row in log(start=5000.0)
    ]
    file = write_file([*({**row, "model": "old"} for row in log(prompt="P")), *log(), *turned], "log.jsonl")

    def winners(**options: Any) -> dict[str, str]:
        out = tmp_path / str(len(list(tmp_path.iterdir())))
        rather.signals(file, out=out, **options)
        found = [each for each in iter_judgments(out) if not isinstance(each, Refusal)]
        return {
            str(c.prompt): c.answers["ab".index(c.verdict)]
            for c in found
            if isinstance(c, Comparison) and c.verdict in "ab"
        }

    assert winners(until=4000) == {"P": "A", "Q": "A"}
    assert winners(since="1970-01-01T01:10:00Z") == {"Q": "B"}
    assert winners(model="old") == {"P": "A"}


def test_a_reaction_to_what_was_shown_before_the_time_does_not_count(write_file: WriteFile, tmp_path: Path) -> None:
    rows = [*log(start=1000.0), *log(users=6, likes=0, start=2000.0), event("like", answer="B", user="u1", time=2050.0)]
    rows.append(event("like", answer="B", user="u9", time=2050.0))  # who was shown it at 1009 alone
    result = rather.signals(write_file(rows, "log.jsonl"), out=tmp_path / "out", since=2000)
    assert result.counts["left_out"] == {
        "before --since": 20 + 6,
        "of an answer that its user was not shown in this time": 1,
    }
    assert result.counts["users"] == 6


def test_several_logs_are_one(write_file: WriteFile, tmp_path: Path) -> None:
    """Showings in one log, reactions in another; days of a collector, one of them packed."""
    rows = log()
    days = tmp_path / "collected"
    days.mkdir()
    with gzip.open(days / "events-2024-05-01.jsonl.gz", "wt") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows[:20]))
    (days / "events-2024-05-02.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[20:]))
    (days / "token").write_text("secret")
    whole = rather.signals(write_file(rows, "log.jsonl"), out=tmp_path / "one")
    parts = rather.signals(days, out=tmp_path / "two")
    halves = [write_file(rows[20:], "likes.jsonl"), write_file(rows[:20], "shown.jsonl")]
    turned = rather.signals(halves, out=tmp_path / "three")
    assert whole.counts == parts.counts == {**turned.counts, "events": whole.counts["events"]}
    said = [lines(tmp_path / name, "judgments.jsonl") for name in ("one", "two", "three")]
    assert said[0] == said[1] == said[2]
    (days / "events-2024-05-03.jsonl").write_text("")  # the day has begun
    assert rather.signals(days, out=tmp_path / "two").counts == parts.counts
    with pytest.raises(InputError, match="is given twice"):
        rather.signals([days, days / "events-2024-05-02.jsonl"], out=tmp_path / "four")


def test_a_folder_says_what_it_holds(write_file: WriteFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_file(log(), "log.jsonl")
    first = rather.signals(file, out=tmp_path / "out")
    again = rather.signals(file, out=tmp_path / "out")
    assert again.counts == first.counts
    assert "already made" in capsys.readouterr().err
    with pytest.raises(RunDirError, match="min_support 5, not 3"):
        rather.signals(file, out=tmp_path / "out", min_support=3)
    grown = write_file([*log(), event("like", user="u9")], "log.jsonl")
    with pytest.raises(RunDirError, match="holds a run with events"):
        rather.signals(grown, out=tmp_path / "out")


def test_mistakes(write_file: WriteFile, tmp_path: Path) -> None:
    file, out = write_file(log(), "log.jsonl"), tmp_path / "out"
    for options, said in (
        ({"since": "soon"}, "--since: .*a time is seconds since 1970 or ISO 8601"),
        ({"since": 5, "until": 5}, "--since 5 is not before --until 5"),
        ({"colour": 1}, 'unknown key "colour"'),
    ):
        with pytest.raises(ConfigError, match=said):
            rather.signals(file, out=out, **options)
    for options, said in (
        ({"until": 5}, r"nothing can be judged: at or after --until \(26\)"),
        ({"model": "m"}, r"nothing can be judged: of an answer by nobody knows whom \(26\)"),
        ({"min_support": 11}, r"nothing can be judged: a pair of answers that fewer than 11 users were shown \(1\)"),
    ):
        with pytest.raises(InputError, match=said):
            rather.signals(file, out=out, **options)
    blind = write_file([event("like"), event("like", answer="B")], "blind.jsonl")
    with pytest.raises(InputError, match="of an answer that its user was not shown"):
        rather.signals(blind, out=out)
    (tmp_path / "collected").mkdir()
    (tmp_path / "collected" / "token").write_text("secret")
    with pytest.raises(InputError, match="collected: nothing was collected in this folder yet"):
        rather.signals(tmp_path / "collected", out=out)
    assert not out.exists()


def test_as_it_is_typed(write_file: WriteFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = write_file(log(), "log.jsonl"), tmp_path / "out"
    assert main(["signals", str(file), "--out", str(out), "--min-support", "4", "--since", "1970-01-01"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "log: 26 events of 10 users on 1 prompt (20 shown, 6 like)"
    assert said[-1] == f"judgments: 1, of 1 comparison and 0 edits: {out / 'judgments.jsonl'}"
    assert main(["signals", "--out", str(out)]) == 2
    assert main(["signals", str(file), "--out", str(out), "--port", "1"]) == 2
    assert "--port" in capsys.readouterr().err.splitlines()[-1]
    assert main(["signals", "serve", str(tmp_path / "x"), "--port", "99999"]) == 2
    assert "--port 99999: input should be less than or equal to 65535" in capsys.readouterr().err
