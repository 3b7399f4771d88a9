"""A list of items done block by block by workers on Ray Data: the one seam between the rooms and a cluster."""

from __future__ import annotations

import logging
import os
import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Self, TypeVar

from rather.errors import ClusterError
from rather.onray.carried import Failed
from rather.onray.cluster import Wanted, connected, first_line, package, wants_gpu
from rather.onray.once import keep
from rather.progress import say

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

Work = Callable[[Sequence[ItemT]], Iterator[tuple[int, ResultT]]]
"""What is done with some items: (place among them, result), as each is there. It is sent to the workers by pickle."""

# How often a block is given to a worker again whose last one died of it, before the block is to blame.
RETRIES = 5

# Blocks for each worker, where there is little to do: the last one to finish should not be waited for too long.
_BLOCKS_EACH = 4


class Workers:
    """Workers of a cluster. Use it in a `with`: the cluster is there from the first work to the end of the block."""

    def __init__(self, asked: Wanted) -> None:
        self._asked, self._stack = asked, ExitStack()
        self._resources: dict[str, float] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    @property
    def count(self) -> int:
        return self._asked.workers

    def each(
        self,
        work: Work[ItemT, ResultT],
        items: Sequence[ItemT],
        *,
        block: int,
        model: bool,
        environment: Sequence[str] = (),
    ) -> Iterator[tuple[int, ResultT]]:
        """(place in `items`, result), block after block in their order.

        A worker that dies is started again and repeats the block it was at. What `work` raises is raised here, behind the results
        that were there before it.

        block: how many items a worker is given at once, at most. model: it runs a model, and takes a GPU where there are any.
        environment: variables of this process that the workers need, on whatever machine they are.
        """
        if not items:
            return
        if self._resources is None:
            self._resources = self._stack.enter_context(connected(self._asked))
        block = min(block, -(-len(items) // (_BLOCKS_EACH * self.count)))
        given = {name: os.environ[name] for name in environment if name in os.environ}
        gpu = model and wants_gpu(self._resources, self.count)
        cpus = 1 if self._asked.place else max(1, int(self._resources["CPU"]) // self.count)
        for start, found, failed, tries in _blocks(work, items, block, given, workers=self.count, cpus=cpus, gpu=gpu):
            if tries > 1:
                say(f"note: a worker died; the {len(found):,} that it was at were done again")
            for place, result in found:
                yield start + place, result
            if failed is not None:
                raise failed.error()


def _blocks(
    work: Work[Any, Any],
    items: Sequence[Any],
    block: int,
    environment: dict[str, str],
    *,
    workers: int,
    cpus: int,
    gpu: bool,
) -> Iterator[tuple[int, list[tuple[int, Any]], Failed | None, int]]:
    """(place of its first item, results, what was raised, at which attempt) of each block, in order."""
    import pyarrow as pa
    from ray.data import ActorPoolStrategy, DataContext

    ray, context = package(), DataContext.get_current()
    context.enable_progress_bars = context.enable_operator_progress_bars = False
    context.execution_options.preserve_order = True
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Each block is a row of its own, put into the object store here, so that no CPU is needed for reading.
    parts = [
        pa.table(
            {"start": [start], "items": pa.array([pickle.dumps(list(items[start : start + block]))], pa.large_binary())}
        )
        for start in range(0, len(items), block)
    ]
    tries = ray.remote(_Tries).options(num_cpus=0, max_restarts=-1, max_task_retries=-1).remote()
    done = ray.data.from_blocks(parts).map_batches(
        _Worker,
        fn_constructor_args=([ray.put(work)], environment, tries),
        batch_size=None,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
        num_cpus=cpus,
        num_gpus=1 if gpu else 0,
    )
    del parts
    try:
        batches: Iterator[Any] = done.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
        for batch in batches:
            for start, results in zip(batch["start"].to_pylist(), batch["results"].to_pylist(), strict=True):
                yield start, *pickle.loads(results)  # made by our own workers
    except ray.exceptions.RayError as error:
        raise ClusterError(
            f"the cluster gave up: {first_line(error)}; the same command goes on from what is done"
        ) from error


class _Tries:
    """How often each block was begun. Ray gives a block of a dead worker to the next one without end."""

    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()

    def begin(self, start: int) -> int:
        self._begun[start] += 1
        return self._begun[start]


class _Worker:
    """One worker, as long as it lives: block after block."""

    def __init__(self, work: Sequence[Any], environment: dict[str, str], tries: Any) -> None:
        """work: a reference to it in the object store, in a list, so that Ray leaves it to be fetched here."""
        os.environ.update(environment)
        keep()
        self._reference, self._tries = work[0], tries
        self._work: Work[Any, Any] | None = None

    def __call__(self, block: Any) -> Any:
        import pyarrow as pa

        starts = block["start"].to_pylist()
        results = [
            self._done(start, pickle.loads(items))
            for start, items in zip(starts, block["items"].to_pylist(), strict=True)
        ]
        return pa.table({"start": starts, "results": pa.array(results, pa.large_binary())})

    def _done(self, start: int, items: Sequence[Any]) -> bytes:
        ray = package()
        found: list[tuple[int, Any]] = []
        failed: Failed | None = None
        tries = 1
        try:
            tries = ray.get(self._tries.begin.remote(start))
            if tries > 1 + RETRIES:
                raise ClusterError(
                    f"a worker died {1 + RETRIES} times at the same {len(items):,} of what there is to do, behind the first "
                    f"{start:,}; most often it lacks memory: take fewer workers with --ray"
                )
            if self._work is None:  # here, so that what cannot be imported is an error as any other
                self._work = ray.get(self._reference)
            assert self._work is not None
            for result in self._work(items):
                found.append(result)  # those before an error are kept
        except Exception as error:  # not Ray's to try again: it would fail again
            failed = Failed.of(error)
        return pickle.dumps((found, failed, tries))
