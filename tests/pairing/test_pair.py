"""`rather pair` from judgments to pairs: what comes out, what must not change, and what is said of bad input."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rather.errors import ConfigError, InputError
from rather.formats import judgment_rows, read_pairs, write_jsonl
from rather.pairing.run import pair
from rather.records import Comparison, Event, Judgment, Message, Pair, RankedList, Ranking, Rating, Single
from rather.rundir import write_json

WriteFile = Callable[..., Path]
Make = Callable[..., Any]


def vote(prompt: str, first: str, second: str, verdict: str, judge: str = "anna", **more: Any) -> Comparison:
    return Comparison(prompt=prompt, answers=(first, second), verdict=verdict, judge=judge, **more)  # pyright: ignore


def rating(prompt: str, answer: str, score: float, judge: str = "anna", **more: Any) -> Rating:
    return Rating(prompt=prompt, answers=(answer,), score=score, judge=judge, **more)


@pytest.fixture
def made(tmp_path: Path) -> Make:
    """Judgments and options → the pairs of one run without a split."""
    count = 0

    def make(judgments: Sequence[Judgment], **options: Any) -> list[Any]:
        nonlocal count
        count += 1
        result = pair(judgments, out=tmp_path / f"out{count}", **{"heldout_share": 0, **options})
        return read_pairs(result.pairs).records if result.counts["written"] else []

    return make


FIVE = [rating("Q", text, score) for text, score in (("a", 9.0), ("b", 7.0), ("c", 7.0), ("d", 4.0), ("e", 1.0))]


def without_order(files: str | dict[str, bytes]) -> str | dict[str, list[dict[str, Any]]]:
    """The rows without what they say of the order shown."""
    if isinstance(files, str):
        return files
    rows = {name: [json.loads(line) for line in content.splitlines()] for name, content in files.items()}
    for each in rows.values():
        for row in each:
            row["tags"].pop("shown_first", None)
    return rows


def sides(records: Sequence[Pair]) -> set[tuple[str, str]]:
    return {(record.chosen, record.rejected) for record in records}


def test_rules_on_five_ratings(made: Make) -> None:
    assert sides(made(FIVE)) == {("a", "e")}
    # μ = 5.6, σ = 2.8, μ − 2σ = 0: e is nearest
    assert sides(made(FIVE, rule="best-vs-sigma")) == {("a", "e")}
    assert {c for c, _ in sides(made(FIVE, rule="best-vs-random"))} == {"a"}
    near = sides(made(FIVE, rule="neighbours"))
    assert near in ({("a", "b"), ("c", "d"), ("d", "e")}, {("a", "c"), ("b", "d"), ("d", "e")})  # b and c are a tie
    assert len(made(FIVE, rule="all")) == 9  # 10 pairs, one of them a tie
    assert sides(made(FIVE, rule="all", margin=5)) == {("a", "d"), ("a", "e"), ("b", "e"), ("c", "e")}
    assert sides(made(FIVE, rule="all", per_prompt=1)) == {("a", "e")}
    (ranked,) = made(FIVE, rule="list")
    assert isinstance(ranked, RankedList)
    assert ranked.ranked in (("a", "b", "d", "e"), ("a", "c", "d", "e"))
    assert made(FIVE, rule="list", margin=3)[0].ranked == ("a", "d", "e")


def test_best_vs_sigma_is_not_the_worst(made: Make) -> None:
    # μ = 5.6, σ = 1.36, μ − 2σ = 2.89: the 4 is nearer than the 1
    given = [rating("Q", f"answer {place}", score) for place, score in enumerate([7.0, *[6.0] * 12, 4, 1])]
    assert {r for _, r in sides(made(given, rule="best-vs-sigma"))} == {"answer 13"}
    assert {r for _, r in sides(made(given))} == {"answer 14"}


def test_best_vs_random_is_drawn_by_seed(made: Make) -> None:
    rejected = {made(FIVE, rule="best-vs-random", seed=seed)[0].rejected for seed in range(30)}
    assert rejected == {"b", "c", "d", "e"}
    assert sides(made(FIVE, rule="best-vs-random", seed=3)) == sides(made(FIVE[::-1], rule="best-vs-random", seed=3))


TIED = [vote("Q", "x", "y", "tie", judge) for judge in ("anna", "ben")]


def test_a_tie_makes_no_pair_unless_it_is_asked_for(made: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"leaves no pair .* 1 × tie.* --ties half"):
        made(TIED)
    (half,) = made(TIED, ties="half")
    assert half.probability == 0.5
    assert {half.chosen, half.rejected} == {"x", "y"}
    good = vote("Q", "x", "z", "a")
    result = pair(
        [*TIED, good, vote("Q", "y", "z", "a")], out=tmp_path / "u", rule="all", ties="unpaired", heldout_share=0
    )
    singles = read_pairs(tmp_path / "u" / "unpaired.jsonl").records
    assert {(s.completion, s.label) for s in singles if isinstance(s, Single)} == {("x", True), ("y", True)}
    assert result.counts["loose"] == 2


@pytest.mark.parametrize("options", [{}, {"aggregate": "bradley-terry"}, {"aggregate": "borda"}, {"aggregate": "plackett-luce"},
                                     {"reliability": "dawid-skene"}, {"reliability": "noisy-bradley-terry"}])  # fmt: skip
def test_a_planted_tie_never_makes_a_pair(made: Make, options: dict[str, Any]) -> None:
    """Everybody calls x and y a tie, though the model of x wins everywhere else; and z loses to both."""
    given = [vote("Q", "x", "y", "tie", judge, models=("good", "bad")) for judge in ("anna", "ben", "cem")]
    for number in range(12):
        for judge in ("anna", "ben", "cem"):
            given.append(vote(f"P{number}", "better", "worse", "a", judge, models=("good", "bad")))
    pairs = made(given, rule="all", **options)
    assert len(pairs) == 12
    assert sides(pairs) == {("better", "worse")}
    assert all(p.prompt != "Q" for p in pairs)
    kept = made(given, rule="all", ties="half", **options)
    assert [p.probability for p in kept if p.prompt == "Q"] == [0.5]


def test_both_bad_is_a_tie_of_bad_answers(made: Make, tmp_path: Path) -> None:
    given = [vote("Q", "x", "y", "both_bad"), vote("Q", "x", "z", "a"), vote("Q", "y", "z", "a")]
    pair(given, out=tmp_path / "u", rule="all", ties="unpaired", heldout_share=0)
    singles = read_pairs(tmp_path / "u" / "unpaired.jsonl").records
    assert {(s.completion, s.label) for s in singles if isinstance(s, Single)} == {("x", False), ("y", False)}


def test_what_a_pair_says_besides_the_order(made: Make) -> None:
    given = [vote("Q", "x", "y", "a", judge) for judge in ("anna", "ben", "cem")] + [vote("Q", "x", "y", "b", "dan")]
    (soft,) = made(given, aggregate="bradley-terry")
    assert 0.5 < soft.probability < 0.75
    (weighed,) = made(given, aggregate="bradley-terry", label="weight")
    assert weighed.weight == pytest.approx(2 * soft.probability - 1, abs=1e-5)
    (far,) = made(given, aggregate="bradley-terry", label="margin")
    odds = soft.probability / (1 - soft.probability)
    assert 2.718281828**far.margin == pytest.approx(odds, rel=1e-4)
    (hard,) = made(given, label="hard")
    assert (hard.probability, hard.weight, hard.margin) == (None, None, None)
    assert (soft.chosen, weighed.chosen, far.chosen, hard.chosen) == ("x",) * 4


def test_taken_apart(made: Make) -> None:
    singles = made(FIVE, form="unpaired", rule="neighbours", margin=2.5)
    labels = {s.completion: s.label for s in singles}
    assert labels["e"] is False
    assert "d" not in labels  # chosen over e, and rejected against 7
    assert sum(labels.values()) == 1


def test_kinds_are_taken_together(made: Make) -> None:
    given = [
        vote("Q", "x", "y", "a"),
        Ranking(prompt="Q", answers=("y", "x", "z"), ranks=(2, 1, None), judge="ben"),
        rating("Q", "x", 5, "cem"),
        rating("Q", "y", 2, "cem"),
    ]
    (found,) = made(given)
    assert (found.chosen, found.rejected) == ("x", "y")
    with pytest.raises(ConfigError, match="mean is of ratings, and there are 1 comparisons"):
        made(given, aggregate="mean")


def test_scales(made: Make) -> None:
    given = [rating("Q", "x", 4, scale=(1, 5)), rating("Q", "y", 6, "ben", scale=(1, 10))]  # 0.75 and 0.56
    assert sides(made(given)) == {("x", "y")}
    with pytest.raises(ConfigError, match="some ratings have a scale and others none"):
        made([*given, rating("Q", "x", 4, "cem")])


def test_aspects(made: Make) -> None:
    given = [rating("Q", "x", 4, aspect="style"), rating("Q", "y", 1, aspect="style"),
             rating("Q", "x", 1, aspect="truth"), rating("Q", "y", 4.5, aspect="truth")]  # fmt: skip
    assert sides(made(given)) == {("y", "x")}
    assert sides(made(given, aspect="style")) == {("x", "y")}
    with pytest.raises(ConfigError, match="--aspect wit: no judgment is of it; they have style, truth"):
        made(given, aspect="wit")


def test_confidence_is_part_of_a_vote(made: Make) -> None:
    sure, unsure = (made([vote("Q", "x", "y", "a", confidence=c)], aggregate="bradley-terry")[0] for c in (1.0, 0.7))
    assert 0.5 < unsure.probability < sure.probability
    assert sides(made([vote("Q", "x", "y", "a", confidence=0.2)])) == {("y", "x")}


def test_conversations_and_tags_and_models_are_kept(made: Make) -> None:
    prompt = (Message(role="system", content="Be brief."), Message(role="user", content="为什么？"))
    given = [
        Comparison(
            prompt=prompt,
            answers=("好", "坏"),
            models=("m1", "m2"),
            verdict="a",
            judge="anna",
            tags={"kind": "x", "at": "1"},
        ),
        Comparison(prompt=prompt, answers=("好", "坏"), verdict="a", judge="ben", tags={"kind": "x", "at": "2"}),
    ]
    (found,) = made(given)
    assert found.prompt == prompt
    assert found.tags == {"kind": "x", "chosen_model": "m1", "rejected_model": "m2", "shown_first": "chosen"}


def test_gold_overrules_and_unmasks(made: Make) -> None:
    given: list[Judgment] = []
    for number in range(20):
        good, bad = f"good {number}", f"bad {number}"
        lie = vote(f"P{number}", good, bad, "b", "liar")
        lie = lie.swapped() if number % 2 else lie  # or it would be a bias to the second side
        given += [lie, lie.model_copy(update={"judge": "fibber"})]
        if number < 10:
            given.append(vote(f"P{number}", bad, good, "b", "truth"))
    for method in ("dawid-skene", "noisy-bradley-terry"):
        pairs = made(given, reliability=method, gold=("truth",))
        assert len(pairs) == 20
        assert all(p.chosen.startswith("good") for p in pairs)
    assert all(p.chosen.startswith("bad") for p in made(given) if int(p.prompt[1:]) >= 10)


def test_reliability_json(made: Make, tmp_path: Path) -> None:
    pick = random.Random(0)
    given = []
    for number in range(60):
        for judge in ("sharp", "keen", "left"):
            good_first = pick.random() < 0.5
            first, second = ("good", "bad") if good_first else ("bad", "good")
            verdict = "a" if judge == "left" or good_first else "b"
            given.append(vote(f"P{number}", f"{first} {number}", f"{second} {number}", verdict, judge))
    pair(given, out=tmp_path / "o", reliability="dawid-skene")
    rows = {row["judge"]: row for row in json.loads((tmp_path / "o" / "reliability.json").read_text())["judges"]}
    assert rows["left"]["side_bias"]["interval"][0] > 0.7
    assert rows["left"]["names_first"]["value"] == 1
    assert abs(rows["left"]["skill"]["value"]) < 0.3
    assert rows["sharp"]["skill"]["interval"][0] > 0.5
    assert rows["sharp"]["votes"] == 60


# What must not change


@st.composite
def evidence(draw: st.DrawFn) -> list[Judgment]:
    pick = random.Random(draw(st.integers(0, 10_000)))
    found: list[Judgment] = []
    for _ in range(draw(st.integers(1, 25))):
        prompt, judge = pick.choice(["Why?", "How?", "Who?"]), pick.choice(["anna", "ben", "cem"])
        texts = pick.sample(["one", "two", "three", "four"], 3)
        match pick.randrange(3):
            case 0:
                found.append(vote(prompt, texts[0], texts[1], pick.choice(["a", "b", "tie", "both_bad"]), judge))
            case 1:
                ranks = (pick.randint(1, 3), pick.randint(1, 3), None)
                found.append(Ranking(prompt=prompt, answers=tuple(texts), ranks=ranks, judge=judge))
            case _:
                found.append(rating(prompt, texts[0], pick.randint(1, 5), judge, scale=(1, 5)))
    return found


METHODS: list[dict[str, Any]] = [
    {}, {"aggregate": "borda", "rule": "neighbours"}, {"aggregate": "plackett-luce", "rule": "all"},
    {"reliability": "noisy-bradley-terry", "rule": "all", "ties": "half"}, {"rule": "best-vs-random", "ties": "unpaired"},
]  # fmt: skip


def outcome(given: Sequence[Judgment], folder: Path, **options: Any) -> str | dict[str, bytes]:
    """Every file's content, or the complaint."""
    try:
        result = pair(given, out=folder, **{"heldout_share": 0.4, **options})
    except (InputError, ConfigError) as error:
        return str(error)
    return {name: (folder / name).read_bytes() for name in ("pairs.jsonl", "heldout.jsonl") if result.out == folder}


@settings(max_examples=15)
@given(evidence(), st.sampled_from(METHODS), st.randoms(use_true_random=False))
def test_the_order_of_judgments_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, given_: list[Judgment], options: dict[str, Any], pick: random.Random
) -> None:
    mixed = pick.sample(given_, len(given_))
    folder = tmp_path_factory.mktemp("p")
    assert outcome(given_, folder / "1", **options) == outcome(mixed, folder / "2", **options)


@settings(max_examples=15)
@given(evidence(), st.sampled_from(METHODS))
def test_no_pair_is_of_one_text_and_names_of_judges_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, given_: list[Judgment], options: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("p")
    names = {"anna": "zoe", "ben": "anna", "cem": "ben"}
    renamed = [judgment.model_copy(update={"judge": names[judgment.judge]}) for judgment in given_]
    one, other = outcome(given_, folder / "1", **options), outcome(renamed, folder / "2", **options)
    if isinstance(one, str):
        assert isinstance(other, str)
        return
    assert isinstance(other, dict)
    for name in one:
        rows, others = ([json.loads(line) for line in files[name].splitlines()] for files in (one, other))
        assert all(row["chosen"] != row["rejected"] for row in rows)
        assert [(r["prompt"], r["chosen"], r["rejected"]) for r in rows] == [
            (r["prompt"], r["chosen"], r["rejected"]) for r in others
        ]
        assert [r.get("probability", 1) for r in rows] == pytest.approx(
            [r.get("probability", 1) for r in others], abs=1e-4
        )


@settings(max_examples=15)
@given(evidence(), st.sampled_from([m for m in METHODS if "reliability" not in m]))
def test_the_order_shown_does_not_matter_where_no_side_is_modelled(
    tmp_path_factory: pytest.TempPathFactory, given_: list[Judgment], options: dict[str, Any]
) -> None:
    swapped = [j.swapped() if isinstance(j, Comparison) else j for j in given_]
    folder = tmp_path_factory.mktemp("p")
    one, other = outcome(given_, folder / "1", **options), outcome(swapped, folder / "2", **options)
    assert without_order(one) == without_order(other)


def test_the_split_is_by_prompt_and_stays(tmp_path: Path) -> None:
    given = [
        j
        for n in range(200)
        for j in (vote(f"Question {n * 7919}?", "x", "y", "a"), vote(f"Question {n * 7919}?", "x", "z", "a"))
    ]
    first = pair(given, out=tmp_path / "1", rule="all", heldout_share=0.2)
    second = pair(given[: len(given) // 2], out=tmp_path / "2", rule="all", heldout_share=0.2)
    assert first.heldout is not None
    assert second.heldout is not None
    held = {p.prompt for p in read_pairs(first.heldout).pairs}
    assert 20 <= len(held) <= 60
    assert not held & {p.prompt for p in read_pairs(first.pairs).pairs}
    fewer = {p.prompt for p in read_pairs(second.heldout).pairs}
    assert fewer <= held  # what is held out among fewer prompts is held out among more


# Doors


def test_from_files_and_folders_to_a_file_that_loads(write_file: WriteFile, tmp_path: Path, capsys: Any) -> None:
    from rather.cli import main

    folder = tmp_path / "判断 1"
    folder.mkdir()
    write_jsonl(folder / "judgments.jsonl", judgment_rows([vote("Q", "x", "y", "a"), vote("Q2", "x", "y", "b", "ben")]))
    file = write_file([{"prompt": "Q", "answers": ["y", "x"], "judge": "cem", "verdict": "b"}], "more.jsonl")
    out = tmp_path / "o"
    command = ["pair", str(folder), str(file), "--out", str(out), "--heldout-share", "0", "--rule", "all"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "3 comparisons by 3 judges: 2 prompts, 4 answers" in said
    assert "rule all: 2 picked, 2 kept" in said
    reading = read_pairs(out / "pairs.jsonl")
    assert (len(reading.pairs), reading.refused) == (2, [])
    assert json.loads((out / "manifest.json").read_text())["counts"]["judges"] == 3
    assert main(command) == 0
    assert "nothing to do" in capsys.readouterr().err
    assert {path.name for path in out.iterdir()} == {
        "pairs.jsonl", "reliability.json", "refused.jsonl", "manifest.json", "run.json", ".lock",
    }  # fmt: skip


def test_refused_rows_are_listed(write_file: WriteFile, tmp_path: Path) -> None:
    rows: list[Any] = [
        {"prompt": "Q", "answers": ["x"], "judge": "anna", "score": 9, "scale": [1, 5]},
        {"prompt": "Q", "answers": ["x"], "judge": "anna", "score": 4, "scale": [1, 5]},
        {"prompt": "Q", "answers": ["y"], "judge": "anna", "score": 2, "scale": [1, 5]},
    ]
    file = write_file(rows, "ratings.jsonl")
    with pytest.raises(InputError, match=r"ratings.jsonl:1: .*9 is outside the scale, 1 to 5"):
        pair(file, out=tmp_path / "o")
    result = pair(file, out=tmp_path / "o", skip_bad=True, heldout_share=0)
    assert result.counts["refused"] == 1
    (refused,) = [json.loads(line) for line in (tmp_path / "o" / "refused.jsonl").read_text().splitlines()]
    assert refused["place"] == f"{file}:1"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"gold": ("anna",)}, "--gold does nothing without --reliability"),
        ({"reliability": "dawid-skene", "gold": ("ana",)}, 'no judge has this name; did you mean "anna"'),
        ({"reliability": "dawid-skene", "gold": ("anna", "ben")}, "--gold names every judge"),
        ({"reliability": "dawid-skene", "aggregate": "newman"}, "--aggregate newman does nothing with --reliability"),
        ({"per_prompt": 2}, "--per-prompt does nothing with --rule best-vs-worst"),
        ({"rule": "list", "ties": "half"}, "--ties half does nothing with --rule list"),
        ({"rule": "list", "label": "weight"}, "--label weight is of pairs"),
        ({"rule": "list", "form": "unpaired"}, "--form unpaired does not go with --rule list"),
        ({"form": "unpaired", "ties": "half"}, "--ties half does nothing with --form unpaired"),
        ({"form": "unpaired", "label": "margin"}, "--label margin is of pairs"),
        ({"ties": "half", "label": "hard"}, "--ties half needs a probability"),
        (
            {"aggregate": "borda", "label": "weight"},
            "--label weight needs a probability, and --aggregate borda gives none",
        ),
        ({"rule": "all", "heldout_share": 0, "seed": 1}, "--seed does nothing here"),
        ({"rule": "best"}, "rule = 'best'"),
        ({"margin": -1}, "margin = -1"),
        ({"heldout_share": 1}, "heldout_share = 1"),
        ({"rulee": "all"}, 'unknown key "rulee"; did you mean "rule"'),
    ],
)
def test_options_that_do_not_go_together(tmp_path: Path, options: dict[str, Any], complaint: str) -> None:
    given = [vote("Q", "x", "y", "a"), vote("Q", "x", "y", "a", "ben")]
    with pytest.raises(ConfigError, match=complaint.replace("(", r"\(")):
        pair(given, out=tmp_path / "o", **options)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("options", [{}, {"reliability": "noisy-bradley-terry"}, {"rule": "all"}, {"rule": "list"}])
def test_an_empty_answer_is_evidence_and_makes_no_pair(made: Make, tmp_path: Path, options: dict[str, Any]) -> None:
    """Anna and Ben prefer "good" to "" and "" to "bad": by way of the empty answer "good" is the better one."""
    votes = [
        vote("Q", *answers, "a", judge=judge)
        for judge in ("anna", "ben")
        for answers in (("good", " \n"), (" \n", "bad"))
    ]
    (found,) = made(votes, **options)
    assert (found.good[0], found.bad[-1]) == ("good", "bad")
    counts = json.loads((tmp_path / "out1" / "manifest.json").read_text())["counts"]
    assert (counts["answers"], counts["judgments"]) == (3, {"comparison": 4})
    assert counts["dropped"]["empty answers, which count as evidence and make no pair"] == 1


def test_an_empty_answer_is_neither_chosen_nor_rejected(made: Make, tmp_path: Path) -> None:
    won = [vote("P", "", "x", "a"), vote("Q", "", "x", "b"), vote("R", "\u3000", "x", "tie")]
    for options in ({"ties": "half"}, {"ties": "unpaired"}, {"form": "unpaired"}):
        found = made([*won, vote("S", "a", "b", "a")], **options)
        assert {text for record in found for text in record.answers} == {"a", "b"}
    assert not list(tmp_path.glob("*/unpaired.jsonl"))  # nor by itself
    with pytest.raises(
        InputError, match=r"leaves no pair of 3 prompts .*3 × empty answers.*two answers that say something"
    ):
        made(won)


def test_an_answer_that_several_models_gave_speaks_for_none_of_them(made: Make, tmp_path: Path) -> None:
    """Model m always loses but for one answer, which n gave too: what is said of that one answer is not n's nor m's alone."""
    votes = [
        vote(f"Q{number}", f"n {number}", f"m {number}", "a", judge=judge, models=("n", "m"))
        for number in range(6)
        for judge in ("anna", "ben")
    ]
    shared = [
        vote("R", "", "z", "b", judge=judge, models=(model, None)) for judge in ("anna", "ben") for model in ("m", "n")
    ]
    alone = [vote("R", "", "z", "b", judge=judge, models=("n", None)) for judge in ("anna", "ben") for _ in range(2)]
    models = []
    for number, more in enumerate([[], shared, alone], start=1):
        made([*votes, *more], reliability="noisy-bradley-terry", rule="all")
        models.append(json.loads((tmp_path / f"out{number}" / "reliability.json").read_text())["models"]["n"])
    assert abs(models[1] - models[0]) < abs(models[2] - models[0])


def test_judgments_that_cannot_make_pairs(made: Make, tmp_path: Path, write_file: WriteFile) -> None:
    one = [vote("Q", "x", "y", "a")]
    with pytest.raises(ConfigError, match="there is only one, anna"):
        made(one, reliability="noisy-bradley-terry")
    with pytest.raises(ConfigError, match="no pair has two; choose noisy-bradley-terry"):
        made([*one, vote("Q2", "x", "y", "a", "ben")], reliability="dawid-skene")
    with pytest.raises(
        InputError, match=r"leaves no pair of 1 prompts with 2 answers \(1 picked: 1 × closer than --margin 9\); lower"
    ):
        made(one, margin=9)
    with pytest.raises(InputError, match=r"leaves no pair of 2 prompts .* give judgments of two or more answers"):
        made([rating("Q", "x", 3), rating("Q2", "x", 3)])
    with pytest.raises(InputError, match="is an event; make comparisons of events first"):
        made([Event(prompt="Q", answers=("x",), event="like", judge="u1")])
    with pytest.raises(InputError, match="there are none"):
        made([])
    with pytest.raises(
        InputError, match=r"no judgments\.jsonl in this folder; name a file of judgments or the folder of"
    ):
        pair(tmp_path, out=tmp_path / "o")
    write_json(tmp_path / "run.json", {"step": "judge", "config": {}, "inputs": {}})
    with pytest.raises(InputError, match=r"yet: its `rather judge` was not finished; run the same command again"):
        pair(tmp_path, out=tmp_path / "o")
    with pytest.raises(InputError, match="no such file"):
        pair(tmp_path / "none.jsonl", out=tmp_path / "o")
    file = write_file([{"prompt": "Q", "answers": ["x", "y"], "judge": "a", "verdict": "a"}])
    with pytest.raises(InputError, match="is given twice"):
        pair([file, file], out=tmp_path / "o")
    with pytest.raises(InputError, match="is no judgment of a known form"):
        pair(write_file([{"question": "Q", "reply": "x"}], "other.jsonl"), out=tmp_path / "o")
    assert not (tmp_path / "o").exists()
