"""A run on a cluster: what an update takes on ever more GPUs, and what a long run loses to failures. Formulas, no measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rather.planning.collectives import Network, exposed
from rather.planning.devices import Machines
from rather.planning.engine import Setting
from rather.planning.failures import Failures, failures_of
from rather.planning.memory import memory, moment_bytes, trained_weights
from rather.planning.shapes import Shape
from rather.planning.speed import times
from rather.planning.stragglers import fullest, slowest
from rather.planning.workload import Workload

# How far GPUs of one kind differ in speed, as a relative standard deviation, assumed.
SPREAD = 0.02

# Bytes a second at which rank 0 writes a checkpoint, assumed; the others wait for it.
DISK = 2e9


@dataclass(frozen=True)
class Scaled:
    """A run on so many GPUs, in seconds.

    computing  of one update, on the mean rank
    waiting    of one update: for what ranks send each other
    unequal    of one update: for the rank with most tokens, and the slowest one
    update     all of it
    training   of the whole run, if nothing ever failed
    interval   of training between two checkpoints that costs least
    lost       of the whole run, to checkpoints, failures and what they undo
    efficiency pairs a second of a GPU, over those of a GPU alone that computes without a wait
    """

    ranks: int
    computing: float
    waiting: float
    unequal: float
    update: float
    training: float
    interval: float
    lost: float
    efficiency: float

    @property
    def seconds(self) -> float:
        return self.training + self.lost


def scaled(
    shape: Shape,
    setting: Setting,
    workload: Workload,
    machines: Machines,
    *,
    lengths: Sequence[float] | None = None,
    spread: float = SPREAD,
    between: float = 50e9,
    efficiency: float | None = None,
) -> Scaled:
    """The run on `machines`. lengths: of the pairs of one update, whose inequality costs; of equal ones if not given. between:
    bytes/s of a GPU to those of other machines."""
    ranks = machines.ranks
    setting = setting.with_(ranks=ranks, shard=setting.shard and ranks > 1)
    held = memory(shape, setting, workload, capacity=machines.device.memory)
    each = times(shape, setting, workload, held, machines, efficiency=efficiency)
    computing = each.products + each.overhead
    uneven = fullest(lengths, ranks) if lengths else 1.0
    most = max(uneven, ranks / workload.batch_pairs) * slowest(ranks, spread)
    network = Network(ranks, machines.each, machines.device.link, between)
    waiting = exposed(shape, setting, network, held.micro_batches, computing)
    unequal = computing * (most - 1)
    update = computing + waiting + unequal + each.optimiser
    training = workload.updates * update + each.reference
    failures = checkpoints(shape, setting)
    interval = max(failures.daly, update)
    alone = (each.products * ranks + each.overhead) / workload.batch_pairs
    return Scaled(
        ranks, computing, waiting, unequal, update, training, interval,
        lost=failures.expected(training, interval) - training,
        efficiency=alone * workload.batch_pairs / (update * ranks),
    )  # fmt: skip


def checkpoints(shape: Shape, setting: Setting) -> Failures:
    """What a checkpoint takes: rank 0 writes what is trained, and its moments, whole."""
    whole = setting.with_(shard=False)
    size = 4.0 * trained_weights(shape, whole) + moment_bytes(shape, whole)
    return failures_of(setting.ranks, checkpoint=size / DISK)
