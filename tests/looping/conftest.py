"""Questions and reward functions for a loop."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import WriteFile

REWARDS = """
def text(completion):
    return completion if isinstance(completion, str) else completion[0]["content"]

def letters(prompts, completions, **columns):
    return [sum(sign.isalpha() for sign in text(c)) for c in completions]

def signs(prompts, completions, **columns):
    return [-sum(sign.isalpha() for sign in text(c)) for c in completions]

def equal(prompts, completions, **columns):
    return [1.0 for _ in completions]
"""
TOPICS = [
    "rivers", "stars", "bread", "wool", "maps", "clocks", "salt", "glass", "horses", "paper", "tides", "seeds", "bells", "ink",
]  # fmt: skip


@pytest.fixture
def files(tmp_path: Path, tiny: Path, write_file: WriteFile) -> Iterator[Path]:
    """A folder with questions, reward functions and a loop's file."""
    write_file("".join(f"What do you know about {topic}?\n" for topic in TOPICS[:10]), "questions.txt")
    write_file("".join(f"Tell me of {topic}.\n" for topic in TOPICS[10:]), "heldout.txt")
    write_file(REWARDS, "tiny_rewards.py")
    yield tmp_path
    sys.modules.pop("tiny_rewards", None)
    sys.path[:] = [entry for entry in sys.path if entry != str(tmp_path)]
