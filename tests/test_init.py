"""The package's top: every name has a home, and what a type checker sees is what there is."""

from __future__ import annotations

import ast
from pathlib import Path

import rather


def test_every_name_is_there_and_known_to_type_checkers() -> None:
    assert set(rather.__all__) == set(rather._HOMES)
    for name in rather.__all__:
        assert getattr(rather, name).__name__ == name
    tree = ast.parse(Path(str(rather.__file__)).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == rather._HOMES


def test_one_class_catches_every_error() -> None:
    assert issubclass(rather.RatherError, Exception)
    assert "RatherError" in dir(rather)
