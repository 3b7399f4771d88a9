"""One self-contained page of a run: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, UndefinedError
from pydantic import ValidationError

from rather.errors import ConfigError, InputError, RunDirError
from rather.reporting import looped
from rather.reporting.evaluated import sections
from rather.reporting.figures import comparison_curves, training_curves
from rather.reporting.findings import shown_findings, verdict_said
from rather.reporting.language import ENGLISH, Language, language
from rather.reporting.tables import by_kind, comparison_rows, eval_rows, headline, provenance, subject
from rather.reporting.visible import visible
from rather.reporting.words import words_for
from rather.rundir import MANIFEST, STARTED, atomic_file, disk_error, read_manifest

PAGE = "report.html"
AUDIT_PAGE = "audit.html"

# Answers side by side that a page shows of each kind before the reader asks for the rest.
SHOWN_AT_ONCE = 5

# Where each part lies: in a demo's folder by step, in a single step's folder at its top.
_PLACES = {
    "metrics.jsonl": ("train", "."),
    "audit.json": ("train", "."),
    "refused.jsonl": ("train", "."),
    "eval.json": (".", "evaluate"),
    "samples.jsonl": ("evaluate", "."),
    "pairs_scored.jsonl": ("evaluate", "."),
    "suites.jsonl": ("evaluate", "."),
    "compare.json": (".",),
    "loop.json": (".",),
}


def report(folder: str | Path, *, lang: str = "en") -> Path:
    """Write `report.html` into a run's folder from what lies there (of an audit, `audit.html`), and return its path.

    lang: en, or zh for the page of an audit in Chinese.

    Raises RunDirError where the folder holds neither a training run nor an evaluation nor an audit, ConfigError for a language
    that there is no such page in.
    """
    folder, spoken = Path(folder), language(lang)
    if not folder.is_dir():
        raise RunDirError(f"{folder} is no folder; name the --out of a demo, a training run or an evaluation")
    step = _step_of(folder)
    if spoken is not ENGLISH and step != "audit":
        raise ConfigError(f"--lang {lang}: only the page of an audit is there in this language")
    if step == "train sweep":
        return write_page(folder, "sweep.html.j2", _sweep_values(folder))
    if step == "audit":
        return write_page(folder, "audit.html.j2", _audit_values(folder, spoken), page=AUDIT_PAGE, spoken=spoken)
    if step == "loop":
        return write_page(folder, "loop.html.j2", _loop_values(folder))
    metrics, samples = lines_in(folder, "metrics.jsonl"), lines_in(folder, "samples.jsonl")
    figures, audit = json_in(folder, "eval.json"), json_in(folder, "audit.json")
    if not metrics and not figures:
        raise RunDirError(f"{folder} holds neither metrics.jsonl nor eval.json; nothing to report yet")
    manifests = manifests_in(folder)
    with wanting(folder):
        words = words_for(audit, manifests.get("train", {}))
        values = {
            "subject": subject(manifests.get("evaluate", {})),
            "headline": headline(figures, audit, metrics, words),
            "words": words,
            "curves": training_curves(metrics, words) if metrics else [],
            "audit": audit,
            "groups": shown_findings(audit),
            "rows": eval_rows(figures),
            "sections": sections(figures),
            "samples": by_kind(samples),
            "shown_at_once": SHOWN_AT_ONCE,
            "refused": lines_in(folder, "refused.jsonl"),
            "warnings": manifests.get("train", {}).get("warnings", {}),
            "manifests": manifests,
            "provenance": provenance(manifests),
        }
    return write_page(folder, "report.html.j2", values)


def _audit_values(folder: Path, spoken: Language) -> dict[str, Any]:
    audit, manifests = json_in(folder, "audit.json"), manifests_in(folder)
    with wanting(folder):
        words, groups = words_for(audit, {}), shown_findings(audit, spoken)
        return {
            "title": manifests["audit"].get("name", folder.resolve().name),
            "words": words,
            "audit": audit,
            "groups": groups,
            "said": verdict_said(audit, groups, words),
            "refused": lines_in(folder, "refused.jsonl"),
            "manifests": manifests,
            "provenance": provenance(manifests),
        }


def _step_of(folder: Path) -> str | None:
    """What made a folder; of a loop that goes on also before it is done."""
    if (folder / MANIFEST).is_file():
        return read_manifest(folder).get("step")
    begun = _json_at(folder / STARTED).get("step") if (folder / STARTED).is_file() else None
    return begun if begun == "loop" and (folder / looped.LOOP).is_file() else None


def _loop_values(folder: Path) -> dict[str, Any]:
    figures, manifests = json_in(folder, looped.LOOP), manifests_in(folder)
    with wanting(folder):
        rounds = figures["rounds"]
        shown = figures["best"] or (rounds[-1]["round"] if rounds else None)
        names = {facts["round"]: Path(facts["folder"]).name for facts in rounds}
        return {
            "headline": looped.headline(figures),
            "sections": looped.round_sections(figures),
            "shown": shown,
            "samples": lines_in(folder / names[shown], "samples.jsonl") if shown else [],
            "shown_at_once": SHOWN_AT_ONCE,
            "pages": [(number, f"{name}/evaluate/{PAGE}") for number, name in names.items()],
            "manifests": manifests,
            "provenance": provenance(manifests),
        }


def _sweep_values(folder: Path) -> dict[str, Any]:
    names = read_manifest(folder)["runs"]
    runs = {name: lines_in(folder / name, "metrics.jsonl") for name in names}
    manifests = {name: read_manifest(folder / name) for name in names}
    with wanting(folder):
        words = words_for(json_in(folder / names[0], "audit.json"), manifests[names[0]])
        return {
            "words": words,
            "rows": comparison_rows(runs, manifests),
            "curves": comparison_curves(runs, words),
            "manifests": manifests,
            "provenance": provenance({names[0]: manifests[names[0]]}),
        }


@contextmanager
def wanting(folder: Path) -> Iterator[None]:
    """Files that are JSON, but not as a step of this version writes them, are the user's to mend."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, UndefinedError) as error:
        raise InputError(f"{folder}: a file in it lacks what the page shows ({error}); run its steps again") from error
    except ValidationError as error:
        wrong = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise InputError(f"{folder}: audit.json is of another version (at {wrong}); run its step again") from error


def write_page(
    folder: Path, template: str, values: dict[str, Any], *, page: str = PAGE, spoken: Language = ENGLISH
) -> Path:
    """Fill a template and put the page into the folder."""
    with wanting(folder):
        html = _environment(spoken).get_template(template).render({"title": folder.resolve().name, **values})
    path = folder / page
    try:
        with atomic_file(path) as file:
            file.write(html)
    except OSError as error:
        raise disk_error(error, path) from error
    return path


def _environment(spoken: Language) -> Environment:
    environment = Environment(
        loader=PackageLoader("rather.reporting"), autoescape=True, undefined=StrictUndefined, finalize=_visible
    )
    environment.globals |= {"say": spoken.say, "lang": spoken.code}
    return environment


def _visible(value: Any) -> Any:
    return visible(value) if type(value) is str else value


def _find(folder: Path, name: str) -> Path | None:
    return next((file for place in _PLACES[name] if (file := folder / place / name).is_file()), None)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"it holds a {type(value).__name__}")
    return value


def json_in(folder: Path, name: str) -> dict[str, Any]:
    """What a file of a run's folder holds, wherever it lies there; empty if it is not there."""
    file = _find(folder, name)
    return {} if file is None else _json_at(file)


def _json_at(file: Path) -> dict[str, Any]:
    try:
        return _object(json.loads(file.read_text(encoding="utf-8")))
    except ValueError as error:
        raise InputError(f"{file}: is not JSON ({error}); run the step that wrote it again") from error


def lines_in(folder: Path, name: str) -> list[dict[str, Any]]:
    """The rows of such a file."""
    file = _find(folder, name)
    if file is None:
        return []
    try:
        with file.open(encoding="utf-8") as lines:  # not splitlines(): an answer may hold a U+2028
            return [_object(json.loads(line)) for line in lines]
    except ValueError as error:
        raise InputError(f"{file}: is not JSONL ({error}); run the step that wrote it again") from error


def manifests_in(folder: Path) -> dict[str, dict[str, Any]]:
    """Manifests of the folder and of its steps, by step name; of a step that goes on, what it was begun with."""
    found = {}
    for file in sorted([*folder.glob(MANIFEST), *folder.glob(f"*/{MANIFEST}")]):
        _take(found, read_manifest(file.parent))
    for file in sorted([*folder.glob(STARTED), *folder.glob(f"*/{STARTED}")]):
        if not (file.parent / MANIFEST).is_file():
            _take(found, _json_at(file))
    return found


def _take(found: dict[str, dict[str, Any]], manifest: dict[str, Any]) -> None:
    if "step" in manifest and "config" in manifest:  # else it is some other tool's
        found[manifest["step"]] = manifest
