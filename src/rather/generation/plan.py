"""What is asked: one `Ask` an answer, its seed decided by what it asks for and by nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rather.errors import ConfigError
from rather.formats.questions import Placed
from rather.generation.config import GenerateConfig
from rather.records import Message, Prompt, Question, content_id, told
from rather.records.tools import TOOLS


@dataclass(frozen=True)
class Ask:
    """One answer that is wanted.

    place   where the question stands (file:line)
    number  which of the answers asked for in the same words, from 0
    system  a system prompt that is not in the question
    """

    place: str
    question: Question
    model: str
    temperature: float
    system: str | None
    number: int
    seed: int

    @property
    def key(self) -> str:
        """Names the answer in the log: the same command asks for the same keys."""
        return content_id([self.question.id, self.model, self.system, self.temperature, self.number, self.seed])

    @property
    def prompt(self) -> Prompt:
        """What the model is given."""
        if self.system is None or isinstance(self.question.prompt, str):
            return self.question.prompt
        first, *rest = self.question.prompt
        system = Message(role="system", content=self.system)
        return (first, system, *rest) if first.role == TOOLS else (system, first, *rest)


@dataclass(frozen=True)
class Answer:
    """What came of an `Ask`. `refused` says why nothing did."""

    text: str = ""
    tokens: tuple[int, ...] | None = None
    finished: bool | None = None
    refused: str | None = None


def plan(questions: Sequence[Placed], models: Sequence[str], config: GenerateConfig) -> Iterator[Ask]:
    """Every answer that is wanted, question by question."""
    require_system_prompts_act(questions, config)
    for place, question in questions:
        for place_of_model, model in enumerate(models):
            for system in systems(question, config):
                for temperature in config.temperature:
                    for number in range(config.n if temperature > 0 else 1):
                        # Not by the model's name: the same model in another folder gives the same answers.
                        seed = seed_of(config.seed, question.id, place_of_model, system, temperature, number)
                        yield Ask(place, question, model, temperature, system, number, seed)


def systems(question: Question, config: GenerateConfig) -> tuple[str | None, ...]:
    """The system prompts that a question is asked with; its own system turn stays."""
    if not config.system_prompt or not _takes_system(question):
        return (None,)
    return (None, *config.system_prompt) if config.also_plain else config.system_prompt


def require_system_prompts_act(questions: Sequence[Placed], config: GenerateConfig) -> None:
    """Raise ConfigError where a system prompt was given and no question takes it."""
    if config.system_prompt and not any(_takes_system(question) for _, question in questions):
        raise ConfigError("--system-prompt does nothing: no question is a conversation without a system turn")


def seed_of(*parts: object) -> int:
    """31 bits of the SHA-256 of `parts`: every server takes them."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big") >> 1


def _takes_system(question: Question) -> bool:
    return not isinstance(question.prompt, str) and told(question.prompt)[1][0].role != "system"
