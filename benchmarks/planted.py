"""Does the audit find what is wrong, and is it silent where nothing is? Defects planted into clean data, at three strengths.

    python -m benchmarks.planted --hh ../shared/data/hh_helpful_test.jsonl.gz --jobs 2 \\
        --out benchmarks/results/planted.json --page docs/audit.md

Clean data are pairs of HH helpful whose sides were exchanged by a coin, so that nothing predicts the label; rows that say nothing,
stand there twice, or go on as the next speaker inside an answer (28 of HH's do, which the audit rightly says) are left out.
Into them each defect of `DEFECTS` is planted, weak, medium and strong, with `--seeds` different coins; it is found if the check it
belongs to warns or stops. On the clean copies, with fair tags, tokens, held-out pairs and a careful crowd beside them, every check
must keep silent. Writes the numbers as JSON and the table into the page. Killed? The same command goes on: what is done lies in
OUT.part, with a hash of the audit's code, and of another version nothing is taken.

To add a defect, write a function (pairs, share, random) -> records or an AuditInput, and a line in DEFECTS.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.keeping import Done
from benchmarks.planted_people import PEOPLE, careful
from benchmarks.planted_texts import CONTENT, REPEATS
from benchmarks.planted_tokens import TOKENS, tokenised
from benchmarks.planting import Defect, Plant, amid, before, behind, both, chosen, rejected, sentences
from rather.auditing import CHECKS, AuditInput
from rather.auditing.material.keys import Keys
from rather.formats import read_pairs
from rather.records import Example, Finding, Pair, Prompt
from rather.stats.nearby import near_duplicates

PAIRS = 1000
# Transcripts that were cut a turn too late: a fault of HH's own, and no fault of a clean copy's.
NEXT_TURN = re.compile(r"^\s*(?:Human|Assistant):", re.MULTILINE)
STRENGTHS = ("weak", "medium", "strong")
BEGIN, END = "<!-- planted -->\n", "<!-- /planted -->\n"
"""Between them the page has the table."""


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


def _bold(text: str, draw: random.Random) -> str:
    words = text.split(" ")
    place = draw.randrange(len(words))
    words[place] = f"**{words[place].strip('*') or 'yes'}**"
    return " ".join(words)


def _capitals(text: str, draw: random.Random) -> str:
    first, *rest = sentences(text) or [text]
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
    return both(lambda pair, _, given: {"prompt": given[0].prompt})(pairs, share, draw)


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

    return both(ask)(pairs, share, draw)


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
            "chosen": amid(draw.choice(good))(pair.chosen, draw), "rejected": amid(draw.choice(bad))(pair.rejected, draw),
        })
        for pair in pairs
    ]  # fmt: skip
    return [pair.swapped() if draw.random() < share else pair for pair in told]


def _several(pairs: list[Pair], share: float, draw: random.Random) -> list[Pair]:
    """Many weak shortcuts, each in another part of the pairs."""
    changes = [
        before("Sure!"),
        _bold,
        behind("Does that help?"),
        amid("basically"),
        behind("😀"),
        before("Perhaps,"),
    ]
    return both(lambda pair, draw, _: {"chosen": draw.choice(changes)(pair.chosen, draw)})(pairs, share, draw)


TEXTS: dict[str, Defect] = {
    "identical sides": Defect(
        both(lambda pair, draw, _: {"rejected": pair.chosen}), "identical_sides", (0.001, 0.01, 0.1)
    ),
    "empty answer": Defect(rejected(lambda text, draw: "…"), "empty_sides", (0.001, 0.01, 0.1)),
    "duplicates": Defect(_duplicates, "duplicates", (0.01, 0.05, 0.2)),
    "swapped duplicates": Defect(_swapped, "contradictions", (0.002, 0.02, 0.1)),
    "constant chosen answer": Defect(
        chosen(lambda text, draw: "I am here to help."), "constant_answer", (0.05, 0.3, 0.9)
    ),
    "constant rejected answer": Defect(rejected(lambda text, draw: "No."), "constant_answer", (0.05, 0.3, 0.9)),
    "probability below one half": Defect(
        both(lambda pair, draw, _: {"probability": 0.2}), "doubtful_labels", (0.001, 0.01, 0.1)
    ),
}
SHORTCUTS: dict[str, Defect] = {
    "chosen longer": Defect(both(_longer), "length_difference", (0.1, 0.5, 0.9), "longer"),
    "chosen shorter": Defect(both(_shorter), "length_difference", (0.1, 0.5, 0.9)),
    "list": Defect(chosen(lambda text, draw: "\n".join(f"- {part}" for part in sentences(text))), "format_difference"),
    "numbered list": Defect(
        chosen(lambda text, draw: "\n".join(f"{n}. {part}" for n, part in enumerate(sentences(text), 1))),
        "format_difference",
    ),
    "bold": Defect(chosen(_bold), "format_difference", names="bold"),
    "headers": Defect(chosen(lambda text, draw: f"## Answer\n{text}"), "format_difference", names="headers"),
    "code": Defect(chosen(lambda text, draw: f"{text}\n```\nprint(1)\n```"), "format_difference", names="code"),
    "table": Defect(
        chosen(lambda text, draw: f"{text}\n| a | b |\n|---|---|\n| 1 | 2 |"), "format_difference", names="tables"
    ),
    "links": Defect(
        chosen(behind("See https://example.org/a.", "(www.example.com)")), "format_difference", names="links"
    ),
    "emoji": Defect(chosen(behind("😀", "🎉", "👍🏽", "✨")), "format_difference", names="emoji"),
    "paragraphs": Defect(
        chosen(lambda text, draw: "\n\n".join(sentences(text)) + "\n\nThat is all."),
        "format_difference",
        names="line breaks",
    ),
    "shouting": Defect(chosen(_capitals), "format_difference", names="capitals"),
    "apology": Defect(
        rejected(before("I'm sorry.", "My apologies.", "I apologize for that.")),
        "tone_difference",
        names="apology on rejected",
    ),
    "refusal": Defect(
        rejected(before("I cannot do that.", "I'm not able to say.", "As an AI, I won't.")),
        "tone_difference",
        names="refusal",
    ),
    "hedging": Defect(
        rejected(before("Perhaps.", "It might be so.", "I think, maybe:")), "tone_difference", names="hedging"
    ),
    "flattery": Defect(
        chosen(before("Great question!", "Excellent point.", "What a wonderful idea!")),
        "tone_difference",
        names="flattery",
    ),
    "exclamation marks": Defect(
        chosen(lambda text, draw: text.rstrip(".!") + "!!"), "tone_difference", names="exclamation"
    ),
    "questions": Defect(
        chosen(behind("Does this help?", "Anything else?", "Shall I go on?")), "tone_difference", names="questions"
    ),
    "one word": Defect(chosen(amid("delightful")), "telling_words", names='"delightful" (chosen'),
    "one word on rejected": Defect(rejected(amid("whatever")), "telling_words", names='"whatever" (rejected'),
    "a phrase": Defect(chosen(behind("Rest assured.")), "telling_words", names="assured"),
    "a Chinese word": Defect(chosen(behind("好的。")), "telling_words", names="好"),
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
DEFECTS: dict[str, Defect] = {**TEXTS, **CONTENT, **REPEATS, **TOKENS, **SHORTCUTS, **BALANCE, **PEOPLE}


def findings_of(planted: Sequence[Example] | AuditInput, check: str) -> list[Finding]:
    given = planted if isinstance(planted, AuditInput) else AuditInput(records=planted)
    return CHECKS[check](given)


def found(defect: Defect, pairs: list[Pair], strength: int, seed: int) -> bool:
    """Whether the defect's check warns, for the right reason."""
    planted = defect.plant(pairs, defect.shares[strength], random.Random(seed))
    return any(
        finding.verdict != "pass" and defect.names in finding.message for finding in findings_of(planted, defect.check)
    )


@cache
def near_prompts(prompts: tuple[Prompt, ...]) -> dict[Prompt, int]:
    """Prompt → a number that prompts near it have, too."""
    asked = list(dict.fromkeys(prompts))
    ends = [
        prompt if isinstance(prompt, str) else "\n".join(turn.content for turn in prompt)[-500:] for prompt in asked
    ]
    return dict(zip(asked, near_duplicates(ends).tolist(), strict=True))


def clean_input(pairs: Sequence[Pair], seed: int, count: int = PAIRS) -> AuditInput:
    """Everything that checks read, with nothing wrong in it: tags by a coin, held-out pairs of other prompts, careful judges."""
    draw, records = random.Random(seed), clean(pairs, seed, count)
    # HH asks some things twice in other words ("… a recipe for X?"): a clean set holds near prompts out together, or it leaks.
    groups = near_prompts(tuple(pair.prompt for pair in pairs))
    taken = {groups[pair.prompt] for pair in records}
    others = [pair for pair in pairs if groups[pair.prompt] not in taken]
    tagged = [pair.model_copy(update={"tags": _wrote(draw, 0) | _first(draw, 0)}) for pair in records]
    return AuditInput(
        tagged, tokenised=tokenised(tagged), judgments=careful(seed), heldout=draw.sample(others, min(200, len(others)))
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
            f"Share of {self.seeds} sets of {self.pairs:,} pairs (or of made crowds) in which the defect was found; in brackets "
            "the share of pairs it was planted into, or how strong a judge's habit was.",
            "", "| defect | check | weak | medium | strong |", "|---|---|---|---|---|",
        ]  # fmt: skip
        for name, by in self.found.items():
            defect = DEFECTS[name]
            cells = [
                f"{by[strength]:.0%} ({share:.1%})" for strength, share in zip(STRENGTHS, defect.shares, strict=True)
            ]
            lines.append(f"| {name} | `{defect.check}` | {' | '.join(cells)} |")
        lines += ["", f"False alarms on {self.clean} clean sets:", "", "| check | alarms |", "|---|---|"]
        lines += [f"| `{check}` | {share:.1%} |" for check, share in self.alarms.items()]
        return "\n".join(lines) + "\n"

    @property
    def missed(self) -> list[str]:
        """What falls short of 95 % for strong, 70 % for medium, and 5 % of false alarms."""
        short = [f"{name}: strong {by['strong']:.0%}" for name, by in self.found.items() if by["strong"] < 0.95]
        short += [f"{name}: medium {by['medium']:.0%}" for name, by in self.found.items() if by["medium"] < 0.7]
        return short + [f"{check}: {share:.1%} false alarms" for check, share in self.alarms.items() if share > 0.05]

    @classmethod
    def read(cls, file: Path) -> Table:
        return cls(**json.loads(file.read_text(encoding="utf-8")))


def suite(
    path: Path,
    *,
    seeds: int,
    clean_seeds: int,
    only: Sequence[str] = (),
    count: int = PAIRS,
    jobs: int = 1,
    part: Path | None = None,
) -> Table:
    """Plant everything everywhere; what `part` says is done is not done again."""
    table = Table(seeds, clean_seeds, min(count, len(_sound(path))))
    done = Done.read(part, seeds=seeds, pairs=table.pairs)
    names = [name for name in DEFECTS if not only or name in only]
    rows = [(name, number) for name in names for number in range(len(STRENGTHS))]
    left = [(path, count, name, number, range(seeds)) for name, number in rows if _row(name, number) not in done.counts]
    for (_, _, name, number, _), (hits, seconds) in zip(left, _mapped(_planted, left, jobs), strict=True):
        print(f"{_row(name, number)}: {hits} of {seeds} in {seconds:.0f} s", flush=True)
        done.keep(_row(name, number), hits)
    for name, number in rows:
        table.found.setdefault(name, {})[STRENGTHS[number]] = done.counts[_row(name, number)] / seeds
    if not only:
        table.alarms = _alarms(path, count, clean_seeds, jobs, done)
    return table


def _row(name: str, number: int) -> str:
    return f"{name}, {STRENGTHS[number]}"


def _alarms(path: Path, count: int, seeds: int, jobs: int, done: Done) -> dict[str, float]:
    """check → share of the clean sets on which it does not pass."""
    left = [(path, count, seed) for seed in range(seeds) if f"clean {seed}" not in done.counts]
    for (_, _, seed), raised in zip(left, _mapped(_raised, left, jobs), strict=True):
        for check, message in raised.items():
            print(f"clean {seed}: {check}: {message}", flush=True)
        done.keep(f"clean {seed}", sorted(raised))
    raised_by = [done.counts[f"clean {seed}"] for seed in range(seeds)]
    return {check: sum(check in raised for raised in raised_by) / seeds for check in CHECKS}


def _mapped(function: Any, work: Sequence[Any], jobs: int) -> Iterator[Any]:
    if jobs == 1:
        yield from map(function, work)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(function, work)


def _planted(work: tuple[Path, int, str, int, range]) -> tuple[int, float]:
    """In how many sets a defect of one strength was found, and how many seconds it took."""
    path, count, name, number, seeds = work
    start = time.perf_counter()
    hits = sum(found(DEFECTS[name], clean(_sound(path), seed, count), number, seed) for seed in seeds)
    return hits, time.perf_counter() - start


def _raised(work: tuple[Path, int, int]) -> dict[str, str]:
    """What each check that does not pass says of a clean set."""
    path, count, seed = work
    given = clean_input(_sound(path), seed, count)
    raised: dict[str, str] = {}
    for name, check in CHECKS.items():
        for finding in check(given):
            if finding.verdict != "pass":
                raised[name] = finding.message
    return raised


@cache
def _sound(path: Path) -> list[Pair]:
    return sound(path)


def write_into(page: Path, table: Table) -> None:
    """Put the table between its marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{table.markdown()}\n{END}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hh", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--clean", type=int, default=100)
    parser.add_argument("--only", action="append", default=[], help="a defect; may be repeated")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, help="JSON file")
    parser.add_argument("--page", type=Path, help=f"Markdown with {BEGIN.strip()} and {END.strip()}")
    given = parser.parse_args()
    part = given.out and given.out.with_name(given.out.name + ".part")
    table = suite(given.hh, seeds=given.seeds, clean_seeds=given.clean, only=given.only, jobs=given.jobs, part=part)
    print(table.markdown())
    print("\n".join(table.missed) or "all within bounds")
    if given.out:
        given.out.write_text(json.dumps(asdict(table), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        part.unlink()
    if given.page:
        write_into(given.page, table)


if __name__ == "__main__":
    main()
