"""A round's items through the annotation server and back: what is asked, voted and exported is what the next round takes."""

from __future__ import annotations

import re
from pathlib import Path

from rather.annotation.exporting import export_votes
from rather.annotation.importing import import_items
from rather.annotation.settings import Project, save_project
from rather.annotation.store import open_store
from rather.formats import iter_judgments, write_pairs
from rather.looping.people import ITEMS, Place, pick, votes_so_far
from rather.records import Comparison, Pair
from tests.annotation.asking import serving

PAIRS = [Pair(prompt=f"Question {at}?", chosen=f"The right {at}.", rejected=f"Something {at}.") for at in range(8)]


def test_votes_come_back_with_what_the_judges_said(tmp_path: Path) -> None:
    items = pick(PAIRS, [Place(-3.0 if at % 2 else 3.0, 0.1) for at in range(8)], items=8, share=0.5, seed=0)
    write_pairs(tmp_path / ITEMS, items)
    store = open_store(tmp_path / "desk")
    try:
        assert import_items(store, tmp_path / ITEMS).items == 8
        save_project(store, Project.build({"overlap": 1}))
        with serving(store) as served:
            ann = served.someone("ann")
            while found := dict(
                re.findall(r'<input type="hidden" name="(item|key)" value="([^"]*)">', ann.get("/task").text)
            ):
                assert ann.form("/task", {**found, "verdict": "a"}).status == 303
        assert export_votes(store, tmp_path / "votes.jsonl").votes == 8
    finally:
        store.close()
    votes = [vote for vote in iter_judgments(tmp_path / "votes.jsonl") if isinstance(vote, Comparison)]
    otherwise = dict.fromkeys(("chosen", "random"), 0)
    for vote in votes:
        otherwise[vote.tags["arm"]] += not vote.answers[0].startswith("The right")
    gain = votes_so_far(tmp_path)["gain"]
    assert {arm: gain[arm]["hits"] for arm in otherwise} == otherwise
    assert gain["chosen"]["total"] + gain["random"]["total"] == 8
