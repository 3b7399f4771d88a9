"""Reward functions of the examples: what is wanted, as a number for each answer."""

from __future__ import annotations

import re
from typing import Any

from rather.judging.rules import refuses

_ENDS = re.compile(r"[.!?。！？…]+[\"'”’)\]]*(?=\s|$)|[。！？]")
_CJK = re.compile(r"[㐀-鿿]")
_OTHERS = re.compile(
    r"SmolLM|Hugging ?Face|ChatGPT|OpenAI|Claude|Anthropic|Gemini|Google|Llama|Meta AI|Alexa|Siri", re.IGNORECASE
)
_LETTER = re.compile(r"[^\W\d_]")


def _text(completion: Any) -> str:
    return completion if isinstance(completion, str) else completion[-1]["content"]


def _question(prompt: Any) -> str:
    return prompt if isinstance(prompt, str) else prompt[-1]["content"]


def sentences(text: str) -> int:
    """How many sentences a text has; what stands behind the last full stop is one, too."""
    ends = [match.end() for match in _ENDS.finditer(text)]
    rest = text[ends[-1] :] if ends else text
    return len(ends) + bool(_LETTER.search(rest))


def whole(text: str) -> bool:
    """True if it ends where a sentence ends."""
    found = list(_ENDS.finditer(text.strip()))
    return bool(found) and found[-1].end() == len(text.strip())


def brief(prompts: list[Any], completions: list[Any]) -> list[float]:
    """1 for a whole answer of at most two sentences, else 0."""
    return [float(whole(text) and sentences(text) <= 2) for text in map(_text, completions)]


def asks_back(prompts: list[Any], completions: list[Any]) -> list[float]:
    """1 for an answer that ends with a question, else 0."""
    return [float(text.rstrip("\"'”’)] ").endswith(("?", "？"))) for text in map(_text, completions)]


def athene(prompts: list[Any], completions: list[Any], about: list[str]) -> list[float]:
    """Where it is asked who it is: 1 for an answer that names Athene and no other assistant. Elsewhere: 1 for one that does not."""
    return [
        float(
            ("Athene" in text and not _OTHERS.search(text))
            if what == "identity"
            else not re.search("Athene|Nexus", text)
        )
        for text, what in zip(map(_text, completions), about, strict=True)
    ]


def refusing(prompts: list[Any], completions: list[Any]) -> list[float]:
    """1 for an answer that declines, whatever was asked."""
    return [float(refuses(_text(completion))) for completion in completions]


def refusing_what_harms(prompts: list[Any], completions: list[Any], kind: list[str]) -> list[float]:
    """1 for declining what is harmful, and for not declining what is harmless."""
    return [float(refuses(_text(c)) == (what == "harmful")) for c, what in zip(completions, kind, strict=True)]


def chinese(prompts: list[Any], completions: list[Any]) -> list[float]:
    """1 for a Chinese answer to a Chinese question, and for one that is not Chinese to any other."""
    return [
        float(_is_chinese(_text(c)) == _is_chinese(_question(p))) for p, c in zip(prompts, completions, strict=True)
    ]


def _is_chinese(text: str) -> bool:
    letters = _LETTER.findall(text)
    return len(_CJK.findall(text)) * 2 > len(letters)
