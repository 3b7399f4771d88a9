"""Asking a model that judges: the seam, a model in this process, an OpenAI-compatible server, and the memory of what was asked.

    Ask = (prompts) -> replies, one each, in order; a Refused in the place of one that the model cannot be asked

Everything that is asked is kept by content in the cache folder, of a server as soon as each reply is there.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rather.errors import ModelError
from rather.generation.server import Server, at_once
from rather.judging.prompts import Form
from rather.progress import say
from rather.records import Message, Prompt
from rather.rundir import atomic_file

# Prompts that go to a model before what it said is kept: what a kill can cost.
AT_ONCE = 16


class Refused(Exception):
    """Raised, or given in place of a reply, by an Ask for a prompt that its model cannot be asked."""

    def __init__(self, prompt: Prompt, reason: str) -> None:
        super().__init__(reason)
        self.prompt = prompt
        self.reason = reason


Ask = Callable[[Sequence[Prompt]], Sequence[str | Refused]]
Heard = Callable[[Prompt, str], None]


class Remembering:
    """An Ask that asks another one only what was never asked before with the same `key`; `asked` counts what was.

    key: everything but the prompt that a reply depends on (model, form, parameters).
    at_once: how many prompts that one is given before what it said is kept.
    open: makes the Ask behind it, once it is needed: a run whose replies are all known loads no model.
    """

    def __init__(self, open: Callable[[], Ask], *, key: dict[str, Any], folder: Path, at_once: int = AT_ONCE) -> None:
        self._open, self._key, self._folder, self.at_once = open, key, folder, at_once
        self._ask: Ask | None = None
        self._refused: dict[Path, Refused] = {}
        self._heard: set[Path] = set()
        self._said = False
        self.asked = 0

    def __call__(self, prompts: Sequence[Prompt]) -> list[str]:
        """The replies. Raises Refused for the first prompt that the model cannot be asked; what was answered is kept."""
        files = [self._file(prompt) for prompt in prompts]
        known: dict[Path, str] = {}
        missing: dict[Path, Prompt] = {}
        for file, prompt in zip(files, prompts, strict=True):
            if file in self._refused:
                raise self._refused[file]
            reply = _kept(file)
            if reply is None:
                missing[file] = prompt
            else:
                known[file] = reply
        waiting = list(missing.items())
        for start in range(0, len(waiting), self.at_once):
            known |= self._asked(waiting[start : start + self.at_once])
        refused = next((self._refused[file] for file in files if file in self._refused), None)
        if refused is not None:
            raise refused
        return [known[file] for file in files]

    def _asked(self, part: Sequence[tuple[Path, Prompt]]) -> dict[Path, str]:
        """Replies to what is not known, which are known from here on."""
        self._ask = self._ask or self._open()
        self._heard.clear()
        known: dict[Path, str] = {}
        for (file, prompt), reply in zip(part, self._ask([prompt for _, prompt in part]), strict=True):
            if isinstance(reply, Refused):
                self._refused[file] = reply
                continue
            known[file] = reply
            if file not in self._heard:
                self.heard(prompt, reply)
            self.asked += 1
        return known

    def heard(self, prompt: Prompt, reply: str) -> None:
        """Keep a reply. A cache that cannot be written costs the next run time and this one nothing."""
        file = self._file(prompt)
        self._heard.add(file)
        try:
            _keep(file, {"key": self._key, "prompt": _plain(prompt), "reply": reply})
        except OSError as error:
            if not self._said:
                say(f"note: what is asked is not kept for later runs: {error}")
            self._said = True

    def _file(self, prompt: Prompt) -> Path:
        name = hashlib.sha256(json.dumps([self._key, _plain(prompt)], sort_keys=True).encode()).hexdigest()
        return self._folder / name[:2] / f"{name}.json"


def in_process(model: str, form: Form | None, *, max_new_tokens: int, dtype: str) -> Ask:
    """A model in this process, greedy. With a form of few replies it takes the likeliest of them and can say nothing else."""
    import torch

    from rather.generation import sample
    from rather.judging.choosing import chooser
    from rather.model import Renderer, load
    from rather.records import Question

    loaded = load(model)
    precision = torch.bfloat16 if dtype == "bf16" else torch.float32
    renderer = Renderer(loaded.tokenizer, max_length=loaded.window or 1 << 20, stop_tokens=loaded.stop_tokens)
    if not renderer.has_template:
        raise ModelError(f"{model} has no chat template, so it cannot be asked to judge; name a chat model")
    special = [str(token) for token in loaded.tokenizer.all_special_tokens if len(str(token)) > 1]
    choose = chooser(loaded, renderer, form.replies, precision) if form is not None and form.replies else None

    def ask(prompts: Sequence[Prompt]) -> list[str]:
        safe = [_unspecial(prompt, special) for prompt in prompts]
        for prompt, text in zip(prompts, safe, strict=True):
            length = len(renderer.prompt_tokens(text))
            if loaded.window is not None and length + max_new_tokens > loaded.window:
                raise Refused(prompt, f"what is asked has {length:,} tokens, and {model} takes {loaded.window:,}")
        if choose is not None:
            return [choose(prompt) for prompt in safe]
        questions = [Question(prompt=prompt) for prompt in safe]
        return [
            answer.text
            for answer in sample(
                loaded, renderer, questions, max_new_tokens=max_new_tokens, temperature=0.0, dtype=precision
            )
        ]

    return ask


def from_server(
    model: str, form: Form | None, *, server: Server, max_new_tokens: int, concurrency: int, heard: Heard
) -> Ask:
    """A model behind an OpenAI-compatible server, greedy. With a form it is held to it, where the server knows how.

    heard: called with each reply as it comes. Raises ServerError where the server is at its end.
    """
    holds = form is not None

    async def one(prompt: Prompt) -> str | Refused:
        nonlocal holds
        turns = (Message(role="user", content=prompt),) if isinstance(prompt, str) else prompt
        refused = None
        if holds and form is not None:
            answer = await server.ask(model, turns, max_new_tokens=max_new_tokens, form=_response_format(form))
            if answer.refused is None:
                return answer.text
            refused = answer.refused
        answer = await server.ask(model, turns, max_new_tokens=max_new_tokens)
        if answer.refused is not None:  # most often it is too long
            return Refused(prompt, answer.refused)
        if refused is not None and holds:  # it was the form, and nothing else
            say(f"note: {server.url} does not hold {model} to a form: {refused}; replies are read as they come")
            holds = False
        return answer.text

    async def all_of(prompts: Sequence[Prompt], replies: dict[int, str | Refused]) -> None:
        async def work(item: tuple[int, Prompt]) -> None:
            place, prompt = item
            reply = replies[place] = await one(prompt)
            if isinstance(reply, str):
                heard(prompt, reply)

        async with server:
            await at_once(server, enumerate(prompts), work, concurrency=min(concurrency, len(prompts)))

    def ask(prompts: Sequence[Prompt]) -> list[str | Refused]:
        replies: dict[int, str | Refused] = {}
        asyncio.run(all_of(prompts, replies))
        return [replies[place] for place in range(len(prompts))]

    return ask


def _response_format(form: Form) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": form.schema}}


def _unspecial(prompt: Prompt, special: Sequence[str]) -> Prompt:
    """The conversation without spellings of this very tokenizer's special tokens."""
    if isinstance(prompt, str):
        return prompt
    turns = []
    for turn in prompt:
        content = turn.content
        for token in special:
            content = content.replace(token, token[0] + "\u200b" + token[1:])
        turns.append(Message(role=turn.role, content=content))
    return tuple(turns)


def _plain(prompt: Prompt) -> Any:
    return prompt if isinstance(prompt, str) else [turn.model_dump() for turn in prompt]


def _kept(file: Path) -> str | None:
    """The reply in a file of the cache; None where there is none, or a power cut damaged it."""
    try:
        reply = json.loads(file.read_text(encoding="utf-8")).get("reply")
    except (OSError, ValueError, AttributeError):
        return None
    return reply if isinstance(reply, str) else None


def _keep(file: Path, entry: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(file) as opened:
        json.dump(entry, opened, ensure_ascii=True)  # whatever a model said, a lone surrogate too
