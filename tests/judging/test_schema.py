"""The part of JSON schema that is looked at, and that nothing of the rest is passed over."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rather.errors import ConfigError
from rather.judging.schema import misfit, read_schema


@pytest.mark.parametrize(
    ("schema", "good", "bad", "reason"),
    [
        ({"type": "integer"}, "3", "3.5", "the answer is a number, not integer"),
        ({"type": "integer"}, "1e2", "true", "the answer is true or false, not integer"),
        ({"type": ["string", "null"]}, "null", "1", "the answer is a number, not string or null"),
        ({"enum": ["a", 1]}, "1", "true", "none of the values allowed"),
        ({"const": 0}, "0", "false", "not the value required"),
        ({"minimum": 1, "maximum": 5}, "5", "5.5", "the answer is 5.5, above 5"),
        ({"minLength": 2}, '"ab"', '"a"', "1 characters, fewer than 2"),
        ({"pattern": "^a"}, '"ab"', '"b"', "does not have the pattern"),
        ({"items": {"type": "string"}, "maxItems": 2}, '["a"]', '["a", 1]', r"the answer\[1\] is a number"),
        ({"maxItems": 1}, "[1]", "[1, 2]", "2 items, more than 1"),
        (
            {"additionalProperties": False, "properties": {"a": {}}},
            '{"a": 1}',
            '{"b": 1}',
            'has "b", which is not allowed',
        ),
        ({"required": ["a"]}, '{"a": null}', "{}", 'has no "a"'),
        ({}, "[]", "[", "is not JSON"),
    ],
)
def test_what_fits(schema: dict[str, Any], good: str, bad: str, reason: str) -> None:
    assert misfit(good, schema) is None
    found = misfit(bad, schema)
    assert found is not None
    assert re.search(reason, found)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"oneOf": []}', '"oneOf", which is not looked at here'),
        ('{"properties": {"a": {"$ref": "x"}}}', r'.a has "\$ref"'),
        ('{"type": "int"}', 'the type "int"; did you mean "integer"'),
        ('{"pattern": "("}', "a pattern that is no regular expression"),
        ("[]", "is an array, not an object"),
        ("{", "is not JSON"),
    ],
)
def test_a_schema_that_would_be_passed_over_is_refused(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "s.json"
    file.write_text(content)
    with pytest.raises(ConfigError, match=said):
        read_schema(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_schema(tmp_path / "none.json")
    file.write_text(json.dumps({"type": "object", "title": "t"}))
    assert read_schema(file) == {"type": "object", "title": "t"}
