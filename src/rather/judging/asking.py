"""Asking a model that judges: the seam, a model in this process, an OpenAI-compatible server, and the memory of what was asked.

    Ask = (prompts) -> replies, one each, in order

Everything that is asked is kept by content in the cache folder, as soon as it is answered.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rather.errors import JudgeError, ModelError
from rather.judging.base import needs
from rather.judging.prompts import Form
from rather.progress import say
from rather.records import Message, Prompt
from rather.rundir import atomic_file

Ask = Callable[[Sequence[Prompt]], list[str]]

# Prompts that go to a model before what it said is kept: what a kill can cost.
AT_ONCE = 16


class Refused(Exception):
    """Raised by an Ask for a prompt that its model cannot be asked."""

    def __init__(self, prompt: Prompt, reason: str) -> None:
        super().__init__(reason)
        self.prompt = prompt
        self.reason = reason


class Remembering:
    """An Ask that asks another one only what was never asked before with the same `key`; `asked` counts what was.

    key: everything but the prompt that a reply depends on (model, form, parameters).
    at_once: how many prompts that one is given before what it said is kept.
    open: makes the Ask behind it, once it is needed: a run whose replies are all known loads no model.
    """

    def __init__(self, open: Callable[[], Ask], *, key: dict[str, Any], folder: Path, at_once: int = AT_ONCE) -> None:
        self._open, self._key, self._folder, self.at_once = open, key, folder, at_once
        self._ask: Ask | None = None
        self._said = False
        self.asked = 0

    def __call__(self, prompts: Sequence[Prompt]) -> list[str]:
        files = [self._file(prompt) for prompt in prompts]
        known: dict[Path, str] = {}
        missing: dict[Path, Prompt] = {}
        for file, prompt in zip(files, prompts, strict=True):
            reply = _kept(file)
            if reply is None:
                missing[file] = prompt
            else:
                known[file] = reply
        waiting = list(missing.items())
        for start in range(0, len(waiting), self.at_once):
            part = waiting[start : start + self.at_once]
            self._ask = self._ask or self._open()
            replies = self._ask([prompt for _, prompt in part])
            for (file, prompt), reply in zip(part, replies, strict=True):
                known[file] = reply
                self._remember(file, {"key": self._key, "prompt": _plain(prompt), "reply": reply})
            self.asked += len(part)
        return [known[file] for file in files]

    def _remember(self, file: Path, entry: dict[str, Any]) -> None:
        """A cache that cannot be written costs the next run time and this one nothing."""
        try:
            _keep(file, entry)
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


def server(
    model: str, form: Form | None, *, url: str, max_new_tokens: int, concurrency: int, timeout: float, retries: int
) -> Ask:
    """An OpenAI-compatible server, at temperature 0. With a form it is asked to hold the model to it, once it is known to.

    The key is taken from OPENAI_API_KEY. Raises JudgeError where the server does not answer.
    """
    openai = needs("openai", "api")
    holds = form is not None

    async def one(client: Any, gate: asyncio.Semaphore, prompt: Prompt) -> str:
        nonlocal holds
        turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [t.model_dump() for t in prompt]
        given: dict[str, Any] = {"model": model, "messages": turns, "temperature": 0.0, "max_tokens": max_new_tokens}
        async with gate:
            refused = None
            if holds and form is not None:
                try:
                    return _text(await client.chat.completions.create(**given, response_format=_response_format(form)))
                except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                    refused = error
            try:
                text = _text(await client.chat.completions.create(**given))
            except openai.BadRequestError as error:  # most often it is too long
                raise Refused(prompt, f"{url} says {error.status_code} to {model}: {_said(error)}") from error
            if refused is not None and holds:  # it was the form, and nothing else
                say(f"note: {url} does not hold {model} to a form ({_said(refused)}); replies are read as they come")
                holds = False
            return text

    async def all_of(prompts: Sequence[Prompt]) -> list[str]:
        gate = asyncio.Semaphore(concurrency)
        key = os.environ.get("OPENAI_API_KEY") or "none"
        async with openai.AsyncOpenAI(base_url=url, api_key=key, timeout=timeout, max_retries=retries) as client:
            work = [asyncio.ensure_future(one(client, gate, prompt)) for prompt in prompts]
            try:
                return await asyncio.gather(*work)
            finally:
                for job in work:
                    job.cancel()

    def ask(prompts: Sequence[Prompt]) -> list[str]:
        with _blaming(openai, url, model, timeout):
            return asyncio.run(all_of(prompts))

    return ask


@contextmanager
def _blaming(openai: Any, url: str, model: str, timeout: float) -> Iterator[None]:
    """What the client raises, as one line with a cure."""
    try:
        yield
    except openai.APITimeoutError as error:
        raise JudgeError(f"{url} gave no answer in {timeout:g} s; raise --timeout. What was asked is kept") from error
    except openai.APIConnectionError as error:
        reason = _said(error.__cause__ or error)
        raise JudgeError(f"{url} cannot be reached ({reason}); start it, and run the same command again") from error
    except openai.APIStatusError as error:
        raise JudgeError(
            f"{url} says {error.status_code} to {model}: {_said(error)}; what was asked is kept"
        ) from error


def _text(completion: Any) -> str:
    return completion.choices[0].message.content or "" if completion.choices else ""


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


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
