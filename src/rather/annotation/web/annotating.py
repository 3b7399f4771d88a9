"""The annotator's pages: a task, one's own votes, guidelines, and how it all looks.

Every page is a form that votes without a script. The script (static/annotate.js) sends the same forms with
`Accept: application/json`, and asks for the next task as a part of a page.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from rather.annotation.queue import MOST_HELD
from rather.annotation.receipts import Past, Receipt, Shown
from rather.annotation.tasks import Vote, unfit
from rather.annotation.web.api import number_in_path
from rather.annotation.web.http import HTML, Reply, Request, html_reply, json_reply, redirect
from rather.annotation.web.look import look_cookie, look_of
from rather.annotation.web.pagewriting import render
from rather.annotation.web.rendering import render_all
from rather.annotation.web.routes import VOTE, Route
from rather.annotation.web.shapes import receipt_of
from rather.annotation.web.texts import LANGUAGES, texts

if TYPE_CHECKING:
    from rather.annotation.web.site import Site

REASONS = ("not_my_field", "unclear", "broken", "language", "harmful", "other")
_LONGEST_SAID = 4_000
_HISTORY_PAGE = 30


async def task(site: Site, request: Request) -> Reply:
    """The next task."""
    shown = await site.desk.next(request.person)
    return html_reply(_page(site, request, "task.html", part=await task_part(site, request, shown), shown=shown))


async def next_part(site: Site, request: Request) -> Reply:
    """The next task, for a page that is open: `holding` names items that it has already. 204 where there is none."""
    holding = request.query.get("holding", "")
    items = [int(item) for item in holding.split(",") if item.isascii() and item.isdigit() and len(item) <= 15]
    shown = await site.desk.next(request.person, items[-MOST_HELD:])
    if shown is None:
        return Reply(status=204, kind=HTML)
    return html_reply(await task_part(site, request, shown))


async def vote(site: Site, request: Request) -> Reply:
    """Vote or skip."""
    form, desk = request.data, site.desk
    if form.get("say") == "skip":
        receipt = await desk.skip(request.person, _number(form.get("item", "")), _reason(form), _key(form))
    else:
        receipt, _ = await desk.vote(request.person, vote_of(form))
    return _accepted(site, request, receipt)


async def votes(site: Site, request: Request) -> Reply:
    """One's own votes."""
    before = request.query.get("before", "")
    past = await site.desk.history(request.person, before=_number(before) if before else None, limit=_HISTORY_PAGE + 1)
    return html_reply(_page(site, request, "votes.html", past=past[:_HISTORY_PAGE], older=len(past) > _HISTORY_PAGE))


async def past_vote(site: Site, request: Request) -> Reply:
    """A vote or skip of one's own, to vote again."""
    past = await site.desk.past(request.person, number_in_path(request, "item"))
    part = await task_part(site, request, past.shown, past)
    return html_reply(_page(site, request, "task.html", part=part, shown=past.shown))


async def revise(site: Site, request: Request) -> Reply:
    """Vote again; the old vote, or skip, stays on record."""
    form, item = request.data, number_in_path(request, "item")
    if form.get("say") == "skip":
        receipt = await site.desk.skip(request.person, item, _reason(form), _key(form))
    else:
        receipt = await site.desk.revise(request.person, vote_of({**form, "item": str(item)}))
    return _accepted(site, request, receipt, to="/votes")


async def guidelines(site: Site, request: Request) -> Reply:
    """How to judge."""
    return html_reply(_page(site, request, "guidelines.html"))


async def settings(site: Site, request: Request) -> Reply:
    """Language, colours, order of answers."""
    names = {language: texts(language)("name") for language in LANGUAGES}
    return html_reply(_page(site, request, "settings.html", languages=names))


async def change_settings(site: Site, request: Request) -> Reply:
    """Keep them."""
    reply = redirect("/")
    reply.headers.append(look_cookie(request.data, secure=site.secure))
    return reply


async def task_part(site: Site, request: Request, shown: Shown | None, past: Past | None = None) -> str:
    """A task as a form; with `past`, one's own vote on it filled in."""
    if shown is not None:
        prompt = shown.item.prompt
        turns = [prompt] if isinstance(prompt, str) else [turn["content"] for turn in prompt]
        await render_all([*turns, *shown.answers])
    return _page(
        site,
        request,
        "_task.html",
        shown=shown,
        said={} if past is None else past.said,
        action="/task" if past is None or shown is None else f"/votes/{shown.item.id}",
        key=secrets.token_urlsafe(16),
        reasons=REASONS,
    )


def vote_of(form: dict[str, str]) -> Vote:
    """A form's vote: `verdict` (a, b, tie, both_bad, or a1 … b3 with a strength), `rank0` `rank1` …, `score-ASPECT`, `text`,
    `comment`. Raises RequestError."""
    places = sorted(
        (name for name in form if name.startswith("rank") and name[4:].isdigit()), key=lambda name: int(name[4:])
    )
    verdict, strength = form.get("verdict") or None, form.get("strength") or None
    if verdict is not None and verdict[0] in "ab" and verdict[1:].isdigit():
        verdict, strength = verdict[0], verdict[1:]
    said = {
        "item": form.get("item"),
        "key": form.get("key"),
        "verdict": verdict,
        "strength": strength,
        "ranks": [form[name] or None for name in places] or None,
        "scores": {name[6:]: value for name, value in form.items() if name.startswith("score-")} or None,
        "text": form["text"].replace("\r\n", "\n") if form.get("text") else None,
        "comment": form.get("comment", "").replace("\r\n", "\n"),
        "seconds": form.get("seconds") or None,
    }
    try:
        return Vote.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise unfit(f"{first['loc'][0]}: {first['msg'].lower()}") from error


def wants_json(request: Request) -> bool:
    """True where a script asks, and not a browser that goes to a page."""
    return b"application/json" in request.headers.get(b"accept", b"")


def _accepted(site: Site, request: Request, receipt: Receipt, *, to: str = "/task") -> Reply:
    progress = site.desk.progress(request.person)
    if wants_json(request):
        return json_reply({"receipt": receipt_of(receipt), "progress": asdict(progress)})
    if receipt.right is not None:
        return html_reply(_page(site, request, "feedback.html", receipt=receipt))
    return redirect(to)


def _page(site: Site, request: Request, name: str, **values: Any) -> str:
    return render(
        name,
        look_of(request),
        account=request.account,
        csrf=request.csrf,
        project=site.desk.project,
        progress=None if request.account is None else site.desk.progress(request.account),
        **values,
    )


def _reason(form: dict[str, str]) -> str:
    """Why somebody cannot judge: one of REASONS, and what they say of it."""
    reason, comment = form.get("reason", ""), form.get("comment", "").replace("\x00", "")
    if reason and reason not in REASONS:
        raise unfit("reason: is none of these")
    return ": ".join(part for part in (reason, comment) if part)[:_LONGEST_SAID]


def _key(form: dict[str, str]) -> str:
    """An idempotency key, checked as a vote's is."""
    try:
        return Vote.model_validate({"item": 1, "key": form.get("key")}).key
    except ValidationError as error:
        raise unfit("key: is none") from error


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise unfit("item: is no number")
    return int(text)


ANNOTATING = [
    Route("GET", "/task", task, page=True, role="annotator"),
    Route("POST", "/task", vote, page=True, role="annotator", limit=VOTE),
    Route("GET", "/task/next", next_part, page=True, role="annotator"),
    Route("GET", "/votes", votes, page=True, role="annotator"),
    Route("GET", "/votes/{item}", past_vote, page=True, role="annotator"),
    Route("POST", "/votes/{item}", revise, page=True, role="annotator", limit=VOTE),
    Route("GET", "/guidelines", guidelines, page=True, role="annotator"),
    Route("GET", "/settings", settings, page=True),
    Route("POST", "/settings", change_settings, page=True),
]
"""Doors of the annotator's pages."""
