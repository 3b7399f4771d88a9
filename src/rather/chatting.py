"""Talk to one model, or to two side by side, in the terminal."""

from __future__ import annotations

import sys

from pydantic import ValidationError
from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from rather.errors import ConfigError, InputError
from rather.generation import sample
from rather.model import Loaded, Renderer, load
from rather.records import Message, Question


def chat(
    model: str,
    other: str | None = None,
    *,
    system_prompt: str | None = None,
    temperature: float = 0.0,
    max_new_tokens: int = 200,
    seed: int = 0,
) -> None:
    """Read questions line by line until an empty line or the end of input; each model keeps its own conversation."""
    if temperature < 0 or max_new_tokens < 1:
        raise ConfigError("--temperature must be 0 or more and --max-new-tokens 1 or more")
    if seed and not temperature:
        raise ConfigError("--seed does nothing at --temperature 0, where no answer is sampled")
    console = Console(highlight=False)
    speakers = [_Speaker(load(name), name, system_prompt) for name in (model, other) if name is not None]
    while True:
        question = _ask(console)
        if not question:
            return
        answers = [
            speaker.answer(question, temperature=temperature, max_new_tokens=max_new_tokens, seed=seed)
            for speaker in speakers
        ]
        if len(speakers) == 1:
            console.print(Text(answers[0]))
        else:
            width = max(20, console.width // len(speakers) - 1)
            panels = [Panel(Text(a), title=Text(s.name), width=width) for s, a in zip(speakers, answers, strict=True)]
            console.print(Columns(panels, padding=0))


class _Speaker:
    """A model and its side of the conversation."""

    def __init__(self, loaded: Loaded, name: str, system_prompt: str | None) -> None:
        self.loaded, self.name = loaded, name
        self.renderer = Renderer(loaded.tokenizer, stop_tokens=loaded.stop_tokens, system_prompt=system_prompt)
        self.messages: tuple[Message, ...] = ()

    def answer(self, question: str, *, temperature: float, max_new_tokens: int, seed: int) -> str:
        try:
            self.messages += (Message(role="user", content=question),)
        except ValidationError as error:  # a NUL, or bytes that were no UTF-8
            raise InputError(f"the question {_reason(error)}; type or pipe plain text") from error
        answer = sample(
            self.loaded,
            self.renderer,
            [Question(prompt=self.messages)],
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed + len(self.messages),
        )[0].text
        self.messages += (Message(role="assistant", content=answer),)
        return answer


def _reason(error: ValidationError) -> str:
    return error.errors()[0]["msg"].removeprefix("Value error, ")


def _ask(console: Console) -> str:
    if sys.stdin.isatty():
        try:
            return console.input("[bold]> [/bold]").strip()
        except EOFError:
            return ""
    try:
        return sys.stdin.readline().strip()
    except UnicodeDecodeError as error:
        raise InputError("the input is not UTF-8; save or pipe it as UTF-8") from error
