"""Where people differ: a list, and a page for each item on which an adjudicator decides."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from typing import TYPE_CHECKING

from rather.annotation import accounts
from rather.annotation.overseeing import adjudication
from rather.annotation.web.annotating import vote_of
from rather.annotation.web.http import Reply, Request, number_in_path, redirect
from rather.annotation.web.look import look_of
from rather.annotation.web.owner import surveying
from rather.annotation.web.owner.showing import page
from rather.annotation.web.rendering import render_all
from rather.annotation.web.routes import VOTE, Route
from rather.annotation.web.telling import told

if TYPE_CHECKING:
    from rather.annotation.web.site import Site

LISTED = 100


async def disputes(site: Site, request: Request) -> Reply:
    """Items on which people differ, and what was decided."""
    found = await surveying.disputes(site, wait=False)
    total, first = found or (0, [])
    items = [(one, await site.desk.item(one.item)) for one in first[:LISTED]]
    decided = await asyncio.to_thread(adjudication.decisions, site.desk.store)
    return page(site, request, "disputes.html", counting=found is None, found=items, total=total, decided=decided)


async def dispute(site: Site, request: Request) -> Reply:
    """One of them, to be decided."""
    item = await site.desk.item(number_in_path(request, "item"))
    said = await asyncio.to_thread(adjudication.opinions, site.desk.store, item.id)
    order = (await site.desk.look(request.person, item.id)).order
    t = look_of(request).texts
    words = Counter(told(t, adjudication.seen_as(one.said, order)) for one in said)
    await render_all([*item.answers, *((item.prompt,) if isinstance(item.prompt, str) else ())])
    return page(
        site, request, "dispute.html", item=item, answers=[item.answers[place] for place in order],
        said=words.most_common(), comments=[one.comment for one in said if one.comment],
        key=secrets.token_urlsafe(16),
    )  # fmt: skip


async def decide(site: Site, request: Request) -> Reply:
    """Decide one, and go on to the next."""
    item = number_in_path(request, "item")
    receipt = await site.desk.adjudicate(request.person, vote_of({**request.data, "item": str(item)}))
    await asyncio.to_thread(accounts.log, site.desk.store, request.person.id, "adjudicated", item=receipt.item)
    found = await surveying.disputes(site, wait=False)
    return redirect(f"/disputes/{found[1][0].item}" if found and found[1] else "/disputes")


PAGES = [
    Route("GET", "/disputes", disputes, page=True, role="adjudicator"),
    Route("GET", "/disputes/{item}", dispute, page=True, role="adjudicator"),
    Route("POST", "/disputes/{item}", decide, page=True, role="adjudicator", limit=VOTE),
]
