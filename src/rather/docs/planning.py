"""docs/planning.md."""

from __future__ import annotations

from rather.docs.tables import fields
from rather.planning.config import PlanConfig
from rather.planning.devices import GIB, GIGA, GPUS, TERA
from rather.planning.known import KNOWN
from rather.planning.numbers import said_bytes
from rather.planning.shapes import FAMILIES, read_shape


def page() -> str:
    """The page."""
    gpus = "\n".join(
        f"| {gpu.name} | {gpu.memory / GIB:.0f} | {gpu.bf16 / TERA:,.0f} | {gpu.fp32 / TERA:,.4g} | {gpu.bandwidth / GIGA:,.0f} | "
        f"{gpu.watts:.0f} | {gpu.link / GIGA:.0f} |"
        for gpu in GPUS.values()
    )
    shapes = [read_shape(name) for name in KNOWN]
    models = "\n".join(
        f"| {shape.name} | {shape.kind} | {shape.weights:,} | {said_bytes(16 * shape.weights)} |" for shape in shapes
    )
    return f"""# Will it fit, how long, what does it cost

Written by `make docs` from the code; do not edit.

```sh
rather plan -m Llama-3.2-1B --pairs 100k --mean-tokens 600 --gpus 8xH100      # --lora-rank 16, --shard, --json …
rather plan -m runs/base --pairs 2k --mean-tokens 300                         # this machine's processor, whose rate is measured
```

`-m` takes a folder with a `config.json`, a hub id (its `config.json` alone is fetched), or a name of the table below; no weights
are read. The answer is memory by part, the tokens that a micro-batch may hold, time, energy and cost, the size of the reference
cache, the cheapest setting that fits with its command, and what was assumed. A plan that does not fit is an answer: the exit
status is 0.

## What is computed

Memory is that of one GPU at the moment when it is most: at the beginning of a backward, or at its end; while the model is loaded;
while a checkpoint is written. The formulas are the engine's, part by part (`src/rather/planning/memory.py`, `activations.py`), and
tests hold them against it:

| part | bytes |
|---|---|
| weights | 4 each, that are trained; of a base that is frozen on a GPU 2 in bf16, about 0.516 in 4 bits; sharded, a part of that |
| weights cast for products | with bf16, 2 for each fp32 weight that is multiplied, from forward to backward, whole on every rank |
| gradients, optimiser | 4 and 8 for each trained weight (2 and a bit with `adamw_8bit`); gradients come as activations go |
| activations | what autograd keeps of each token in each layer; with `--gradient-checkpointing` layers' inputs, and one layer |
| head | logits of a chunk, their gradients collected for one product, and that product |
| gathered from other ranks | with `--shard`: embedding and head, the layer that computes, the next, gradients on their way |
| reference | 4 for each token of an answer, of all pairs; none with `--stream` |
| framework | 0.55 GB on a CPU (measured), 1 GB on a GPU (assumed) |
| holes in the heap | 0.6 GB on a CPU (measured); on a GPU none are counted |

Loading needs the whole model on every GPU, also where it is then sharded; a checkpoint copies the optimiser's moments.

Time is work over the rate at which it is done: products, attention and logits, 2 for each weight and distinct token forward and
4 backward (2 where weights are frozen), logits once more, and layers once more with checkpointing, at a share of the rate of
products; what clipping, optimiser and casts move, at the memory's rate; calls, a millisecond a layer, and unpacking weights of
4 bits; what ranks send each other, in rings in and between machines; the rank that has a pair more. Failures, slow machines, and
how plans compare with measured runs (on a CPU: on a GPU nothing was measured) are in [docs/scaling.md](scaling.md).

## Options

{fields(PlanConfig)}

## GPUs

As their makers say: memory in GiB as torch finds it, TFLOP/s of dense products in bf16 and in fp32 (without TF32), GB/s of its
memory, watts, GB/s in one direction to its neighbours. `--memory`, `--rate`, `--efficiency` and `--watts` take what you have
measured.

| GPU | memory | bf16 | fp32 | memory's rate | watts | link |
|---|--:|--:|--:|--:|--:|--:|
{gpus}

## Models known by name

Kinds that are counted from any `config.json`: {", ".join(f"`{kind}`" for kind in FAMILIES)}. Others (mixtures
of experts, encoder-decoders, images) are refused.

| name | kind | weights | weights, gradients and moments in fp32 |
|---|---|--:|--:|
{models}
"""
