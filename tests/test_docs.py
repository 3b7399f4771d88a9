"""Pages that are written from the code are up to date."""

from __future__ import annotations

import re

import pytest

from rather.docs import DOCS, pages
from rather.losses import FACTS, LOSSES, loss_options


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


def test_every_loss_has_its_formula_data_options_and_paper_in_the_table() -> None:
    page = pages()["losses.md"]
    for name in FACTS:
        (row,) = [line for line in page.splitlines() if line.startswith(f"| [`{name}`]")]
        cells = re.split(r"(?<!\\)\|", row)[2:-1]
        assert len(cells) == 4, row
        formula, kinds, options, source = (cell.strip() for cell in cells)
        assert formula.endswith(("[P]", "[R]", "[L]")), name
        assert any(sign in formula for sign in "−(["), name
        assert kinds
        assert all(f"`{option}`" in options for option in loss_options(name))
        assert source.startswith("[") or name in ("logp_gap", "logp_ratio"), name
