"""Several runs on the same pairs, one for each combination of options; they share one reference."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rather.config import did_you_mean
from rather.errors import ConfigError
from rather.formats import Source, name_of
from rather.progress import say
from rather.rundir import require_usable
from rather.training.config import NEUTRAL_OPTIONS, TrainConfig
from rather.training.material import Material, read_material, require_fit, require_runnable, seen_by
from rather.training.ranked import opened, ranks_of
from rather.training.run import TrainResult, train_on


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

    Every combination is checked, also against the pairs and the model, before the first is trained. The same call goes on
    where a killed one stopped.
    Raises ConfigError for a combination that cannot be, and what `train` raises.
    """
    base, out = config or TrainConfig(), Path(out)
    for option in grid:
        if option in NEUTRAL_OPTIONS:
            raise ConfigError(
                f"--sweep {option}=…: changes nothing that a run makes; give --{option.replace('_', '-')} itself"
            )
        if option in base.model_fields_set:
            raise ConfigError(f"--{option.replace('_', '-')} does nothing beside --sweep {option}=…; leave it out")
    configs = {name: _combined(base, name, values) for name, values in combinations(grid).items()}
    _require_different(configs)
    identity = {
        **base.model_dump(exclude=set(NEUTRAL_OPTIONS)),
        "grid": {key: list(values) for key, values in grid.items()},
    }
    inputs = {"model": model, "pairs": name_of(pairs)}
    with ranks_of(base) as ranks:
        if ranks.first:
            require_usable(out)
        materials = _materials(configs, pairs, model, options)
        with opened(ranks, out, step="train sweep", config=identity, inputs=inputs) as run:
            results = {}
            for number, (name, own) in enumerate(configs.items(), start=1):
                say(f"sweep: {name} ({number} of {len(configs)})")
                results[name] = train_on(materials[name], out=out / name, config=own)
            if ranks.first and not run.done:
                run.finish(outputs=tuple(configs), runs=list(configs))
    return SweepResult(out, results)


def _materials(
    configs: Mapping[str, TrainConfig], pairs: Source, model: str, options: Mapping[str, Any]
) -> dict[str, Material]:
    """What each combination is trained on, read once for all that see it alike, and checked with every combination."""
    read: dict[tuple[object, ...], Material] = {}
    found = {}
    for name, config in configs.items():
        with _blaming(name):
            require_runnable(config, heldout=options.get("heldout"))
            key = seen_by(config)
            if key not in read:
                read[key] = read_material(pairs, model=model, config=config, **options)
            require_fit(read[key], config)
        found[name] = read[key]
    return found


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


def _require_different(configs: Mapping[str, TrainConfig]) -> None:
    seen: dict[str, str] = {}
    for name, config in configs.items():
        same = seen.setdefault(config.model_dump_json(exclude=set(NEUTRAL_OPTIONS)), name)
        if same != name:
            raise ConfigError(f"--sweep: {same} and {name} are the same run; leave one of them out")


def _combined(base: TrainConfig, name: str, values: Mapping[str, Any]) -> TrainConfig:
    with _blaming(name):
        return base.changed(values)


@contextmanager
def _blaming(name: str) -> Iterator[None]:
    """A combination that cannot be is named."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"--sweep: {name}: {error}") from error
