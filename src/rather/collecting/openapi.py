"""The collector's API described: OpenAPI at `/openapi.json`, and a page to read at `/`."""

from __future__ import annotations

import json
from functools import cache
from html import escape
from importlib import metadata
from typing import Any

from pydantic.json_schema import models_json_schema

from rather.annotation.web.http import HTML, JSON
from rather.collecting.server import LARGEST
from rather.collecting.shapes import Alive, Events, HappenedOnce, Kept, Refused

_REFUSALS = {
    400: "cannot be read", 401: "no token, or another", 408: "the body did not come in time", 413: "too large",
    415: "no JSON", 422: "what was sent does not fit; nothing of it was kept",
    503: "cannot be kept now; send it again",
}  # fmt: skip


@cache
def document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    models = (Alive, Events, Kept, Refused)
    schemas, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    refs = {model: schema for (model, _), schema in schemas.items()}
    refused = {"application/json": {"schema": refs[Refused]}}
    keep = {
        "operationId": "keep",
        "summary": "Keep events. What is answered by 200 is on disk.",
        "security": [{"token": []}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": refs[Events]}}},
        "responses": {
            "200": {"description": "Kept.", "content": {"application/json": {"schema": refs[Kept]}}},
            **{str(status): {"description": why, "content": refused} for status, why in _REFUSALS.items()},
        },
    }
    alive = {
        "operationId": "alive",
        "summary": "Whether the collector listens.",
        "responses": {"200": {"description": "It does.", "content": {"application/json": {"schema": refs[Alive]}}}},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "rather signals",
            "version": metadata.version("rather"),
            "description": f"Takes what users do with answers. At most {LARGEST:,} bytes a request.",
        },
        "paths": {"/events": {"post": keep}, "/alive": {"get": alive}},
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def pages() -> dict[str, tuple[bytes, bytes]]:
    """Address → content type and content of what everybody may read."""
    described = json.dumps(document(), ensure_ascii=False, indent=1).encode()
    return {"/": (HTML, _page().encode()), "/openapi.json": (JSON, described), "/alive": (JSON, b'{"alive":true}')}


_EXAMPLE = """curl http://HOST:PORT/events -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" -d '{"events": [
  {"user": "u7", "prompt": "Why is the sky blue?", "response": "It scatters.", "event": "shown", "position": 1},
  {"user": "u7", "prompt": "Why is the sky blue?", "response": "It scatters.", "event": "like"}]}'"""

_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
code,pre{font:14px/1.5 ui-monospace,monospace}pre{overflow-x:auto;padding:1rem;background:#f3f3f3;border-radius:6px}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.35rem .8rem .35rem 0;border-bottom:1px solid #ddd}
@media(prefers-color-scheme:dark){
body{color:#e6e6e6;background:#161616}pre{background:#242424}td,th{border-color:#3a3a3a}a{color:#8ab4f8}}"""


def _page() -> str:
    fields = "".join(
        f"<tr><td><code>{name}</code></td><td>{'yes' if field.is_required() else ''}</td><td>{escape(_told(name))}</td></tr>"
        for name, field in HappenedOnce.model_fields.items()
    )
    refusals = "".join(f"<tr><td>{status}</td><td>{escape(why)}</td></tr>" for status, why in _REFUSALS.items())
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>rather signals</title><style>{_STYLE}</style></head><body><main>
<h1>rather signals</h1>
<p>Takes what users do with answers: <code>POST /events</code>, with the token of this collector. What is answered
by 200 is on disk. The same as <a href="/openapi.json">OpenAPI</a>; <code>GET /alive</code> says that the collector listens.</p>
<pre>{escape(_EXAMPLE)}</pre>
<h2>An event</h2>
<p>{escape(HappenedOnce.__doc__ or "")}</p>
<table><tr><th>field</th><th>needed</th><th>what it is</th></tr>{fields}</table>
<h2>Refusals</h2>
<p>All events of a request are kept, or none. A refusal is <code>{{"error": {{"code": …, "message": …}}}}</code>.</p>
<table><tr><th>status</th><th>why</th></tr>{refusals}</table>
</main></body></html>
"""


def _told(name: str) -> str:
    if name == "event":
        return ", ".join(document()["components"]["schemas"]["HappenedOnce"]["properties"]["event"]["enum"])
    return HappenedOnce.model_fields[name].description or ""
