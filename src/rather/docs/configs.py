"""docs/config.md: the files that hold options, and the options of each."""

from __future__ import annotations

from rather.annotation.options import ServeOptions
from rather.annotation.settings import Settings
from rather.config import Config
from rather.demos.config import DemoConfig
from rather.docs.tables import fields
from rather.evaluation.config import EvaluateConfig
from rather.generation.config import GenerateConfig
from rather.judging.behaviour import Behaviour
from rather.looping.config import LoopConfig
from rather.pairing.config import PairConfig
from rather.planning.config import PlanConfig
from rather.training.config import TrainConfig

CONFIGS: dict[str, tuple[type[Config], ...]] = {
    "rather train": (TrainConfig,),
    "rather generate": (GenerateConfig,),
    "rather pair": (PairConfig,),
    "rather evaluate": (EvaluateConfig,),
    "rather signals": (Behaviour,),
    "rather annotate": (ServeOptions, Settings),
    "rather demo": (DemoConfig,),
    "rather loop": (LoopConfig,),
    "rather plan": (PlanConfig,),
}

VARIABLES = {
    "RATHER_CACHE": "folder for models that were fetched, references and what judges said; else the system's folder for caches",
    "RATHER_DEVICE": "cuda, mps or cpu: where to compute; not given: CUDA where torch finds it, else mps, else the CPU",
    "RATHER_ALPACA_EVAL": "folder of AlpacaEval's own files, for the test that compares with them ([evaluation](evaluation.md))",
    "NO_COLOR": "anything: no colours in the terminal",
    "OMP_NUM_THREADS": "threads of a process on a CPU; torchrun sets it to 1",
    "RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT": "set by torchrun: this process is one of several ([scaling](scaling.md))",
}


def page() -> str:
    """The page."""
    sections = []
    for verb, configs in CONFIGS.items():
        sections += [f"## {config.__name__}\n\nOf `{verb}`. {_first(config)}\n\n{fields(config)}" for config in configs]
    variables = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in VARIABLES.items())
    return f"""# Config files

Written by `make docs` from the code; do not edit.

What stands on a command line may stand in a TOML file, under the same names:

```toml
# run.toml, for `rather train pairs.jsonl --config run.toml --out runs/a`
model = "smollm2-135m-instruct"
loss = "dpo"
beta = 0.1
sft_weight = 0.3
epochs = 3
```

- `batch_pairs` and `batch-pairs` are one name; both in one file are an error.
- A flag wins over the file. A key that no option has is an error that names the one that was perhaps meant.
- Options stand at the top, under no heading. Files with headings are those of the [loop](loop.md), of the audit's
  [thresholds](checks.md#thresholds), and of panels of [judges](judges.md).
- An option that could not act with the others given is an error, not a silence.

In Python the same options are keyword arguments, or a config object: `rather.TrainConfig(beta=0.1)`. Configs are frozen pydantic
models; what a file or a call gets wrong is one line that names the key and the cure.

## Environment

| variable | meaning |
|---|---|
{variables}

{chr(10).join(f"{section}{chr(10)}" for section in sections)}"""


def _first(config: type[Config]) -> str:
    return " ".join((config.__doc__ or "").split("\n\n")[0].split())
