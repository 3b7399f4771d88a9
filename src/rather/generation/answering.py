"""Who answers: a backend in this process, or the same one in every worker of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import ModuleType

from rather.errors import RatherError
from rather.generation.config import GenerateConfig
from rather.generation.plan import Answer, Ask
from rather.onray.spread import Workers

Done = Callable[[Ask, Answer], None]

# Asks that a worker is given at once, where a backend has batches of its own (vLLM) or keeps a server busy.
_VLLM_BLOCK, _ROUNDS = 1024, 4


@dataclass(frozen=True)
class Answerer:
    """A backend (a module of `BACKENDS`), how it is to answer, and the workers that do it, if not this process."""

    backend: ModuleType
    config: GenerateConfig
    workers: Workers | None = None

    def answer(self, model: str, asks: Sequence[Ask], done: Done) -> None:
        """Answer every ask, calling `done` with each answer once it is there. Raises what the backend raises."""
        if self.workers is None:
            self.backend.answer(model, asks, self.config, done)
            return
        work = partial(_of_some, self.backend.__name__, model, self._of_one(self.workers.count))
        environment = [self.config.api_key_env] if self.config.api else []
        found = self.workers.each(work, asks, block=self._block, model=self.config.api is None, environment=environment)
        for place, answer in found:
            done(asks[place], answer)

    def _of_one(self, workers: int) -> GenerateConfig:
        """What one of so many workers is told: what a server may be asked at once is dealt among them."""
        pace = self.config.requests_per_minute
        return self.config.model_copy(update={
            "concurrency": max(1, self.config.concurrency // workers),
            "requests_per_minute": None if pace is None else pace / workers,
        })  # fmt: skip

    @property
    def _block(self) -> int:
        if self.config.api is not None:
            return _ROUNDS * self.config.concurrency
        return _VLLM_BLOCK if self.config.backend == "vllm" else self.config.batch


def _of_some(backend: str, model: str, config: GenerateConfig, asks: Sequence[Ask]) -> Iterator[tuple[int, Answer]]:
    """(place, answer), those that were there before an error, too."""
    places = {ask.key: place for place, ask in enumerate(asks)}
    found: list[tuple[int, Answer]] = []
    failed: RatherError | None = None
    try:
        import_module(backend).answer(model, asks, config, lambda ask, answer: found.append((places[ask.key], answer)))
    except RatherError as error:
        failed = error
    yield from found
    if failed is not None:
        raise failed
