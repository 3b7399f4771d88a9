"""A loop on a tiny model: its rounds, what stops them, what is the result, and that nothing is made twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rather.cli import main
from rather.errors import AuditStop, ConfigError, InputError, RunDirError
from rather.formats import read_pairs
from rather.looping.config import LoopConfig
from rather.model import Renderer, load
from rather.model.ches import ches_scores
from rather.training.prepare import tokenise
from tests.conftest import WriteFile
from tests.looping.small import run, values


def stamps(folder: Path) -> dict[str, int]:
    return {str(file): file.stat().st_mtime_ns for file in folder.rglob("manifest.json")}


def test_two_rounds_leave_the_better_one_and_are_not_made_twice(files: Path, tiny: Path) -> None:
    given = values(tiny, verify=["function:tiny_rewards:signs"], result={"suite": "format", "suite_tokens": 4})
    result = run(files, given)
    out = files / "out"
    first, second = result.rounds
    assert [facts["began_as"] for facts in result.rounds] == [str(tiny), first["policy"]]
    assert second["trained_from"] == first["policy"]
    assert second["reference"] == str(tiny), "the first model is kept"
    manifest = json.loads((out / "round-02/train/manifest.json").read_text())
    assert manifest["reference_model"] == str(tiny)
    assert manifest["inputs"]["reference"] != manifest["inputs"]["model"]
    assert first["held_out"] == ["function:tiny_rewards:signs"]
    assert first["proxy"] == ["function:tiny_rewards:letters"]
    rates = [facts["judged"]["function:tiny_rewards:signs"]["rate"] for facts in result.rounds]
    assert result.best == (None if max(rates) <= 0.5 else rates.index(max(rates)) + 1)
    assert result.stopped == "2 rounds are done"
    assert "round-02" in (out / "report.html").read_text()
    before = stamps(out)
    again = run(files, given)
    assert (again.best, again.stopped, again.rounds) == (result.best, result.stopped, result.rounds)
    assert stamps(out) == before


def test_a_loop_that_is_done_goes_on_where_there_may_be_more(files: Path, tiny: Path) -> None:
    run(files, values(tiny), rounds=1)
    before = stamps(files / "out" / "round-01")
    result = run(files, values(tiny))
    assert [facts["round"] for facts in result.rounds] == [1, 2]
    assert stamps(files / "out" / "round-01").items() >= before.items()
    with pytest.raises(RunDirError, match=r"holds a run with seed 0, not 1"):
        run(files, values(tiny, seed=1))


@pytest.mark.parametrize("own", [None, "Be kind."])
def test_answers_may_be_told_what_training_is_not(files: Path, tiny: Path, own: str | None) -> None:
    told = {"system_prompt": ["Be brief."], "also_plain": True}
    given = values(
        tiny, generate={"n": 3, "max_new_tokens": 10, "temperature": 1.0, **told}, rounds=1, system_prompt=own
    )
    run(files, given)
    first = files / "out/round-01"
    answers = [json.loads(line) for line in (first / "generate/responses.jsonl").read_text().splitlines()]
    assert {answer.get("system") for answer in answers} == {own, "Be brief."}
    assert "Be brief." not in (first / "pair/pairs.jsonl").read_text()
    assert json.loads((first / "train/run.json").read_text())["config"].get("system_prompt") == own


def test_from_the_first_model_on_the_pairs_of_all_rounds(files: Path, tiny: Path) -> None:
    result = run(files, values(tiny, start="first", pairs="all"))
    one, two = result.rounds
    assert two["began_as"] == one["policy"], "it is the policy that answers"
    assert (two["trained_from"], two["reference"]) == (str(tiny), str(tiny))
    assert two["trained_pairs"] == one["pairs"] + two["pairs"]


def test_the_reference_may_move(files: Path, tiny: Path) -> None:
    two = run(files, values(tiny, reference="previous")).rounds[1]
    assert two["reference"] == two["trained_from"] == two["began_as"]
    assert "reference" not in json.loads((files / "out/round-02/train/manifest.json").read_text())["inputs"]


def test_a_fixed_set_stands_beside_the_rounds_own_pairs(files: Path, tiny: Path, write_file: WriteFile) -> None:
    rows = [{"prompt": f"Fixed {i}?", "chosen": f" Yes, {i}.", "rejected": f" No, {i + 1}."} for i in range(40)]
    write_file(rows, "fixed.jsonl")
    (facts,) = run(files, values(tiny, rounds=1, mix={"pairs": "fixed.jsonl", "share": 0.25})).rounds
    manifest = json.loads((files / "out/round-01/mix/manifest.json").read_text())
    assert manifest["fixed"] == round(facts["pairs"] / 3)
    assert facts["trained_pairs"] == facts["pairs"] + manifest["fixed"]


def test_the_riskiest_pairs_are_left_out(files: Path, tiny: Path) -> None:
    (facts,) = run(files, values(tiny, rounds=1, drop_risky=0.3)).rounds
    folder = files / "out/round-01/risk"
    kept, dropped = (
        [json.loads(line) for line in (folder / name).read_text().splitlines()]
        for name in ("pairs.jsonl", "dropped.jsonl")
    )
    assert len(dropped) == facts["dropped_as_risky"] == round(0.3 * facts["pairs"]) > 0
    assert len(kept) == facts["trained_pairs"] == facts["pairs"] - len(dropped)
    loaded = load(str(tiny))
    records = [*read_pairs(folder / "pairs.jsonl").pairs, *read_pairs(folder / "dropped.jsonl").pairs]
    items, _ = tokenise(records, Renderer(loaded.tokenizer))
    scores = ches_scores(loaded.model.eval(), [item.samples for item in items], by_length=True).tolist()
    assert max(scores[: len(kept)]) <= min(scores[len(kept) :])


def test_a_round_that_tells_nothing_apart_ends_the_loop(files: Path, tiny: Path) -> None:
    with pytest.raises(InputError, match="leaves no pair"):
        run(files, values(tiny, judge=["function:tiny_rewards:equal"]))


def test_the_audit_stops_the_first_round_and_goes_on_once_it_is_allowed(
    files: Path, tiny: Path, write_file: WriteFile
) -> None:
    rows = [{"prompt": f"Fixed {i}?", "chosen": " Yes.", "rejected": f" No, {i + 1}."} for i in range(40)]
    write_file(rows, "fixed.jsonl")
    write_file("[constant_answer]\nwarn = 0.1\nstop = 0.2\n", "strict.toml")
    given = values(tiny, rounds=1, mix={"pairs": "fixed.jsonl", "share": 0.8})
    strict = {"thresholds": "strict.toml"}
    with pytest.raises(AuditStop, match=r"the audit of round 1 says stop \(constant_answer.*\[audit\] allow = {"):
        run(files, {**given, "audit": strict})
    assert len(run(files, {**given, "audit": {**strict, "allow": {"constant_answer": "a test"}}}).rounds) == 1


def test_kl_budget_and_time_stop_a_loop(files: Path, tiny: Path) -> None:
    result = run(files, values(tiny, rounds=5, stop={"kl": 1e-9}))
    assert len(result.rounds) == 1
    assert "over the budget of 1e-09" in result.stopped
    assert result.best is None, "a round over the budget is no result"
    result = run(files, values(tiny, rounds=5, stop={"minutes": 1e-9}))
    assert len(result.rounds) == 1
    assert "minutes are spent" in result.stopped


def test_a_reward_model_is_trained_in_each_round_and_makes_the_pairs(files: Path, tiny: Path) -> None:
    given = values(tiny, reward_model={"prompts": 6, "train": {"lr": 1e-3, "batch_pairs": 4}})
    one, two = run(files, given).rounds
    assert one["proxy"] == ["reward model"]
    assert one["held_out"] == ["function:tiny_rewards:letters"], "the judge that teaches it verifies"
    assert two["reward"]["pairs"] > one["reward"]["pairs"], "of all rounds"
    judged = [json.loads(line) for line in (files / "out/round-01/judge/judgments.jsonl").read_text().splitlines()]
    assert len({json.dumps(row["prompt"]) for row in judged}) == 6
    assert set(one["judged"]) == {"function:tiny_rewards:letters", "reward model"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"judge": []}, "nobody judges"),
        ({"judge": ["lenght"]}, 'no judge is called "lenght"; did you mean "length"'),
        ({"start": "first", "reference": "previous"}, "does not go with start"),
        ({"train": {"seed": 3}}, r"\[train\] seed does nothing here: it stands at the top"),
        ({"train": {"lrr": 3}}, r'\[train\] unknown key "lrr"; did you mean "lr"'),
        ({"pair": {"heldout_share": 0.1}}, r"\[pair\] heldout_share does nothing here"),
        ({"evaluate": {"by": ["length"]}}, r"who judges stands in \[\[judge\]\]"),
        ({"stop": 3}, r"stop is a table: write \[stop\]"),
        ({"train": {"loss": "simpo"}, "reference": "first"}, "reference does nothing in the loss simpo"),
        ({"online": {}, "pairs": "all"}, r"pairs does nothing with \[online\]"),
        ({"online": {}, "train": {"epochs": 2}}, r"\[train\] epochs does nothing with \[online\]"),
        ({"online": {}, "pair": {"rule": "all"}}, r"\[pair\] does nothing with \[online\]"),
        (
            {"online": {}, "generate": {"system_prompt": ["S"]}},
            r"\[generate\] system_prompt does not go with \[online\]",
        ),
        ({"rounds": 0}, "rounds = 0"),
        ({"rouns": 2}, 'unknown key "rouns"; did you mean "rounds"'),
    ],
)
def test_a_wrong_word_is_said_with_its_place(files: Path, tiny: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LoopConfig.of(values(tiny, **change), folder=files)


def test_people_are_asked_and_their_votes_are_taken(files: Path, tiny: Path) -> None:
    given = values(tiny, people={"items": 6, "random_share": 0.5, "wait": True})
    waiting = run(files, given)
    assert waiting.rounds == []
    assert waiting.waiting == files / "out/round-01/people/items.jsonl"
    assert run(files, given).waiting == waiting.waiting, "and again, until there are votes"
    vote(waiting.waiting, otherwise=True)
    waiting = run(files, given)
    (one,) = waiting.rounds
    assert one["people"]["items"] == one["people"]["random"] == 6, "no policy has margins yet"
    assert one["votes"] == 6
    tags = [json.loads(line)["tags"] for line in waiting.waiting.read_text().splitlines()]
    assert waiting.waiting == files / "out/round-02/people/items.jsonl"
    assert [tag["arm"] for tag in tags].count("random") == 3
    assert all(tag["map"] in ("confidently wrong", "uncertain", "as the judges say") for tag in tags)
    vote(waiting.waiting, otherwise=False)
    result = run(files, given)
    assert result.waiting is None
    facts = json.loads((files / "out/loop.json").read_text())["rounds"]
    assert facts[1]["votes"] == 6, "those of the first round were taken by it"
    gain = facts[1]["people"]["gain"]
    assert (gain["chosen"]["hits"], gain["random"]["hits"], gain["value"]) == (0, 0, 0.0)
    assert gain["low"] < 0 < gain["high"]
    assert "Were people asked" in (files / "out/report.html").read_text()


def vote(items: Path, *, otherwise: bool) -> None:
    """Votes as `rather annotate export` writes them, of one person who sees the judges' better answer second."""
    rows = []
    for line in items.read_text().splitlines():
        item = json.loads(line)
        rows.append({
            "prompt": item["prompt"], "answers": [item["rejected"], item["chosen"]], "judge": "ann",
            "by": "person", "verdict": "a" if otherwise else "b", "tags": item["tags"],
        })  # fmt: skip
    (items.parent / "votes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_judgments_from_elsewhere_are_taken_once(files: Path, tiny: Path, write_file: WriteFile) -> None:
    rows = [
        {
            "prompt": "What of the wind?", "answers": [f"It blows {i}.", f"No {i}."], "judge": "users",
            "by": "behaviour", "verdict": "a",
        }
        for i in range(3)
    ]  # fmt: skip
    file = write_file(rows, "log.jsonl")
    one = run(files, values(tiny, judgments=["log.jsonl"]), rounds=1).rounds[0]
    assert one["votes"] == 3
    write_file([*rows, {**rows[0], "answers": ["Softly.", "Never."]}], "log.jsonl")
    two = run(files, values(tiny, judgments=["log.jsonl"])).rounds[1]
    assert two["votes"] == 1, "the others were taken before"
    assert file.is_file()


def test_the_command_says_what_came_of_it(files: Path, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = files / "small.toml"
    file.write_text(
        f'model = "{tiny}"\nquestions = "questions.txt"\nheldout = "heldout.txt"\ndtype = "fp32"\n'
        'judge = "function:tiny_rewards:letters"\n[generate]\nn = 2\nmax_new_tokens = 6\n[train]\nlr = 0.001\n'
        '[audit]\nallow = {all = "a test"}\n[evaluate]\nkl_samples = 2\n[result]\n',
        encoding="utf-8",
    )
    assert main(["loop", str(file), "--out", str(files / "out"), "--rounds", "1", "--seed", "5"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("round 1: ")
    assert said[1] == "stopped: one round is done"
    assert said[-1] == f"report: {files / 'out' / 'report.html'}"
    assert json.loads((files / "out/run.json").read_text())["config"]["seed"] == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("model = ", "is not TOML"),
        ('model = "m"\n', "questions"),
        ('model = "m"\nquestions = "questions.txt"\njudge = ["length"]\n', "m"),
        ('model = "{tiny}"\nquestions = "none.txt"\njudge = ["length"]\n', "none.txt: no such file"),
        ('model = "{tiny}"\nquestions = "questions.txt"\njudge = ["function:tiny_rewards:lost"]\n', "lost"),
        ('model = "{tiny}"\nquestions = "questions.txt"\njudge = ["length"]\n[result]\nsuite = "x.jsonl"\n', "x.jsonl"),
    ],
)
def test_a_wrong_file_is_one_line_and_leaves_no_folder(
    files: Path, tiny: Path, content: str | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = files / "small.toml"
    if content is not None:
        file.write_text(content.replace("{tiny}", str(tiny)), encoding="utf-8")
    assert main(["loop", str(file), "--out", str(files / "out")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = [line for line in said.err.splitlines() if line.startswith("rather: ")]
    assert message in line
    assert not (files / "out").exists()
