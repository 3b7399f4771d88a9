"""Ranks as processes of their own, started as torchrun starts them but by hand, so that each one's end can be seen."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@dataclass
class Ended:
    """How one rank ended."""

    status: int
    out: str
    err: str


def start(
    command: Sequence[str],
    *,
    size: int,
    port: int | None = None,
    only: Sequence[int] | None = None,
    env: Mapping[str, str] | None = None,
    commands: Mapping[int, Sequence[str]] | None = None,
) -> list[subprocess.Popen[str]]:
    """`python COMMAND` once a rank. only: the ranks that are started. commands: those of ranks asked for something else."""
    port = port or free_port()
    found = []
    for rank in range(size) if only is None else only:
        own = {
            **os.environ, "RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(size),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1", "RATHER_DEVICE": "cpu", **(env or {}),
        }  # fmt: skip
        found.append(
            subprocess.Popen(
                [sys.executable, *((commands or {}).get(rank) or command)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=own,
                cwd=Path(__file__).parents[2],
            )
        )
    return found


def ended(processes: Sequence[subprocess.Popen[str]], *, within: float = 300) -> list[Ended]:
    """How each ended; those that did not in time are killed, and the test fails."""
    try:
        found = []
        for process in processes:
            out, err = process.communicate(timeout=within)
            found.append(Ended(process.returncode, out, err))
        return found
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.communicate()
