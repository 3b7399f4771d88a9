"""The notebook for a course: it is valid, carries no output, and runs from its first cell to its last."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebooks" / "from-bradley-terry-to-dpo.ipynb"


def test_the_notebook_is_valid_and_carries_no_output() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) >= 8
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    for cell in code:
        ast.parse(cell.source)
    assert sum("**Exercise.**" in cell.source for cell in notebook.cells) >= 4


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_cell_runs(smollm2: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("RATHER_COURSE_MODEL", smollm2)
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("HOME", os.environ.get("HOME", str(tmp_path)))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=1500, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "= ln 2" in said
    assert "before |" in said
    assert "after  |" in said
