"""Send a run's metrics to a tracker besides `metrics.jsonl`. To add one, write a function and one line in `TRACKERS`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rather.errors import ConfigError

Log = Callable[[Mapping[str, float]], None]
"""Takes a row of `metrics.jsonl`."""

PROJECT = "rather"


@contextmanager
def tensorboard(out: Path, config: Mapping[str, Any]) -> Iterator[Log]:
    """Event files in `out/tensorboard`."""
    summary = import_module("torch.utils.tensorboard")
    writer = summary.SummaryWriter(out / "tensorboard")
    try:
        writer.add_text("config", "\n".join(f"    {key} = {value}" for key, value in config.items()))

        def log(row: Mapping[str, float]) -> None:
            for name, value in row.items():
                if name != "step":
                    writer.add_scalar(name, value, int(row["step"]))

        yield log
    finally:
        writer.close()


@contextmanager
def wandb(out: Path, config: Mapping[str, Any]) -> Iterator[Log]:
    """Weights & Biases, under the run's folder name; WANDB_MODE=offline keeps it in `out/wandb`."""
    module = import_module("wandb")
    run = module.init(project=PROJECT, name=out.name, dir=out, config=dict(config), resume="allow", id=_run_id(out))
    try:
        yield lambda row: run.log(_values(row), step=int(row["step"]))
    finally:
        run.finish()


@contextmanager
def mlflow(out: Path, config: Mapping[str, Any]) -> Iterator[Log]:
    """MLflow, at MLFLOW_TRACKING_URI."""
    module = import_module("mlflow")
    module.set_experiment(PROJECT)
    with module.start_run(run_name=out.name):
        module.log_params({key: str(value)[:250] for key, value in config.items()})
        yield lambda row: module.log_metrics(_values(row), step=int(row["step"]))


@contextmanager
def trackio(out: Path, config: Mapping[str, Any]) -> Iterator[Log]:
    """Trackio, on this machine."""
    module = import_module("trackio")
    module.init(project=PROJECT, name=out.name, config=dict(config), resume="allow")
    try:
        yield lambda row: module.log(_values(row), step=int(row["step"]))
    finally:
        module.finish()


TRACKERS = {"tensorboard": tensorboard, "wandb": wandb, "mlflow": mlflow, "trackio": trackio}


@contextmanager
def tracked(names: Sequence[str], out: Path, config: Mapping[str, Any]) -> Iterator[Log]:
    """One function that logs to every tracker named."""
    with ExitStack() as stack:
        logs = [stack.enter_context(TRACKERS[name](out, config)) for name in names]

        def log(row: Mapping[str, float]) -> None:
            for one in logs:
                one(row)

        yield log


def require_installed(names: Sequence[str]) -> None:
    """Raise ConfigError for a tracker whose package is not there, before anything is done."""
    for name in names:
        if find_spec(name) is None:
            raise ConfigError(f"--track {name} needs the package {name}; pip install {name}")


def _values(row: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in row.items() if name != "step"}


def _run_id(out: Path) -> str:
    """The same for the same folder, so that a resumed run goes on in its place."""
    return hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:16]
