"""The cluster that a command works on: one of its own on this machine, or one that is running."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rather.errors import ClusterError, ConfigError

# Seconds that a running cluster has to answer at all.
REACH_SECONDS = 10.0

# Ray's sockets lie below its folder, and the name of a socket may have 107 bytes.
_LONGEST_FOLDER = 24


@dataclass(frozen=True)
class Wanted:
    """How many workers, and on which cluster: HOST:PORT of its head, or "auto" for the one this machine is part of.

    Without an address the cluster is the one that RAY_ADDRESS names, or one of this run's own, which ends with it.
    """

    workers: int
    address: str | None = None

    @property
    def place(self) -> str | None:
        return self.address or os.environ.get("RAY_ADDRESS") or None


def wanted(ray: int | None, ray_address: str | None) -> Wanted | None:
    """What `--ray` and `--ray-address` ask for; None where nobody asks. Raises ConfigError for what is known to be impossible."""
    if ray is None:
        if ray_address is not None:
            raise ConfigError("--ray-address does nothing without --ray, the number of workers")
        return None
    if ray < 1:
        raise ConfigError(f"--ray {ray}: must be 1 or more")
    if find_spec("ray") is None:
        raise ConfigError("--ray needs ray; pip install 'rather[ray]'")
    asked = Wanted(ray, ray_address)
    if asked.place is None and ray > (cores := own_cores()):
        raise ConfigError(
            f"--ray {ray}: this machine has {cores} CPU{'s' * (cores != 1)}; give at most as many workers, or name a cluster with "
            "--ray-address"
        )
    if asked.place is not None and asked.place.startswith("ray://"):
        raise ConfigError(
            f"--ray-address {asked.place}: Ray Data does not work through Ray Client; run the command on a machine of the cluster "
            "with its HOST:PORT or auto, or send it there with `ray job submit`"
        )
    return asked


def own_cores() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def connected(asked: Wanted) -> Iterator[dict[str, float]]:
    """What the cluster has (CPU, GPU), for as long as the block lasts. Raises ClusterError.

    One that the process is connected to already is used as it is, and left as it was.
    """
    ray = package()
    if ray.is_initialized():
        yield _enough(asked, ray.cluster_resources())
        return
    folder = None if asked.place else _folder()
    _hush(ray, quiet=True)
    try:
        if asked.place is None:
            _start(ray, str(folder))
        else:
            _reach(asked.place)
            _connect(ray, asked.place)
        yield _enough(asked, ray.cluster_resources())
    finally:
        ray.shutdown()
        _hush(ray, quiet=False)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def wants_gpu(resources: dict[str, float], workers: int) -> bool:
    """Whether each worker that runs a model gets a GPU. Raises ClusterError where there are some, and too few."""
    gpus = int(resources.get("GPU", 0))
    if gpus == 0 or os.environ.get("RATHER_DEVICE") == "cpu":
        return False
    if gpus < workers:
        raise ClusterError(
            f"--ray {workers}: the cluster has {gpus} GPU{'s' * (gpus != 1)} for them; lower it, or set RATHER_DEVICE=cpu"
        )
    return True


def package() -> Any:
    """The package, told to be quiet before it is there: it reads these once."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # workers are all that runs, and wait for nobody
    import ray

    return ray


def _hush(ray: Any, *, quiet: bool) -> None:
    """Ray tells every driver of every worker that dies, in its own words; we say in one line what is done about it."""
    with suppress(AttributeError):
        ray._private.worker._worker_logs_enabled = not quiet


def _start(ray: Any, folder: str) -> None:
    """A cluster of this machine. Ray gives itself half a minute for it, which a busy machine may not have: two attempts."""
    for attempt in (1, 2):
        try:
            with _muted():
                ray.init(
                    address="local",
                    num_cpus=own_cores(),
                    include_dashboard=False,
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                    _temp_dir=folder,
                )
            return
        except Exception as error:  # Ray raises what its processes leave, of any kind
            with suppress(Exception):
                ray.shutdown()
            if attempt == 2:
                raise ClusterError(
                    f"a Ray cluster could not be started on this machine: {first_line(error)}"
                ) from error


def _connect(ray: Any, place: str) -> None:
    try:
        with _muted():
            ray.init(address=place, logging_level=logging.ERROR, log_to_driver=False)
    except Exception as error:
        raise ClusterError(
            f"the Ray cluster at {place} cannot be joined: {first_line(error)}; run the command on one of its machines, with the "
            "same versions of Python and ray"
        ) from error


@contextmanager
def _muted() -> Iterator[None]:
    """Without what Ray's C++ writes to stderr while it comes up, whatever level it is told: what fails is raised as well."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _reach(place: str) -> None:
    """Raise ClusterError where nobody listens: Ray itself would try for minutes."""
    if place in ("auto", "local"):
        return
    host, _, port = place.rpartition(":")
    if not host or not port.isdigit():
        raise ClusterError(f"--ray-address {place}: must be HOST:PORT of the cluster's head (6379, mostly), or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"no Ray cluster answers at {place} ({getattr(error, 'strerror', None) or error}); is it running (`ray status`), and "
            "is the port the one of its head?"
        ) from error


def _enough(asked: Wanted, resources: dict[str, float]) -> dict[str, float]:
    cpus = int(resources.get("CPU", 0))
    if cpus < asked.workers:
        raise ClusterError(f"--ray {asked.workers}: the cluster has {cpus} CPUs, and each worker takes one; lower it")
    return resources


def _folder() -> Path:
    usual = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="rather-ray-", dir=usual if len(usual) <= _LONGEST_FOLDER else "/tmp"))


def first_line(error: BaseException) -> str:
    """What an error says, in short."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
