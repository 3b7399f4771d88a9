"""What is to be trained on: pairs of so many tokens, and what one forward over them computes."""

from __future__ import annotations

from dataclasses import dataclass

from rather.planning.engine import OVERHEAD, ROWS

# Of the distinct tokens of a pair the answers' share where nobody says: 0.38 in HH's harmless test set.
ANSWER_SHARE = 0.4


@dataclass(frozen=True)
class Workload:
    """pairs; tokens: distinct ones of a pair, its prompt once and both answers; answers: those of both answers together."""

    pairs: int
    tokens: float
    answers: float
    batch_pairs: int = 8
    epochs: int = 1
    max_length: int = 1024

    @property
    def updates(self) -> int:
        return self.epochs * -(-self.pairs // self.batch_pairs)

    @property
    def longest(self) -> int:
        """Distinct tokens of the longest pair that may come: two answers that leave the prompt one token."""
        return 2 * self.max_length - 1

    @property
    def prompt(self) -> float:
        return self.tokens - self.answers

    @property
    def answer_share(self) -> float:
        """Of the tokens of a pair those at which an answer is predicted."""
        return self.answers / self.tokens

    @property
    def scores(self) -> float:
        """Attention scores of a pair, of one head, as the mask leaves them: each token sees itself and what is before it."""
        prompt, answer = self.prompt, self.answers / 2
        return prompt * prompt / 2 + 2 * (answer * prompt + answer * answer / 2)

    @property
    def computed_scores(self) -> float:
        """Scores of a pair that are computed on a CPU, block by block: a pair is one block, or its prompt and each answer
        are for themselves (`model/blocks.py`)."""
        prompt, answer = self.prompt, self.answers / 2
        whole = self.tokens * self.tokens
        branch = min(_rows(answer, prompt), (answer * (prompt + answer), OVERHEAD), key=sum)
        trunk = _rows(prompt, 0)
        return min((whole, OVERHEAD), (trunk[0] + 2 * branch[0], trunk[1] + 2 * branch[1]), key=sum)[0]


def _rows(length: float, above: float) -> tuple[float, float]:
    """Scores, and overhead in scores, of a run of tokens behind `above` others, cut into blocks of ROWS."""
    full, rest = divmod(length, ROWS)
    sizes = [float(ROWS)] * int(full) + ([rest] if rest else [])
    return sum(size * (above + ROWS * number + size) for number, size in enumerate(sizes)), OVERHEAD * len(sizes)
