"""What ranks send each other, and how long it takes: rings over one kind of link, or over two, one after the other.

A ring of n ranks moves S bytes of a gather (or a reduce-scatter) in n − 1 steps of S/n each; a sum over all (all-reduce) is the
two, one after the other (Thakur et al. 2005; Patarasuk and Yuan 2009). A ring through several machines runs at the rate of its
slowest link. In two levels each GPU first talks to its fellows of the other machines, and then to those of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from rather.planning.engine import Setting
from rather.planning.shapes import Shape

# Share of a link's rate that messages of megabytes reach, assumed.
OF_LINK = 0.8

# Share of FSDP's gathers and scatters that computing hides, where it takes long enough, assumed: a layer ahead is gathered.
HIDDEN = 0.9


@dataclass(frozen=True)
class Network:
    """`ranks` GPUs, `each` in a machine. inside, between: bytes/s of one GPU in one direction, in its machine and out of it.

    wait_inside, wait_between: seconds before the first byte of a step.
    """

    ranks: int
    each: int
    inside: float
    between: float = 50e9
    wait_inside: float = 5e-6
    wait_between: float = 15e-6

    @property
    def machines(self) -> int:
        return -(-self.ranks // self.each)


def ring_gather(network: Network, size: float) -> float:
    """Seconds until every rank has all `size` bytes of which each had a part, by one ring; a reduce-scatter takes as long."""
    one = network.machines == 1
    speed = network.inside if one else min(network.inside, network.between)
    wait = network.wait_inside if one else network.wait_between
    return (network.ranks - 1) * (wait + size / network.ranks / (OF_LINK * speed))


def two_level_gather(network: Network, size: float) -> float:
    """The same in two levels: between machines, every GPU of a machine its share; then within each machine."""
    machines, each = network.machines, min(network.each, network.ranks)
    between = (machines - 1) * (network.wait_between + size / network.ranks / (OF_LINK * network.between))
    inside = (each - 1) * (network.wait_inside + size / each / (OF_LINK * network.inside))
    return between + inside


def gather(network: Network, size: float) -> float:
    """The faster of the two."""
    if network.ranks == 1:
        return 0.0
    return min(ring_gather(network, size), two_level_gather(network, size))


def all_reduce(network: Network, size: float) -> float:
    """Seconds until every rank has the sum of all ranks' `size` bytes."""
    return 2 * gather(network, size)


def exchanged(shape: Shape, setting: Setting, network: Network, micro_batches: int) -> float:
    """Seconds of everything that is sent in one update.

    Whole weights: gradients are summed once, after the last backward. Sharded ones: each micro-batch gathers weights in the forward
    and again in the backward, but for those outside the layers, and scatters gradients.
    """
    if network.ranks == 1:
        return 0.0
    trained = shape.weights if setting.lora_rank is None else shape.adapter(setting.lora_rank)
    if not setting.shard:
        return all_reduce(network, 4.0 * trained)
    layer = gather(network, float(setting.base_bytes * shape.layer_weights))
    outside = gather(network, float(setting.base_bytes * shape.outside))
    scattered = gather(network, 4.0 * trained / (shape.layers + 1)) * (shape.layers + 1)
    return micro_batches * (2 * shape.layers * layer + outside + scattered)


def exposed(shape: Shape, setting: Setting, network: Network, micro_batches: int, computing: float) -> float:
    """What of it an update waits for: all of a sum at its end, and of what shards send what `computing` seconds do not hide."""
    total = exchanged(shape, setting, network, micro_batches)
    return total - min(HIDDEN * total, computing) if setting.shard else total
