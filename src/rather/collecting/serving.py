"""`rather signals serve`: a folder with its token and its log, one process listening."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from rather.annotation.serving import listening_socket, server_config
from rather.annotation.web.addresses import is_loopback
from rather.collecting.log import EventLog
from rather.collecting.openapi import pages
from rather.collecting.options import CollectOptions
from rather.collecting.run import TOKEN
from rather.collecting.server import Collector
from rather.errors import ConfigError, StoreError
from rather.progress import say

KEY = "key"


def serve(folder: Path, options: CollectOptions) -> None:
    """Collect events into a folder until Ctrl-C. Raises StoreError where another process does."""
    log = EventLog(folder)
    if log.cut:
        say(f"note: {log.cut:,} bytes of a line that was never finished, and never acknowledged, were cut off")
    collector = make_collector(log)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    with listening_socket(options) as listening, suppress(KeyboardInterrupt):  # that is how it is stopped
        _announcing()(server_config(collector, options), folder, options).run(sockets=[listening])


def make_collector(log: EventLog) -> Collector:
    """The ASGI application on an open log."""
    token = secret_of(log.folder / TOKEN, lambda: secrets.token_urlsafe(32))
    key = secret_of(log.folder / KEY, lambda: secrets.token_hex(32))
    return Collector(log, token=token, key=key.encode()[:64], pages=pages())


def secret_of(file: Path, make: Any) -> str:
    """What a file holds; made, for its user alone, where there is none. Raises StoreError, ConfigError."""
    try:
        with suppress(FileExistsError):
            opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(opened, "w") as new:
                new.write(make() + "\n")
                new.flush()
                os.fsync(new.fileno())
        found = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{file}: {getattr(error, 'strerror', None) or 'is no text'}") from error
    if len(found) < 20 or not found.isascii() or not found.isprintable() or " " in found:
        raise ConfigError(
            f"{file}: must hold 20 or more letters and digits; remove it, and the next start makes a new one"
        )
    return found


def _announcing() -> Any:
    import uvicorn

    class Announcing(uvicorn.Server):
        """Says where it is once it listens."""

        def __init__(self, config: Any, folder: Path, options: CollectOptions) -> None:
            super().__init__(config)
            self._folder, self._options = folder, options

        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                announce(self._folder, self._options, self.servers[0].sockets[0].getsockname()[1])

    return Announcing


def announce(folder: Path, options: CollectOptions, port: int) -> None:
    """Say where the collector is, and where its token."""
    host = socket.gethostname() if options.host in ("0.0.0.0", "::") else options.host.strip("[]")
    say(f"collecting into {folder} on http://{f'[{host}]' if ':' in host else host}:{port}/ (Ctrl-C stops)")
    say(f"who sends events needs the token in {folder / TOKEN}")
    if not is_loopback(options.host):
        say(
            "note: others can reach this without TLS; the token and what users do go in the clear unless a proxy stands before it"
        )
