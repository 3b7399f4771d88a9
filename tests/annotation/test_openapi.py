"""The API against its own description: whatever is sent, it answers as it says, never with a 5xx, and lets no wrong role in."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from rather.annotation.accounts import ROLES
from rather.annotation.store import open_store
from rather.annotation.web.api import API
from rather.annotation.web.openapi import document
from tests.annotation.asking import Asker, comparisons, fill, serving

schemathesis = pytest.importorskip("schemathesis", reason="pip install 'rather[test]'")
from schemathesis.specs.openapi import checks  # noqa: E402 (behind the check)


def _without_security() -> dict[str, Any]:
    """Who is signed in is this test's business: cookie and token are always sent."""
    described = copy.deepcopy(document())
    del described["components"]["securitySchemes"]
    for methods in described["paths"].values():
        for operation in methods.values():
            operation.pop("security", None)
    return described


SCHEMA = schemathesis.openapi.from_dict(_without_security())
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


def test_every_door_is_described() -> None:
    described = {(method.upper(), path) for path, methods in document()["paths"].items() for method in methods}
    assert described == {(route.method, route.path) for route in API}
    for route in API:
        said = document()["paths"][route.path][route.method.lower()]
        assert said["summary"].endswith(".")
        assert ("security" in said) == (route.role is not None)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str | None, Asker]]:
    """A server with some items, and somebody of each role, and a stranger."""
    store = open_store(tmp_path_factory.mktemp("fuzzed"))
    fill(store, comparisons(50), overlap=3)
    with serving(store) as served:
        yield {None: served.stranger(), **{role: served.someone(role, role) for role in ROLES}}
    store.close()


@pytest.mark.parametrize("role", [None, *ROLES])
@SCHEMA.parametrize()
@settings(max_examples=settings.default.max_examples // 6, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_sent_is_answered_as_described(
    case: Any, role: str | None, fuzzed: dict[str | None, Asker]
) -> None:
    asker = fuzzed[role]
    if case.operation.path == "/api/sign-out" and role is not None:
        return  # it would end the session of all that follows
    headers = {**asker.headers, "X-CSRF-Token": asker.csrf}
    reply = case.call(base_url=f"http://127.0.0.1:{asker.port}", headers=headers, timeout=60)
    # 413 refuses what is too large; the check of refusals does not know it as one.
    case.validate_response(reply, checks=CHECKS[:-1] if reply.status_code == 413 else CHECKS)
    here = (case.operation.path, case.operation.method.upper())
    needed = next(route.role for route in API if (route.path, route.method) == here)
    if needed is not None and role is None:
        assert reply.status_code in (401, 404, 405)
    elif needed is not None and ROLES.index(role) > ROLES.index(needed):
        assert reply.status_code in (403, 404, 405)


def test_the_page_that_describes_the_api(fuzzed: dict[str | None, Asker]) -> None:
    asker = fuzzed[None]
    assert asker.get("/api/openapi.json").json == document()
    assert "POST /api/votes" in asker.get("/api").text


def test_a_method_that_is_not_taken_says_which_are(fuzzed: dict[str | None, Asker]) -> None:
    reply = fuzzed[None].ask("PUT", "/api/votes", b"{}")
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
