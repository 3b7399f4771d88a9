"""What every loss takes: the log-probabilities of pairs."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class PairLogps:
    """Summed log-probabilities of the answers of P pairs, in nats.

    chosen, rejected          [P] under the policy, with gradient
    ref_chosen, ref_rejected  [P] under the reference, without; None where no reference was computed
    chosen_tokens, rejected_tokens  [P] completion tokens summed over, end-of-turn included; None where a loss has no
                              use for them (a reward model's scores)
    """

    chosen: Tensor
    rejected: Tensor
    ref_chosen: Tensor | None = None
    ref_rejected: Tensor | None = None
    chosen_tokens: Tensor | None = None
    rejected_tokens: Tensor | None = None

    def log_ratio_margin(self) -> Tensor:
        """h [P]: how much more the policy prefers chosen over rejected than the reference does.

        h = (log π(y_c) − log π_ref(y_c)) − (log π(y_r) − log π_ref(y_r))
        """
        if self.ref_chosen is None or self.ref_rejected is None:
            raise ValueError("this loss compares with a reference: ref_chosen and ref_rejected must be given")
        return (self.chosen - self.rejected) - (self.ref_chosen - self.ref_rejected)

    def swapped(self) -> PairLogps:
        """The opposite preference."""
        return PairLogps(
            chosen=self.rejected,
            rejected=self.chosen,
            ref_chosen=self.ref_rejected,
            ref_rejected=self.ref_chosen,
            chosen_tokens=self.rejected_tokens,
            rejected_tokens=self.chosen_tokens,
        )


def tokens_or_fail(tokens: Tensor | None, *, name: str) -> Tensor:
    """The token counts, at least 1 so that they can divide, or a clear error."""
    if tokens is None:
        raise ValueError(f"this loss averages over tokens: {name} must be given")
    return tokens.clamp(min=1)
