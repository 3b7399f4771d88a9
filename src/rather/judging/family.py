"""Is a judge of the family of those it judges? Models favour their own kind's answers, so it is said."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rather.progress import say

# Names under which a maker's models go; one behind another is of the same maker.
_FAMILIES = (
    ("smollm",), ("gpt", "chatgpt", "davinci", "openai"), ("claude",), ("gemini", "gemma", "palm"), ("llama", "vicuna", "alpaca"),
    ("qwen", "qwq", "通义"), ("mistral", "mixtral", "ministral", "magistral"), ("deepseek",), ("phi",), ("glm", "chatglm"), ("yi",),
    ("internlm",), ("baichuan",), ("ernie", "文心"), ("hunyuan", "混元"), ("kimi", "moonshot"), ("doubao", "豆包"), ("grok",),
    ("command", "aya"), ("falcon",), ("olmo", "tulu"), ("granite",), ("nemotron",),
)  # fmt: skip


def warn_of_kinship(judge: str, writers: Iterable[str], *, local: bool) -> list[str]:
    """Say which writers of answers are of the judge's family, and return them. local: the judge is a model folder here."""
    reasons = {writer: reason for writer in sorted(writers) if (reason := kinship(judge, writer, local=local))}
    if reasons:
        writer, reason = next(iter(reasons.items()))
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        say(
            f"warning: {judge} judges answers of {writer}{more}: {reason}. Models favour answers of their own kind; have another "
            "family judge beside it"
        )
    return list(reasons)


def kinship(judge: str, writer: str, *, local: bool) -> str | None:
    """Why the two are of one family, by name, by content or by the shape of their configs; None if they seem not to be."""
    if judge.rstrip("/") == writer.rstrip("/"):
        return "it is the same model"
    ours, theirs = (_folder(judge) if local else None), _folder(writer)
    if ours and theirs and ours == theirs:
        return "it is the same model"
    family = families(judge) & families(writer)
    if family:
        return f"both are of the {min(family)} family"
    shapes = [_shape(folder) for folder in (ours, theirs) if folder is not None]
    if len(shapes) == 2 and shapes[0] == shapes[1] and shapes[0] is not None:
        return "their configs are of one model family"
    return None


def families(name: str) -> set[str]:
    """The families that a model's name speaks of."""
    words = re.findall(r"[a-z]+|[\u4e00-\u9fff]+", "/".join(name.lower().rstrip("/").split("/")[-2:]))
    return {names[0] for names in _FAMILIES if any(_is(word, known) for word in words for known in names)}


def _is(word: str, known: str) -> bool:
    """A short name only as a whole word: "phi" is no "philosophy"."""
    return word == known or (len(known) > 3 and word.startswith(known))


def _folder(name: str) -> Path | None:
    """Where a model stands on this machine; nothing is fetched to find out."""
    from rather.model.catalog import CATALOG, resolve

    folder = Path(resolve(name)) if name.lower() in CATALOG else Path(name)
    try:
        return folder.resolve() if (folder / "config.json").is_file() else None
    except OSError:
        return None


def _shape(folder: Path) -> tuple[Any, ...] | None:
    """What models trained from one another share: kind, vocabulary, width, depth."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return tuple(config.get(name) for name in ("model_type", "vocab_size", "hidden_size", "num_hidden_layers"))
