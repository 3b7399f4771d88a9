"""`rather annotate …` as it is typed, and one line for each mistake. The server itself: tests/annotation/test_serving.py."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from rather.annotation.overseeing.records import audit_log
from rather.annotation.store import open_store
from rather.cli import main
from tests.conftest import WriteFile

pytest.importorskip("alembic", reason="pip install 'rather[annotate]'")

PAIRS = [{"prompt": f"q{number}", "chosen": "good", "rejected": "bad"} for number in range(3)]


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    status = main(["annotate", *map(str, arguments)])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_a_project_from_import_to_export(
    write_file: WriteFile, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "投票 votes"
    assert run(capsys, "import", folder, write_file(PAIRS))[:2] == (0, "items: 3 new, 0 known, 0 rows refused\n")
    assert run(capsys, "import", folder, write_file(PAIRS))[1] == "items: 0 new, 3 known, 0 rows refused\n"
    assert run(capsys, "import", folder, write_file(PAIRS), "--gold")[1] == "items: 3 new, 0 known, 0 rows refused\n"
    monkeypatch.setattr("sys.stdin", io.StringIO("a long enough password\n"))
    added = run(capsys, "add-user", folder, "anna", "--role", "owner", "--password-from-stdin")
    assert added[:2] == (0, "account: anna (owner), made\n")
    status, said, _ = run(capsys, "invite", folder, "--uses", "3")
    assert status == 0
    assert said.startswith("/join#")
    assert len(said.strip()) > 30
    votes = tmp_path / "votes.jsonl"
    assert run(capsys, "export", folder, votes)[:2] == (0, f"votes: 0, judgments: 0: {votes}\n")
    assert votes.read_text() == ""
    copy = tmp_path / "copy.db"
    assert run(capsys, "backup", folder, copy)[:2] == (0, f"backup: {copy}\n")
    assert copy.stat().st_size > 0
    store = open_store(folder)
    log = [(line.action, line.detail.get("name")) for line in audit_log(store)][::-1]
    store.close()
    assert log[3:] == [("made account", "anna"), ("invited", None), ("exported", None), ("backed up", None)]


def test_settings_change_one_by_one(tmp_path: Path, write_file: WriteFile, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "p"
    guidelines = write_file("# Be kind\n", "guidelines.md")
    assert run(capsys, "configure", folder, "--overlap", "3", "--overlap-max", "5", "--guidelines", guidelines)[0] == 0
    status, said, _ = run(capsys, "configure", folder, "--agreement", "0.6", "--aspect", "tone=0..3")
    assert status == 0
    lines = dict(line.split(": ", 1) for line in said.splitlines())
    assert (lines["overlap"], lines["overlap_max"], lines["agreement"]) == ("3", "5", "0.6")
    assert lines["guidelines"] == "# Be kind"
    assert lines["aspects"] == "{'tone': (0, 3)}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["configure", "p", "--overlap", "0"], "--overlap 0: input should be greater than or equal to 1"),
        (["configure", "p", "--agreement", "0.5"], "agreement acts with overlap-max; give that too"),
        (["configure", "p", "--aspect", "tone"], "--aspect tone: write NAME=LOWEST..HIGHEST, as tone=0..3"),
        (["configure", "p", "--aspect", "tone=3..3"], "aspects: tone goes from 3 to 3, which leaves no room"),
        (["configure", "p", "--guidelines", "none.md"], "none.md: No such file or directory"),
        (["export", "nowhere", "x.jsonl"], "nowhere holds no project (annotate.db); `rather annotate import` makes one"),
        (["import", "p", "pairs.jsonl", "--gold", "--qualification"], "--gold and --qualification: an item is one or the other"),
        (["import", "p", "pairs.jsonl", "--per-prompt", "2"], "--per-prompt draws pairs of responses to be compared; "
         "nothing can be drawn here"),
        (["import", "p", "pairs.jsonl", "--per-prompt", "0"], "--per-prompt 0: must be 1 or more"),
        (["import", "p", "pairs.jsonl", "--seed", "1"], "--seed acts with --per-prompt; give that too"),
        (["import", "p", "pairs.jsonl", "--votes", "--seed", "1"], "--votes: the votes say what was asked; "
         "it goes with --skip-bad alone"),
        (["export", "p", "none/x.jsonl"], "none/x.jsonl: there is no folder none; make it first"),
        (["backup", "p", "none/x.db"], "none/x.db: there is no folder none; make it first"),
        (["invite", "p", "--days", "0"], "--days 0: must be above 0, and 3650 at most"),
        (["invite", "p", "--uses", "99999999999999999999"], "--uses 99999999999999999999: must be 1 or more, and 10,000 at most"),
        (["invite", "p", "--name", "bo", "--uses", "2"], "--uses 2: counts new accounts; with --name, one account has the key "
         "and may use it often"),
        (["invite", "p", "--name", "<b>"], "'<b>' cannot be a name: 1 to 64 letters, digits, spaces and . @ - inside, "
         "a letter or digit first"),
        (["serve", "p", "--host", "0.0.0.0"], "--host 0.0.0.0: others could reach this, and no owner has a password yet; "
         "make one with: rather annotate add-user FOLDER NAME --role owner"),
        (["serve", "p", "--db", "mysql://x"], "--db: must begin with postgresql://; "
         "without it, annotations are kept in FOLDER/annotate.db"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(
    arguments: list[str],
    said: str,
    write_file: WriteFile,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_file(PAIRS)
    if arguments[0] in ("invite", "serve", "export", "backup"):
        open_store(Path("p")).close()
    status, out, error = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert error == f"rather: {said}\n"


def test_a_password_that_is_too_short_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    status, _, error = run(capsys, "add-user", tmp_path / "p", "anna", "--password-from-stdin")
    assert (status, error) == (2, "rather: a password has 10 to 1024 characters\n")
    assert not (tmp_path / "p").exists()


def test_a_key_signs_its_account_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from rather.annotation.accounts import join
    from rather.annotation.store import open_store

    open_store(tmp_path).close()
    said = run(capsys, "invite", tmp_path, "--name", "Bo", "--role", "adjudicator")[1]
    token = said.strip().partition("#")[2]
    store = open_store(tmp_path)
    for _ in range(2):
        account = join(store, token, None, None)
        assert (account.name, account.role, account.has_password) == ("Bo", "adjudicator", False)
    store.close()
    assert run(capsys, "invite", tmp_path, "--name", "bo")[2] == "rather: Bo is adjudicator; say --role adjudicator\n"


def test_an_export_has_the_votes_of_a_file_that_was_there(
    write_file: WriteFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import asyncio

    from rather.annotation.accounts import add_account
    from rather.annotation.desk import Desk
    from rather.annotation.store import open_store
    from rather.annotation.tasks import Vote

    assert run(capsys, "import", tmp_path / "p", write_file(PAIRS))[0] == 0
    store = open_store(tmp_path / "p")
    person = add_account(store, "anna", "annotator")

    async def vote() -> None:
        desk = Desk(store)
        task = await desk.next(person)
        assert task is not None
        await desk.vote(person, Vote(item=task.item.id, key="key-00000001", verdict="a"))
        desk.close()

    asyncio.run(vote())
    store.close()
    out = tmp_path / "votes.jsonl"
    assert run(capsys, "export", tmp_path / "p", out)[1] == f"votes: 1, judgments: 1: {out}\n"
    assert json.loads(out.read_text())["judge"] == "anna"


def test_a_refused_import_leaves_no_new_project_and_an_old_one_alone(write_file: WriteFile, tmp_path: Path) -> None:
    bad = write_file('{"prompt": "q", "chosen": "a", "rejected": "b"}\n{"prompt": "q", "chosen": 5, "rejected": "b"}\n')
    project, folder = tmp_path / "new", tmp_path / "mine"
    assert main(["annotate", "import", str(project), str(bad)]) == 2
    assert not project.exists()
    folder.mkdir()
    (folder / "notes.txt").write_text("kept")
    assert main(["annotate", "import", str(folder), str(bad)]) == 2
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    good = write_file([{"prompt": "q", "chosen": "a", "rejected": "b"}], "good.jsonl")
    assert main(["annotate", "import", str(project), str(good)]) == 0
    assert main(["annotate", "import", str(project), str(bad)]) == 2
    assert (project / "annotate.db").exists()


@pytest.mark.parametrize("arguments", [["tui", "http://127.0.0.1:1"], ["add-user", "p", "bo"]])
def test_without_a_terminal_nothing_secret_is_asked(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["annotate", *arguments]) == 2
    assert "can be typed at a terminal alone" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
