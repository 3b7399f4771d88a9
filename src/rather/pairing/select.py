"""Scores and a rule → pairs of answers, and for each that was not taken the reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from rather.pairing.aggregates import Aggregated
from rather.pairing.config import PairConfig
from rather.pairing.evidence import Evidence, Words
from rather.pairing.rules import RULES
from rather.stats.votes import Bools, Floats, Ints

# Sums of the same votes in another order differ by less; equal means must be equal.
_GRAIN = 9
_SURE = 50.0
"""Largest margin in logits: that of a pair which gold judges decided."""


@dataclass
class Picked:
    """What a rule made. All columns are over pairs, in the order of prompts.

    better, worse  answers
    probability    that `better` is better, a tie counting half; NaN where the aggregate gives none
    margin         how much better
    tied           pairs kept as ties
    lists          ranked lists, where the rule makes them
    loose          tied answers that were taken apart, by themselves
    dropped        reason → candidates that were not taken
    """

    better: Ints
    worse: Ints
    probability: Floats
    margin: Floats
    tied: Bools
    lists: list[tuple[int, ...]]
    loose: Ints
    candidates: int
    dropped: Counter[str]


def select(evidence: Evidence, found: Aggregated, config: PairConfig) -> Picked:
    """Apply the rule to every prompt, then judge every candidate alike: tie, margin, cap."""
    prompt_lots, answer_lots = evidence.lots(config.seed)
    dropped: Counter[str] = Counter()
    made = _candidates(evidence, found, config, prompt_lots, answer_lots, dropped)
    if config.rule == "list":
        lists = _lists(made, found, config.margin, dropped)
        nothing = np.zeros(0, np.int64)
        return Picked(nothing, nothing, np.zeros(0), np.zeros(0), nothing > 0, lists, nothing, len(made), +dropped)
    better, worse = np.array(made, np.int64).reshape(-1, 2).T
    probability, margin, tied, known = _odds(found, better, worse)
    turned = probability < 0.5
    better, worse = np.where(turned, worse, better), np.where(turned, better, worse)
    probability = np.where(turned, 1 - probability, probability)
    dropped["not compared directly"] += int((~known).sum())
    near = known & ~tied & (margin < config.margin)
    dropped[f"closer than --margin {config.margin:g}"] += int(near.sum())
    loose = np.unique(np.r_[better[tied], worse[tied]]) if config.ties == "unpaired" else np.zeros(0, np.int64)
    if config.ties == "half":
        # Equals are kept in an order that is drawn.
        swap = tied & (answer_lots[better] < answer_lots[worse])
        better, worse = np.where(swap, worse, better), np.where(swap, better, worse)
        probability, margin = np.where(tied, 0.5, probability), np.where(tied, 0.0, margin)
    else:
        dropped["tie"] += int(tied.sum())
    keep = known & ~near & (~tied | (config.ties == "half"))
    keep = _capped(evidence, config.per_prompt, keep, better, margin, answer_lots, dropped)
    return Picked(
        better[keep], worse[keep], probability[keep], margin[keep], tied[keep], [], loose, len(made), +dropped
    )


def _candidates(
    evidence: Evidence,
    found: Aggregated,
    config: PairConfig,
    prompt_lots: Words,
    answer_lots: Words,
    dropped: Counter[str],
) -> list[tuple[int, ...]]:
    """What the rule picks of each prompt's comparable answers."""
    compared = _with_company(np.flatnonzero(~np.isnan(found.score)), found.group)
    several = np.unique(evidence.prompt_A[compared])
    dropped["prompts without two answers that can be compared"] += evidence.prompts - len(several)
    judged = _with_company(compared[~evidence.empty_A[compared]], found.group)
    dropped["empty answers, which count as evidence and make no pair"] += int(evidence.empty_A[compared].sum())
    left = np.unique(evidence.prompt_A[judged])
    dropped["prompts with fewer than two answers that say something"] += len(several) - len(left)
    score, group = np.round(found.score[judged], _GRAIN), found.group[judged]
    order = np.lexsort((answer_lots[judged], -score, group))
    judged, score, group = judged[order], score[order], group[order]
    new = np.r_[True, group[1:] != group[:-1]][: len(group)]
    starts, ends = np.flatnonzero(new), np.flatnonzero(np.r_[new[1:], [True] * bool(len(new))]) + 1
    lots = (prompt_lots[evidence.prompt_A[judged[starts]]] >> np.uint64(1)).astype(np.int64).tolist()
    answers, scores, rule = judged.tolist(), score.tolist(), RULES[config.rule]
    made: list[tuple[int, ...]] = []
    for start, end, lot in zip(starts.tolist(), ends.tolist(), lots, strict=True):
        if end - start > 1:
            made += (tuple(answers[start + place] for place in places) for places in rule(scores[start:end], lot))
    return made


def _with_company(answers: Ints, group: Ints) -> Ints:
    """Those of the answers that stand with another one in their group."""
    of_answer = group[answers]
    return answers[np.bincount(of_answer, minlength=1)[of_answer] > 1] if len(answers) else answers


def _odds(found: Aggregated, better: Ints, worse: Ints) -> tuple[Floats, Floats, Bools, Bools]:
    """Probability, margin, whether it is a tie, whether anything is known.

    A tie is what scores or odds make equal, what judges who compared the two mostly called one, and, where nobody compared
    them, what is likelier a tie than not.
    """
    called = found.direct.ties(better, worse) if found.direct else np.zeros(len(better), bool)
    if found.odds is None:
        margin = np.round(found.score[better] - found.score[worse], _GRAIN)
        return np.full(len(better), np.nan), margin, called | (margin == 0), np.ones(len(better), bool)
    odds = found.odds(better, worse)
    known = ~np.isnan(odds.first)
    guessed = odds.tied & ~(found.direct.compared(better, worse) if found.direct else np.zeros(len(better), bool))
    with np.errstate(divide="ignore", invalid="ignore"):
        margin = np.abs(np.clip(np.log(odds.first) - np.log(odds.second), -_SURE, _SURE))
    equal = np.abs(odds.first - odds.second) < 10.0**-_GRAIN
    return odds.better, np.where(known, margin, 0.0), known & (called | guessed | equal), known


def _capped(
    evidence: Evidence, cap: int | None, keep: Bools, better: Ints, margin: Floats, lots: Words, dropped: Counter[str]
) -> Bools:
    """At most `cap` of a prompt: those of the largest margin."""
    if cap is None:
        return keep
    rows = np.flatnonzero(keep)
    prompt = evidence.prompt_A[better[rows]]
    order = np.lexsort((lots[better[rows]], -np.round(margin[rows], _GRAIN), prompt))
    rows, prompt = rows[order], prompt[order]
    starts = np.flatnonzero(np.r_[True, prompt[1:] != prompt[:-1]]) if len(prompt) else np.zeros(0, np.int64)
    place = np.arange(len(rows)) - np.repeat(starts, np.diff(np.r_[starts, len(rows)]))
    kept = np.zeros_like(keep)
    kept[rows[place < cap]] = True
    dropped["over --per-prompt"] += int(keep.sum() - kept.sum())
    return kept


def _lists(
    made: list[tuple[int, ...]], found: Aggregated, margin: float, dropped: Counter[str]
) -> list[tuple[int, ...]]:
    """Each list from its best answer down, without those that are tied with the last one kept or too close to it."""
    kept = [[chain[0]] for chain in made]
    for place in range(1, max(map(len, made), default=0)):
        rows = [number for number, chain in enumerate(made) if len(chain) > place]
        last, this = np.array([kept[number][-1] for number in rows]), np.array([made[number][place] for number in rows])
        probability, ahead, tied, known = _odds(found, last, this)
        against, close = known & ~tied & (probability < 0.5), ahead < margin
        dropped["answers not compared directly with the one before"] += int((~known).sum())
        dropped["answers tied with the one before"] += int(tied.sum())
        dropped["answers that are better than the one before by what was said of the two"] += int(against.sum())
        keep = known & ~tied & ~against & ~close
        dropped[f"answers closer than --margin {margin:g} to the one before"] += int(
            (known & ~tied & ~against & close).sum()
        )
        for number, answer, kept_too in zip(rows, this.tolist(), keep.tolist(), strict=True):
            if kept_too:
                kept[number].append(answer)
    lists = [tuple(answers) for answers in kept if len(answers) > 1]
    dropped["lists of one answer"] += len(made) - len(lists)
    return lists
