"""Files of responses, pairs or ranked lists → items. A second import of the same adds nothing."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rather.annotation.accounts import log
from rather.annotation.doubting import place_of, read_doubts, save_doubts
from rather.annotation.store import Store
from rather.annotation.tasks import MOST_ANSWERS, Item, ItemKind, ItemRole
from rather.errors import ConfigError, InputError
from rather.formats import Refusal, iter_examples, require_clean, say_refused
from rather.formats.responses import NAME as RESPONSES
from rather.formats.responses import UNKNOWN, iter_responses
from rather.formats.responses import matches as is_response
from rather.formats.sources import source_rows
from rather.progress import say
from rather.records import Example, Prompt, Response, Single

_CHUNK = 2000

# One that an import which was killed left behind belongs to the one that brings it again.
_TAKE_OVER = (
    "(digest) DO UPDATE SET batch = excluded.batch WHERE items.batch IN (SELECT id FROM batches WHERE ready = 0)"
)


@dataclass
class Imported:
    """What an import brought."""

    items: int = 0
    known: int = 0
    rows: int = 0
    alone: int = 0  # prompts with fewer than two different answers, of which nothing can be asked
    doubted: int | None = None
    refused: list[Refusal] = field(default_factory=list)


def import_items(
    store: Store,
    source: str | Path,
    *,
    task: ItemKind | None = None,
    role: ItemRole = "task",
    per_prompt: int | None = None,
    seed: int | None = None,
    skip_bad: bool = False,
    named: str | None = None,
    doubts: Path | None = None,
) -> Imported:
    """Bring what a file asks into the store; a server that runs takes it up within seconds.

    task        compare, rank, rate or edit; not given: rank for ranked lists of three or more, else compare
    role        gold or qualification: the file's own preference is the right vote
    named       what the log calls the source; not given: its path
    doubts      the audit.json (or its folder) of an audit of this file: the labels that it doubts are remembered, to be asked first
    per_prompt  of more than two answers to a prompt, compare so many pairs, drawn by `seed`; not given: all

    Raises InputError for a file that cannot be read, or for its first refused row without `skip_bad`; nothing is imported then.
    """
    _require_use(source, task, per_prompt, seed)
    done = Imported()
    doubted = {} if doubts is None else read_doubts(doubts)
    found: dict[str, float] = {}
    items = _items(
        source, done, task, role, per_prompt, seed or 0, lambda record, item: _doubt(doubted, found, record, item)
    )
    batch = store.write(
        (
            "INSERT INTO batches (at, source, ready) VALUES (:at, :source, 0) RETURNING id",
            {"at": time.time(), "source": named or str(source)},
        )
    )[0][0]
    columns = ("digest", "batch", "kind", "role", "body")
    given = 0
    for chunk in _chunks(items):
        rows = [(item.digest, batch, item.kind, item.role, item.dump()) for item in chunk]
        store.insert("items", columns, rows, conflict=_TAKE_OVER)
        given += len(rows)
    if not skip_bad:
        require_clean(done.refused, done.rows)
    if doubts is not None:
        done.doubted = save_doubts(store, found)
    store.write(("UPDATE batches SET ready = 1 WHERE id = :id", {"id": batch}))
    done.items = store.read("SELECT count(*) FROM items WHERE batch = :id", id=batch)[0][0]
    done.known = given - done.items
    log(store, None, "imported", source=named or str(source), items=done.items, refused=len(done.refused))
    say_refused(done.refused, done.rows)
    if done.alone:
        say(f"note: {done.alone:,} prompts have no two different answers, and nothing is asked of them")
    return done


def _require_use(source: str | Path, task: ItemKind | None, per_prompt: int | None, seed: int | None) -> None:
    """Raise ConfigError for a drawing of pairs where none can be drawn."""
    if seed is not None and per_prompt is None:
        raise ConfigError("--seed acts with --per-prompt; give that too")
    if per_prompt is None:
        return
    if per_prompt < 1:
        raise ConfigError(f"--per-prompt {per_prompt}: must be 1 or more")
    if task not in (None, "compare") or not _holds_responses(source):
        raise ConfigError("--per-prompt draws pairs of responses to be compared; nothing can be drawn here")


def _items(
    source: str | Path,
    done: Imported,
    task: ItemKind | None,
    role: ItemRole,
    per_prompt: int | None,
    seed: int,
    noted: Callable[[Example, Item], None],
) -> Iterator[Item]:
    if _holds_responses(source):
        if role != "task":
            raise ConfigError(f"--{role}: responses do not say which is better; give pairs or ranked lists")
        yield from _of_responses(source, done, task or "compare", per_prompt, seed)
        return
    for record in iter_examples(source):
        done.rows += 1
        if isinstance(record, Refusal):
            done.refused.append(record)
            continue
        try:
            for item in _of_example(record, task, role):
                noted(record, item)
                yield item
        except InputError as error:
            done.refused.append(Refusal(record.source or str(source), str(error)))


def _doubt(doubted: Mapping[str, float], found: dict[str, float], record: Example, item: Item) -> None:
    """Note the probability of a record's label by what its item will be known by."""
    probability = doubted.get(place_of(record.source or ""), doubted.get(record.id))
    if probability is not None:
        found[item.digest] = probability


def _holds_responses(source: str | Path) -> bool:
    path = Path(source)
    if path.is_dir():
        return (path / RESPONSES).is_file()
    row = next((row for _, row in source_rows(source) if isinstance(row, dict)), {})
    return is_response(row)


def _of_responses(
    source: str | Path, done: Imported, task: ItemKind, per_prompt: int | None, seed: int
) -> Iterator[Item]:
    groups: dict[str, tuple[Prompt, dict[str, str | None]]] = {}
    for response in iter_responses(Path(source)):
        done.rows += 1
        if isinstance(response, Refusal):
            done.refused.append(response)
        elif not response.text.strip():
            done.refused.append(
                Refusal(response.source or str(source), "the answer is empty: there is nothing to show")
            )
        else:
            _, answers = groups.setdefault(response.question.id, (response.question.prompt, {}))
            answers.setdefault(response.text, _writer(response))
    for prompt, answers in groups.values():
        asked = _plain(prompt)
        texts = list(answers)
        done.alone += task in ("compare", "rank") and len(texts) < 2
        for chosen in _sets(task, len(texts), per_prompt, f"{seed} {asked}"):
            picked = [texts[place] for place in chosen]
            yield Item(0, task, "task", asked, picked, _models([answers[text] for text in picked]))


def _sets(task: ItemKind, answers: int, per_prompt: int | None, seed: str) -> Iterable[tuple[int, ...]]:
    """Which answers to a prompt stand in one item."""
    if task in ("rate", "edit"):
        return ((place,) for place in range(answers))
    if answers < 2:
        return ()
    if task == "rank":
        return (tuple(range(min(answers, MOST_ANSWERS))),)
    pairs = list(itertools.combinations(range(answers), 2))
    if per_prompt is not None and len(pairs) > per_prompt:
        pairs = random.Random(seed).sample(pairs, per_prompt)
    return pairs


def _of_example(record: Example, task: ItemKind | None, role: ItemRole) -> Iterator[Item]:
    answers = list(record.answers)
    prompt, tags = _plain(record.prompt), dict(record.tags)
    if isinstance(record, Single) or len(answers) < 2:
        kind: ItemKind = task or "rate"
        if kind not in ("rate", "edit") or role != "task":
            raise InputError(f"one answer cannot be {kind}d, nor be {role}")
    else:
        kind = task or ("compare" if len(answers) == 2 else "rank")
    if len(set(answers)) < len(answers):
        raise InputError("two of the answers are the same text")
    if kind == "compare" and len(answers) != 2:
        raise InputError(f"{len(answers)} answers cannot be compared two by two here; ask for --task rank")
    if len(answers) > MOST_ANSWERS:
        raise InputError(f"{len(answers)} answers are more than {MOST_ANSWERS}")
    if kind in ("rate", "edit"):
        if role != "task":
            raise InputError(f"nothing here says the right way to {kind} an answer, so it cannot be {role}")
        yield from (Item(0, kind, "task", prompt, [text], tags=tags) for text in answers)
        return
    gold: dict[str, Any] | None = None
    if role != "task":
        gold = {"verdict": "a"} if kind == "compare" else {"ranks": list(range(1, len(answers) + 1))}
    yield Item(0, kind, role, prompt, answers, tags=tags, gold=gold, why=tags.pop("why", None))


def _models(models: list[str | None]) -> list[str | None] | None:
    return models if any(models) else None


def _writer(response: Response) -> str | None:
    return None if response.model == UNKNOWN else response.model


def _plain(prompt: Prompt) -> Any:
    return prompt if isinstance(prompt, str) else [message.model_dump() for message in prompt]


def _chunks(items: Iterator[Item]) -> Iterator[list[Item]]:
    while chunk := list(itertools.islice(items, _CHUNK)):
        yield chunk
