"""A forest is cut where that saves scores, and never into crumbs."""

from __future__ import annotations

from rather.model.blocks import ROWS, Block, Segment, plan_blocks


def scores(blocks: tuple[Block, ...]) -> int:
    return sum((b.stop - b.start) * (sum(y - x for x, y in b.before) + b.stop - b.start) for b in blocks)


def test_one_short_pair_is_one_block() -> None:
    assert plan_blocks([Segment(0, 30, -1), Segment(30, 50, 0), Segment(50, 70, 0)]) == (Block(0, 70, (), False),)


def test_long_answers_to_one_prompt_stand_alone_behind_it() -> None:
    segments = [Segment(0, 200, -1), Segment(200, 400, 0), Segment(400, 600, 0)]
    assert plan_blocks(segments) == (
        Block(0, 200, (), True),
        Block(200, 400, ((0, 200),), True),
        Block(400, 600, ((0, 200),), True),
    )


def test_a_system_prompt_is_seen_by_every_pair_behind_it_and_its_answers_stay_together() -> None:
    """60 tokens for all; then pairs of a question (20) and two answers (25 each)."""
    segments = [Segment(0, 60, -1)]
    for pair in range(8):
        start = 60 + 70 * pair
        question = len(segments)
        segments += [Segment(start, start + 20, 0), Segment(start + 20, start + 45, question)]
        segments += [Segment(start + 45, start + 70, question)]
    blocks = plan_blocks(segments)
    assert blocks[0] == Block(0, 60, (), True)
    assert blocks[1:] == tuple(Block(60 + 70 * k, 130 + 70 * k, ((0, 60),), False) for k in range(8))


def test_a_long_text_is_cut_into_rows_that_see_all_before_them() -> None:
    blocks = plan_blocks([Segment(0, 4 * ROWS + 10, -1)])
    assert [(b.start, b.stop, b.before) for b in blocks[:3]] == [
        (0, ROWS, ()),
        (ROWS, 2 * ROWS, ((0, ROWS),)),
        (2 * ROWS, 3 * ROWS, ((0, 2 * ROWS),)),
    ]
    assert all(block.chain for block in blocks)
    assert scores(blocks) < 0.7 * (4 * ROWS + 10) ** 2


def test_ancestors_that_do_not_touch_are_separate_ranges() -> None:
    """The second answer's branch skips the first: its keys are the prompt and what stands behind the first answer."""
    segments = [Segment(0, 300, -1), Segment(300, 600, 0), Segment(600, 900, 0), Segment(900, 1200, 2)]
    last = plan_blocks(segments)[-1]
    assert last.before[0] == (0, 300)
    assert last.before[1][0] == 600


def test_a_chain_of_many_segments_needs_no_recursion() -> None:
    segments = [Segment(k, k + 1, k - 1) for k in range(5000)]
    blocks = plan_blocks(segments)
    assert [query for block in blocks for query in range(block.start, block.stop)] == list(range(5000))
