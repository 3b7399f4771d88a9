"""A real crowd: 8,931 votes of 124 workers, beside GPT-4's on the same pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.reliability import Crowd, gpt4_agreement
from rather.stats.noisy import noisy_bradley_terry


def test_reliability_in_a_crowd(shared_data: Callable[[str], Path]) -> None:
    crowd = Crowd(shared_data("llmfao_crowd_votes.csv").parent)
    assert (len(crowd.votes), len(crowd.workers), len(crowd.gpt4)) == (8931, 124, 2139)
    noisy = crowd.by_noisy(crowd.votes)
    plain = gpt4_agreement(crowd, crowd.majority(crowd.votes))
    assert gpt4_agreement(crowd, noisy)["interval"][0] > plain["interval"][1]
    assert gpt4_agreement(crowd, crowd.by_dawid_skene(crowd.votes))["value"] > plain["value"]
    # Five of those who always name the left one have seven votes or more, and all of them show it.
    left = [w for w in range(124) if (crowd.votes.outcome[crowd.votes.judge == w] == 0).all()]
    judges = noisy_bradley_terry(crowd.votes, model=crowd.model).judges
    assert len(left) >= 5
    assert judges.side[left].min() > 0.6
    assert np.median(judges.skill) > judges.skill[left].max()
