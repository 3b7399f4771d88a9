"""What was picked → records, one at a time, with the texts read back from where the ledger keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rather.pairing.aggregates import Aggregated
from rather.pairing.config import PairConfig
from rather.pairing.evidence import Evidence
from rather.pairing.ledger import prompt_of
from rather.pairing.select import Picked
from rather.pairing.told import Told
from rather.records import Pair, Prompt, RankedList, Single
from rather.stats.votes import Bools, total


class Writer:
    """Records of a result, in the order of prompts."""

    def __init__(self, evidence: Evidence, found: Aggregated, picked: Picked, config: PairConfig) -> None:
        self.evidence, self.found, self.picked, self.config = evidence, found, picked, config
        self.label = config.label or ("hard" if found.odds is None else "probability")
        self._told = Told(evidence, picked.better, picked.worse)
        self._prompt: tuple[int, Prompt, dict[str, str]] | None = None

    def pairs(self, chosen_prompts: Bools) -> Iterator[Pair]:
        """The pairs of these prompts [Q]."""
        picked, told = self.picked, self._told
        of_prompt = self.evidence.prompt_A[picked.better]
        for row in np.lexsort((picked.worse, picked.better, of_prompt)).tolist():
            if chosen_prompts[of_prompt[row]]:
                better, worse = int(picked.better[row]), int(picked.worse[row])
                prompt, tags = self.prompt(better)
                yield Pair(
                    prompt=prompt, chosen=self.answer(better), rejected=self.answer(worse),
                    tags=tags | told.tags(row), **self._said(row),
                )  # fmt: skip

    def lists(self, chosen_prompts: Bools) -> Iterator[RankedList]:
        """The ranked lists of these prompts."""
        for ranked in sorted(self.picked.lists, key=lambda ranked: min(ranked)):
            if chosen_prompts[self.evidence.prompt_A[ranked[0]]]:
                prompt, tags = self.prompt(ranked[0])
                yield RankedList(prompt=prompt, ranked=tuple(self.answer(answer) for answer in ranked), tags=tags)

    def loose(self, chosen_prompts: Bools) -> Iterator[Single]:
        """Tied answers by themselves, where something says whether they are good."""
        for answer, label in zip(self.picked.loose.tolist(), self.loose_labels(), strict=True):
            if label is not None and chosen_prompts[self.evidence.prompt_A[answer]]:
                prompt, tags = self.prompt(answer)
                tags = tags | self._told.model("model", answer)
                yield Single(prompt=prompt, completion=self.answer(answer), label=label, tags=tags)

    def loose_labels(self) -> list[bool | None]:
        """Good, bad, or None: both bad by the judges; else above or below the middle of the scale, or its prompt's mean."""
        evidence, found, answers = self.evidence, self.found, self.picked.loose
        known = ~np.isnan(found.score)
        score = np.where(known, found.score, 0.0)
        groups = int(found.group.max(initial=-1)) + 1
        mean = total(found.group, score, groups) / np.maximum(total(found.group, known.astype(np.float64), groups), 1)
        middle = mean[found.group[answers]] if found.middle is None else np.full(len(answers), found.middle)
        above = np.round(found.score[answers] - middle, 9)
        bad = evidence.bad_A[answers]
        return [
            False if b else (None if a == 0 else bool(a > 0)) for a, b in zip(above.tolist(), bad.tolist(), strict=True)
        ]

    def prompt(self, answer: int) -> tuple[Prompt, dict[str, str]]:
        """The prompt of an answer, and its tags."""
        place = int(self.evidence.prompt_A[answer])
        if self._prompt is None or self._prompt[0] != place:
            self._prompt = (
                place,
                self.prompt_at(place),
                self.evidence.ledger.tags_of(int(self.evidence.prompt_order[place])),
            )
        return self._prompt[1], self._prompt[2]

    def prompt_at(self, place: int) -> Prompt:
        ledger = self.evidence.ledger
        return prompt_of(ledger.texts[ledger.prompt_texts[int(self.evidence.prompt_order[place])]])

    def answer(self, answer: int) -> str:
        ledger = self.evidence.ledger
        return ledger.texts[ledger.answer_texts[int(self.evidence.answer_order[answer])]].decode()

    def _said(self, row: int) -> dict[str, Any]:
        """What the pair says besides the order; a tie is always said."""
        probability, margin = float(self.picked.probability[row]), float(self.picked.margin[row])
        match self.label:
            case _ if self.picked.tied[row]:
                return {"probability": 0.5}
            case "probability":
                return {"probability": round(probability, 6)}
            case "weight":
                return {"weight": max(round(2 * probability - 1, 6), 1e-6)}
            case "margin":
                return {"margin": round(margin, 6)}
            case _:
                return {}
