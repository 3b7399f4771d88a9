"""A run on several ranks: who takes part, whether all were asked for the same, and who has the folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from rather.distributed.joining import joined
from rather.distributed.launch import launched
from rather.distributed.ranks import Ranks
from rather.distributed.watch import own_name
from rather.errors import ConfigError
from rather.model import pick_device
from rather.rundir import RunDir, open_run
from rather.training.config import TrainConfig


def ranks_of(config: TrainConfig) -> AbstractContextManager[Ranks]:
    """Those that a launcher started, for as long as the block lasts; one where none did."""
    _require_used(config)
    return joined(limit=config.rank_timeout, device=pick_device())


def require_same(ranks: Ranks, facts: Mapping[str, Any]) -> None:
    """Raise ConfigError where a rank was started with other options, data, model or versions than the first."""
    told = ranks.gathered((own_name(), {key: str(value) for key, value in facts.items()}), "what is to be trained")
    _, first = told[0]
    for rank, (name, theirs) in enumerate(told):
        for key in sorted(set(first) | set(theirs)):
            if first.get(key) != theirs.get(key):
                raise ConfigError(
                    f"rank {rank} ({name}) has {key} {_short(theirs.get(key))}, and rank 0 has {_short(first.get(key))}; "
                    "start every rank with the same command, files and versions"
                )


def _require_used(config: TrainConfig) -> None:
    """Raise ConfigError for an option that cannot act here."""
    launch = launched()
    if launch is None or launch.size == 1:
        for option in ("shard", "rank_timeout"):
            if option in config.model_fields_set:
                raise ConfigError(
                    f"--{option.replace('_', '-')} does nothing in one process; start several ranks with torchrun"
                )
    if config.shard:
        for flag, given in (
            ("--ref-sync-steps", config.ref_sync_steps is not None),
            ("--optimizer adamw_8bit", config.optimizer == "adamw_8bit"),
            ("--load-in-4bit", config.load_in_4bit),
        ):
            if given:
                raise ConfigError(f"--shard does not go with {flag}; leave one of them out")


@contextmanager
def opened(ranks: Ranks, path: Path, *, step: str, config: dict[str, Any], inputs: dict[str, str]) -> Iterator[RunDir]:
    """The run's folder, which the first rank takes for all of them."""
    if not ranks.first:
        identity, done, resumed = ranks.of_first(lambda: None, "the folder of the run")
        yield RunDir(path, identity, done=done, resumed=resumed)
        return
    with open_run(path, step=step, config=config, inputs=inputs) as run:
        ranks.of_first(lambda: (run.identity, run.done, run.resumed), "the folder of the run")
        yield run


def _short(value: str | None) -> str:
    return "nothing" if value is None else value if len(value) <= 24 else f"{value[:21]}…"
