"""Checks of what the records are about: prompts, topics, languages, sources, lengths, refusals; and whether more would help."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from rather.auditing.antisymmetric import FOLDS, Z95, fitted, folds
from rather.auditing.features import features
from rather.auditing.findings import EXAMPLES, AuditInput, shown
from rather.auditing.keys import Ints
from rather.auditing.sampled import drawn, mixed
from rather.auditing.shortcuts import cheap, together
from rather.auditing.sources import sources
from rather.auditing.topics import Topics, topics_of
from rather.auditing.words import TONES
from rather.records import NOUNS, Bars, Curves, Example, Finding, Histogram, Map, Verdict
from rather.stats.intervals import rate

LEAST = 40
"""Fewer different prompts have no topics."""
ASKED = 20_000
"""Prompts that are grouped by topic, at most."""
DRAWN = 1500
"""Points of the map, at most."""
PARTS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)

_SCRIPTS = {
    "Chinese": r"[一-鿿㐀-䶿]", "Japanese": r"[぀-ヿ]", "Korean": r"[가-힯]", "Cyrillic": r"[Ѐ-ӿ]", "Arabic": r"[؀-ۿ]",
    "Devanagari": r"[ऀ-ॿ]", "Greek": r"[Ͱ-Ͽ]", "Hebrew": r"[֐-׿]", "Thai": r"[฀-๿]", "Latin": r"[A-Za-zÀ-ɏ]",
}  # fmt: skip
_FIND = {name: re.compile(pattern) for name, pattern in _SCRIPTS.items()}


def prompt_balance(given: AuditInput) -> list[Finding]:
    """How many prompts the records would be if all weighed alike: 1 / Σ share² (the inverse of Simpson's index)."""
    total, limits = len(given.records), given.thresholds.prompt_balance
    if not total:
        return []
    _, first, counts = np.unique(given.keys.prompt, return_index=True, return_counts=True)
    effective = float(1 / ((counts / total) ** 2).sum())
    verdict: Verdict = "warn" if total >= LEAST and effective < limits.warn * total else "pass"
    if limits.stop is not None and total >= LEAST and effective < limits.stop * total:
        verdict = "stop"
    most = np.argsort(-counts, kind="stable")[:EXAMPLES]
    return [
        Finding(
            check="prompt_balance",
            verdict=verdict,
            message=(
                f"{len(counts):,} different prompts for {total:,} {NOUNS[given.kind]}, which weigh as {effective:,.0f} would "
                f"if each had as many; the most frequent has {counts.max() / total:.1%}"
            ),
            cure="add prompts, or keep fewer records of the most frequent (`--per-prompt`)" if verdict != "pass" else "",
            count=len(counts),
            total=total,
            examples=tuple(
                shown(given.records[int(first[at])], f"{counts[at]:,} times") for at in most if counts[at] > 1
            ),
            evidence={"prompts": len(counts), "effective": effective, "largest": int(counts.max()), "warn_below": limits.warn,
                      "stop_below": limits.stop},
        )
    ]  # fmt: skip


def topic_balance(given: AuditInput) -> list[Finding]:
    """What the prompts are about, how evenly, and which topics nearly nothing is said of.

    Groups of prompts come out otherwise when they are made otherwise, so it is judged by what does not: the share of prompts that
    have one and the same word of a subject in them.
    """
    limits, rows = given.thresholds.topic_balance, _asked(given)
    if len(rows) < LEAST:
        return []
    records = [given.records[row] for row in rows.tolist()]
    topics = topics_of(
        [_asks(record) for record in records], min(limits.topics, len(rows) // 10), given.thresholds.sample.seed
    )
    if topics is None:
        return []
    shares = topics.shares
    effective = float(np.exp(-(shares * np.log(np.maximum(shares, 1e-12))).sum()))
    verdict: Verdict = "warn" if topics.common[1] > limits.warn else "pass"
    thin = [topics.names[at] for at in np.flatnonzero(shares < limits.thin)]
    listed = "; ".join(f"{name} ({share:.0%})" for name, share in zip(topics.names[:3], shares[:3], strict=False))
    said = f", and nearly nothing about {'; '.join(thin[:3])}" if thin else ""
    return [
        Finding(
            check="topic_balance",
            verdict=verdict,
            message=(
                f'"{topics.common[0]}" stands in {topics.common[1]:.0%} of the prompts; {len(shares)} topics, as even as '
                f"{effective:.1f} equal ones: {listed}{said}{_of(given, len(rows))}"
            ),
            cure="add prompts of other topics, or say what the model is for and leave it so" if verdict != "pass" else "",
            count=int(topics.group.max()) + 1,
            total=len(rows),
            examples=tuple(
                shown(records[int(np.flatnonzero(topics.group == at)[0])], name)
                for at, name in enumerate(topics.names[:EXAMPLES])
            ),
            evidence={
                "topics": [{"topic": name, "share": float(share)} for name, share in zip(topics.names, shares, strict=True)],
                "common": {"word": topics.common[0], "share": topics.common[1]}, "effective": effective, "thin": thin,
                "warn_at": limits.warn, "thin_below": limits.thin,
            },
            plots=(_map(topics), _parts("Topics of prompts", topics)),
        )
    ]  # fmt: skip


def coverage(given: AuditInput) -> list[Finding]:
    """Of which languages, writers and lengths the records are, and how often an answer refuses. It judges nothing."""
    sample = given.sample
    if not len(sample):
        return []
    asked = Counter(script_of(_asks(given.records[int(row)])) for row in sample.rows)
    answered = Counter(script_of(text) for text in sample.better)
    refusal = features(sample).of("tone").difference[:, list(TONES).index("refusal")]
    lengths = np.concatenate(sample.lengths)
    wrote = sources(sample)
    languages = ", ".join(f"{name} {count / len(sample):.0%}" for name, count in asked.most_common(3))
    short, middle, long = np.quantile(lengths, [0.05, 0.5, 0.95])
    more, less = int((refusal > 0).sum()), int((refusal < 0).sum())
    return [
        Finding(
            check="coverage",
            verdict="pass",
            message=(
                f"prompts in {languages}; answers of {middle:.0f} words (90 % of them {short:.0f} to {long:.0f}); chosen "
                f"refuses more in {more:,} pairs, rejected in {less:,}{sample.said}"
            ),
            count=len(asked),
            total=len(sample),
            evidence={
                "prompt_scripts": dict(asked.most_common()), "answer_scripts": dict(answered.most_common()),
                "sources": list(wrote.names), "words": {"low": short, "median": middle, "high": long},
                "refuses_more": {"chosen": more, "rejected": less},
            },
            plots=(_lengths(*sample.lengths),),
        )
    ]  # fmt: skip


def learning_curve(given: AuditInput) -> list[Finding]:
    """Whether more data would help: held-out accuracy of a cheap model trained on a sixteenth to all of the pairs.

    It tells of what cheap things can learn; a language model learns other things besides, from more data.
    """
    sample = given.sample
    prompts = int(sample.group.max(initial=-1)) + 1
    if prompts < 5 * LEAST:
        return []
    matrix, fold, whole = cheap(given), folds(sample), together(given).score
    place = (
        mixed(sample.prompt, 11).astype(np.float64) / 2.0**64
    )  # where a prompt stands in the order in which they come
    right = np.zeros((len(PARTS), len(sample)))
    sizes = np.zeros(len(PARTS))
    for number in range(FOLDS):
        asked = fold == number
        for row, part in enumerate(PARTS):
            seen = ~asked & (place < part)
            sizes[row] += seen.sum() / FOLDS
            if seen.any() and asked.any():
                score = whole[asked] if part == 1 else matrix[asked] @ fitted(matrix[seen])
                right[row, asked] = (score > 0) + 0.5 * (score == 0)
    accuracy = right.mean(axis=1)
    gain, spread = _gain(right[-1] - right[-2], sample.group)
    rising = gain - Z95 * spread > 0
    more = "more data would still teach it" if rising else "more data of this kind would teach it little"
    return [
        Finding(
            check="learning_curve",
            verdict="pass",
            message=(
                f"a cheap model tells {accuracy[-1]:.1%} of unseen pairs right after {sizes[-1]:,.0f} pairs and {accuracy[-2]:.1%} "
                f"after half of them: {more}{sample.said}"
            ),
            count=len(sample),
            total=len(sample),
            evidence={
                "pairs": sizes.tolist(), "accuracy": accuracy.tolist(), "last_doubling": gain,
                "low": gain - Z95 * spread, "high": gain + Z95 * spread,
            },
            plots=(
                Curves(
                    title="How much data is enough", x="pairs", y="share of unseen pairs told right",
                    lines={"cheap model": tuple(zip(sizes.tolist(), accuracy.tolist(), strict=True))},
                ),
            ),
        )
    ]  # fmt: skip


def script_of(text: str) -> str:
    """The script of most letters; Chinese with some Japanese letters is Japanese."""
    text = text[:400]
    if text.isascii():
        return "Latin" if any(map(str.isalpha, text)) else "none"
    counts = {name: len(find.findall(text)) for name, find in _FIND.items()}
    name = max(counts, key=lambda script: counts[script])
    if name == "Chinese" and counts["Japanese"] * 5 > counts["Chinese"]:
        return "Japanese"
    return name if counts[name] else "none"


def _asked(given: AuditInput) -> Ints:
    """A record of each prompt, in an order that the order of the records has no part in."""
    keys, first = np.unique(given.keys.prompt, return_index=True)
    return first[drawn(keys, ASKED, given.thresholds.sample.seed)].astype(np.int64)


def _asks(record: Example) -> str:
    """What the user said."""
    if isinstance(record.prompt, str):
        return record.prompt
    return "\n".join(turn.content for turn in record.prompt if turn.role == "user")


def _of(given: AuditInput, rows: int) -> str:
    prompts = len(np.unique(given.keys.prompt))
    return "" if rows == prompts else f" (on {rows:,} of {prompts:,} prompts)"


def _gain(difference: NDArray[np.float64], group: Ints) -> tuple[float, float]:
    """Mean and its standard error, by prompts."""
    mean = float(difference.mean())
    return mean, float(np.sqrt((np.bincount(group, difference - mean) ** 2).sum())) / len(difference)


def _map(topics: Topics) -> Map:
    step = max(1, -(-len(topics.group) // DRAWN))
    return Map(
        title="Prompts by topic",
        points=tuple((float(x), float(y)) for x, y in topics.places[::step]),
        groups=tuple(topics.names[at] for at in topics.group[::step]),
    )


def _parts(title: str, topics: Topics) -> Bars:
    rates = [rate(int(count), len(topics.group)) for count in np.bincount(topics.group)]
    return Bars(
        title=title, unit="share of prompts", names=topics.names, values=tuple(found.value for found in rates),
        low=tuple(found.low for found in rates), high=tuple(found.high for found in rates),
    )  # fmt: skip


def _lengths(better: Ints, worse: Ints) -> Histogram:
    counts = {"chosen": better, "rejected": worse}
    top = max(2.0, float(np.quantile(np.concatenate([better, worse]), 0.99)))
    edges = np.linspace(0, top, 31)
    return Histogram(
        title="Words of an answer", unit="words", edges=tuple(edges.tolist()),
        groups={name: tuple(np.histogram(np.minimum(found, top), edges)[0].tolist()) for name, found in counts.items()},
    )  # fmt: skip
