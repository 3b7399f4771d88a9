"""Files of judgments → items with their votes: a project of Argilla or Label Studio goes on here, or one that was exported.

Each judge becomes an account of that name, without a password (`rather annotate invite FOLDER --name NAME` makes its key), each
judgment a vote of it at its own time; a second vote of one person on one item is a revision. What was imported before is known.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from rather.annotation.accounts import accounts, add_account, log
from rather.annotation.store import Store
from rather.annotation.tasks import MOST_ANSWERS, OVERALL, Item, ItemKind
from rather.errors import ConfigError, RequestError, RowError
from rather.formats import Refusal, argilla, iter_judgments, labelstudio, require_clean, say_refused
from rather.formats.sources import source_rows
from rather.records import Comparison, Event, Judgment, Prompt, Ranking, Rating

_CHUNK = 2000
_KIND: dict[type[Judgment], ItemKind] = {Comparison: "compare", Ranking: "rank", Rating: "rate", Event: "edit"}


_USUAL: dict[int, ItemKind] = {1: "rate", 2: "compare"}


@dataclass
class ImportedVotes:
    """What an import brought: items, votes on them, and votes that were there before."""

    items: int = 0
    votes: int = 0
    known: int = 0
    refused: list[Refusal] = field(default_factory=list)


@dataclass
class _Said:
    """A vote before its item has a number; ratings of one answer by one person are one vote."""

    digest: str
    judge: str
    at: float | None
    shown: list[int]
    said: dict[str, Any]
    key: str


def import_votes(store: Store, source: str | Path, *, skip_bad: bool = False) -> ImportedVotes:
    """Bring judgments of people, and tasks nobody has voted on yet. Nobody may serve the store meanwhile.

    Raises StoreError while it is served, InputError for what cannot be read, or for the first refused row without `skip_bad`.
    """
    store.lock()
    done = ImportedVotes()
    asked: dict[str, Item] = {}
    votes: dict[tuple[str, str, str], _Said] = {}
    rows = 0
    for judgment in iter_judgments(source):
        rows += 1
        if isinstance(judgment, Refusal):
            done.refused.append(judgment)
            continue
        try:
            _take(judgment, asked, votes)
        except RowError as error:
            done.refused.append(Refusal(judgment.source or str(source), error.reason))
    for item in _unasked(source, asked, done.refused):
        asked.setdefault(_key(item), item)
    if not skip_bad:
        require_clean(done.refused, rows)
    _store(store, str(source), asked, list(votes.values()), done)
    say_refused(done.refused, rows)
    return done


def _unasked(source: str | Path, asked: dict[str, Item], refused: list[Refusal]) -> Iterator[Item]:
    """A project's tasks that nobody voted on, to be asked as the others were; nothing of a file of judgments alone."""
    known = {_answers_key(item.prompt, item.answers) for item in asked.values()}
    like = {len(item.answers): item for item in reversed(asked.values())}
    for place, row in source_rows(source):
        if isinstance(row, RowError):
            continue  # the reading of judgments told of it
        if not argilla.matches(row) and not labelstudio.matches(row):
            return
        try:
            task = argilla.task_of(row) if argilla.matches(row) else labelstudio.task_of(row)
        except RowError as error:
            refused.append(Refusal(place, error.reason))
            continue
        prompt, answers = _plain(task.prompt), list(dict.fromkeys(task.answers.values()))
        if 1 <= len(answers) <= MOST_ANSWERS and _answers_key(prompt, answers) not in known:
            other = like.get(len(answers))
            kind = _USUAL.get(len(answers), "rank") if other is None else other.kind
            yield Item(0, kind, "task", prompt, answers, aspect=None if other is None else other.aspect)


def _take(judgment: Judgment, asked: dict[str, Item], votes: dict[tuple[str, str, str], _Said]) -> None:
    """Put a judgment among the votes, and its item among the items. Raises RowError."""
    kind = _KIND[type(judgment)]
    if judgment.by != "person":
        raise RowError(f"was judged by a {judgment.by}; this is a place for people's votes")
    if isinstance(judgment, Event) and judgment.event == "shown":
        return  # it stands before its edit, which tells all
    if isinstance(judgment, Event) and judgment.event != "edit":
        raise RowError(f'is an event "{judgment.event}", which is no vote')
    answers, models = list(judgment.answers), None if judgment.models is None else list(judgment.models)
    aspect = judgment.aspect if kind in ("compare", "rank") else None  # ratings name theirs in the vote
    mine = Item(0, kind, "task", _plain(judgment.prompt), answers, models, aspect=aspect)
    item = asked.setdefault(_key(mine), mine)
    shown = [item.answers.index(answer) for answer in answers]
    vote = _Said(item.digest, judgment.judge, judgment.at, shown, _said(judgment), judgment.id)
    if isinstance(judgment, Rating):
        before = votes.get((item.digest, judgment.judge, ""))
        if before is not None and not before.said["scores"].keys() & vote.said["scores"].keys():
            before.said["scores"] |= vote.said["scores"]
            before.said.setdefault("scales", {}).update(vote.said.get("scales", {}))
            return
        if before is None:
            votes[item.digest, judgment.judge, ""] = vote
            return
    votes[item.digest, judgment.judge, judgment.id] = vote


def _said(judgment: Judgment) -> dict[str, Any]:
    said: dict[str, Any] = {}
    match judgment:
        case Comparison():
            said["verdict"] = judgment.verdict
        case Ranking():
            said["ranks"] = list(judgment.ranks)
        case Rating():
            aspect = judgment.aspect or OVERALL
            said["scores"] = {aspect: judgment.score}
            if judgment.scale is not None:
                said["scales"] = {aspect: list(judgment.scale)}
        case Event():
            said["text"] = judgment.text
    if judgment.seconds is not None:
        said["seconds"] = judgment.seconds
    if judgment.tags:
        said["tags"] = judgment.tags
    return said


def _store(store: Store, source: str, asked: dict[str, Item], votes: list[_Said], done: ImportedVotes) -> None:
    made = store.write(
        (
            "INSERT INTO batches (at, source, ready) VALUES (:at, :source, 0) RETURNING id",
            {"at": time.time(), "source": source},
        )
    )
    batch = made[0][0]
    rows = ((item.digest, batch, item.kind, item.role, item.dump()) for item in asked.values())
    while chunk := list(islice(rows, _CHUNK)):
        store.insert("items", ("digest", "batch", "kind", "role", "body"), chunk)
    store.write(("UPDATE batches SET ready = 1 WHERE id = :id", {"id": batch}))
    done.items = store.read("SELECT count(*) FROM items WHERE batch = :id", id=batch)[0][0]
    numbers = dict(store.stream("SELECT digest, id FROM items"))
    people = {one.name: one.id for one in accounts(store)}
    for name in dict.fromkeys(vote.judge for vote in votes):
        if name not in people:
            try:
                people[name] = add_account(store, name, "annotator").id
            except RequestError as error:
                raise ConfigError(f"{source}: the judge {error}") from error
    _append(store, votes, numbers, people, done)
    log(store, None, "imported votes", source=source, items=done.items, votes=done.votes, refused=len(done.refused))


def _append(
    store: Store, votes: list[_Said], numbers: dict[str, int], people: dict[str, int], done: ImportedVotes
) -> None:
    there = set(store.stream("SELECT item, account FROM events WHERE kind = 'voted'"))
    keys = {key for (key,) in store.stream("SELECT key FROM events WHERE kind IN ('voted', 'revised')")}
    number = store.read("SELECT coalesce(max(id), 0) FROM events")[0][0]
    events: list[tuple[Any, ...]] = []
    for vote in votes:
        item, account = numbers[vote.digest], people[vote.judge]
        if vote.key in keys:
            done.known += 1
            continue
        number += 1
        kind = "revised" if (item, account) in there else "voted"
        there.add((item, account))
        body = json.dumps(vote.said, ensure_ascii=False)
        at = vote.at if vote.at is not None else time.time()
        events.append((number, at, kind, item, account, json.dumps(vote.shown), vote.key, body))
    done.votes = len(events)
    for start in range(0, len(events), _CHUNK):
        store.append(events[start : start + _CHUNK])


def _key(item: Item) -> str:
    """The same answers in another order are the same item."""
    return f"{item.kind} {item.aspect} {_answers_key(item.prompt, item.answers)}"


def _answers_key(prompt: Any, answers: list[str]) -> str:
    return json.dumps([prompt, sorted(answers)], ensure_ascii=False)


def _plain(prompt: Prompt) -> Any:
    return prompt if isinstance(prompt, str) else [message.model_dump() for message in prompt]
