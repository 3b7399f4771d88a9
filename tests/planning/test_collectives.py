"""What ranks send each other: by hand, and what must hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.planning.collectives import (
    HIDDEN,
    OF_LINK,
    Network,
    all_reduce,
    exchanged,
    exposed,
    gather,
    ring_gather,
    two_level_gather,
)
from rather.planning.engine import Setting
from rather.planning.shapes import read_shape

SHAPE = read_shape("Llama-3.2-1B")


def test_a_ring_in_one_machine_by_hand() -> None:
    """Eight GPUs, 8 GB in all: seven steps of 1 GB at 80 % of 100 GB/s."""
    network = Network(8, 8, inside=100e9, wait_inside=0)
    assert ring_gather(network, 8e9) == pytest.approx(7 * 1 / 80)
    assert all_reduce(network, 8e9) == pytest.approx(14 / 80)
    slow = Network(8, 8, inside=100e9, wait_inside=1e-3)
    assert ring_gather(slow, 8e9) == pytest.approx(7 / 80 + 7e-3)


def test_two_levels_by_hand() -> None:
    """Two machines of four, 8 GB: 1 GB from the other machine at 40 GB/s, then three steps of 2 GB at 80 GB/s."""
    network = Network(8, 4, inside=100e9, between=50e9, wait_inside=0, wait_between=0)
    assert two_level_gather(network, 8e9) == pytest.approx(1 / 40 + 3 * 2 / 80)
    assert ring_gather(network, 8e9) == pytest.approx(7 * 1 / 40)
    assert gather(network, 8e9) == pytest.approx(1 / 40 + 6 / 80)


def test_one_rank_sends_nothing() -> None:
    alone = Network(1, 1, inside=1e9)
    assert gather(alone, 1e9) == all_reduce(alone, 1e9) == exchanged(SHAPE, Setting(), alone, 3) == 0


def _by_steps(ranks: int, size: float, seconds: float) -> float:
    """A ring, step by step: each rank passes on the part that it got last, until all have all."""
    have = [{rank} for rank in range(ranks)]
    passed, clock = list(range(ranks)), 0.0
    while any(len(parts) < ranks for parts in have):
        passed = [passed[(rank - 1) % ranks] for rank in range(ranks)]
        for rank, part in enumerate(passed):
            have[rank].add(part)
        clock += size / ranks * seconds
    return clock


@pytest.mark.parametrize("ranks", [2, 3, 8, 17])
def test_the_formula_is_that_of_a_ring_that_is_run(ranks: int) -> None:
    network = Network(ranks, ranks, inside=1 / OF_LINK, wait_inside=0)
    assert ring_gather(network, 12.0) == pytest.approx(_by_steps(ranks, 12.0, 1.0))


networks = st.builds(
    Network,
    ranks=st.sampled_from([2, 8, 16, 64, 1024]),
    each=st.sampled_from([1, 4, 8]),
    inside=st.floats(1e9, 1e12),
    between=st.floats(1e9, 1e11),
)


@given(networks, st.floats(1e3, 1e12), st.floats(1.0, 100.0))
def test_more_bytes_never_take_less_and_links_bound_it_from_below(network: Network, size: float, times: float) -> None:
    assert gather(network, times * size) >= gather(network, size)
    fastest = OF_LINK * max(network.inside, network.between)
    assert (
        gather(network, size)
        >= size * (network.ranks - 1) / network.ranks / fastest - size / fastest / network.ranks * 8
    )


@given(networks, st.booleans(), st.integers(1, 8), st.floats(0, 100))
def test_what_is_waited_for_is_no_more_than_what_is_sent(
    network: Network, shard: bool, batches: int, computing: float
) -> None:
    setting = Setting(ranks=network.ranks, shard=shard)
    whole = exchanged(SHAPE, setting, network, batches)
    waited = exposed(SHAPE, setting, network, batches, computing)
    assert 0 <= waited <= whole
    if not shard:
        assert waited == whole
    else:
        assert waited >= (1 - HIDDEN) * whole - 1e-9


def test_an_adapter_sends_its_own_gradients_alone() -> None:
    network = Network(8, 8, inside=450e9)
    full, adapter = (exchanged(SHAPE, Setting(ranks=8, lora_rank=rank), network, 1) for rank in (None, 16))
    assert adapter < full / 50
