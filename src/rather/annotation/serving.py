"""`rather annotate serve`: the store opened and locked, the site built, one process listening."""

from __future__ import annotations

import errno
import logging
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from rather.annotation.accounts import accounts, invite, log
from rather.annotation.desk import Desk
from rather.annotation.options import ServeOptions
from rather.annotation.store import Store, open_store
from rather.annotation.web.addresses import is_loopback
from rather.annotation.web.site import Site
from rather.errors import ConfigError
from rather.progress import say

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})

# Threads that hand the interpreter to each other wait this long for it at most: the writer must not stand behind the event loop
# for the usual 5 ms.
_SWITCH_SECONDS = 0.0005


class Address(Protocol):
    """Where to listen."""

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...


def serve(folder: Path, options: ServeOptions, *, db: str | None = None) -> None:
    """Serve a folder's project until Ctrl-C. Raises StoreError where another process does."""
    store = open_store(folder, db)
    try:
        store.lock()
        require_password(store, options)
        _listen(make_site(store, options), options, store)
    finally:
        store.close()


def make_site(store: Store, options: ServeOptions) -> Site:
    """The ASGI application on an open store."""
    from rather.annotation.web.api import API
    from rather.annotation.web.openapi import DESCRIPTION
    from rather.annotation.web.owner.pages import OWNER_PAGES
    from rather.annotation.web.pages import PAGES, error_page
    from rather.annotation.web.routes import Table

    wide = not is_loopback(options.host)
    hosts = LOOPBACK | {options.host} | ({socket.gethostname().lower()} if wide else set())
    if options.url is not None:
        parts = urlsplit(options.url)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
            raise ConfigError(f"--url {options.url}: must be http:// or https:// and a name, without a path")
        hosts |= {parts.netloc.lower()}
    return Site(
        lambda: Desk(store),
        Table([*API, *DESCRIPTION, *PAGES, *OWNER_PAGES], error_page),
        hosts=frozenset(hosts),
        wide=wide,
        proxied=options.url is not None,
        secure=(options.url or "").startswith("https:"),
    )


def require_password(store: Store, options: ServeOptions) -> None:
    """Raise ConfigError for an address that others can reach while no owner has a password."""
    if is_loopback(options.host) and options.url is None:
        return
    if not any(one.role == "owner" and one.active and one.has_password for one in accounts(store)):
        given = f"--host {options.host}" if options.url is None else f"--url {options.url}"
        raise ConfigError(
            f"{given}: others could reach this, and no owner has a password yet; "
            "make one with: rather annotate add-user FOLDER NAME --role owner"
        )


def _listen(site: Site, options: ServeOptions, store: Store) -> None:
    sys.setswitchinterval(_SWITCH_SECONDS)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    with listening_socket(options) as listening, suppress(KeyboardInterrupt):  # that is how it is stopped
        _announcing()(server_config(site, options), options, store).run(sockets=[listening])


def listening_socket(options: Address) -> socket.socket:
    """Bound here, where a port that is taken can be said in one line. Raises ConfigError."""
    host = options.host.strip("[]")
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, options.port))
    except OSError as error:
        found.close()
        cure = "choose another --port" if error.errno == errno.EADDRINUSE else "choose another --host or --port"
        said = (error.strerror or str(error)).lower()
        raise ConfigError(f"{options.host}:{options.port}: {said}; {cure}") from error
    return found


def server_config(site: Any, options: Address) -> Any:
    """uvicorn's: one process, nothing said of the server, no log of addresses."""
    import uvicorn

    return uvicorn.Config(
        site,
        host=options.host.strip("[]"),
        port=options.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
        backlog=2048,
    )


def _announcing() -> Any:
    import uvicorn

    class Announcing(uvicorn.Server):
        """Says where it is once it listens."""

        def __init__(self, config: Any, options: ServeOptions, store: Store) -> None:
            super().__init__(config)
            self._options, self._store = options, store

        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                port = self.servers[0].sockets[0].getsockname()[1]
                announce(self._store, self._options, port)

    return Announcing


def announce(store: Store, options: ServeOptions, port: int) -> None:
    """Say where the site is; to the first who starts it, how to become its owner."""
    host = socket.gethostname() if options.host in ("0.0.0.0", "::") else options.host
    address = options.url or f"http://{f'[{host}]' if ':' in host.strip('[]') else host}:{port}"
    say(f"annotating {store.name} on {address.rstrip('/')}/ (Ctrl-C stops)")
    if not any(one.role == "owner" for one in accounts(store)):
        token = invite(store, "owner", days=1.0)
        log(store, None, "invited", role="owner", uses=1)
        say(f"nobody owns it yet: become its owner at {address.rstrip('/')}/join#{token}")
