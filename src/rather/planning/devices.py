"""What computes: GPUs by name with what their makers say of them, and the processor of this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from rather.errors import ConfigError

GIB = 1 << 30
TERA = 1e12
GIGA = 1e9

# GPUs of one machine, where nothing else is said.
PER_MACHINE = 8


@dataclass(frozen=True)
class Device:
    """One GPU, or the processor.

    memory      bytes that torch finds: the datasheet's figure less what the driver keeps, rounded down to GiB
    bf16, fp32  FLOP/s of dense products, fp32 without TF32, which torch leaves off
    bandwidth   bytes/s of its memory
    watts       board power
    link        bytes/s in one direction to the other GPUs of its machine (NVLink, or PCIe)
    """

    name: str
    memory: float
    bf16: float
    fp32: float
    bandwidth: float
    watts: float
    link: float

    @property
    def is_cpu(self) -> bool:
        return self.name == "cpu"

    def rate(self, dtype: str) -> float:
        """FLOP/s of products in `dtype`."""
        return self.bf16 if dtype == "bf16" else self.fp32


def _gpu(name: str, gib: int, bf16: float, fp32: float, bandwidth: float, watts: float, link: float) -> Device:
    return Device(name, gib * GIB, bf16 * TERA, fp32 * TERA, bandwidth * GIGA, watts, link * GIGA)


# NVIDIA's datasheets: dense bf16 with fp32 sums, fp32, GB/s, W; NVLink's or PCIe's GB/s in one direction.
GPUS = {
    device.name: device
    for device in (
        _gpu("A10", 22, 125, 31.2, 600, 150, 32),
        _gpu("A100-40GB", 39, 312, 19.5, 1555, 400, 300),
        _gpu("A100", 79, 312, 19.5, 2039, 400, 300),
        _gpu("B200", 178, 2250, 75, 8000, 1000, 900),
        _gpu("H100", 79, 989, 67, 3350, 700, 450),
        _gpu("H200", 139, 989, 67, 4800, 700, 450),
        _gpu("L4", 22, 121, 30.3, 300, 72, 32),
        _gpu("L40S", 44, 362, 91.6, 864, 350, 32),
        _gpu("RTX3090", 23, 71, 35.6, 936, 350, 32),
        _gpu("RTX4090", 23, 165, 82.6, 1008, 450, 32),
        _gpu("RTX5090", 31, 209, 104.8, 1792, 575, 64),
    )
}


@dataclass(frozen=True)
class Machines:
    """`machines` machines with `each` of one device."""

    device: Device
    machines: int
    each: int

    @property
    def ranks(self) -> int:
        return self.machines * self.each

    def fewer(self, ranks: int) -> Machines:
        """The same devices, so many of them, on as few machines as hold them."""
        each = min(ranks, self.each)
        return replace(self, machines=-(-ranks // each), each=each)

    def __str__(self) -> str:
        if self.device.is_cpu:
            return "cpu"
        return (
            f"{self.machines}x{self.each}x{self.device.name}"
            if self.machines > 1
            else f"{self.each}x{self.device.name}"
        )


def cpu(*, memory: float, rate: float, bandwidth: float = 20 * GIGA, watts: float = 0.0) -> Device:
    """This machine's processor. rate: FLOP/s of products, measured or given; bandwidth: what two cores get, as measured."""
    return Device("cpu", memory, rate, rate, bandwidth, watts, bandwidth)


def parse_gpus(text: str) -> Machines | None:
    """8xH100, H100, 4x8xH100 (machines × GPUs); None for `cpu`. More than eight stand on machines of eight.

    Raises ConfigError for another form, and for a name that is not known.
    """
    if text.strip().lower() == "cpu":
        return None
    found = re.fullmatch(r"(?:(\d{1,6})[x×])?(?:(\d{1,6})[x×])?([A-Za-z][\w -]*)", text.strip(), re.IGNORECASE)
    counts = [int(count) for count in found.groups()[:2] if count] if found else []
    if found is None or 0 in counts:
        raise ConfigError(f"--gpus {text[:40]}: write 8xH100, H100, 4x8xH100 (machines x GPUs) or cpu")
    device = _named(found[3])
    if len(counts) == 2:
        return Machines(device, *counts)
    total = counts[0] if counts else 1
    if total <= PER_MACHINE:
        return Machines(device, 1, total)
    if total % PER_MACHINE:
        raise ConfigError(
            f"--gpus {text[:40]}: say on how many machines they are, as in 2x{-(-total // 2)}x{device.name}"
        )
    return Machines(device, total // PER_MACHINE, PER_MACHINE)


def _named(name: str) -> Device:
    def plain(text: str) -> str:
        return re.sub(r"[\W_]|GB$", "", text.upper())

    found = next((device for known, device in GPUS.items() if plain(known) == plain(name)), None)
    if found is None:
        raise ConfigError(f'--gpus: no GPU is called "{name[:40]}"; known are {", ".join(GPUS)}')
    return found
