"""How long an update takes: products at a measured or given rate, the optimiser at the memory's, what ranks send each other."""

from __future__ import annotations

from dataclasses import dataclass

from rather.planning import collectives
from rather.planning.collectives import Network
from rather.planning.devices import Device, Machines
from rather.planning.engine import Setting
from rather.planning.flops import forward_flops, update_flops
from rather.planning.memory import Memory, trained_weights
from rather.planning.shapes import Shape
from rather.planning.workload import Workload

# Share of the matmul rate that a whole forward and backward reaches. On a CPU as measured (benchmarks/planning.py); on a GPU
# assumed: nothing was measured on one.
EFFICIENCY = {("cpu", "bf16"): 0.60, ("cpu", "fp32"): 0.80, ("cuda", "bf16"): 0.40, ("cuda", "fp32"): 0.60}

# Seconds of a layer of one micro-batch, forward and backward, that do not depend on its tokens: calls, launches of kernels.
PER_LAYER = 1e-3


@dataclass(frozen=True)
class Times:
    """Seconds of one update, by part, and of the reference of all pairs, which is computed once.

    unequal: what ranks wait for the one that has most tokens.
    """

    products: float
    optimiser: float
    overhead: float
    between_ranks: float
    unequal: float
    reference: float

    @property
    def update(self) -> float:
        return self.products + self.optimiser + self.overhead + self.between_ranks + self.unequal


def times(
    shape: Shape,
    setting: Setting,
    workload: Workload,
    held: Memory,
    machines: Machines,
    *,
    efficiency: float | None = None,
    network: Network | None = None,
) -> Times:
    """Seconds, on `machines`. efficiency: share of the matmul rate. network: what connects them, if not their own links."""
    device = machines.device
    speed = device.rate(setting.dtype) * (efficiency or EFFICIENCY["cpu" if setting.cpu else "cuda", setting.dtype])
    mean = workload.batch_pairs / setting.ranks
    most = max(mean, 1.0)  # a pair is not cut: ranks beyond the pairs of an update wait
    pair = update_flops(shape, workload, setting=setting, micro_batch=held.tokens) / speed
    network = network or network_of(machines)
    overhead = (PER_LAYER * shape.layers + dequantising(shape, setting, device)) * held.micro_batches
    computing = pair * mean + overhead
    reference = forward_flops(shape, workload, setting=setting) / speed * workload.pairs / setting.ranks
    return Times(
        products=pair * mean,
        optimiser=optimiser_seconds(shape, setting, device, held.micro_batches),
        overhead=overhead,
        between_ranks=collectives.exposed(shape, setting, network, held.micro_batches, computing),
        unequal=pair * (most - mean),
        reference=reference,
    )


def optimiser_seconds(shape: Shape, setting: Setting, device: Device, micro_batches: int) -> float:
    """Bytes that clipping, AdamW and the casts of weights move, at the memory's rate."""
    values = trained_weights(shape, setting) / setting.parts
    step = 28 if setting.optimizer == "adamw" else 16  # weight, gradient and moments read; weight and moments written
    moved = values * (4 + 8 + step)
    if setting.dtype == "bf16" and setting.base_bytes == 4:
        moved += 6.0 * shape.weights * micro_batches
    return moved / device.bandwidth


def dequantising(shape: Shape, setting: Setting, device: Device) -> float:
    """Seconds of a micro-batch in which 4-bit weights are made bf16 for each product and read again: 4.5 bytes each, at the
    memory's rate, in the forward, in the backward, and where layers are computed again."""
    if not setting.load_in_4bit:
        return 0.0
    return (3 if setting.gradient_checkpointing else 2) * 4.5 * shape.products / device.bandwidth


def network_of(machines: Machines) -> Network:
    """The links of these devices in a machine, and one of 400 Gbit/s for each between machines."""
    return Network(ranks=machines.ranks, each=machines.each, inside=machines.device.link)
