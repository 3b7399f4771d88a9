"""What may stand between a browser and the server: a proxy that a test can make a bad one.

On this side of the network, because a browser whose requests are held up by its own debugger lets some pass unseen.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Literal

Bad = Literal["away", "losing", "slow"]


class Proxy:
    """Hands requests on, unless `bad(method, path)` says what to do to this one.

    away    502, and the server hears nothing
    losing  502, but the server has taken it: its answer was lost
    slow    not before `go_on` is set
    """

    def __init__(self, site: Any) -> None:
        self.site, self.go_on, self.met = site, threading.Event(), 0
        self.bad: Callable[[str, str], Bad | None] = lambda method, path: None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        how = self.bad(scope["method"], scope["path"]) if scope["type"] == "http" else None
        self.met += how is not None
        while how == "slow" and not self.go_on.is_set():
            await asyncio.sleep(0.01)
        if how == "losing":
            await self.site(scope, receive, _nowhere)
        if how in ("away", "losing"):
            await send({"type": "http.response.start", "status": 502, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self.site(scope, receive, send)


async def _nowhere(message: dict[str, Any]) -> None:
    """Where a lost answer goes."""
