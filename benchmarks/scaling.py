"""How cost grows: what was measured up to a million answers, and a simulation of clusters beyond. Writes docs/scaling.md's part.

    python -m benchmarks.scaling

reads benchmarks/results, computes the rest by `rather.planning`, draws docs/scaling-*.svg, and writes the tables between the
marks of docs/scaling.md. Nothing is measured here: the same results give the same page.
"""

from __future__ import annotations

import itertools
import json
import random
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.planning import CASES
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
RANKS = (8, 16, 64, 256, 1024)
MODEL = "Llama-3.1-8B"
# Standard deviation of a length's logarithm: that of the 2,352 pairs of HH's helpful test set, in characters.
SPREAD_OF_LENGTHS = 0.69
LONGEST = 2047  # two answers at the default --max-length


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


def margins(points: list[tuple[int, float, float]]) -> list[float]:
    """Seconds that a thousand more cost, between each size and the next. Where these are equal, cost is linear."""
    return [1000 * (more[1] - few[1]) / (more[0] - few[0]) for few, more in itertools.pairwise(points)]


def cluster(ranks: int) -> Machines:
    found = parse_gpus(f"{ranks}xH100")
    assert found is not None
    return found


def lengths(count: int) -> list[float]:
    """Tokens of the pairs of an update, by seed, of mean TOKENS."""
    draw = random.Random(0)
    each = [min(draw.lognormvariate(0, SPREAD_OF_LENGTHS), LONGEST / TOKENS) for _ in range(count)]
    return [TOKENS * length * count / sum(each) for length in each]


def on_cluster(ranks: int, *, pairs: int, batch_pairs: int, setting: Setting) -> Scaled:
    work = Workload(pairs, TOKENS, ANSWERS, batch_pairs=batch_pairs)
    return scaled(read_shape(MODEL), setting, work, cluster(ranks), lengths=lengths(batch_pairs))


SHARDED = Setting(dtype="bf16", shard=True, gradient_checkpointing=True, stream=True)
ADAPTER = Setting(dtype="bf16", lora_rank=16, stream=True)
# name → (setting, pairs of an update on so many ranks)
WAYS = {
    "all weights, 8 pairs a GPU": (SHARDED, lambda ranks: 8 * ranks),
    "all weights, 512 pairs an update": (SHARDED, lambda ranks: 512),
    "LoRA 16, 8 pairs a GPU": (ADAPTER, lambda ranks: 8 * ranks),
}


def prose(text: str) -> list[str]:
    return textwrap.wrap(text, 130, break_on_hyphens=False)


def table(header: list[str], rows: list[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'|'.join('---' if not number else '--:' for number in range(len(header)))}|"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def plans_part() -> Iterator[str]:
    yield "### Plans beside runs"
    yield ""
    runs = {run["case"]: run for run in results("planning.json")["runs"]}
    rows = []
    for run in (runs[case] for case in CASES):
        rows.append([
            run["case"], f"{run['mean_tokens']:.0f}", f"{run['peak_gb']:.2f}", f"{run['planned_gb']:.2f}",
            f"{run['memory_ratio'] - 1:+.0%}",
            f"{run['measured_seconds']:.2f}", f"{run['planned_seconds']:.2f}", f"{run['time_ratio'] - 1:+.0%}",
        ])  # fmt: skip
    yield from table(
        ["SmolLM2-135M on two cores", "tokens a pair", "GB", "planned", "", "s an update", "planned", ""], rows
    )
    yield ""
    yield from prose(
        "`benchmarks/planning.py`: each run in a process of its own, alone on the machine, four updates, time without the first; "
        "the plan knows the config, the mean lengths and the matmul rate measured just before. The shares of that rate (60 % in "
        "bf16, 80 % in fp32) stood before; the 0.6 GB of holes in the heap were read from the first seven runs, so for memory only "
        "the last four are a test. On a GPU nothing was measured."
    )


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
        steps = ", ".join(f"{margin:.2g}" for margin in margins(found.get(stage, []))) or "–"
        rows.append([stage, *cells, steps])
    yield from table(["stage", *(f"{size:,}" for size in sizes), "s for a thousand more, from size to size"], rows)
    yield ""
    yield from prose(
        "Processor seconds (other work ran beside) and peak memory on two cores; `judge` by length and refusal, `pair` by mean "
        "ratings, `audit` of all pairs without a model (`benchmarks/stages.py`), `train` a model of next to nothing, by the clock "
        "(`benchmarks/growth.py`). Where a thousand more cost as much from size to size, cost is linear. "
        f"A million ratings, alone on the machine: {_million()}. – was not measured. That is all of `generate` by number of "
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
    yield from prose(
        f"Without `--stream` every rank holds all pairs, about {said_bytes(RECORD_BYTES + TOKEN_BYTES * (2 * TOKENS - ANSWERS))} "
        "each, and the whole reference, so a machine of eight GPUs and 2 TB ends at some millions of pairs. With it both are files."
    )


def gpus_part() -> Iterator[str]:
    yield "### Simulated: one GPU to 1,024"
    yield ""
    yield "![Pairs a second and efficiency by the number of GPUs](scaling-gpus.svg)"
    yield ""
    yield from prose(
        "H100, eight a machine (450 GB/s each to its neighbours, 50 GB/s to other machines, 80 % of both reached, 90 % of what "
        "shards send hidden), 40 % of 989 TFLOP/s, pairs of 600 tokens whose lengths spread as HH's do, dealt as training deals "
        "them, GPUs that differ by 2 %. All weights: `--shard --gradient-checkpointing`. Linear would be as many GPUs that never "
        "wait."
    )
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
    for ranks in RANKS:
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


def ends_part() -> Iterator[str]:
    yield "### Where it stops being linear"
    yield ""
    few, many = (on_cluster(ranks, pairs=10**9, batch_pairs=512, setting=SHARDED) for ranks in (64, 256))
    each = [on_cluster(ranks, pairs=10**9, batch_pairs=8 * ranks, setting=SHARDED) for ranks in (RANKS[0], RANKS[-1])]
    rare = checkpoints(read_shape(MODEL), SHARDED.with_(ranks=RANKS[-1]))
    eight_hours = rare.expected(1.0, 8 * 3600.0) - 1
    yield from item(
        "Judging and pairing: a command's start counts up to some thousands; beyond, each answer costs as much as the one before, "
        "as far as it was measured. Auditing costs less with each: its costlier checks look at a sample of large sets. "
        "Pairs with aggregates of a whole crowd (Newman, noisy Bradley–Terry) take up to "
        "three times as long as means for a million ratings (`benchmarks/results/pairing-cpu-2-cores.json`)."
    )
    yield from item(
        "Training on one device: in the pairs, linear as far as it was measured. In their length it is not: attention's scores "
        "grow with the square, which for the models above shows from some thousands of tokens on."
    )
    yield from item("Memory: pairs and reference, held by every rank, end a run before time does (the table above).")
    yield from item(
        f"GPUs, where the pairs of an update are fixed: 512 pairs are {few.efficiency:.0%} of linear on 64 GPUs and "
        f"{many.efficiency:.0%} on 256, for sharded weights must be gathered however few pairs a GPU has, and there it takes "
        "longer than computing."
    )
    yield from item(
        f"GPUs, where each has eight pairs: from {each[0].efficiency:.0%} on {RANKS[0]} to {each[1].efficiency:.0%} on "
        f"{RANKS[-1]:,}. Whether a model learns as much from updates of {8 * RANKS[-1]:,} pairs is another question."
    )
    yield from item(
        f"Failures: {each[1].lost / each[1].training:.1%} of the time on {RANKS[-1]:,} GPUs with a checkpoint every "
        f"{said_seconds(each[1].interval)} (Daly's interval), {eight_hours:.0%} with one every eight hours."
    )


def item(text: str) -> list[str]:
    return textwrap.wrap(f"- {text}", 130, subsequent_indent="  ", break_on_hyphens=False)


def lines() -> Iterator[str]:
    for part in (plans_part, stages_part, memory_part, gpus_part, failures_part, ends_part):
        yield from part()
        yield ""


def draw() -> None:
    import matplotlib

    from rather.reporting.figures import BLUE, GREEN, ORANGE, STYLE

    matplotlib.use("svg")
    from matplotlib import pyplot

    colours = (BLUE, ORANGE, GREEN, "#cc79a7")
    style: Any = STYLE
    with matplotlib.rc_context(style):
        figure, axes = pyplot.subplots(figsize=(6, 3.4), layout="constrained")
        for (stage, points), colour in zip(measured().items(), colours, strict=False):
            counts, seconds = [point[0] for point in points], [point[1] for point in points]
            axes.loglog(counts, seconds, "o-", color=colour, label=stage)
            beyond = [counts[-1] * (1e9 / counts[-1]) ** (step / 50) for step in range(51)]
            each = margins(points)[-1] / 1000
            axes.loglog(beyond, [seconds[-1] + each * (count - counts[-1]) for count in beyond], ":", color=colour)
        million = results("pairing-cpu-2-cores.json")["cases"]["mean, best-vs-worst"]["cpu_seconds"]
        axes.loglog([10**6], [million], "s", color="#767676", label="pair, alone on the machine")
        axes.set_xlabel("answers, ratings or pairs; dotted: each more as much as the last")
        axes.set_ylabel("processor seconds")
        axes.legend(fontsize=8)
        _save(figure, "scaling-stages")

        figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
        ranks = [2**power for power in range(3, 11)]
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
        counts = ranks
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
