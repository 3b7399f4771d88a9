"""`rather annotate …`: parse, call one function, print."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from rather.annotation.options import ServeOptions
from rather.annotation.settings import Settings
from rather.app import app
from rather.errors import ConfigError

if TYPE_CHECKING:
    from rather.annotation.store import Store

annotate = App(name="annotate", help="Ask people which answers are better: a web app on your own machine.")
app.command(annotate)

Db = Annotated[str | None, Parameter(name="--db")]
Flag = Annotated[bool, Parameter(negative="")]


@annotate.command
def serve(
    folder: Path = Path(), /, *, db: Db = None, config: Annotated[ServeOptions | None, Parameter(name="*")] = None
) -> None:
    """Serve a project until Ctrl-C. The first start says how to become its owner.

    Parameters
    ----------
    folder
        Holds the project (annotate.db); made if it is new. Not given: where you are.
    db
        postgresql://user:password@host/database: keep the project there instead.
    """
    from rather.annotation.serving import serve as run

    run(folder, config or ServeOptions(), db=db)


@annotate.command(name="import")
def import_(
    folder: Path,
    source: Path,
    /,
    *,
    db: Db = None,
    task: Literal["compare", "rank", "rate", "edit"] | None = None,
    gold: Flag = False,
    qualification: Flag = False,
    votes: Flag = False,
    per_prompt: int | None = None,
    seed: int | None = None,
    skip_bad: Flag = False,
    doubts: Path | None = None,
) -> None:
    """Bring responses, pairs or ranked lists as items to be judged. What is there already is not asked twice.

    Parameters
    ----------
    folder
        The project; made if it is new. A server that runs takes the items up within seconds.
    source
        What `rather generate` left in its --out, or a file of responses, pairs or ranked lists.
    db
        As for serve.
    task
        What is asked of them; not given: compare, and rank for ranked lists of three and more.
    gold
        The better answers are known to be better: mix these in and count who says so.
    qualification
        The same, asked of everybody before anything else.
    votes
        The source holds judgments of people (an Argilla or Label Studio project, or an export of this): bring their votes as well,
        under accounts of their names, and tasks nobody has voted on. No server may run meanwhile.
    per_prompt
        Of responses, more than two to a prompt: compare so many pairs; not given: all.
    seed
        Of the pairs that are drawn; not given: 0.
    skip_bad
        Go on without rows that cannot be asked.
    doubts
        What `rather audit` left in its --out of the same file: `rather annotate configure --ask doubtful` asks these labels first.
    """
    from rather.annotation.importing import import_items

    if doubts is not None and (gold or qualification):
        raise ConfigError("--doubts goes with items to be judged, not with gold")
    if gold and qualification:
        raise ConfigError("--gold and --qualification: an item is one or the other")
    if votes and not (gold, qualification, task, per_prompt, seed, doubts) == (False, False, None, None, None, None):
        raise ConfigError("--votes: the votes say what was asked; it goes with --skip-bad alone")
    role = "gold" if gold else "qualification" if qualification else "task"
    with _made_if_new(folder, db) as store:
        if votes:
            from rather.annotation.importing_votes import import_votes

            brought = import_votes(store, source, skip_bad=skip_bad)
            print(f"items: {brought.items:,} new; votes: {brought.votes:,} new, {brought.known:,} known", end="")
            print(f"; {len(brought.refused):,} refused")
            return
        done = import_items(
            store, source, task=task, role=role, per_prompt=per_prompt, seed=seed, skip_bad=skip_bad, doubts=doubts
        )
    doubted = "" if done.doubted is None else f", {done.doubted:,} labels doubted"
    print(f"items: {done.items:,} new, {done.known:,} known, {len(done.refused):,} rows refused{doubted}")


@annotate.command
def configure(
    folder: Path,
    /,
    *,
    db: Db = None,
    guidelines: Path | None = None,
    aspect: Annotated[list[str] | None, Parameter(negative="", consume_multiple=False)] = None,
    config: Annotated[Settings | None, Parameter(name="*")] = None,
) -> None:
    """Change how people are asked; what is not given stays as it is. A server that runs takes it up within seconds.

    Parameters
    ----------
    folder
        The project; made if it is new.
    db
        As for serve.
    guidelines
        File of Markdown that tells annotators how to judge.
    aspect
        NAME=LOWEST..HIGHEST: what is rated, and from where to where (overall=1..5). May be repeated; the aspects before are gone.
    """
    from rather.annotation.accounts import log
    from rather.annotation.settings import aspect_of
    from rather.annotation.settings import configure as run

    changes = {} if config is None else config.model_dump(include=config.model_fields_set)
    if guidelines is not None:
        changes["guidelines"] = read_text(guidelines)
    if aspect:
        changes["aspects"] = dict(map(aspect_of, aspect))
    with _made_if_new(folder, db) as store:
        project = run(store, changes)
        if changes:
            log(store, None, "changed settings", which=sorted(changes))
    for name, value in project:
        print(f"{name}: {' '.join(str(value).split())[:80]}")


@annotate.command
def export(folder: Path, out: Path, /, *, db: Db = None) -> None:
    """Write every vote as a judgment, for `rather pair`, `rather audit` and others. A server may go on meanwhile.

    Parameters
    ----------
    folder
        The project.
    out
        The file to write: .jsonl or .json (also .gz, .zst), or .parquet.
    db
        As for serve.
    """
    from rather.annotation.accounts import log
    from rather.annotation.exporting import export_votes
    from rather.annotation.store import open_store

    store = open_store(_there(folder, db), db)
    try:
        done = export_votes(store, out)
        log(store, None, "exported")
    finally:
        store.close()
    print(f"votes: {done.votes:,}, judgments: {done.judgments:,}: {done.out}")


@annotate.command
def tui(url: str = "http://127.0.0.1:8765", /, *, name: str | None = None) -> None:
    """Judge in the terminal, over ssh as well: the same tasks as in the browser, from a server that runs.

    Parameters
    ----------
    url
        Where the server is.
    name
        Sign in by this name and a password; not given: by the key that the owner gave (`rather annotate invite --name`).
    """
    from rather.annotation.terminal.client import Client
    from rather.annotation.terminal.judging import Judging

    client = Client(url)
    if name is None:
        client.join(_hidden("your key: "))
    else:
        client.sign_in(name, _hidden(f"password of {name}: "))
    Judging(client).run()
    client.sign_out()
    print(f"votes: {client.voted:,}")


@annotate.command
def backup(folder: Path, to: Path, /, *, db: Db = None) -> None:
    """Copy the project into a new file while people go on voting.

    Parameters
    ----------
    folder
        The project.
    to
        The file to make; put it as annotate.db into a folder to serve it again.
    db
        As for serve.
    """
    from rather.annotation.accounts import log
    from rather.annotation.store import open_store

    if to.exists():
        raise ConfigError(f"{to} is there already; name a new file")
    if not to.parent.is_dir():
        raise ConfigError(f"{to}: there is no folder {to.parent}; make it first")
    store = open_store(_there(folder, db), db)
    try:
        store.backup(to)
        log(store, None, "backed up")
    finally:
        store.close()
    print(f"backup: {to}")


@annotate.command
def invite(
    folder: Path,
    /,
    *,
    db: Db = None,
    role: Literal["annotator", "adjudicator", "owner"] = "annotator",
    name: str | None = None,
    uses: int | None = None,
    days: float = 14.0,
) -> None:
    """Make an invitation: a token with which people make their accounts.

    Parameters
    ----------
    folder
        The project.
    db
        As for serve.
    role
        What those who come by it may do.
    name
        Make it the key of this account (made if it is new): who has it signs in by it, without a password, until it expires.
    uses
        How many accounts may be made by it; not given: one.
    days
        How long it is good for.
    """
    from rather.annotation.accounts import invite_or_key, log
    from rather.annotation.store import open_store

    store = open_store(_there(folder, db), db)
    try:
        token = invite_or_key(store, role, name=name, uses=uses, days=days)
        log(store, None, "invited", role=role, uses=uses, name=name)
    finally:
        store.close()
    print(f"/join#{token}")


@annotate.command
def add_user(
    folder: Path,
    name: str,
    /,
    *,
    db: Db = None,
    role: Literal["annotator", "adjudicator", "owner"] = "annotator",
    password_from_stdin: Flag = False,
) -> None:
    """Make an account with a password, or give one that is there a new password.

    Parameters
    ----------
    folder
        The project; made if it is new.
    name
        What its owner signs in with.
    db
        As for serve.
    role
        What they may do.
    password_from_stdin
        Read the password from a line of standard input instead of asking for it.
    """
    from rather.annotation.accounts import log, put_account

    if password_from_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = _hidden(f"password of {name}: ")
        if _hidden("again: ") != password:
            raise ConfigError("these are two different passwords; nothing was changed")
    with _made_if_new(folder, db) as store:
        made = put_account(store, name, role, password)
        log(store, None, "made account" if made else "changed account", name=name, role=role)
    print(f"account: {name} ({role}), {'made' if made else 'changed'}")


def read_text(file: Path) -> str:
    """A file of text. Raises ConfigError."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {getattr(error, 'strerror', None) or 'is not UTF-8'}") from error


def _hidden(asked: str) -> str:
    """What somebody types unseen. Raises ConfigError where nobody can type."""
    if not sys.stdin.isatty():
        raise ConfigError(f"{asked.rstrip(': ')}: can be typed at a terminal alone, and standard input is none")
    return getpass.getpass(asked)


@contextmanager
def _made_if_new(folder: Path, db: str | None) -> Iterator[Store]:
    """The store of a project; one that was made for this and got nothing, because of an error, is taken away again."""
    from rather.annotation.store import open_store

    had_folder, had_store = folder.exists(), db is not None or (folder / "annotate.db").exists()
    store = open_store(folder, db)
    try:
        yield store
    except BaseException:
        store.close()
        if not had_store:
            for file in folder.glob("annotate.*"):
                file.unlink()
            if not had_folder:
                folder.rmdir()
        raise
    store.close()


def _there(folder: Path, db: str | None) -> Path:
    if db is None and not (folder / "annotate.db").is_file():
        raise ConfigError(f"{folder} holds no project (annotate.db); `rather annotate import` makes one")
    return folder
