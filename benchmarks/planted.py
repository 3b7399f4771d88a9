"""Does the audit find what is wrong, and is it silent where nothing is? Defects planted into clean data, at three strengths.

    python benchmarks/planted.py --hh ../shared/data/hh_helpful_test.jsonl.gz --out benchmarks/results/planted.json

Clean data are pairs of HH helpful whose sides were exchanged by a coin, so that nothing predicts the label; rows that say nothing,
stand there twice, or go on as the next speaker inside an answer (28 of HH's do, which the audit rightly says) are left out.
Into them each defect of `DEFECTS` is planted, weak, medium and strong, with `--seeds` different coins; it is found if the check it
belongs to warns or stops. On the clean copies every check must keep silent. Writes the numbers as JSON and a table as Markdown
beside it.

To add a defect, write a function (pairs, share, random) -> records and a line in DEFECTS.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rather.auditing import CHECKS, AuditInput
from rather.auditing.keys import Keys
from rather.formats import read_pairs
from rather.records import Example, Finding, Pair

PAIRS = 1000
# Transcripts that were cut a turn too late: a fault of HH's own, and no fault of a clean copy's.
NEXT_TURN = re.compile(r"^\s*(?:Human|Assistant):", re.MULTILINE)
STRENGTHS = ("weak", "medium", "strong")

Plant = Callable[[list[Pair], float, random.Random], Sequence[Example] | AuditInput]


@dataclass(frozen=True)
class Defect:
    """What is planted, which check must say so, and in what share of the pairs (weak, medium, strong).

    names: a text that the finding's message must hold, so that it is found for the right reason.
    """

    plant: Plant
    check: str
    shares: tuple[float, float, float] = (0.05, 0.3, 0.6)
    names: str = ""


def clean(pairs: Sequence[Pair], seed: int, count: int = PAIRS) -> list[Pair]:
    """So many sound pairs by chance, their sides exchanged by a coin."""
    draw = random.Random(seed)
    chosen = draw.sample(list(pairs), min(count, len(pairs)))
    return [pair.swapped() if draw.random() < 0.5 else pair for pair in chosen]


def sound(path: Path) -> list[Pair]:
    """The pairs of a file that say something and end where their turn does, each prompt once."""
    pairs = [pair.model_copy(update={"source": None}) for pair in read_pairs(path).pairs]
    keys = Keys.of(pairs)
    seen: set[int] = set()
    kept = []
    for pair, key in zip(pairs, keys.prompt.tolist(), strict=True):
        if key not in seen and pair.chosen.strip() != pair.rejected.strip():
            if all(sum(map(str.isalnum, text)) > 3 and not NEXT_TURN.search(text) for text in pair.answers):
                kept.append(pair)
            seen.add(key)
    return kept


def _both(change: Callable[[Pair, random.Random, Sequence[Pair]], dict[str, Any]]) -> Plant:
    """Plants by changing so large a share of the pairs."""

    def plant(pairs: list[Pair], share: float, draw: random.Random) -> list[Pair]:
        hit = set(draw.sample(range(len(pairs)), round(share * len(pairs))))
        return [
            pair.model_copy(update=change(pair, draw, pairs)) if number in hit else pair
            for number, pair in enumerate(pairs)
        ]

    return plant


def _chosen(change: Callable[[str, random.Random], str]) -> Plant:
    return _both(lambda pair, draw, _: {"chosen": change(pair.chosen, draw)})


def _rejected(change: Callable[[str, random.Random], str]) -> Plant:
    return _both(lambda pair, draw, _: {"rejected": change(pair.rejected, draw)})


def _sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])\s+", text) if part]


def _before(*openings: str) -> Callable[[str, random.Random], str]:
    return lambda text, draw: f"{draw.choice(openings)} {text}"


def _behind(*endings: str) -> Callable[[str, random.Random], str]:
    return lambda text, draw: f"{text} {draw.choice(endings)}"


def _amid(word: str) -> Callable[[str, random.Random], str]:
    """The word somewhere between two others."""

    def change(text: str, draw: random.Random) -> str:
        words = text.split(" ")
        words.insert(draw.randint(0, len(words)), word)
        return " ".join(words)

    return change


def _bold(text: str, draw: random.Random) -> str:
    words = text.split(" ")
    place = draw.randrange(len(words))
    words[place] = f"**{words[place].strip('*') or 'yes'}**"
    return " ".join(words)


def _capitals(text: str, draw: random.Random) -> str:
    first, *rest = _sentences(text) or [text]
    return " ".join([first.upper() + " INDEED", *rest])


def _longer(pair: Pair, draw: random.Random, pairs: Sequence[Pair]) -> dict[str, Any]:
    more = draw.choice(pairs).chosen
    return {
        "chosen": f"{pair.chosen} {more}",
        "rejected": " ".join(pair.rejected.split()[: len(pair.chosen.split()) + 5]),
    }


def _shorter(pair: Pair, draw: random.Random, pairs: Sequence[Pair]) -> dict[str, Any]:
    swapped = _longer(pair.swapped(), draw, pairs)
    return {"chosen": swapped["rejected"], "rejected": swapped["chosen"]}


def _duplicates(pairs: list[Pair], share: float, draw: random.Random) -> list[Pair]:
    count = round(share * len(pairs))
    return [*pairs[: len(pairs) - count], *draw.choices(pairs[: len(pairs) - count], k=count)]


def _swapped(pairs: list[Pair], share: float, draw: random.Random) -> list[Pair]:
    count = round(share * len(pairs))
    return [*pairs[: len(pairs) - count], *(pair.swapped() for pair in draw.sample(pairs[: len(pairs) - count], count))]


def _one_prompt(pairs: list[Pair], share: float, draw: random.Random) -> list[Pair]:
    return _both(lambda pair, _, given: {"prompt": given[0].prompt})(pairs, share, draw)


def _few_prompts(pairs: list[Pair], share: float, draw: random.Random) -> list[Pair]:
    """All pairs on so few prompts that each has 1 / (1 − share) times as many … at 0.95 twenty."""
    prompts = [pair.prompt for pair in pairs[: max(2, round((1 - share) * len(pairs)))]]
    return [pair.model_copy(update={"prompt": draw.choice(prompts)}) for pair in pairs]


def _one_topic(pairs: list[Pair], share: float, draw: random.Random) -> list[Pair]:
    dishes, ways = (
        ("soup", "bread", "cake", "salad", "pasta", "curry", "pie"),
        ("bake", "cook", "season", "freeze", "serve"),
    )

    def ask(pair: Pair, draw: random.Random, given: Sequence[Pair]) -> dict[str, Any]:
        text = f"What recipe to {draw.choice(ways)} a {draw.choice(dishes)} in my kitchen, with {draw.randint(2, 99)} eggs?"
        return {"prompt": text}

    return _both(ask)(pairs, share, draw)


def _tagged(tags: Callable[[random.Random, float], dict[str, str]]) -> Plant:
    """Tags on every pair, made with the share."""
    return lambda pairs, share, draw: [pair.model_copy(update={"tags": tags(draw, share)}) for pair in pairs]


def _wrote(draw: random.Random, share: float) -> dict[str, str]:
    """Two models of four wrote the answers; "m0" is chosen over the others in that share, else by a coin."""
    two = draw.sample(range(4), 2)
    if 0 in two and draw.random() < share:
        two.sort()
    return {"chosen_model": f"m{two[0]}", "rejected_model": f"m{two[1]}"}


def _first(draw: random.Random, share: float) -> dict[str, str]:
    return {
        "shown_first": "chosen" if draw.random() < 0.5 + share / 2 else "rejected",
        "judge": f"j{draw.randrange(5)}",
    }


def _left(draw: random.Random, share: float) -> dict[str, str]:
    """One judge of eight names the left one that much more often."""
    judge = draw.randrange(8)
    return {
        "shown_first": "chosen" if draw.random() < 0.5 + (share / 2 if judge == 0 else 0) else "rejected",
        "judge": f"j{judge}",
    }


def _mislabelled(pairs: list[Pair], share: float, draw: random.Random) -> list[Pair]:
    """Answers whose better one is known by its words, and labels of which a share is wrong."""
    good, bad = ("precisely", "demonstrably", "verified"), ("allegedly", "rumoured", "dubious")
    told = [
        pair.model_copy(update={
            "chosen": _amid(draw.choice(good))(pair.chosen, draw), "rejected": _amid(draw.choice(bad))(pair.rejected, draw),
        })
        for pair in pairs
    ]  # fmt: skip
    return [pair.swapped() if draw.random() < share else pair for pair in told]


def _several(pairs: list[Pair], share: float, draw: random.Random) -> list[Pair]:
    """Many weak shortcuts, each in another part of the pairs."""
    changes = [
        _before("Sure!"),
        _bold,
        _behind("Does that help?"),
        _amid("basically"),
        _behind("😀"),
        _before("Perhaps,"),
    ]
    return _both(lambda pair, draw, _: {"chosen": draw.choice(changes)(pair.chosen, draw)})(pairs, share, draw)


TEXTS: dict[str, Defect] = {
    "identical sides": Defect(
        _both(lambda pair, draw, _: {"rejected": pair.chosen}), "identical_sides", (0.001, 0.01, 0.1)
    ),
    "empty answer": Defect(_rejected(lambda text, draw: "…"), "empty_sides", (0.001, 0.01, 0.1)),
    "duplicates": Defect(_duplicates, "duplicates", (0.01, 0.05, 0.2)),
    "swapped duplicates": Defect(_swapped, "contradictions", (0.002, 0.02, 0.1)),
    "constant chosen answer": Defect(
        _chosen(lambda text, draw: "I am here to help."), "constant_answer", (0.05, 0.3, 0.9)
    ),
    "constant rejected answer": Defect(_rejected(lambda text, draw: "No."), "constant_answer", (0.05, 0.3, 0.9)),
    "probability below one half": Defect(
        _both(lambda pair, draw, _: {"probability": 0.2}), "doubtful_labels", (0.001, 0.01, 0.1)
    ),
}
SHORTCUTS: dict[str, Defect] = {
    "chosen longer": Defect(_both(_longer), "length_difference", (0.1, 0.5, 0.9), "longer"),
    "chosen shorter": Defect(_both(_shorter), "length_difference", (0.1, 0.5, 0.9)),
    "list": Defect(
        _chosen(lambda text, draw: "\n".join(f"- {part}" for part in _sentences(text))), "format_difference"
    ),
    "numbered list": Defect(
        _chosen(lambda text, draw: "\n".join(f"{n}. {part}" for n, part in enumerate(_sentences(text), 1))),
        "format_difference",
    ),
    "bold": Defect(_chosen(_bold), "format_difference", names="bold"),
    "headers": Defect(_chosen(lambda text, draw: f"## Answer\n{text}"), "format_difference", names="headers"),
    "code": Defect(_chosen(lambda text, draw: f"{text}\n```\nprint(1)\n```"), "format_difference", names="code"),
    "table": Defect(
        _chosen(lambda text, draw: f"{text}\n| a | b |\n|---|---|\n| 1 | 2 |"), "format_difference", names="tables"
    ),
    "links": Defect(
        _chosen(_behind("See https://example.org/a.", "(www.example.com)")), "format_difference", names="links"
    ),
    "emoji": Defect(_chosen(_behind("😀", "🎉", "👍🏽", "✨")), "format_difference", names="emoji"),
    "paragraphs": Defect(
        _chosen(lambda text, draw: "\n\n".join(_sentences(text)) + "\n\nThat is all."),
        "format_difference",
        names="line breaks",
    ),
    "shouting": Defect(_chosen(_capitals), "format_difference", names="capitals"),
    "apology": Defect(
        _rejected(_before("I'm sorry.", "My apologies.", "I apologize for that.")),
        "tone_difference",
        names="apology on rejected",
    ),
    "refusal": Defect(
        _rejected(_before("I cannot do that.", "I'm not able to say.", "As an AI, I won't.")),
        "tone_difference",
        names="refusal",
    ),
    "hedging": Defect(
        _rejected(_before("Perhaps.", "It might be so.", "I think, maybe:")), "tone_difference", names="hedging"
    ),
    "flattery": Defect(
        _chosen(_before("Great question!", "Excellent point.", "What a wonderful idea!")),
        "tone_difference",
        names="flattery",
    ),
    "exclamation marks": Defect(
        _chosen(lambda text, draw: text.rstrip(".!") + "!!"), "tone_difference", names="exclamation"
    ),
    "questions": Defect(
        _chosen(_behind("Does this help?", "Anything else?", "Shall I go on?")), "tone_difference", names="questions"
    ),
    "one word": Defect(_chosen(_amid("delightful")), "telling_words", names='"delightful" (chosen'),
    "one word on rejected": Defect(_rejected(_amid("whatever")), "telling_words", names='"whatever" (rejected'),
    "a phrase": Defect(_chosen(_behind("Rest assured.")), "telling_words", names="assured"),
    "a Chinese word": Defect(_chosen(_behind("好的。")), "telling_words", names="好"),
    "source model": Defect(_tagged(_wrote), "source_difference", (0.1, 0.8, 1.0), '"m0" is chosen'),
    "first shown": Defect(_tagged(_first), "position_difference", (0.05, 0.4, 0.8)),
    "annotator always left": Defect(_tagged(_left), "position_difference", (0.1, 0.7, 1.0), 'judge "j0"'),
    "many weak shortcuts": Defect(_several, "shortcuts_together", (0.1, 0.5, 0.9)),
}
BALANCE: dict[str, Defect] = {
    "one prompt dominates": Defect(_one_prompt, "prompt_balance", (0.02, 0.2, 0.6)),
    "few prompts": Defect(_few_prompts, "prompt_balance", (0.5, 0.95, 0.99)),
    "one topic": Defect(_one_topic, "topic_balance", (0.1, 0.6, 0.9)),
    "wrong labels": Defect(_mislabelled, "likely_mislabels", (0.01, 0.06, 0.15)),
}
DEFECTS: dict[str, Defect] = {**TEXTS, **SHORTCUTS, **BALANCE}


def findings_of(planted: Sequence[Example] | AuditInput, check: str) -> list[Finding]:
    given = planted if isinstance(planted, AuditInput) else AuditInput(records=planted)
    return CHECKS[check](given)


def found(defect: Defect, pairs: list[Pair], strength: int, seed: int) -> bool:
    """Whether the defect's check warns, for the right reason."""
    planted = defect.plant(pairs, defect.shares[strength], random.Random(seed))
    return any(
        finding.verdict != "pass" and defect.names in finding.message for finding in findings_of(planted, defect.check)
    )


@dataclass
class Table:
    """How often what was found."""

    seeds: int
    clean: int
    pairs: int
    found: dict[str, dict[str, float]] = field(default_factory=dict)
    alarms: dict[str, float] = field(default_factory=dict)

    def markdown(self) -> str:
        lines = [
            f"Share of {self.seeds} sets of {self.pairs:,} pairs in which the defect was found; in brackets the share of pairs "
            "it was planted into.",
            "", "| defect | check | weak | medium | strong |", "|---|---|---|---|---|",
        ]  # fmt: skip
        for name, by in self.found.items():
            defect = DEFECTS[name]
            cells = [
                f"{by[strength]:.0%} ({share:.1%})" for strength, share in zip(STRENGTHS, defect.shares, strict=True)
            ]
            lines.append(f"| {name} | `{defect.check}` | {' | '.join(cells)} |")
        lines += ["", f"False alarms on {self.clean} clean sets:", "", "| check | alarms |", "|---|---|"]
        lines += [f"| `{check}` | {share:.0%} |" for check, share in self.alarms.items()]
        return "\n".join(lines) + "\n"

    @property
    def missed(self) -> list[str]:
        """What falls short of 95 % for strong, 70 % for medium, and 5 % of false alarms."""
        short = [f"{name}: strong {by['strong']:.0%}" for name, by in self.found.items() if by["strong"] < 0.95]
        short += [f"{name}: medium {by['medium']:.0%}" for name, by in self.found.items() if by["medium"] < 0.7]
        return short + [f"{check}: {share:.0%} false alarms" for check, share in self.alarms.items() if share > 0.05]


def suite(path: Path, *, seeds: int, clean_seeds: int, only: Sequence[str] = (), count: int = PAIRS) -> Table:
    """Plant everything everywhere."""
    pairs = sound(path)
    table = Table(seeds, clean_seeds, min(count, len(pairs)))
    sets = [clean(pairs, seed, count) for seed in range(max(seeds, clean_seeds))]
    for name, defect in DEFECTS.items():
        if only and name not in only:
            continue
        start = time.perf_counter()
        table.found[name] = {
            strength: sum(found(defect, sets[seed], number, seed) for seed in range(seeds)) / seeds
            for number, strength in enumerate(STRENGTHS)
        }
        print(f"{name}: {table.found[name]} in {time.perf_counter() - start:.0f} s", flush=True)
    if not only:
        alarms = dict.fromkeys(CHECKS, 0)
        for seed in range(clean_seeds):
            given = AuditInput(records=sets[seed])
            for check in CHECKS:
                raised = [finding for finding in CHECKS[check](given) if finding.verdict != "pass"]
                alarms[check] += bool(raised)
                for finding in raised:
                    print(f"clean {seed}: {check}: {finding.message}", flush=True)
        table.alarms = {check: count / clean_seeds for check, count in alarms.items()}
    return table


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hh", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--clean", type=int, default=100)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    table = suite(arguments.hh, seeds=arguments.seeds, clean_seeds=arguments.clean, only=arguments.only)
    print(table.markdown())
    print("\n".join(table.missed) or "all within bounds")
    if arguments.out:
        result = {
            "pairs": table.pairs,
            "seeds": table.seeds,
            "clean": table.clean,
            "found": table.found,
            "alarms": table.alarms,
        }
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")
        arguments.out.with_suffix(".md").write_text(table.markdown())


if __name__ == "__main__":
    main()
