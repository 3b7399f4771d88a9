"""Held-out pairs beyond accuracy: what tells them without reading, calibration, slices, displacement, and what is warned of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from rather.evaluation.answers import changes, looks, loops
from rather.evaluation.held_out import Columns, about, beta_of, rows_of
from rather.evaluation.run import evaluate
from rather.records import Message, Pair, Question, Response
from rather.reporting import report
from rather.training.config import TrainConfig
from rather.training.run import train
from tests.conftest import WriteFile


def pairs(count: int, *, longer: float = 0.5, seed: int = 0) -> list[Pair]:
    """Chosen has more words in a share `longer` of them; the words themselves say nothing."""
    random = np.random.default_rng(seed)
    bag = [f"w{n}" for n in range(50)]
    made = []
    for at in range(count):
        long, short = (" ".join(random.choice(bag, size)) for size in (12, 6))
        first, second = (long, short) if at < longer * count else (short, long)
        topic = ("river boats and bridges", "oven bread and flour")[at % 2]
        made.append(
            Pair(prompt=f"{topic} number {at}", chosen=first, rejected=second, tags={"source": ("web", "shop")[at % 2]})
        )
    return made


def columns(margin: np.ndarray) -> Columns:
    tokens = np.full((len(margin), 2), 10)
    return Columns(
        margin, margin * 0 - 1, margin * 0 + 0.1, margin / 20, -margin / 20, tokens, margin * 0 + 0.5, margin * 0 + 2
    )


def test_a_model_that_learned_length_is_told_so() -> None:
    """90 % of the chosen are longer, and the model is right just where they are."""
    given = pairs(200, longer=0.9)
    found = about(given, columns(np.where(np.arange(200) < 180, 1.0, -1.0)), beta=None, topics=2)
    assert found["accuracy"]["value"] == pytest.approx(0.9)
    assert found["baselines"]["longer wins"]["accuracy"] == pytest.approx(0.9)
    assert found["baselines"]["longer wins"]["above"] == 0.0
    assert found["baselines"]["list wins"]["accuracy"] == 0.5, "no answer has a list"
    assert found["baselines"]["bag of words"]["accuracy"] > 0.7, "more words are known by any of them"
    assert found["baselines"]["reference's likelihood"]["accuracy"] == 0.0
    assert found["baselines"]["reference's likelihood per token"]["accuracy"] == 1.0
    [said] = (warning for warning in found["warnings"] if '"' in warning)
    assert said == (
        'the accuracy, 90% (86% to 94%), is not certainly above "longer wins" (90%), '
        '"reference\'s likelihood per token" (100%)'
    )


def test_a_model_that_learned_more_is_not_warned() -> None:
    given = pairs(200)
    found = about(given, columns(np.where(np.arange(200) % 10, 1.0, -1.0)), beta=None, topics=2)
    row = found["baselines"]["longer wins"]
    assert row["above"] == pytest.approx(0.4)
    assert row["above_low"] > 0.3
    assert row["p"] < 0.001
    assert not [warning for warning in found["warnings"] if "longer" in warning]
    assert "shorter wins" not in found["baselines"]
    assert "shorter wins" in about(pairs(200, longer=0.2), columns(np.ones(200)), beta=None, topics=2)["baselines"]
    assert (found["kl_per_token"], found["entropy_per_token"]) == (0.5, 2.0)


def test_slices_that_differ() -> None:
    """Right on all pairs from the web and on half of those from the shop."""
    given = pairs(200)
    right = np.where(np.arange(200) % 2, np.arange(200) % 4 == 1, True)
    found = about(given, columns(np.where(right, 1.0, -1.0)), beta=None, topics=2)
    by = {(row["by"], row["name"]): row for row in found["slices"]}
    assert by["source", "web"]["accuracy"] == 1.0
    assert by["source", "shop"]["accuracy"] == pytest.approx(0.5)
    assert by["source", "shop"]["low"] < 0.5 < by["source", "shop"]["high"]
    assert by["source", "shop"]["q"] < 0.001
    assert "source: shop" in found["slices_apart"]
    assert {name for kind, name in by if kind == "length"} == {"chosen is longer", "chosen is shorter"}
    assert len([name for kind, name in by if kind == "topic"]) == 2


def test_slices_by_file_and_by_a_tag_of_the_same_word() -> None:
    """Pairs of two files, and a tag `language` that says something else than the language that is found out."""
    given = [
        pair.model_copy(
            update={
                "source": f"/data/{'ab'[n % 2]}.jsonl:{n}",
                "tags": {"language": "formal" if n % 4 < 2 else "plain"},
            }
        )
        for n, pair in enumerate(pairs(80))
    ]
    found = about(given, columns(np.where(np.arange(80) % 2, 1.0, -1.0)), beta=None, topics=2)
    by = {(row["by"], row["name"]): row["accuracy"] for row in found["slices"]}
    assert (by["file", "a.jsonl"], by["file", "b.jsonl"]) == (0.0, 1.0)
    assert (by["tag language", "formal"], by["tag language", "plain"]) == (0.5, 0.5)
    assert ("language", "formal") not in by


def test_calibration_of_pairs() -> None:
    random = np.random.default_rng(1)
    logit = random.normal(0, 2, 1000)
    margin = np.where(random.random(1000) < expit(0.4 * logit), logit, -logit) / 0.1
    found = about(pairs(1000), columns(margin), beta=0.1, topics=2)
    assert found["calibration"]["slope"][1] < 0.4 < found["calibration"]["slope"][2]
    assert any("surer than it is right" in warning for warning in found["warnings"])
    assert "calibration" not in about(pairs(50), columns(margin[:50]), beta=None, topics=2)


def test_displacement_pair_by_pair() -> None:
    margin = np.array([4.0, -2.0, 0.0, -6.0])  # chosen changes by a twentieth of it a token
    found = about(pairs(4), columns(margin), beta=None, topics=2)["displacement"]
    assert (found["share"]["hits"], found["far"]["hits"]) == (2, 1)
    assert found["quantiles"]["0.5"] == pytest.approx(-0.05)
    rows = list(rows_of(pairs(4), columns(margin)))
    assert [row["chosen_change_per_token"] for row in rows] == pytest.approx([0.2, -0.1, 0.0, -0.3])
    assert len({row["prompt"] for row in rows}) == 4


def test_the_beta_of_a_run_is_known(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    rows = [{"prompt": f"Q{i}", "chosen": f" yes {i}", "rejected": f" no {i}", "tags": {}} for i in range(12)]
    file, out = write_file(rows), tmp_path / "run"
    train(file, model=str(tiny), out=out, config=TrainConfig(beta=0.3, lr=1e-3, batch_pairs=4), allow={"all": "a test"})
    assert beta_of(str(out / "model")) == 0.3
    assert beta_of(str(tiny)) is None
    figures = evaluate(str(out / "model"), reference=str(tiny), out=tmp_path / "eval", pairs=file)
    assert figures["heldout"]["beta"] == 0.3
    assert figures["heldout"]["calibration"]["pairs"] == 12
    assert figures["heldout"]["kl_per_token"] > 0
    assert sum(len(row) > 0 for row in (tmp_path / "eval" / "pairs_scored.jsonl").read_text().splitlines()) == 12
    page = report(tmp_path / "eval").read_text()
    for expected in ("Has it learned more than what can be seen", "Is it right as often as it is sure?", "Reliability",
                     "Did the chosen answers become likelier?"):  # fmt: skip
        assert expected in page
    given = evaluate(str(out / "model"), reference=str(tiny), out=tmp_path / "given", pairs=file, beta=1.0)
    assert given["heldout"]["beta"] == 1.0


def answer(
    text: str, *, asked: str = "What is this, and how do you know that it is so?", finished: bool = True
) -> Response:
    return Response(
        question=Question(prompt=(Message(role="user", content=asked),)), text=text, model="m", finished=finished
    )


@pytest.mark.parametrize(
    ("text", "looped"),
    [
        ("the cat sat. the cat sat. the cat sat.", True),
        ("Yes! yes yes yes yes yes yes", True),
        ("ha ha ha", False),
        ("我们我们我们我们", True),
        ("I said the cat sat. Then the cat sat, and the dog sat.", False),
        ("First we go, then we go, then we stop.", False),
        ("", False),
    ],
)
def test_loops(text: str, looped: bool) -> None:
    assert loops(text) == looped


def test_how_answers_look() -> None:
    before = [answer("It is a house with a garden and a dog in it."), answer("I'm sorry, but I can't help with that.")]
    after = [answer("这是一座带花园的房子，里面有一只狗。"), answer("q z q z q z q z", finished=False)]
    found = looks(after)
    assert found["traits"]["changes_language"]["hits"] == 1
    assert found["traits"]["ends_its_turn"]["hits"] == 1
    assert found["distinct_1"] == pytest.approx((2 + len(set("这是一座带花园的房子里面有一只狗"))) / (8 + 16))
    changed = changes(before, after)
    assert (changed["refuses"]["gained"], changed["refuses"]["lost"]) == (0, 1)
    assert (changed["loops"]["gained"], changed["loops"]["lost"]) == (1, 0)
    assert json.dumps(found)
