"""When packing is taken for exact: numbers by hand. That packed equals plain is tested with models in test_attention.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rather.model import check
from rather.model.check import packing_difference


@pytest.mark.parametrize(
    ("packed", "plain", "exact", "reason"),
    [
        (-10.2, -10.0, None, None),  # 2 %: within what bf16 rounds
        (-11.0, -10.0, -10.5, None),  # 10 %, but the model's own way loses 4.8 %
        (-11.0, -10.0, -10.1, "differ from its own by 1.0e-01"),  # 10 %, and its own way loses 1 %
        (float("nan"), -10.0, -10.5, "differ from its own by inf"),
        (float("nan"), float("nan"), None, None),
        (-0.02, -0.01, None, None),  # near 0 the size counts as 1
    ],
)
def test_what_a_model_rounds_itself_is_no_difference_of_packing(
    monkeypatch: pytest.MonkeyPatch, packed: float, plain: float, exact: float | None, reason: str | None
) -> None:
    def completions(model: Any, samples: Any, *, dtype: torch.dtype, packed: bool = True) -> Any:
        value = sums[1 if dtype == torch.float32 else 0][packed]
        assert value is not None, "not asked without need"
        return SimpleNamespace(sums=lambda: torch.tensor([value]))

    sums = ({True: packed, False: plain}, {True: None, False: exact})
    monkeypatch.setattr(check, "completions", completions)
    said = packing_difference(torch.nn.Identity(), [], dtype=torch.bfloat16)
    assert said is None if reason is None else reason in str(said)


def test_in_full_precision_nothing_is_forgiven(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([-10.0, -10.1])
    monkeypatch.setattr(
        check, "completions", lambda *_, **__: SimpleNamespace(sums=lambda: torch.tensor([next(answers)]))
    )
    assert "1.0e-02" in str(packing_difference(torch.nn.Identity(), [], dtype=torch.float32))
