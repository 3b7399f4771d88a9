"""What the owner's pages share: their frame with its tabs, and numbers in words."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rather.annotation.web.http import Reply, Request, html_reply
from rather.annotation.web.look import look_of
from rather.annotation.web.pagewriting import render
from rather.annotation.web.texts import Texts

if TYPE_CHECKING:
    from rather.annotation.web.site import Site

TABS = {
    "/board": ("board", "owner"),
    "/disputes": ("disputes", "adjudicator"),
    "/items": ("items", "owner"),
    "/people": ("people", "owner"),
    "/project": ("setup", "owner"),
    "/export": ("export", "owner"),
    "/log": ("log", "owner"),
}
"""path → (what the texts call it, who may see it)"""


def page(site: Site, request: Request, name: str, *, status: int = 200, **values: Any) -> Reply:
    """A page of templates/owner, in its frame."""
    role, look = request.person.role, look_of(request)
    tabs = [(path, look.texts(f"owner.{title}")) for path, (title, whose) in TABS.items() if role in ("owner", whose)]
    text = render(
        f"owner/{name}",
        look,
        account=request.account,
        csrf=request.csrf,
        project=site.desk.project,
        tabs=tabs,
        here="/" + request.path.split("/")[1],
        shown=Shown(look.texts),
        **values,
    )
    return html_reply(text, status)


@dataclass(frozen=True)
class Shown:
    """Numbers and times as the templates show them."""

    t: Texts

    def when(self, at: float) -> str:
        """2026-11-21 18:05 UTC"""
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))

    def percent(self, value: float | None) -> str:
        """93 %"""
        return "–" if value is None else f"{value:.0%}".replace("%", " %")

    def share(self, found: dict[str, Any] | None) -> str:
        """93 % (88 to 96)"""
        if found is None or found["value"] is None:
            return "–"
        if found["low"] is None:
            return self.percent(found["value"])
        low, high = (f"{found[end] * 100:.0f}" for end in ("low", "high"))
        return self.t("owner.range", value=self.percent(found["value"]), low=low, high=high)

    def number(self, found: dict[str, Any] | None, digits: int = 2) -> str:
        """0.61 (0.52 to 0.70)"""
        if found is None or found["value"] is None:
            return "–"
        value = f"{found['value']:.{digits}f}"
        if found["low"] is None:
            return value
        low, high = (f"{found[end]:.{digits}f}" for end in ("low", "high"))
        return self.t("owner.range", value=value, low=low, high=high)

    def seconds(self, value: float | None) -> str:
        """8.2 s"""
        if value is None:
            return "–"
        unit, shown = ("seconds", value) if value < 60 else ("minutes", value / 60)
        return self.t(f"owner.{unit}", value=f"{shown:.1f}")
