"""The live board: how far, how alike, whom to trust, how fast, and what choosing gained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rather.annotation.web.http import Reply, Request
from rather.annotation.web.owner.showing import page
from rather.annotation.web.owner.surveying import figures_soon
from rather.annotation.web.routes import Route

if TYPE_CHECKING:
    from rather.annotation.web.site import Site


async def board(site: Site, request: Request) -> Reply:
    """The live board."""
    return page(site, request, "board.html", figures=await figures_soon(site))


PAGES = [Route("GET", "/board", board, page=True, role="owner")]
