"""The published comparison: a cell about anybody links to proof or says that it was not checked; our figures are the results'."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
RESULTS = ROOT / "benchmarks" / "results"


def tables() -> list[list[list[str]]]:
    """Every table as rows of cells, its head first."""
    found: list[list[list[str]]] = []
    for block in re.findall(r"(?:^\|.*\|\n)+", PAGE, flags=re.M):
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines()]
        found.append([rows[0], *rows[2:]])
    return found


def features() -> list[list[list[str]]]:
    return [table for table in tables() if "`rather`" in table[0][1] or "`rather annotate`" in table[0][1]]


def test_every_cell_links_to_proof_or_says_that_it_was_not_checked() -> None:
    compared = [table for table in features() if len(table[0]) > 4]
    assert len(compared) == 2
    for head, *rows in compared:
        for row in rows:
            assert len(row) == len(head), row
            for peer, cell in zip(head[1:], row[1:], strict=True):
                assert re.search(r"\]\([^)]+\)", cell) or cell == "not checked", (row[0], peer, cell)


def test_every_peer_is_there() -> None:
    heads = " ".join(cell for table in features() for cell in table[0])
    for peer in (
        "TRL",
        "LLaMA-Factory",
        "OpenRLHF",
        "axolotl",
        "open-instruct",
        "Argilla + distilabel",
        "potato",
        "Label Studio",
    ):
        assert peer in heads


def test_it_says_where_a_peer_is_better() -> None:
    (section,) = re.findall(r"^## Where a peer is better\n(.*?)^## ", PAGE, flags=re.S | re.M)
    assert len(re.findall(r"^- \*\*", section, flags=re.M)) >= 5


@pytest.mark.parametrize("case", ["hh", "identity"])
def test_figures_beside_trl_are_those_that_were_measured(case: str) -> None:
    results = json.loads((RESULTS / "cpu-amd-epyc-2-cores.json").read_text(encoding="utf-8"))["results"]
    ours, theirs = (
        next(row for row in results if row["case"] == case and row["engine"] == engine and row["dtype"] == "bf16")
        for engine in ("rather", "TRL precomputed")
    )
    row = (
        f"{ours['pairs_per_s']:.2f} pairs/s, {ours['peak_gb']:.1f} GB | "
        f"{theirs['pairs_per_s']:.2f} pairs/s, {theirs['peak_gb']:.1f} GB | "
        f"{theirs['ratio']:.1f} times as fast, {theirs['memory_ratio']:.2f} of the memory |"
    )
    assert row in PAGE
    for readme in ("README.md", "README.zh-CN.md"):
        text = (ROOT / readme).read_text(encoding="utf-8")
        assert f"{theirs['ratio']:.1f}" in text
        assert f"{theirs['memory_ratio']:.2f}" in text


def test_figures_of_annotation_servers_are_those_that_were_measured() -> None:
    measured = json.loads((RESULTS / "annotate-peers-cpu-2-cores.json").read_text(encoding="utf-8"))[
        "peers.py --seconds 8"
    ]
    for name, shown in (
        ("rather", "rather 0.1.0"),
        ("feedloop", "feedloop 1.5.3"),
        ("potato-annotation", "Potato 2.12.1"),
    ):
        row = measured[name]
        said = (
            f"| {shown} | {row['votes_per_s']:.0f} | {row['p50_ms']:.0f} / {row['p99_ms']:.0f} ms | "
            f"{row['start_s']:.1f} s | {row['memory_mb']:.0f} MB |"
        )
        assert said in PAGE


def test_the_number_of_kills_in_the_readme_is_that_of_the_results() -> None:
    measured = json.loads((RESULTS / "annotate-cpu-2-cores.json").read_text(encoding="utf-8"))
    kills = {name: row for name, row in measured.items() if name.startswith("kill.py")}
    times = sum(int(re.search(r"--times (\d+)", name)[1]) for name in kills)  # pyright: ignore[reportOptionalSubscript]
    assert all(row["lost"] == 0 for row in kills.values())
    assert f"{times} kills" in (ROOT / "README.md").read_text(encoding="utf-8")
