"""One self-contained page of a run: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from rather.errors import InputError, RunDirError
from rather.reporting.figures import training_curves
from rather.reporting.tables import eval_rows, headline, provenance
from rather.rundir import MANIFEST, atomic_file

PAGE = "report.html"

# Where each part lies: in a demo's folder by step, in a single step's folder at its top.
_PLACES = {
    "metrics.jsonl": ("train", "."),
    "audit.json": ("train", "."),
    "refused.jsonl": ("train", "."),
    "eval.json": (".", "evaluate"),
    "samples.jsonl": ("evaluate", "."),
}


def report(folder: Path) -> Path:
    """Write `report.html` into a run's folder from what lies there, and return its path.

    Raises RunDirError where the folder holds neither a training run nor an evaluation.
    """
    if not folder.is_dir():
        raise RunDirError(f"{folder} is no folder; name the --out of a demo, a training run or an evaluation")
    metrics, samples = _lines(folder, "metrics.jsonl"), _lines(folder, "samples.jsonl")
    figures, audit = _json(folder, "eval.json"), _json(folder, "audit.json")
    if not metrics and not figures:
        raise RunDirError(f"{folder} holds neither metrics.jsonl nor eval.json; nothing to report yet")
    manifests = _manifests(folder)
    environment = Environment(loader=PackageLoader("rather.reporting"), autoescape=True, undefined=StrictUndefined)
    html = environment.get_template("report.html.j2").render(
        title=folder.resolve().name,
        headline=headline(figures, audit, metrics),
        curves=training_curves(metrics) if metrics else [],
        last=metrics[-1] if metrics else None,
        audit=audit,
        rows=eval_rows(figures),
        samples=samples,
        refused=_lines(folder, "refused.jsonl"),
        manifests=manifests,
        provenance=provenance(manifests),
    )
    page = folder / PAGE
    with atomic_file(page) as file:
        file.write(html)
    return page


def _find(folder: Path, name: str) -> Path | None:
    return next((file for place in _PLACES[name] if (file := folder / place / name).is_file()), None)


def _json(folder: Path, name: str) -> dict[str, Any]:
    file = _find(folder, name)
    if file is None:
        return {}
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file}: is not JSON ({error}); run the step that wrote it again") from error


def _lines(folder: Path, name: str) -> list[dict[str, Any]]:
    file = _find(folder, name)
    if file is None:
        return []
    try:
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise InputError(f"{file}: is not JSONL ({error}); run the step that wrote it again") from error


def _manifests(folder: Path) -> dict[str, dict[str, Any]]:
    """Manifests of the folder and of its steps, by step name."""
    found = {}
    for file in sorted([*folder.glob(MANIFEST), *folder.glob(f"*/{MANIFEST}")]):
        manifest = json.loads(file.read_text(encoding="utf-8"))
        found[manifest["step"]] = manifest
    return found
