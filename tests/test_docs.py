"""Pages that are written from the code are up to date."""

from __future__ import annotations

import pytest

from rather.docs import DOCS, pages
from rather.losses import LOSSES


@pytest.mark.parametrize("name", sorted(pages()))
def test_pages_are_what_the_code_says(name: str) -> None:
    written = (DOCS / name).read_text(encoding="utf-8")
    assert written == pages()[name], "run `make docs`"


def test_every_option_is_in_the_page() -> None:
    page = pages()["training.md"]
    for option in ("--beta", "--sft-weight", "--lora-rank", "--no-shuffle", "--maker", "`telling_words`"):
        assert option in page
    losses = pages()["losses.md"]
    assert all(f"## `{name}`" in losses for name in LOSSES)
