"""The command `rather plan`."""

from __future__ import annotations

import json
from typing import Annotated

from cyclopts import Parameter

from rather.app import app
from rather.planning.config import PlanConfig
from rather.planning.shapes import read_shape


@app.command
def plan(
    *,
    model: Annotated[str, Parameter(name=("--model", "-m"))],
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    config: Annotated[PlanConfig | None, Parameter(name="*")] = None,
) -> None:
    """Say whether a run of `rather train` will fit, how long it takes and what it costs, by the model's config alone.

    Parameters
    ----------
    model
        A folder in Hugging Face layout, a hub id (config.json alone is fetched), or a well-known name such as Llama-3.2-1B.
    as_json
        Print everything as JSON, in bytes, seconds and FLOP.
    """
    from rather.planning.page import lines
    from rather.planning.run import plan as make

    config = config or PlanConfig()
    if config.on_cpu:
        config = _of_this_machine(config, model)
    found = make(model, config=config)
    print(json.dumps(found.as_json(), indent=2) if as_json else "\n".join(lines(found)))
    # A plan that does not fit is an answer, not an error: exit status 0.


def _of_this_machine(config: PlanConfig, model: str) -> PlanConfig:
    """With its free memory and its matmul rate, where they were not given."""
    measured: dict[str, float] = {}
    if config.rate is None:
        shape = read_shape(model)  # what is wrong with it is said before torch is imported
        from rather.model.rate import matmul_rate

        measured["rate"] = matmul_rate(config.products, shape.hidden, shape.intermediate) / 1e12
    if config.memory is None:
        import torch

        from rather.training.memory import free_bytes

        measured["memory"] = free_bytes(torch.device("cpu")) / 2**30
    return config.changed(measured)
