"""What people are asked in a round: pairs of answers of whose order the policies of earlier rounds are sure against the judges, or
not sure at all, beside pairs drawn at random.

A pair's place on the data map (Swayamdipta et al. 2020, arXiv 2009.10795) is the mean and the spread, over the policies that those
rounds left, of its implicit margin: log π/π₁ of the better answer less that of the worse one, π₁ the first model, by the judges'
order of the two. Mean and spread together below 0: confidently wrong. Mean nearer to 0 than its spread: uncertain.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, zip_longest
from math import hypot
from pathlib import Path
from typing import Any

import numpy as np

from rather.errors import InputError, NothingToPair
from rather.formats import Refusal, iter_judgments, read_pairs, require_clean, say_refused, write_pairs
from rather.formats.responses import iter_responses
from rather.looping.config import LoopConfig
from rather.looping.gathered import VOTES
from rather.pairing.run import PAIRS, pair
from rather.records import Comparison, Pair, Question, Response, content_id
from rather.rundir import hash_file, open_run, read_manifest, sweep_scratch
from rather.stats.intervals import rate_by_group
from rather.stats.votes import Floats

ITEMS, CANDIDATES = "items.jsonl", "candidates"
ARM, WHY, BETTER = "arm", "map", "better"
CHOSEN, RANDOM = "chosen", "random"
WRONG, UNCERTAIN, SURE = "confidently wrong", "uncertain", "as the judges say"
# A margin nearer to 0 than this, in nats, is none, however alike the policies see it.
NEAR = 0.5


@dataclass(frozen=True)
class Place:
    """Where a pair lies on the data map."""

    mean: float
    spread: float

    @property
    def kind(self) -> str:
        if self.mean + self.spread < -NEAR:
            return WRONG
        return UNCERTAIN if abs(self.mean) <= max(self.spread, NEAR) else SURE


def ask(
    folder: Path,
    answers: Path,
    judged: Sequence[Path],
    policies: Sequence[str],
    config: LoopConfig,
    *,
    dtype: str,
    seed: int,
) -> dict[str, Any]:
    """Write `folder/items.jsonl` for `rather annotate import`; what is asked, counted. The votes' place is `folder/votes.jsonl`.

    answers: of the round. judged: the judges' judgments of them; none where people alone judge. policies: of earlier rounds.
    """
    table = config.people
    assert table is not None
    settings = {**table.model_dump(exclude={"wait"}), "seed": seed, "policies": list(policies)}
    with open_run(folder, step="loop people", config=settings, inputs={"answers": hash_file(answers)}) as step:
        if not step.done:
            sweep_scratch(step.path)
            pairs = _judged(folder, judged) if judged else _of_answers(answers)
            places: list[Place] = []
            if judged and policies:
                pairs, places = _map(pairs, policies, config, dtype)
            picked = pick(pairs, places, table.items, table.random_share, seed, ordered=bool(judged))
            write_pairs(folder / ITEMS, picked)
            counts = {name: sum(item.tags.get(WHY) == name for item in picked) for name in (WRONG, UNCERTAIN, SURE)}
            step.finish(
                outputs=(ITEMS,), items=len(picked), random=sum(item.tags[ARM] == RANDOM for item in picked), chosen=counts,
                candidates=len(pairs),
            )  # fmt: skip
        manifest = read_manifest(folder)
    return {name: manifest[name] for name in ("items", "random", "chosen", "candidates")}


def pick(
    pairs: Sequence[Pair], places: Sequence[Place], items: int, share: float, seed: int, *, ordered: bool = True
) -> list[Pair]:
    """So many of the pairs: a share of them at random, the others by their place on the map; all at random without a map.

    Every prompt is asked about once, as long as there are others. ordered: the judges said which answer is better.
    """
    order = list(range(len(pairs)))
    random.Random(f"{seed}/people").shuffle(order)
    order = _one_a_prompt_first(pairs, order)
    lots = min(len(order), items if not places else max(1, round(items * share)))
    drawn = order[:lots]
    if not places:
        return [_tagged(pairs[place], RANDOM, None, ordered) for place in drawn]
    rest = _one_a_prompt_first(pairs, in_turn(places, order[lots:]))
    chosen = rest[: items - len(drawn)]
    return [
        *(_tagged(pairs[place], RANDOM, places[place].kind, ordered) for place in drawn),
        *(_tagged(pairs[place], CHOSEN, places[place].kind, ordered) for place in chosen),
    ]


def in_turn(places: Sequence[Place], among: Sequence[int]) -> list[int]:
    """What is asked first comes first: the most uncertain and the surest of the wrong ones by turns, then what nobody doubts.

    Of equals the order of `among` stays.
    """
    wrong = sorted((at for at in among if places[at].kind == WRONG), key=lambda at: places[at].mean)
    near = sorted((at for at in among if places[at].kind == UNCERTAIN), key=lambda at: abs(places[at].mean))
    sure = sorted((at for at in among if places[at].kind == SURE), key=lambda at: abs(places[at].mean))
    both = zip_longest(near, wrong)
    return [*(at for turn in both for at in turn if at is not None), *sure]


def votes_so_far(folder: Path) -> dict[str, Any]:
    """Votes beside a round's items, and what choosing gained: how much oftener they say otherwise than the judges did."""
    file = folder / VOTES
    if not file.is_file():
        return {"votes": 0}
    read = list(iter_judgments(file))
    require_clean([found for found in read if isinstance(found, Refusal)], len(read))
    votes = [found for found in read if isinstance(found, Comparison)]
    against = {arm: _otherwise([vote for vote in votes if vote.tags.get(ARM) == arm]) for arm in (CHOSEN, RANDOM)}
    found: dict[str, Any] = {"votes": len(votes)}
    if all(total for _, total in against.values()):
        rates = {
            arm: rate_by_group(np.array(hits, bool), np.unique(prompts, return_inverse=True)[1].astype(np.int64))
            for arm, ((hits, prompts), _) in against.items()
        }
        one, other = rates[CHOSEN], rates[RANDOM]
        gap = one.value - other.value
        found["gain"] = {
            **{arm: {"hits": r.hits, "total": r.total, "low": r.low, "high": r.high} for arm, r in rates.items()},
            "value": gap,
            "low": gap - hypot(one.value - one.low, other.high - other.value),
            "high": gap + hypot(one.high - one.value, other.value - other.low),
        }
    return found


def _otherwise(votes: Sequence[Comparison]) -> tuple[tuple[list[bool], list[str]], int]:
    """Of votes that name an answer to an item that the judges had ordered: do they name the other one, and of which prompt."""
    hits, prompts = [], []
    for vote in votes:
        if vote.verdict in ("a", "b") and BETTER in vote.tags:
            named = vote.answers[0 if vote.verdict == "a" else 1]
            hits.append(content_id(named) != vote.tags[BETTER])
            prompts.append(vote.prompt_id)
    return (hits, prompts), len(hits)


def _tagged(item: Pair, arm: str, why: str | None, ordered: bool) -> Pair:
    """`better` says by a hash, and not by a place, which answer the judges held better."""
    tags = {ARM: arm} if why is None else {ARM: arm, WHY: why}
    if ordered:
        tags[BETTER] = content_id(item.chosen)
    return Pair(prompt=item.prompt, chosen=item.chosen, rejected=item.rejected, tags=tags)


def _one_a_prompt_first(pairs: Sequence[Pair], order: Sequence[int]) -> list[int]:
    """The order, with what repeats a prompt behind what does not."""
    seen: dict[str, int] = {}
    turns = []
    for place in order:
        prompt = Question(prompt=pairs[place].prompt).id
        turns.append((seen.get(prompt, 0), place))
        seen[prompt] = seen.get(prompt, 0) + 1
    return [place for _, place in sorted(turns, key=lambda turn: turn[0])]


def _judged(folder: Path, judged: Sequence[Path]) -> list[Pair]:
    """Every two answers that the judges tell apart."""
    try:
        pair(judged, out=folder / CANDIDATES, skip_bad=True, rule="all", heldout_share=0.0)
    except NothingToPair as error:
        raise InputError(f"people cannot be asked: {error}") from error
    return read_pairs(folder / CANDIDATES / PAIRS).pairs


def _of_answers(answers: Path) -> list[Pair]:
    """Every two different answers to one question, in no order that says anything."""
    by_question: dict[str, list[Response]] = {}
    for found in iter_responses(answers):
        if isinstance(found, Response):
            by_question.setdefault(found.question.id, []).append(found)
    return [
        Pair(prompt=one.question.prompt, chosen=one.text, rejected=other.text)
        for own in by_question.values()
        for one, other in combinations(own, 2)
        if one.text != other.text
    ]


def _map(
    pairs: Sequence[Pair], policies: Sequence[str], config: LoopConfig, dtype: str
) -> tuple[list[Pair], list[Place]]:
    """The pairs that a model can read, and each one's place from the margins by every policy. Imports torch."""
    import torch

    from rather.model import Renderer, load, load_tokenizer
    from rather.model.likelihood import likelihoods
    from rather.training.prepare import tokenise

    renderer = Renderer(
        load_tokenizer(config.model), max_length=config.train.max_length, system_prompt=config.system_prompt
    )
    items, refused = tokenise(pairs, renderer)
    say_refused(refused, len(pairs))
    precision = torch.bfloat16 if dtype == "bf16" else torch.float32
    first = load(config.model)
    margins = [
        likelihoods(load(policy), first, items, dtype=precision, what=f"margins, round {number}").log_ratios
        for number, policy in enumerate(policies, start=1)
    ]
    columns: Floats = np.stack([(each.view(-1, 2)[:, 0] - each.view(-1, 2)[:, 1]).numpy() for each in margins])
    places = [Place(float(m), float(s)) for m, s in zip(columns.mean(axis=0), columns.std(axis=0), strict=True)]
    return [item.record for item in items if isinstance(item.record, Pair)], places


def moved(facts: Mapping[str, Any]) -> dict[str, Any]:
    """A round's facts with the votes that have come to its items since."""
    if not facts.get("people"):
        return dict(facts)
    return {**facts, "people": {**facts["people"], **votes_so_far(Path(facts["folder"]) / "people")}}
