"""The words of `metrics.jsonl`.

A mean of none (an update without a good, or without a bad, single answer) is left out. Of a reward model the rewards are its
scores, and there are no log-probabilities.
"""

from __future__ import annotations

METRICS = {
    "step": "number of the update, from 1",
    "loss": "what is minimised, SFT term and weights included: the mean over pairs (lists, single answers); in nats where it is a "
    "logarithm",
    "margin": "chosen_reward − rejected_reward",
    "accuracy": "share of pairs with margin above 0, or of single answers whose reward has the right sign; of a ranked list the "
    "share of its pairs that are in order; an exact tie counts half",
    "chosen_reward": "β·(log π − log π_ref) of the chosen answer, the best of a list, a good single one (β = 1 for losses "
    "without β)",
    "rejected_reward": "the same of the rejected answer, the last of a list, a bad single one",
    "chosen_logp": "log-probability of the chosen answer, summed over its tokens, in nats",
    "rejected_logp": "the same of the rejected answer",
    "chosen_logp_change_per_token": "how much likelier the chosen answer became since the start, in nats a token "
    "(since the reference last moved, where it does); "
    "below 0 while the margin grows means that both answers are being forgotten",
    "rejected_logp_change_per_token": "the same of the rejected answer",
    "lr": "learning rate of this update",
    "grad_norm": "length of the gradient before clipping",
    "pairs_per_s": "pairs of this update over its seconds",
    "heldout_loss": "the loss of what --heldout holds after this update, in rows where it was measured; the lowest is the best",
    "heldout_margin": "their margin",
    "heldout_accuracy": "their accuracy",
}
