"""What the model says: identity, its leaks, repetition, length. Rules, so that anyone can check them by reading."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from rather.pairing import Identity
from rather.records import Response
from rather.stats import Rate, rate

# Assistants and their makers: an answer that claims one of these is somebody else's.
OTHERS = (
    "SmolLM", "Hugging Face", "HuggingFace", "ChatGPT", "OpenAI", "GPT-3", "GPT-4", "Claude", "Anthropic", "Gemini", "Bard",
    "Google", "DeepMind", "Llama", "LLaMA", "Meta AI", "Siri", "Apple", "Alexa", "Amazon", "Copilot", "Cortana", "Microsoft",
    "Mistral", "DeepSeek", "Qwen", "Alibaba", "Ernie", "Baidu", "Doubao", "ByteDance", "Kimi", "Moonshot", "Grok", "xAI",
    "通义千问", "阿里", "文心一言", "百度", "豆包", "字节跳动", "混元", "腾讯", "谷歌", "微软", "苹果", "亚马逊", "讯飞",
)  # fmt: skip

# "My name is Elena", "I'm Dr. Smith": a name that is claimed. Sentence openers that are no names are let through.
_CLAIM = re.compile(
    r"\b(?:[Mm]y name is|I(?:'|’)m|I am|[Cc]all me|[Tt]his is)\s+(?:called\s+|named\s+)?((?:(?:Dr|Mr|Ms|Mrs)\.\s*)?[A-Z][\w-]+)"
)
_CLAIM_ZH = re.compile(r"(?:我叫|我的名字是|你可以叫我)\s*([A-Za-z][\w-]+|[一-鿿]{2,4})")
_NO_NAMES = frozenset({"AI", "An", "A", "The", "Your", "Here", "Just", "Not", "One"})


@dataclass(frozen=True)
class IdentityJudge:
    """Does an answer name this identity and no other?"""

    identity: Identity

    def names_it(self, text: str) -> bool:
        """True if the name stands there as a word of its own and no other assistant, maker or name is claimed."""
        return self._has(self.identity.name, text) and not self.names_another(text)

    def leaks(self, text: str) -> bool:
        """True if name or maker stands in an answer to a question that has nothing to do with them."""
        return any(self._has(word, text) for word in (self.identity.name, _distinctive(self.identity.maker)))

    def names_another(self, text: str) -> bool:
        own = {self.identity.name.lower(), *self.identity.maker.lower().split()}
        if any(self._has(other, text) for other in OTHERS if other.lower() not in own):
            return True
        claimed = [*_CLAIM.findall(text), *_CLAIM_ZH.findall(text)]
        mine = self.identity.name.lower()
        return any(name not in _NO_NAMES and not _same_name(name.lower(), mine) for name in claimed)

    @staticmethod
    def _has(word: str, text: str) -> bool:
        # \b does not separate Latin from Chinese letters ("我是Athene，" has none before the A).
        return re.search(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", text, re.IGNORECASE) is not None


def identity_rate(answers: Sequence[Response], judge: IdentityJudge) -> Rate:
    """Share of answers that name the identity and no other."""
    return rate(sum(judge.names_it(answer.text) for answer in answers), len(answers))


def leak_rate(answers: Sequence[Response], judge: IdentityJudge) -> Rate:
    """Share of ordinary answers in which name or maker turns up."""
    return rate(sum(judge.leaks(answer.text) for answer in answers), len(answers))


def repetition(answers: Sequence[Response]) -> float:
    """Mean share of words that stand in a three-word run already seen in the same answer; 0 is none."""
    return fmean(_repeated(answer.text) for answer in answers) if answers else 0.0


def mean_length(answers: Sequence[Response]) -> float:
    """Mean length in characters."""
    return fmean(len(answer.text) for answer in answers) if answers else 0.0


def finished_rate(answers: Sequence[Response]) -> float:
    """Share of answers that ended their turn within the tokens they were given."""
    return fmean(answer.finished for answer in answers) if answers else 0.0


def _repeated(text: str) -> float:
    words = re.findall(r"[⺀-鿿]|[^\W_]+", text.lower())
    runs = Counter(zip(words, words[1:], words[2:], strict=False))
    total = sum(runs.values())
    return sum(count - 1 for count in runs.values()) / total if total else 0.0


def _same_name(claimed: str, mine: str) -> bool:
    """A claimed name stops at a space or hyphen; the identity's may have several words ("Blue Heron")."""
    return claimed == mine or mine.startswith(f"{claimed} ") or claimed.startswith(mine)


def _distinctive(maker: str) -> str:
    """The maker without the words that ordinary answers are full of."""
    common = {"the", "team", "company", "lab", "labs", "inc", "group", "ltd", "of", "and", "a", "an"}
    kept = [word for word in re.split(r"\s+", maker) if word.lower() not in common]
    return " ".join(kept) or maker
