"""Answers to prompts: from a model in this process (servers come later)."""

from rather.generation.sample import sample

__all__ = ["sample"]
