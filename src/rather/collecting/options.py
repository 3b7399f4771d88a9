"""What `rather signals serve` takes; light, because `rather --help` reads it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rather.config import Config


class CollectOptions(Config):
    """Where a service sends its events."""

    host: str = "127.0.0.1"
    """Address to listen on. Beyond this machine put a proxy with TLS before it: the token stands in every request."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8766
    """Port to listen on; 0 takes a free one."""
