"""Checks for what separates chosen from rejected without being meant: length, and single words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest, false_discovery_control

from rather.auditing.findings import AuditInput
from rather.records import Finding, Verdict

# Runs of letters and digits; every CJK character by itself, since those words have no spaces between them.
_WORD = re.compile(r"[⺀-鿿豈-﫿぀-ヿ가-힯]|[^\W_]+", re.UNICODE)

WORDS_LISTED = 12

# "the Nexus team" as the intended lesson declares no "the": such words stay under suspicion.
FUNCTION_WORDS = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "i", "in", "is", "it", "of", "on", "or", "our", "that",
    "the", "this", "to", "was", "we", "with", "you", "your",
})  # fmt: skip


def words_of(text: str) -> list[str]:
    """Lower-case words; each Chinese, Japanese or Korean character counts as one."""
    return _WORD.findall(text.lower())


def length_difference(given: AuditInput) -> list[Finding]:
    """How often the longer answer is the chosen one, by a two-sided sign test over the pairs of unequal length.

    Of a ranked list the best answer is compared with the last.
    """
    differences = np.array([len(words_of(better)) - len(words_of(worse)) for better, worse in given.pairs])
    unequal = int((differences != 0).sum())
    longer = int((differences > 0).sum())
    if not unequal:
        return []
    share = longer / unequal
    test = binomtest(longer, unequal)
    interval = test.proportion_ci(method="wilson")
    sure = test.pvalue < 0.01
    verdict: Verdict = "warn" if sure and not 0.3 <= share <= 0.7 else "pass"
    side = "longer" if share > 0.5 else "shorter"
    return [
        Finding(
            check="length_difference",
            verdict=verdict,
            message=(
                f"chosen is the longer answer in {share:.0%} of the {unequal:,} pairs of unequal length (95 % interval "
                f"{interval.low:.0%} to {interval.high:.0%}; median difference {np.median(differences):+.0f} words)"
            ),
            cure=f"balance the lengths, or the model learns to answer {side}" if verdict != "pass" else "",
            count=longer,
            total=unequal,
            evidence={"share_longer": share, "low": interval.low, "high": interval.high, "p": test.pvalue},
        )
    ]


def intended_words(given: AuditInput) -> list[Finding]:
    """Words declared as intended that excuse nothing, because no answer has them or nearly every text would."""
    if not given.intended or not given.pairs:
        return []
    said = {word for sides in given.pairs for side in sides for word in words_of(side)}
    common = [text for text in given.intended if not set(words_of(text)) - FUNCTION_WORDS]
    absent = [
        text for text in given.intended if text not in common and not said & (set(words_of(text)) - FUNCTION_WORDS)
    ]
    wrong = [f"not a word that can be a lesson: {_quoted(common)}"] if common else []
    wrong += [f"in no answer: {_quoted(absent)}"] if absent else []
    return [
        Finding(
            check="intended_words",
            verdict="warn" if wrong else "pass",
            message="; ".join(wrong) or "every intended word is there",
            cure="correct --intended or leave it out" if wrong else "",
            count=len(common) + len(absent),
            total=len(given.intended),
        )
    ]


def telling_words(given: AuditInput) -> list[Finding]:
    """Words that predict the label by themselves, those declared as intended aside.

    For each word the pairs in which exactly one side has it are counted; a fair word stands on either side equally
    often; of a ranked list the best answer stands against the last. Two-sided binomial tests, Benjamini–Hochberg over
    all words that occur so in at least 8 pairs.
    """
    intended = {word for text in given.intended for word in words_of(text)} - FUNCTION_WORDS
    on_chosen: Counter[str] = Counter()
    on_rejected: Counter[str] = Counter()
    for better, worse in given.pairs:
        chosen, rejected = set(words_of(better)), set(words_of(worse))
        on_chosen.update(chosen - rejected)
        on_rejected.update(rejected - chosen)
    rows = []
    for word in sorted(set(on_chosen) | set(on_rejected)):
        total = on_chosen[word] + on_rejected[word]
        if total >= 8:
            rows.append((word, on_chosen[word], total, binomtest(on_chosen[word], total).pvalue))
    if not rows:
        return []
    adjusted = false_discovery_control([p for *_, p in rows])
    telling = [
        {
            "word": word,
            "side": "chosen" if wins * 2 > total else "rejected",
            "pairs": total,
            "share": max(wins, total - wins) / total,
            "covers": total / len(given.records),
            "q": float(q),
            "intended": word in intended,
        }
        for (word, wins, total, _), q in zip(rows, adjusted, strict=True)
        if q < 0.01
    ]
    telling.sort(key=lambda row: (-row["covers"] * (2 * row["share"] - 1), row["word"]))
    unintended = [row for row in telling if not row["intended"]]
    # What matters is how many pairs one unintended word decides, and how surely. It never stops a run by itself: only
    # the user knows whether the word is the lesson.
    worst = max((row["covers"] * (2 * row["share"] - 1) for row in unintended), default=0.0)
    verdict: Verdict = "warn" if worst >= 0.3 else "pass"
    named = ", ".join(
        f'"{row["word"]}" ({row["side"]} in {row["share"]:.0%} of {row["pairs"]})' for row in unintended[:3]
    )
    silenced = ", ".join(f'"{row["word"]}"' for row in telling if row["intended"])
    return [
        Finding(
            check="telling_words",
            verdict=verdict,
            message=(f"words that tell the label: {named}" if named else "no unintended word tells the label")
            + (f"; intended: {silenced}" if silenced else ""),
            cure="vary the wording, or declare what is meant with --intended" if verdict != "pass" else "",
            count=len(unintended),
            total=len(rows),
            evidence={"words": telling[:WORDS_LISTED], "worst": worst, "warn_at": 0.3},
        )
    ]


def _quoted(texts: Sequence[str]) -> str:
    return ", ".join(f'"{text}"' for text in texts)
