"""How cost grows: what was measured up to a million answers, and a simulation of clusters beyond. Writes docs/scaling.md's part.

    python -m benchmarks.scaling

reads benchmarks/results, computes the rest by `rather.planning`, draws docs/scaling-*.svg, and writes the tables between the
marks of docs/scaling.md. Nothing is measured here: the same results give the same page.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rather.planning.cluster import Scaled, checkpoints, scaled
from rather.planning.devices import Machines, parse_gpus
from rather.planning.engine import Setting
from rather.planning.memory import memory
from rather.planning.numbers import said_bytes, said_seconds
from rather.planning.run import RECORD_BYTES, TOKEN_BYTES
from rather.planning.shapes import read_shape
from rather.planning.workload import Workload

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
BEGIN, END = "<!-- python -m benchmarks.scaling: from here on written by it -->", "<!-- up to here -->"

TOKENS, ANSWERS = 600.0, 240.0
RANKS = (1, 8, 16, 64, 256, 1024)
MODEL = "Llama-3.1-8B"
# Of a sampled length the logarithm's standard deviation: HH helpful's is about this.
SPREAD_OF_LENGTHS = 0.6


def results(name: str) -> Any:
    """A file of benchmarks/results; None where it is not there."""
    file = HERE / "results" / name
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def measured() -> dict[str, list[tuple[int, float, float]]]:
    """stage → (answers, ratings or pairs; processor seconds; GB at the peak), of each size that was measured."""
    found: dict[str, list[tuple[int, float, float]]] = {}
    stages = results("stages-cpu-2-cores.json")
    for stage, sizes in (stages or {"stages": {}})["stages"].items():
        found[stage] = sorted((int(count), row["cpu_seconds"], row["peak_gb"]) for count, row in sizes.items())
    growth = results("growth-cpu-amd-epyc-2-cores.json")
    if growth:
        found["train"] = [(row["pairs"], row["all_seconds"], row["peak_gb"]) for row in growth["pairs"]]
    return found


def exponent(points: list[tuple[int, float, float]], which: int = 1) -> float:
    """Slope between the last two sizes in logarithms: 1 is linear."""
    (few, *first), (many, *last) = points[-2:]
    return math.log(last[which - 1] / first[which - 1]) / math.log(many / few)


def cluster(ranks: int) -> Machines:
    found = parse_gpus(f"{ranks}xH100")
    assert found is not None
    return found


def lengths(count: int) -> list[float]:
    """Tokens of the pairs of an update, by seed, of mean TOKENS."""
    draw = random.Random(0)
    each = [draw.lognormvariate(0, SPREAD_OF_LENGTHS) for _ in range(count)]
    return [TOKENS * length * count / sum(each) for length in each]


def on_cluster(ranks: int, *, pairs: int, batch_pairs: int, setting: Setting) -> Scaled:
    work = Workload(pairs, TOKENS, ANSWERS, batch_pairs=batch_pairs)
    return scaled(read_shape(MODEL), setting, work, cluster(ranks), lengths=lengths(batch_pairs))


SHARDED = Setting(dtype="bf16", shard=True, gradient_checkpointing=True, stream=True)
ADAPTER = Setting(dtype="bf16", lora_rank=16, stream=True)
# name → (setting, pairs of an update on so many ranks)
WAYS = {
    "all weights, sharded, 8 pairs a GPU": (SHARDED, lambda ranks: 8 * ranks),
    "all weights, sharded, 512 pairs an update": (SHARDED, lambda ranks: 512),
    "LoRA 16, 8 pairs a GPU": (ADAPTER, lambda ranks: 8 * ranks),
}


def table(header: list[str], rows: list[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'|'.join('---' if not number else '--:' for number in range(len(header)))}|"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def stages_part() -> Iterator[str]:
    found = measured()
    yield "### Measured, up to a million"
    yield ""
    yield "![Processor seconds of each stage by the number of answers or pairs](scaling-stages.svg)"
    yield ""
    sizes = sorted({count for points in found.values() for count, *_ in points})
    rows = []
    for stage in ("generate", "judge", "pair", "audit", "train"):
        by = {count: (seconds, peak) for count, seconds, peak in found.get(stage, [])}
        cells = [f"{by[size][0]:,.3g} s, {by[size][1]:.2f} GB" if size in by else "–" for size in sizes]
        slope = f"{exponent(found[stage]):.2f}" if len(by) > 1 else "–"
        rows.append([stage, *cells, slope])
    yield from table(["stage", *(f"{size:,}" for size in sizes), "exponent"], rows)
    yield ""
    yield (
        "Processor seconds and peak memory on two cores; `judge` by length and refusal, `pair` by mean ratings, `audit` of all "
        "pairs without a model (`benchmarks/stages.py`), `train` a model of next to nothing, by the clock "
        "(`benchmarks/growth.py`). The exponent is that of the last step: 1 is linear, and below 1 what a command costs at its "
        f"start still counts. A million ratings: {_million()}. – was not measured. That is all of `generate` by number of "
        f"questions (its cost is the model's: {_rate()}), and sizes beyond those in the table."
    )


def _million() -> str:
    found = results("pairing-cpu-2-cores.json")
    case = found["cases"]["mean, best-vs-worst"]
    return f"{case['cpu_seconds']:.0f} s and {case['peak_gb']:.2f} GB (`benchmarks/pairing.py`)"


def _rate() -> str:
    return "about 300 tokens a second of SmolLM2-135M on two cores, `benchmarks/NOTES.md`"


def memory_part() -> Iterator[str]:
    yield "### Where memory ends it"
    yield ""
    shape, gpu = read_shape(MODEL), cluster(1).device
    rows = []
    for pairs in (10**5, 10**6, 10**7, 10**8, 10**9):
        host = pairs * (RECORD_BYTES + TOKEN_BYTES * (TOKENS + TOKENS - ANSWERS))
        reference = 4 * ANSWERS * pairs
        held = memory(shape, Setting(ranks=8, shard=True), Workload(pairs, TOKENS, ANSWERS), capacity=gpu.memory)
        fits = "yes" if held.peak <= gpu.memory else "no"
        rows.append([f"{pairs:,}", said_bytes(host), said_bytes(8 * host), said_bytes(reference), fits])
    yield from table(
        [
            "pairs of 600 tokens",
            "one process's memory",
            "eight ranks of a machine",
            "reference, on each GPU and on disk",
            f"{MODEL} fits on 8 H100",
        ],
        rows,
    )
    yield ""
    yield (
        f"Without `--stream` every rank holds all pairs, about {said_bytes(RECORD_BYTES + TOKEN_BYTES * (2 * TOKENS - ANSWERS))} "
        "each, and the whole reference, so a machine of eight GPUs and 2 TB ends at some millions of pairs. With it both are files."
    )


def gpus_part() -> Iterator[str]:
    yield "### Simulated: one GPU to 1,024"
    yield ""
    yield "![Pairs a second and efficiency by the number of GPUs](scaling-gpus.svg)"
    yield ""
    for name, (setting, batch) in WAYS.items():
        yield f"{MODEL}, {name}:"
        yield ""
        rows = []
        for ranks in RANKS:
            found = on_cluster(ranks, pairs=10**9, batch_pairs=batch(ranks), setting=setting)
            rows.append([
                f"{ranks:,}", f"{batch(ranks):,}", said_seconds(found.computing), said_seconds(found.waiting),
                said_seconds(found.unequal),
                f"{batch(ranks) / found.update:,.0f}", f"{found.efficiency:.0%}",
            ])  # fmt: skip
        yield from table(
            [
                "GPUs",
                "pairs an update",
                "computing",
                "waiting for messages",
                "for the fullest and slowest",
                "pairs/s",
                "of linear",
            ],
            rows,
        )
        yield ""


def failures_part() -> Iterator[str]:
    yield "### Simulated: a billion pairs, and failures"
    yield ""
    yield "![Days for a billion pairs, and what failures cost](scaling-failures.svg)"
    yield ""
    rows = []
    for ranks in RANKS[1:]:
        found = on_cluster(ranks, pairs=10**9, batch_pairs=8 * ranks, setting=SHARDED)
        lost = checkpoints(read_shape(MODEL), SHARDED.with_(ranks=ranks))
        rows.append([
            f"{ranks:,}", said_seconds(found.training), f"{lost.between / 3600:,.0f} h", said_seconds(lost.checkpoint),
            said_seconds(found.interval), f"{found.lost / found.training:.1%}", said_seconds(found.seconds),
            f"{found.seconds * ranks / 3600:,.0f}",
        ])  # fmt: skip
    yield from table(
        ["GPUs", "undisturbed", "between failures", "a checkpoint", "best interval", "lost", "in all", "H100 hours"],
        rows,
    )


def lines() -> Iterator[str]:
    for part in (stages_part, memory_part, gpus_part, failures_part):
        yield from part()
        yield ""


def draw() -> None:
    import matplotlib

    from rather.reporting.figures import BLUE, GREEN, ORANGE, STYLE

    matplotlib.use("svg")
    from matplotlib import pyplot

    colours = (BLUE, ORANGE, GREEN, "#cc79a7")
    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(6, 3.4), layout="constrained")
        for (stage, points), colour in zip(measured().items(), colours, strict=False):
            counts, seconds = [point[0] for point in points], [point[1] for point in points]
            axes.loglog(counts, seconds, "o-", color=colour, label=stage)
            beyond = [counts[-1], 1e9]
            axes.loglog(beyond, [seconds[-1] * count / counts[-1] for count in beyond], ":", color=colour)
        million = results("pairing-cpu-2-cores.json")["cases"]["mean, best-vs-worst"]["cpu_seconds"]
        axes.loglog([10**6], [million], "s", color="#767676", label="pair, alone on the machine")
        axes.set_xlabel("answers, ratings or pairs; dotted: in proportion to the last")
        axes.set_ylabel("processor seconds")
        axes.legend(fontsize=8)
        _save(figure, "scaling-stages")

        figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
        ranks = [2**power for power in range(11)]
        for (name, (setting, batch)), colour in zip(WAYS.items(), colours, strict=False):
            found = [on_cluster(count, pairs=10**9, batch_pairs=batch(count), setting=setting) for count in ranks]
            speeds = [batch(count) / one.update for count, one in zip(ranks, found, strict=True)]
            left.loglog(ranks, speeds, "o-", markersize=3, color=colour, label=name)
            right.semilogx(ranks, [100 * one.efficiency for one in found], "o-", markersize=3, color=colour)
        left.set_ylabel("pairs a second")
        right.set_ylabel("% of what as many GPUs alone would do")
        right.set_ylim(0, 105)
        for axes in (left, right):
            axes.set_xlabel("GPUs (H100, eight a machine)")
        left.legend(fontsize=7)
        _save(figure, "scaling-gpus")

        figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
        counts = ranks[3:]
        found = [on_cluster(count, pairs=10**9, batch_pairs=8 * count, setting=SHARDED) for count in counts]
        left.loglog(
            counts, [one.seconds / 86400 for one in found], "o-", markersize=3, color=BLUE, label="with failures"
        )
        left.loglog(
            counts,
            [found[0].training * counts[0] / count / 86400 for count in counts],
            ":",
            color="#767676",
            label="in proportion",
        )
        left.set_ylabel("days for 10⁹ pairs")
        left.legend(fontsize=8)
        shape = read_shape(MODEL)
        for minutes, colour in ((10, ORANGE), (60, GREEN), (480, "#cc79a7")):
            lost = []
            for count in counts:
                failures = checkpoints(shape, SHARDED.with_(ranks=count))
                lost.append(100 * (failures.expected(1.0, 60.0 * minutes) - 1))
            right.semilogx(counts, lost, "-", color=colour, label=f"a checkpoint every {minutes} min")
        best = [100 * one.lost / one.training for one in found]
        right.semilogx(counts, best, "o-", markersize=3, color=BLUE, label="at the best interval")
        right.set_ylabel("% of the training time lost")
        right.set_ylim(0, 25)
        right.legend(fontsize=8)
        for axes in (left, right):
            axes.set_xlabel("GPUs")
        _save(figure, "scaling-failures")


def _save(figure: Any, name: str) -> None:
    from matplotlib import pyplot

    file = DOCS / f"{name}.svg"
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
    print(file)


def page(before: str) -> str:
    """docs/scaling.md with the tables of today between the marks."""
    head, _, rest = before.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n" + "\n".join(lines()) + f"{END}{tail}"


def main() -> None:
    draw()
    file = DOCS / "scaling.md"
    file.write_text(page(file.read_text(encoding="utf-8")), encoding="utf-8")
    print(file)


if __name__ == "__main__":
    main()
