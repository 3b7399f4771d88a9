"""How the project asks: its settings as a form, and the guidelines in Markdown."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, get_args

from rather.annotation import accounts
from rather.annotation.settings import Asking, Project, aspect_of, save_project
from rather.annotation.web.http import Reply, Request, redirect
from rather.annotation.web.look import look_of
from rather.annotation.web.owner.showing import page
from rather.annotation.web.routes import Route
from rather.annotation.web.texts import Texts
from rather.errors import ConfigError, RequestError

if TYPE_CHECKING:
    from rather.annotation.web.site import Site

GUIDELINES = 500_000
"""The longest form of settings, in bytes."""

FIELDS: dict[str, str] = {
    "title": "text", "overlap": "number", "overlap_max": "number", "agreement": "number", "reserve_minutes": "number",
    "ask": "choice", "random_share": "number", "gold_every": "number", "qualify": "number", "seed": "number",
    "strength": "yes", "ties": "yes", "gold_feedback": "yes", "shuffle": "yes",
}  # fmt: skip
"""setting → its kind in the form; the texts call it setup.NAME and explain it under help.NAME"""

_NAME = re.compile(r"[a-z][a-z_-]*")


async def settings(site: Site, request: Request) -> Reply:
    """The settings as they are."""
    project = site.desk.project
    values = {name: getattr(project, name) for name in FIELDS}
    return _form(site, request, values, project.guidelines, _aspects(project))


async def change(site: Site, request: Request) -> Reply:
    """Other settings, taken up at once; what does not fit is said above the form, and nothing is changed."""
    form = request.data
    try:
        project = Project.build(changes_of(form))
    except ConfigError as error:
        values = {name: form.get(name, "") for name in FIELDS}
        said = _in_the_forms_words(str(error), look_of(request).texts)
        return _form(site, request, values, form.get("guidelines", ""), form.get("aspects", ""), said, 422)
    await save(site, request, project)
    return redirect("/project")


async def save(site: Site, request: Request, project: Project) -> None:
    """Keep the settings, take them up, and put on the log which changed."""
    store, before = site.desk.store, site.desk.project
    await asyncio.to_thread(save_project, store, project)
    await site.desk.refresh()
    changed = [name for name in Project.model_fields if getattr(before, name) != getattr(project, name)]
    await asyncio.to_thread(accounts.log, store, request.person.id, "changed settings", which=changed)


def changes_of(form: dict[str, str]) -> dict[str, Any]:
    """What a form sets other than the default. Raises ConfigError."""
    given: dict[str, Any] = {"guidelines": form.get("guidelines", "").replace("\r\n", "\n")}
    for name, kind in FIELDS.items():
        text = form.get(name, "").strip()
        given[name] = text == "yes" if kind == "yes" else text
    if lines := [line for line in form.get("aspects", "").splitlines() if line.strip()]:
        given["aspects"] = dict(map(aspect_of, lines))
    kept: dict[str, Any] = {}
    for name, value in given.items():
        default = Project.model_fields[name].default
        if value != "" and str(value) != str(default) and not _same_number(value, default):
            kept[name] = value
    return kept


def _same_number(text: Any, default: Any) -> bool:
    try:
        return default is not None and not isinstance(default, bool | dict) and float(text) == float(default)
    except (TypeError, ValueError):
        return False


def _form(
    site: Site,
    request: Request,
    values: dict[str, Any],
    guidelines: str,
    aspects: str,
    error: str = "",
    status: int = 200,
) -> Reply:
    return page(
        site, request, "settings.html", status=status, fields=FIELDS, values=values, guidelines=guidelines, aspects=aspects,
        choices=get_args(Asking), error=error,
    )  # fmt: skip


def _aspects(project: Project) -> str:
    return "\n".join(f"{name}={low}..{high}" for name, (low, high) in project.aspects.items())


def _in_the_forms_words(said: str, t: Texts) -> str:
    """A refusal with the settings called as the form calls them."""
    known = {said: f"“{t(f'setup.{name}')}”" for name in FIELDS for said in (name, name.replace("_", "-"))}
    return _NAME.sub(lambda found: known.get(found[0], found[0]), said).replace("--aspect", "aspects:")


def require(project: dict[str, Any]) -> Project:
    """Settings that came over the API. Raises RequestError."""
    try:
        return Project.build(project)
    except ConfigError as error:
        raise RequestError(str(error), status=422, code="unfit") from error


PAGES = [
    Route("GET", "/project", settings, page=True, role="owner"),
    Route("POST", "/project", change, page=True, role="owner", limit=GUIDELINES),
]
