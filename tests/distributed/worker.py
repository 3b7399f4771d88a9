"""One of several ranks, for what may go wrong between them. `python -m tests.distributed.worker SCENARIO LIMIT`."""

from __future__ import annotations

import os
import signal
import sys
import time

from rather.distributed.launch import hush_torch, is_first

hush_torch()

import torch  # noqa: E402

from rather.distributed.joining import joined  # noqa: E402
from rather.distributed.ranks import Ranks  # noqa: E402
from rather.errors import RatherError, RunDirError  # noqa: E402


def together(ranks: Ranks) -> None:
    """Everything that ranks can do with each other, twice over, for groups are joined again."""
    assert ranks.gathered(ranks.rank * 10, "numbers") == [10 * rank for rank in range(ranks.size)]
    each = ranks.gathered(torch.full((ranks.rank + 1,), 0.5), "tensors of unequal length")
    assert [len(tensor) for tensor in each] == list(range(1, ranks.size + 1))
    assert ranks.of_first(lambda: os.environ["RANK"], "a word") == "0"
    mine = [torch.full((2, 3), float(ranks.rank)), torch.ones(700, 700), torch.arange(6.0).view(2, 3).t()]
    ranks.sum_(mine, "a sum")
    total = ranks.size * (ranks.size - 1) / 2
    assert torch.equal(mine[0], torch.full((2, 3), total))
    assert torch.equal(mine[1], torch.full((700, 700), float(ranks.size)))
    assert torch.equal(mine[2], ranks.size * torch.arange(6.0).view(2, 3).t())
    ranks.copy_first_([mine[0].fill_(ranks.rank + 7.0)], "a copy")
    assert torch.equal(mine[0], torch.full((2, 3), 7.0))
    found = ranks.tensor_of_first(torch.tensor([1.5]) if ranks.first else None, (1,), torch.float32, "a tensor")
    assert found.item() == 1.5


def play(scenario: str, ranks: Ranks) -> None:
    """What the last rank does wrong, while the others wait for it."""
    last = ranks.rank == ranks.size - 1
    if scenario == "fails" and last:
        raise RunDirError("no space left for /out; free some and run the same command again")
    if scenario == "a bug" and last:
        raise ValueError("seven is no colour\nand more lines")
    if scenario == "dies" and last:
        os.kill(os.getpid(), signal.SIGKILL)
    if scenario == "the first dies" and ranks.first:
        os.kill(os.getpid(), signal.SIGKILL)
    if scenario == "stays away" and last:
        ranks.gathered(None, "breakfast")
        time.sleep(60)
    if scenario == "stays away" and not last:
        ranks.gathered(None, "breakfast")
    together(ranks)


def main(scenario: str, limit: float) -> int:
    """As the command line does it."""
    try:
        with joined(limit=limit, device="cpu") as ranks:
            play(scenario, ranks)
        with joined(limit=limit, device="cpu") as ranks:
            together(ranks)
    except RatherError as error:
        if is_first() or error.speaks:
            print(f"rather: {error}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
