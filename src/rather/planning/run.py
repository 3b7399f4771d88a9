"""A plan from top to bottom: what a run would hold, how long it would take, what it would cost, and what would be cheaper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rather.planning.choices import Choice, cheapest, choice, others
from rather.planning.config import PlanConfig
from rather.planning.flops import fewest_flops, forward_flops, update_flops
from rather.planning.memory import trained_weights
from rather.planning.shapes import Shape, read_shape
from rather.planning.speed import EFFICIENCY

# Bytes of a pair in this machine's memory, in each rank: the record, and 36 for each token of each answer with its prompt.
# By benchmarks/growth.py 13 KB a pair, of about 170 tokens counted so.
RECORD_BYTES, TOKEN_BYTES = 5_000, 36


@dataclass(frozen=True)
class Plan:
    """What was asked for, what it takes, and what else there is.

    asked     the setting that was asked for
    same      the cheapest that fits of those that learn the same; None if none of them fits
    cheapest  the cheapest that fits of all, which may train less (an adapter) or round more (8 bits, 4 bits)
    """

    model: str
    shape: Shape
    config: PlanConfig
    asked: Choice
    same: Choice | None
    cheapest: Choice | None

    @property
    def fits(self) -> bool:
        """Whether what was asked for does."""
        return self.asked.fits

    @property
    def flops(self) -> dict[str, float]:
        """Of the whole run: updates and reference as the engine computes them, and the fewest that updates could do with."""
        work, setting = self.config.workload, self.asked.setting
        passes = float(work.pairs * work.epochs)
        pair = update_flops(self.shape, work, setting=setting, micro_batch=self.asked.held.tokens)
        reference = (
            0.0 if self.config.reference_cached else work.pairs * forward_flops(self.shape, work, setting=setting)
        )
        return {
            "updates": passes * pair,
            "reference": reference,
            "fewest": passes * fewest_flops(self.shape, work, setting=setting),
        }

    @property
    def kilowatt_hours(self) -> float | None:
        """Of all devices at full power; None where nobody said how much a CPU takes."""
        watts = self.asked.machines.device.watts
        return self.asked.device_hours * watts / 1000 if watts else None

    @property
    def money(self) -> float | None:
        return None if self.config.price is None else self.asked.device_hours * self.config.price

    @property
    def reference_bytes(self) -> float:
        """The reference cache on disk: a number of 4 bytes for each token of an answer."""
        return 4.0 * self.config.workload.answers * self.config.workload.pairs

    @property
    def host_bytes(self) -> float:
        """Pairs in the memory of one machine: every rank of it holds them all, but for those that are streamed."""
        work = self.config.workload
        if self.config.stream:
            return 0.0
        tokens = work.tokens + work.prompt  # the prompt stands with each answer
        return self.asked.machines.each * work.pairs * (RECORD_BYTES + TOKEN_BYTES * tokens)

    def command(self, one: Choice) -> str:
        """How `rather train` is told of a setting."""
        ranks, machines = one.machines.ranks, one.machines.machines
        nodes = (
            f"--nnodes {machines} --rdzv-backend c10d --rdzv-endpoint HOST:29500" if machines > 1 else "--standalone"
        )
        start = f"torchrun {nodes} --nproc-per-node {one.machines.each} -m rather" if ranks > 1 else "rather"
        work = self.config
        also = [
            "--batch-pairs",
            str(work.batch_pairs),
            "--epochs",
            str(work.epochs),
            "--max-length",
            str(work.max_length),
        ]
        return " ".join([start, "train PAIRS --model", self.model, "--out RUN", *one.setting.flags(), *also])

    def assumptions(self) -> list[str]:
        """What a reader must know who wants to believe the figures."""
        work, setting, device = self.config.workload, self.asked.setting, self.asked.machines.device
        share = self.config.efficiency or EFFICIENCY["cpu" if setting.cpu else "cuda", setting.dtype]
        rate = "measured or given" if self.config.rate is not None else "the maker's figure for dense products"
        whose = (
            "given"
            if self.config.efficiency
            else "as measured on a 2-core CPU"
            if setting.cpu
            else "assumed, measured on no GPU"
        )
        found = [
            f"{work.tokens:,.0f} distinct tokens a pair, {work.answers:,.0f} of them in its two answers; every pair is of mean "
            "length, and pairs share nothing with each other",
            f"{device.rate(setting.dtype) / 1e12:,.4g} TFLOP/s of {setting.dtype} products ({rate}), of which updates reach "
            f"{share:.0%} ({whose})",
            "micro-batches of as many tokens as the engine would choose: at most half of the memory that is free",
        ]
        if not setting.cpu:
            found.append(
                "1 GB a GPU for CUDA and its libraries, and no memory lost to fragments: formulas, checked on a CPU alone"
            )
        if self.asked.machines.ranks > 1:
            found.append(
                "links reach 80 % of their rate, between machines 400 Gbit/s a GPU; 90 % of what shards send is hidden where "
                "computing takes long enough; no failures and no slow machines (docs/scaling.md has those)"
            )
        if self.config.on_cpu:
            found.append("nothing else computes on this machine")
        return found

    def as_json(self) -> dict[str, Any]:
        """All of it, in bytes, seconds and FLOP."""
        return {
            "model": self.model, "weights": self.shape.weights, "trained": trained_weights(self.shape, self.asked.setting),
            "pairs": self.config.workload.pairs, "updates": self.config.workload.updates, "devices": str(self.asked.machines),
            "fits": self.fits, "device_bytes": self.asked.machines.device.memory, "asked": _row(self, self.asked),
            "flops": self.flops, "kilowatt_hours": self.kilowatt_hours, "money": self.money,
            "reference_bytes": self.reference_bytes, "host_bytes": self.host_bytes,
            "cheapest_of_same_result": None if self.same is None else _row(self, self.same),
            "cheapest": None if self.cheapest is None else _row(self, self.cheapest), "assumptions": self.assumptions(),
        }  # fmt: skip


def plan(model: str, *, config: PlanConfig | None = None, **options: Any) -> Plan:
    """Plan a run of `model`: a folder, a hub id (its config.json alone is fetched), or a well-known name (`planning/known.py`).

    options: fields of PlanConfig, over those of `config`. Nothing is trained, and no weights are read.
    Raises ModelError for a config that cannot be read or counted, ConfigError.
    """
    config = (config or PlanConfig()).changed(options)
    shape = read_shape(model)
    machines, workload = config.machines, config.workload

    def made(setting: Any, on: Any) -> Choice:
        return choice(
            shape, setting, workload, on, efficiency=config.efficiency, reference_cached=config.reference_cached
        )

    asked = made(config.setting, machines)
    every: Sequence[Choice] = [asked, *(made(setting, on) for setting, on in others(config.setting, machines))]
    return Plan(model, shape, config, asked, cheapest(list(every), asked), cheapest(list(every)))


def _row(plan: Plan, one: Choice) -> dict[str, Any]:
    held = one.held
    return {
        "setting": asdict(one.setting), "devices": str(one.machines), "command": plan.command(one), "fits": one.fits,
        "peak_bytes": held.peak, "peak_at": held.phase, "update_bytes": dict(held.update), "loading_bytes": held.loading,
        "checkpoint_bytes": held.checkpoint, "gradient_bytes": held.gradients,
        "token_budget": held.budget, "micro_batches": held.micro_batches,
        "longest_pair": held.longest, "update_seconds": asdict(one.times) | {"all": one.times.update},
        "seconds": one.seconds, "device_hours": one.device_hours,
    }  # fmt: skip
