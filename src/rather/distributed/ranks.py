"""The ranks of a run, and all that they ever say to each other. One process is the case in which nothing needs saying."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from rather.distributed.watch import Watch

T = TypeVar("T")

# How often a rank that waits looks up: has another failed, was it stopped, has it waited too long?
LOOK_UP = timedelta(seconds=0.5)

# Tensors of fewer bytes are summed over ranks together: the way of a message costs more than its bytes.
SMALL = 1 << 20


class Ranks:
    """A run in one process: every method answers for one rank alone."""

    rank, size, local_rank, local_size = 0, 1, 0, 1
    sharded = False  # whether each holds a part of every weight, so that all must compute at once

    @property
    def first(self) -> bool:
        """True for the one rank that writes and speaks."""
        return self.rank == 0

    def gathered(self, mine: T, what: str) -> list[T]:
        """What every rank gives, in their order, on every rank. what: they do, for whoever waits in vain."""
        return [mine]

    def of_first(self, make: Callable[[], T], what: str) -> T:
        """What rank 0 makes, on every rank."""
        return make()

    def sum_(self, tensors: Sequence[Tensor], what: str) -> None:
        """Sum tensors over all ranks, in place; the same bits on every one."""

    def copy_first_(self, tensors: Sequence[Tensor], what: str) -> None:
        """Give the tensors of every rank the values of rank 0's, in place."""

    def tensor_of_first(self, tensor: Tensor | None, shape: Sequence[int], dtype: torch.dtype, what: str) -> Tensor:
        """The tensor that rank 0 has, on every rank, on the CPU; the others give None, and know its shape."""
        assert tensor is not None
        return tensor


ALONE = Ranks()


class Group(Ranks):
    """One of several ranks. Every wait ends: when the others come, when one of them is lost, or at the time limit."""

    def __init__(self, watch: Watch) -> None:
        launch = watch.launch
        self.rank, self.size = launch.rank, launch.size
        self.local_rank, self.local_size = launch.local_rank, launch.local_size
        self.watch = watch

    def gathered(self, mine: T, what: str) -> list[T]:
        own = torch.frombuffer(bytearray(pickle.dumps(mine)), dtype=torch.uint8)
        sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        self._together(lambda: [dist.all_gather(sizes, torch.tensor([len(own)]), async_op=True)], what)
        longest = max(int(size) for size in sizes)
        padded = torch.zeros(longest, dtype=torch.uint8)
        padded[: len(own)] = own
        found = [torch.empty(longest, dtype=torch.uint8) for _ in sizes]
        self._together(lambda: [dist.all_gather(found, padded, async_op=True)], what)
        each = zip(found, sizes, strict=True)
        return [mine if rank == self.rank else _read(data, int(size)) for rank, (data, size) in enumerate(each)]

    def of_first(self, make: Callable[[], T], what: str) -> T:
        made: Any = make() if self.first else None
        data = torch.frombuffer(bytearray(pickle.dumps(made)), dtype=torch.uint8)
        size = torch.tensor([len(data)])
        self.copy_first_([size], what)
        if not self.first:
            data = torch.empty(int(size), dtype=torch.uint8)
        self.copy_first_([data], what)
        return made if self.first else _read(data, int(size))

    def sum_(self, tensors: Sequence[Tensor], what: str) -> None:
        large = [tensor for tensor in tensors if tensor.nbytes >= SMALL and tensor.is_contiguous()]
        small = _alike([tensor for tensor in tensors if tensor.nbytes < SMALL or not tensor.is_contiguous()])
        flat = [torch.cat([tensor.reshape(-1) for tensor in alike]) for alike in small]
        self._together(lambda: [dist.all_reduce(tensor, async_op=True) for tensor in (*large, *flat)], what)
        for alike, values in zip(small, flat, strict=True):
            _spread(values, alike)

    def copy_first_(self, tensors: Sequence[Tensor], what: str) -> None:
        values = [tensor.contiguous() for tensor in tensors]
        self._together(lambda: [dist.broadcast(value, src=0, async_op=True) for value in values], what)
        for tensor, value in zip(tensors, values, strict=True):
            if value is not tensor:
                tensor.copy_(value)

    def tensor_of_first(self, tensor: Tensor | None, shape: Sequence[int], dtype: torch.dtype, what: str) -> Tensor:
        found = torch.empty(tuple(shape), dtype=dtype) if tensor is None else tensor.cpu().contiguous()
        self.copy_first_([found], what)
        return found

    def _together(self, begin: Callable[[], Sequence[Any]], what: str) -> None:
        """Begin what all ranks do together and wait for it, never blindly.

        On a GPU it is ordered on its stream and nobody waits here: the ranks have met on the CPU just before.
        """
        since = time.monotonic()
        with self.watch.waiting(what):
            for work in begin():
                while not _done(work):
                    self.watch.look(what, waited=time.monotonic() - since)


def _done(work: Any) -> bool:
    """Wait for a moment. True once it is done; raises what the transport raises."""
    try:
        work.wait(LOOK_UP)
    except RuntimeError:
        if work.is_completed():
            raise
        return False
    return True


def _read(data: Tensor, size: int) -> Any:
    return pickle.loads(data[:size].numpy().tobytes())


def _alike(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    kinds: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault((tensor.dtype, tensor.device), []).append(tensor)
    return list(kinds.values())


def _spread(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    parts = flat.split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))
