"""Checks for what is there more than once: cycles, near repeats, one prompt everywhere, and prompts that are held out as well."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from rather.auditing.findings import EXAMPLES, AuditInput, by_share, shown
from rather.records import NOUNS, Bars, Example, Finding, Prompt, Single
from rather.stats.nearby import near_duplicates as nearby

# Of a prompt its end is compared, of an answer its beginning: that is where they differ.
PROMPT_END, ANSWER_BEGIN = 500, 300
ONE_PROMPT_FROM = 20


def cycles(given: AuditInput) -> list[Finding]:
    """A > B, B > C and C > A over one prompt: no order of the answers satisfies all three.

    The preferences of a prompt are edges; those that lie on a directed cycle join answers of one strongly connected component.
    Two pairs that merely stand against each other are left to `contradictions`.
    """
    found = [given.records[place] for place in on_circles(given.records)]
    return by_share(
        "cycles",
        found,
        given,
        message="lie on a circle of preferences (A over B, B over C, C over A)",
        cure="ask again which of these answers is best, or drop the circle: no order of the answers satisfies it",
    )


def on_circles(records: Sequence[Example]) -> list[int]:
    """Places of the records whose preference lies on a circle of three or more answers to one prompt."""
    busy = {prompt for prompt, count in Counter(record.prompt for record in records).items() if count > 2}
    edges = [
        (number, (record.prompt, better), (record.prompt, worse))
        for number, record in enumerate(records)
        if record.prompt in busy and not isinstance(record, Single)
        for better, worse in zip(record.answers, record.answers[1:], strict=False)
        if better != worse
    ]
    both_ways = {(start, end) for _, start, end in edges}
    return _on_cycles([edge for edge in edges if (edge[2], edge[1]) not in both_ways])


def _on_cycles(edges: Sequence[tuple[int, Hashable, Hashable]]) -> list[int]:
    """The numbers of the edges whose two ends can reach each other, each once, in order."""
    places: dict[Hashable, int] = {}
    for _, start, end in edges:
        places.setdefault(start, len(places))
        places.setdefault(end, len(places))
    starts = np.array([places[start] for _, start, _ in edges], np.int64)
    ends = np.array([places[end] for _, _, end in edges], np.int64)
    if not len(starts):
        return []
    graph = coo_array((np.ones(len(starts), np.int8), (starts, ends)), shape=(len(places), len(places)))
    part = connected_components(graph.tocsr(), directed=True, connection="strong")[1]
    inside = part[starts] == part[ends]
    return list(dict.fromkeys(number for (number, *_), on in zip(edges, inside.tolist(), strict=True) if on))


def near_duplicates(given: AuditInput) -> list[Finding]:
    """Pairs that say nearly the same as another one, and prompts that are nearly another prompt (MinHash)."""
    prompts = _ends(given.records)
    labels = _labels(prompts)
    shared = np.bincount(labels, minlength=1)[labels] > 1 if len(labels) else np.zeros(0, bool)
    places = np.flatnonzero(shared).tolist()
    groups: dict[tuple[int, ...], set[str]] = defaultdict(set)
    found = []
    sides = [_labels([text[:ANSWER_BEGIN] for text in texts]) for texts in _sides([given.records[n] for n in places])]
    for row, place in enumerate(places):
        record = given.records[place]
        group = groups[(int(labels[place]), *(int(side[row]) for side in sides))]
        said = "\0".join((prompts[place], *record.answers))
        if group and said not in group:  # the same once more is a duplicate, and counted there
            found.append(record)
        group.add(said)
    by_pair = by_share(
        "near_duplicates",
        found,
        given,
        message=f"say nearly the same as another of the {NOUNS[given.kind]}",
        cure="keep one of each, or they weigh more than their neighbours",
    )
    return by_pair + _near_prompts(given, prompts, labels)


def _near_prompts(given: AuditInput, prompts: Sequence[str], labels: np.ndarray) -> list[Finding]:
    """One finding on the distinct prompts that are nearly another one."""
    first = dict(zip(prompts, labels.tolist(), strict=True))
    groups = Counter(first.values())
    near = [prompt for prompt, label in first.items() if groups[label] > 1]
    share = len(near) / len(first) if first else 0.0
    warned = share > given.thresholds.near_prompts.warn
    return [
        Finding(
            check="near_duplicates",
            verdict="warn" if warned else "pass",
            message=f"{len(near):,} of {len(first):,} different prompts are nearly another one",
            cure="ask more kinds of questions; and hold near prompts out together, as `rather pair` does"
            if warned
            else "",
            count=len(near),
            total=len(first),
            evidence={
                "share": share,
                "warn_above": given.thresholds.near_prompts.warn,
                "largest_group": max(groups.values(), default=0),
            },
        )
    ]


def one_prompt(given: AuditInput) -> list[Finding]:
    """One prompt that stands in a great part of the pairs: the model learns that question, and little else."""
    counts = Counter(record.prompt for record in given.records)
    prompt = max(counts, key=lambda prompt: counts[prompt], default="")
    total = len(given.records)
    found = [record for record in given.records if record.prompt == prompt]
    if total < ONE_PROMPT_FROM:
        found = []
    (finding,) = by_share(
        "one_prompt",
        found,
        given,
        message=f"have one and the same prompt, the most common of {len(counts):,}",
        cure="keep a few of them, or give them less weight, so that other questions count",
    )
    most = counts.most_common(10)
    chart = Bars(
        title="The most common prompts",
        unit="share of all",
        names=tuple(_end_of(prompt) for prompt, _ in most),
        values=tuple(count / total for _, count in most),
    )
    return [finding.model_copy(update={"plots": (chart,) if finding.verdict != "pass" else ()})]


def leakage(given: AuditInput) -> list[Finding]:
    """Held-out pairs whose prompt is trained on, or nearly: what is measured on them is memory."""
    if not given.heldout:
        return []
    trained, held = _ends(given.records), _ends(given.heldout)
    labels = _labels([*trained, *held])
    known, exact = set(labels[: len(trained)].tolist()), set(trained)
    leaks = [
        shown(record, "the same prompt" if text in exact else "nearly the same prompt")
        for record, text, label in zip(given.heldout, held, labels[len(trained) :].tolist(), strict=True)
        if label in known
    ]
    share = len(leaks) / len(held)
    limits = given.thresholds.leakage
    stopped = limits.stop is not None and share >= limits.stop
    return [
        Finding(
            check="leakage",
            verdict="stop" if stopped else "warn" if share > limits.warn else "pass",
            message=f"{len(leaks):,} of {len(held):,} held-out {NOUNS[given.heldout[0].kind]} have a prompt that is trained on",
            cure="remove them from one side; `rather pair` holds whole prompts out, near ones together"
            if leaks
            else "",
            count=len(leaks),
            total=len(held),
            examples=tuple(sorted(leaks, key=lambda leak: leak.why != "the same prompt")[:EXAMPLES]),
            evidence={
                "share": share,
                "same": sum(leak.why == "the same prompt" for leak in leaks),
                "stop_at": limits.stop,
            },
        )
    ]


def _labels(texts: Sequence[str]) -> np.ndarray:
    """A number for each text, equal for those near each other; equal texts are looked at once."""
    places: dict[str, int] = {}
    numbers = [places.setdefault(text, len(places)) for text in texts]
    return nearby(list(places))[numbers] if places else np.zeros(0, np.int64)


def _sides(records: Sequence[Example]) -> list[list[str]]:
    """The best answers, and the last ones; of single answers the one list that there is."""
    if records and isinstance(records[0], Single):
        return [[record.answers[0] for record in records]]
    return [[record.answers[0] for record in records], [record.answers[-1] for record in records]]


def _ends(records: Sequence[Example]) -> list[str]:
    return [_end_of(record.prompt) for record in records]


def _end_of(prompt: Prompt) -> str:
    text = prompt if isinstance(prompt, str) else "\n".join(turn.content for turn in prompt)
    return text[-PROMPT_END:]
