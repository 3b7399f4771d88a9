"""The page of an audit: the verdict first, each finding with its picture and examples, and hostile text as text."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

import rather
from rather.auditing import Audit
from rather.errors import InputError, RunDirError
from rather.records import Bars, Finding, Histogram, Shown
from rather.reporting import report
from tests.conftest import WriteFile

SCRIPT = '<script>document.title = "taken"</script>'
STOP = Finding(
    check="identical_sides",
    verdict="stop",
    message="3 of 9 pairs have the same text on both sides",
    cure="drop them",
    count=3,
    total=9,
    examples=(
        Shown(
            place="p.jsonl:1", why=f"why {SCRIPT}", prompt=SCRIPT, chosen=f"It is {SCRIPT} red", rejected="It is red"
        ),
    ),
    evidence={"share": 1 / 3, "words": [{"word": SCRIPT, "q": 0.001}], "low": None},
    plots=(
        Bars(title=f"Words {SCRIPT}", unit="share", names=(SCRIPT, "好"), values=(0.9, 0.1), mark=0.5),
        Histogram(title="Lengths", unit="words", edges=(0, 1, 2), groups={"chosen": (1, 2)}),
    ),
)
WARN = Finding(check="duplicates", verdict="warn", message="2 of 9 pairs repeat another pair", cure="keep one of each")
PASS = Finding(check="empty_sides", verdict="pass", message="0 of 9 pairs have an empty side")


class Page(HTMLParser):
    """Tags, text, and the text of each `mark`."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.marks: list[str] = []
        self.text, self._open = "", ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._open = tag
        assert not any(name.startswith("on") for name, _ in attrs)
        assert all(not (value or "").startswith("http") for name, value in attrs if name in ("src", "href"))

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open == "mark":
            self.marks.append(data)
            self._open = ""


def written(folder: Path, *findings: Finding, **allowed: str) -> Path:
    """An audit's folder."""
    folder.mkdir()
    audit = Audit(findings, allowed, 9).as_json()
    (folder / "audit.json").write_text(json.dumps(audit), encoding="utf-8")
    (folder / "refused.jsonl").write_text("")
    manifest = {"step": "audit", "config": {"limit": None}, "inputs": {"pairs": "abc123"}, "name": "p.jsonl"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_the_verdict_stands_first_and_every_finding_is_there(tmp_path: Path) -> None:
    path = report(written(tmp_path / "a", PASS, WARN, STOP))
    assert path == tmp_path / "a" / "audit.html"
    page = Page(path)
    order = [
        "Audit of p.jsonl", "Stop. Trained on 9 pairs as they are", "1 finding would stop a training run; 1 finding should be "
        "looked at; 1 check found nothing wrong.", "What must change first", "Identical sides", "What to do: Drop them.",
        "Lengths", "p.jsonl:1", "What to look at", "Duplicates", "Keep one of each", "found in order", "Empty sides", "abc123",
    ]  # fmt: skip
    places = [page.text.find(part) for part in order]
    assert -1 not in places, order[places.index(-1)]
    assert places == sorted(places)
    assert page.tags.count("svg") == 2
    assert page.source.startswith("<!doctype html>")


def test_a_script_in_an_answer_is_shown_and_not_run(tmp_path: Path) -> None:
    page = Page(report(written(tmp_path / "a", STOP)))
    assert not {"script", "img", "link", "iframe"} & set(page.tags)
    assert page.text.count(SCRIPT) == 5, "the prompt, the reason, the answer, a plot's title, the evidence"
    assert "".join(page.marks).strip() == SCRIPT
    assert "<script" not in page.source


def test_what_was_let_pass_says_why(tmp_path: Path) -> None:
    page = Page(report(written(tmp_path / "a", STOP, identical_sides="a control run")))
    assert "Let pass: a control run" in page.text
    assert "0 findings would stop a training run" in page.text
    assert "1 finding is let pass by somebody's decision" in page.text


def test_the_report_of_a_run_shows_the_same_findings(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", STOP, PASS)
    (folder / "manifest.json").unlink()
    (folder / "metrics.jsonl").write_text('{"step": 1, "loss": 0.5}\n')
    page = Page(report(folder))
    assert "Audit of the pairs: stop" in page.text
    assert "What to do: Drop them." in page.text
    assert page.marks
    assert page.tags.count("svg") == 3, "the loss, and the two of the finding"


def test_an_audit_of_another_version_is_one_line(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", STOP)
    audit = json.loads((folder / "audit.json").read_text())
    audit["findings"][0]["colour"] = "red"
    (folder / "audit.json").write_text(json.dumps(audit))
    with pytest.raises(InputError, match=r"audit\.json is of another version"):
        report(folder)


def test_the_verb_writes_the_folder_and_reads_it_again(
    tmp_path: Path, write_file: WriteFile, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"prompt": f"q{n} {SCRIPT}", "chosen": f"a {n} {SCRIPT}", "rejected": f"b {n}"} for n in range(12)]
    file, out = write_file(rows), tmp_path / "out"
    first = rather.audit(file, out=out)
    assert {path.name for path in out.iterdir()} >= {"audit.json", "refused.jsonl", "manifest.json"}
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["verdict"], manifest["pairs"], manifest["name"]) == (first.verdict, 12, "pairs.jsonl")
    again = rather.audit(file, out=out)
    assert "already audited" in capsys.readouterr().err
    assert again == first
    assert "<script" not in rather.report(out).read_text(encoding="utf-8")
    with pytest.raises(RunDirError, match="choose another --out or remove it"):
        rather.audit(file, out=out, limit=3)
    (out / "audit.json").write_text("{}")
    with pytest.raises(RunDirError, match="damaged or of another version"):
        rather.audit(file, out=out)


def test_an_audit_of_judgments_speaks_of_who_judged(tmp_path: Path, write_file: WriteFile) -> None:
    votes = "".join(
        json.dumps({"prompt": f"q{n}", "answers": ["yes", "no"], "verdict": "a", "judge": f"j{n % 3}", "by": "person"})
        + "\n"
        for n in range(30)
    )
    out = tmp_path / "audit"
    result = rather.audit(write_file(votes, "votes.jsonl"), out=out)
    page = Page(report(out))
    assert result.kind == "judgment"
    assert "30 judgments" in page.text
    assert "Whether those who judged can be relied on" in page.text
    assert "train" not in page.text.split("What was looked at")[0]
