"""Does the trained model prefer the chosen answers of pairs that it has not seen?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rather.evaluation.drift import pair_logps_of
from rather.losses import PairLogps
from rather.model import Loaded, TokenPair
from rather.stats import Rate, rate


@dataclass(frozen=True)
class PairScore:
    """Held-out pairs: how often chosen gained more than rejected over the reference, and by how much.

    accuracy counts an exact tie as half, as training does; `wins` counts none, with its interval.

    margin: mean log-ratio margin h in nats (not scaled by β). chosen_change_per_token: mean change of chosen's
    log-probability per token; below 0 while the margin grows means that both answers are being forgotten.
    """

    accuracy: float
    wins: Rate
    ties: int
    reference_accuracy: Rate
    margin: float
    chosen_change_per_token: float


def score_pairs(
    policy: Loaded, reference: Loaded, token_pairs: Sequence[TokenPair], *, dtype: torch.dtype
) -> PairScore:
    """Compare the two models on `token_pairs`. reference_accuracy: how often chosen was likelier before any training."""
    ours = pair_logps_of(policy, token_pairs, dtype=dtype, title="held-out pairs, policy")
    theirs = pair_logps_of(reference, token_pairs, dtype=dtype, title="held-out pairs, reference")
    logps = PairLogps(
        chosen=ours.chosen,
        rejected=ours.rejected,
        ref_chosen=theirs.chosen,
        ref_rejected=theirs.rejected,
        chosen_tokens=ours.chosen_tokens,
        rejected_tokens=ours.rejected_tokens,
    )
    margin_P = logps.log_ratio_margin()
    assert logps.chosen_tokens is not None
    change = ((ours.chosen - theirs.chosen) / logps.chosen_tokens).mean()
    total, wins, ties = len(token_pairs), int((margin_P > 0).sum()), int((margin_P == 0).sum())
    return PairScore(
        accuracy=(wins + ties / 2) / total,
        wins=rate(wins, total),
        ties=ties,
        reference_accuracy=rate(int((theirs.chosen > theirs.rejected).sum()), total),
        margin=float(margin_P.mean()),
        chosen_change_per_token=float(change),
    )
