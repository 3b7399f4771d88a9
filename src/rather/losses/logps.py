"""What losses take: the log-probabilities of pairs, of single answers, or of ranked lists."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

NO_REFERENCE = "this loss compares with a reference: {} must be given"


@dataclass(frozen=True)
class PairLogps:
    """Summed log-probabilities of the answers of P pairs, in nats.

    chosen, rejected          [P] under the policy, with gradient
    ref_chosen, ref_rejected  [P] under the reference, without; None where no reference was computed
    chosen_tokens, rejected_tokens  [P] completion tokens summed over, end-of-turn included; None where a loss has no
                              use for them (a reward model's scores)

    Of use to some losses, None where not computed:

    label                     [P] probability that chosen is the better one; None says 1 for all
    margin                    [P] by how much chosen is better, in units of reward (β·nats, or a reward model's scores)
    chosen_common, rejected_common, ref_chosen_common, ref_rejected_common
                              [P] summed over only the first min(|y_c|, |y_r|) tokens of the answer
    chosen_kl, rejected_kl    [P] Σ_t KL(π_ref(·|s_t) ‖ π(·|s_t)) along the answer, with gradient
    chosen_alignment, rejected_alignment
                              [P] mean over tokens of log π(y_t) − log Σ_v π(v)², without gradient
    baseline                  [] level that log-ratios are compared with, in nats, without gradient
    """

    chosen: Tensor
    rejected: Tensor
    ref_chosen: Tensor | None = None
    ref_rejected: Tensor | None = None
    chosen_tokens: Tensor | None = None
    rejected_tokens: Tensor | None = None
    label: Tensor | None = None
    margin: Tensor | None = None
    chosen_common: Tensor | None = None
    rejected_common: Tensor | None = None
    ref_chosen_common: Tensor | None = None
    ref_rejected_common: Tensor | None = None
    chosen_kl: Tensor | None = None
    rejected_kl: Tensor | None = None
    chosen_alignment: Tensor | None = None
    rejected_alignment: Tensor | None = None
    baseline: Tensor | None = None

    def reference(self) -> tuple[Tensor, Tensor]:
        """log π_ref(y_c), log π_ref(y_r), each [P], or a clear error."""
        if self.ref_chosen is None or self.ref_rejected is None:
            raise ValueError(NO_REFERENCE.format("ref_chosen and ref_rejected"))
        return self.ref_chosen, self.ref_rejected

    def log_ratio_margin(self) -> Tensor:
        """h [P]: how much more the policy prefers chosen over rejected than the reference does.

        h = (log π(y_c) − log π_ref(y_c)) − (log π(y_r) − log π_ref(y_r))
        """
        ref_chosen, ref_rejected = self.reference()
        return (self.chosen - self.rejected) - (ref_chosen - ref_rejected)

    def log_ratios(self) -> tuple[Tensor, Tensor]:
        """r_c, r_r, each [P]: log π(y) − log π_ref(y) of chosen and of rejected, in nats."""
        ref_chosen, ref_rejected = self.reference()
        return self.chosen - ref_chosen, self.rejected - ref_rejected

    def tokens(self) -> tuple[Tensor, Tensor]:
        """|y_c|, |y_r|, each [P]: token counts that can divide."""
        return (
            tokens_or_fail(self.chosen_tokens, name="chosen_tokens"),
            tokens_or_fail(self.rejected_tokens, name="rejected_tokens"),
        )

    def mean_logps(self) -> tuple[Tensor, Tensor]:
        """log π(y)/|y| of chosen and of rejected, each [P], in nats a token."""
        chosen_tokens, rejected_tokens = self.tokens()
        return self.chosen / chosen_tokens, self.rejected / rejected_tokens

    def target(self, label_smoothing: float = 0.0) -> Tensor | float:
        """q ([P], or one number for all): probability that chosen is better when a share ε of the labels is flipped.

        q = label·(1 − ε) + (1 − label)·ε. Raises ValueError if ε is not in [0, ½).
        """
        smoothing_or_fail(label_smoothing)
        if self.label is None:
            return 1 - label_smoothing
        return smoothed(self.label, label_smoothing)

    def swapped(self) -> PairLogps:
        """Chosen and rejected exchanged.

        A label and a margin are turned with their pair (1 − label, −margin), so they state the same preference as
        before. Without them chosen is the better one by its place, and swapping states the opposite preference.
        """
        return PairLogps(
            chosen=self.rejected,
            rejected=self.chosen,
            ref_chosen=self.ref_rejected,
            ref_rejected=self.ref_chosen,
            chosen_tokens=self.rejected_tokens,
            rejected_tokens=self.chosen_tokens,
            label=None if self.label is None else 1 - self.label,
            margin=None if self.margin is None else -self.margin,
            chosen_common=self.rejected_common,
            rejected_common=self.chosen_common,
            ref_chosen_common=self.ref_rejected_common,
            ref_rejected_common=self.ref_chosen_common,
            chosen_kl=self.rejected_kl,
            rejected_kl=self.chosen_kl,
            chosen_alignment=self.rejected_alignment,
            rejected_alignment=self.chosen_alignment,
            baseline=self.baseline,
        )


@dataclass(frozen=True)
class SampleLogps:
    """Summed log-probabilities of R single answers, each known to be good or bad, in nats.

    policy     [R] under the policy, with gradient
    ref        [R] under the reference, without; None where no reference was computed
    tokens     [R] completion tokens summed over; None where a loss has no use for them
    desirable  [R] bool: whether the answer is a good one
    baseline   [] level that log-ratios are compared with, in nats, without gradient; None where not measured
    """

    policy: Tensor
    desirable: Tensor
    ref: Tensor | None = None
    tokens: Tensor | None = None
    baseline: Tensor | None = None

    def log_ratios(self) -> Tensor:
        """[R]: log π(y) − log π_ref(y), in nats."""
        if self.ref is None:
            raise ValueError(NO_REFERENCE.format("ref"))
        return self.policy - self.ref


@dataclass(frozen=True)
class ListLogps:
    """Summed log-probabilities of L lists of up to K answers to one prompt each, best first, in nats.

    policy   [L, K] under the policy, with gradient
    present  [L, K] bool: whether there is an answer in this place; shorter lists are padded with any finite number
    ref      [L, K] under the reference, without; None where no reference was computed
    tokens   [L, K] completion tokens summed over; None where a loss has no use for them
    """

    policy: Tensor
    present: Tensor
    ref: Tensor | None = None
    tokens: Tensor | None = None

    def log_ratios(self) -> Tensor:
        """[L, K]: log π(y) − log π_ref(y), in nats."""
        if self.ref is None:
            raise ValueError(NO_REFERENCE.format("ref"))
        return self.policy - self.ref


def tokens_or_fail(tokens: Tensor | None, *, name: str) -> Tensor:
    """The token counts, at least 1 so that they can divide, or a clear error."""
    if tokens is None:
        raise ValueError(f"this loss averages over tokens: {name} must be given")
    return tokens.clamp(min=1)


def given_or_fail(value: Tensor | None, *, name: str) -> Tensor:
    """The field, or a clear error."""
    if value is None:
        raise ValueError(f"this loss needs {name}")
    return value


def smoothed(label: Tensor, label_smoothing: float) -> Tensor:
    """[P] label·(1 − ε) + (1 − label)·ε."""
    return label * (1 - label_smoothing) + (1 - label) * label_smoothing


def smoothing_or_fail(label_smoothing: float) -> None:
    """Refuse a share of flipped labels that is not in [0, ½): from ½ on, labels say nothing or the opposite."""
    if not 0 <= label_smoothing < 0.5:
        raise ValueError(f"label_smoothing must be in [0, 0.5), not {label_smoothing:g}")
