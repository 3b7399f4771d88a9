"""Settings beside the one that was asked for: which fit, and which of those costs least."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rather.planning.devices import Machines
from rather.planning.engine import Setting
from rather.planning.memory import Memory, memory
from rather.planning.shapes import Shape
from rather.planning.speed import Times, times
from rather.planning.workload import Workload

# The rank of an adapter that is proposed where nothing else fits.
RANK = 16

# Costs that differ by less are the same to a plan.
ALIKE = 0.03


@dataclass(frozen=True)
class Choice:
    """A setting on so many devices, what it holds, and how long it takes."""

    setting: Setting
    machines: Machines
    held: Memory
    times: Times
    seconds: float
    longest: int

    @property
    def holds(self) -> bool:
        """Whether an update of pairs of mean length fits."""
        return self.held.peak <= self.machines.device.memory

    @property
    def fits(self) -> bool:
        """Whether it does, and the longest pair that may come, which stands alone, does too."""
        return self.holds and self.held.longest >= self.longest

    @property
    def device_hours(self) -> float:
        """Hours of all devices together."""
        return self.seconds * self.machines.ranks / 3600

    @property
    def same_result(self) -> tuple[int | None, bool, str]:
        """Settings in which this is alike learn the same."""
        return self.setting.lora_rank, self.setting.load_in_4bit, self.setting.optimizer


def choice(
    shape: Shape,
    setting: Setting,
    workload: Workload,
    machines: Machines,
    *,
    efficiency: float | None = None,
    reference_cached: bool = False,
) -> Choice:
    """One setting on these machines."""
    held = memory(shape, setting, workload, capacity=machines.device.memory)
    each = times(shape, setting, workload, held, machines, efficiency=efficiency)
    seconds = workload.updates * each.update + (0.0 if reference_cached else each.reference)
    return Choice(setting, machines, held, each, seconds, workload.longest)


def others(setting: Setting, machines: Machines) -> Iterator[tuple[Setting, Machines]]:
    """What could be said in place of `setting`, without those that cannot act: on 1, 2, 4 … of the devices; with and without
    gradient checkpointing and shards; and, for whoever has too little memory, moments in 8 bits, an adapter, a base in 4 bits."""
    counts = sorted({machines.ranks, *(2**power for power in range(machines.ranks.bit_length()))})
    kinds = {
        (setting.lora_rank, setting.load_in_4bit, setting.optimizer),
        (setting.lora_rank, False, setting.optimizer),
        (setting.lora_rank or RANK, False, "adamw"),
    }
    if not setting.cpu:
        kinds |= {(setting.lora_rank, False, "adamw_8bit"), (setting.lora_rank or RANK, True, "adamw")}
    for ranks in counts:
        for rank, in_4bit, optimizer in sorted(kinds, key=str):
            for shard in (False, True) if ranks > 1 else (False,):
                if (in_4bit and ranks > 1) or (shard and (in_4bit or optimizer != "adamw")):
                    continue
                for again in (False, True):
                    yield setting.with_(
                        ranks=ranks, lora_rank=rank, load_in_4bit=in_4bit, optimizer=optimizer, shard=shard,
                        gradient_checkpointing=again,
                    ), machines.fewer(ranks)  # fmt: skip


def cheapest(choices: list[Choice], like: Choice | None = None) -> Choice | None:
    """Of those that fit the one of the fewest device hours; like: of those that learn the same as this one.

    Formulas do not tell apart what is within ALIKE: of those the plainest.
    """
    fit = [one for one in choices if one.fits and (like is None or one.same_result == like.same_result)]
    least = min((one.device_hours for one in fit), default=0.0)
    near = [one for one in fit if one.device_hours <= (1 + ALIKE) * least]
    return min(near, key=lambda one: (len(one.setting.flags()), one.device_hours, one.seconds), default=None)
