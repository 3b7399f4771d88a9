"""The collector against its own description: whatever is sent, it answers as it says, and never with a 5xx."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

for _needed in ("sqlalchemy", "uvicorn"):
    pytest.importorskip(_needed, reason="pip install 'rather[annotate]'")
schemathesis = pytest.importorskip("schemathesis", reason="pip install 'rather[test]'")

from schemathesis.specs.openapi import checks  # noqa: E402 (behind the check)

from rather.collecting.openapi import document  # noqa: E402
from tests.collecting.collector import Sender, process, sender  # noqa: E402


def _without_security() -> dict[str, Any]:
    """The token is always sent."""
    described = copy.deepcopy(document())
    del described["components"]["securitySchemes"]
    del described["paths"]["/events"]["post"]["security"]
    return described


SCHEMA = schemathesis.openapi.from_dict(_without_security())
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sender]:
    folder: Path = tmp_path_factory.mktemp("collected")
    with process(folder) as (_, said):
        yield sender(folder, said)


@SCHEMA.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_sent_is_answered_as_described(case: Any, service: Sender) -> None:
    headers = {"Authorization": f"Bearer {service.token}"}
    case.call_and_validate(base_url=f"http://127.0.0.1:{service.port}", headers=headers, checks=CHECKS)
