"""Several runs on the same pairs, one for each combination of options; they share one reference."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rather.config import did_you_mean
from rather.errors import ConfigError
from rather.formats import Source, name_of
from rather.progress import say
from rather.rundir import open_run, require_usable
from rather.training.config import NOT_IDENTITY, TrainConfig
from rather.training.run import TrainResult, train


@dataclass(frozen=True)
class SweepResult:
    """Where the runs are, by the name of their combination."""

    out: Path
    runs: dict[str, TrainResult]


def sweep(
    pairs: Source,
    *,
    model: str,
    out: str | Path,
    grid: Mapping[str, Sequence[Any]],
    config: TrainConfig | None = None,
    **options: Any,
) -> SweepResult:
    """Train once for every combination of `grid` (option → values) into `out/NAME`, over `config`; options as for `train`.

    Every combination is checked before the first is trained. The same call goes on where a killed one stopped.
    Raises ConfigError for a combination that cannot be, and what `train` raises.
    """
    base, out = config or TrainConfig(), Path(out)
    for option in grid:
        if option in base.model_fields_set:
            raise ConfigError(f"--{option.replace('_', '-')} does nothing beside --sweep {option}=…; leave it out")
    require_usable(out)
    configs = {name: _combined(base, name, values) for name, values in combinations(grid).items()}
    identity = {
        **base.model_dump(exclude={*NOT_IDENTITY}),
        "grid": {key: list(values) for key, values in grid.items()},
    }
    with open_run(out, step="train sweep", config=identity, inputs={"model": model, "pairs": name_of(pairs)}) as run:
        results = {}
        for number, (name, own) in enumerate(configs.items(), start=1):
            say(f"sweep: {name} ({number} of {len(configs)})")
            results[name] = train(pairs, model=model, out=out / name, config=own, **options)
        if not run.done:
            run.finish(outputs=tuple(configs), runs=list(configs))
    return SweepResult(out, results)


def combinations(grid: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, Any]]:
    """Folder name → option values, for every combination, the first option turning slowest."""
    if not grid:
        raise ConfigError("--sweep needs at least one option=value,value")
    found = {}
    for values in itertools.product(*grid.values()):
        chosen = dict(zip(grid, values, strict=True))
        name = ",".join(f"{key}={value}" for key, value in chosen.items()).replace("/", "_")
        if name in found:
            raise ConfigError(f"--sweep: {name} stands there twice")
        found[name] = chosen
    return found


def parse_grid(entries: Sequence[str]) -> dict[str, list[str]]:
    """`option=value,value` entries as option → values. Raises ConfigError for an option that there is not."""
    grid: dict[str, list[str]] = {}
    for entry in entries:
        option, parted, values = entry.partition("=")
        key = option.removeprefix("--").replace("-", "_")
        if key not in TrainConfig.model_fields:
            raise ConfigError(
                f'--sweep: no option is called "{option}"{did_you_mean(key, list(TrainConfig.model_fields))}'
            )
        if not parted or not all(value.strip() for value in values.split(",")):
            raise ConfigError(f"--sweep {entry}: write {option}=value,value")
        if key in grid:
            raise ConfigError(f"--sweep: {option} stands there twice; put its values behind one =")
        if key == "loss" and ":" in values:
            raise ConfigError(f"--sweep {entry}: a comma parts the values, so a mixture cannot be one of them")
        grid[key] = [value.strip() for value in values.split(",")]
    return grid


def _combined(base: TrainConfig, name: str, values: Mapping[str, Any]) -> TrainConfig:
    try:
        return base.changed(values)
    except ConfigError as error:
        raise ConfigError(f"--sweep: {name}: {error}") from error
