"""What a loop asks: held-out questions apart from the others once and for all, and each round's own."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rather.errors import ConfigError, InputError
from rather.formats import Refusal, require_clean, write_jsonl
from rather.formats.questions import as_chat as chat_of
from rather.formats.questions import iter_questions
from rather.looping.config import LoopConfig
from rather.pairing.split import held_out, text_of
from rather.progress import say
from rather.records import Question, content_id
from rather.rundir import hash_file, open_run, sweep_scratch

QUESTIONS, HELDOUT = "questions.jsonl", "heldout.jsonl"
# With fewer held-out questions no interval says anything.
LEAST = 2


def split(config: LoopConfig, out: Path) -> tuple[list[Question], list[Question]]:
    """Questions to learn from and held-out ones, from `out` if they are there. Raises InputError and ConfigError."""
    inputs = {"questions": hash_file(_there(config.questions))}
    if config.heldout is not None:
        inputs["heldout"] = hash_file(_there(config.heldout))
    settings = {
        "as_chat": config.as_chat,
        "share": None if config.heldout else config.heldout_share,
        "seed": config.seed,
    }
    with open_run(out, step="loop questions", config=settings, inputs=inputs) as step:
        if not step.done:
            sweep_scratch(step.path)
            asked, kept = _read(config)
            write_jsonl(out / QUESTIONS, _rows(asked))
            write_jsonl(out / HELDOUT, _rows(kept))
            step.finish(outputs=(QUESTIONS, HELDOUT), questions=len(asked), heldout=len(kept))
    return _questions(out / QUESTIONS), _questions(out / HELDOUT)


def of_round(questions: Sequence[Question], number: int, config: LoopConfig) -> list[Question]:
    """A round's own: the next so many of all in an order drawn once, from the beginning again when all were asked."""
    if config.prompts is None:
        return list(questions)
    order = list(questions)
    random.Random(f"{config.seed}/questions").shuffle(order)
    first = (number - 1) * config.prompts
    return [order[(first + place) % len(order)] for place in range(min(config.prompts, len(order)))]


def write(path: Path, questions: Iterable[Question]) -> None:
    """Questions as `rather generate` reads them."""
    write_jsonl(path, _rows(questions))


def _there(file: Path) -> Path:
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    return file


def _read(config: LoopConfig) -> tuple[list[Question], list[Question]]:
    asked = _questions(config.questions, as_chat=config.as_chat)
    if config.heldout is None:
        kept = _drawn(asked, config)
        ids = {question.id for question in kept}
        asked = [question for question in asked if question.id not in ids]
    else:
        kept = _questions(config.heldout, as_chat=config.as_chat)
        ids = {question.id for question in kept}
        both = [question for question in asked if question.id in ids]
        if both:
            say(f"note: {len(both):,} questions are held out, too, and are not learned from")
        asked = [question for question in asked if question.id not in ids]
    if not asked:
        raise InputError(f"{config.questions}: no question is left to learn from")
    if len(kept) < LEAST:
        raise InputError(
            f"{config.heldout or config.questions}: {len(kept)} held-out questions are too few to say anything; give more, or "
            "raise heldout_share"
        )
    return asked, kept


def _drawn(asked: Sequence[Question], config: LoopConfig) -> list[Question]:
    """A share of the questions by hashes of what they say, so that their order in the file does not matter."""
    lots = [int.from_bytes(hashlib.sha256(f"{config.seed}/{q.id}".encode()).digest()[:8], "big") for q in asked]
    mine, near = held_out([text_of(q.prompt) for q in asked], np.array(lots, np.uint64), config.heldout_share)
    if near:
        say(f"note: {near:,} questions are nearly the same as another one and stay on its side")
    return [question for question, held in zip(asked, mine, strict=True) if held]


def _questions(file: Path, *, as_chat: bool = False) -> list[Question]:
    """Each once. Raises InputError for a row that asks nothing."""
    found: dict[str, Question] = {}
    refused, rows, chats = [], 0, 0
    for item in iter_questions(file):
        rows += 1
        if isinstance(item, Refusal):
            refused.append(item)
            continue
        question = chat_of(item[1]) if as_chat else item[1]
        chats += not isinstance(item[1].prompt, str)
        found.setdefault(question.id, question)
    require_clean(refused, rows)
    if as_chat and chats == rows:
        raise ConfigError(f"as_chat does nothing: every question of {file} is a conversation already")
    return list(found.values())


def _rows(questions: Iterable[Question]) -> Iterable[dict[str, Any]]:
    for question in questions:
        prompt = question.prompt if isinstance(question.prompt, str) else [m.model_dump() for m in question.prompt]
        yield {"prompt": prompt, "tags": question.tags}


def hashed(config: LoopConfig) -> str:
    """Of the files' content."""
    files = [config.questions, *([config.heldout] if config.heldout is not None else [])]
    return content_id([hash_file(_there(file)) for file in files])
