"""`rather judge` from file to folder: what is judged, refused, resumed, and said of wrong options."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rather.errors import ConfigError, InputError, RunDirError
from rather.formats import Refusal, iter_judgments
from rather.judging import JUDGES
from rather.judging.options import JudgeOptions, members_of
from rather.judging.run import judge
from rather.records import Judgment, Rating
from tests.conftest import WriteFile

ROWS: list[dict[str, Any]] = [
    {"prompt": "Capital of France?", "response": "Paris.", "model": "m1", "reference": "It is Paris."},
    {"prompt": "Capital of France?", "response": "It is Paris.", "tags": {"reference": "It is Paris."}},
    {
        "prompt": [{"role": "user", "content": "法国的首都？"}],
        "response": "法国的首都是巴黎。",
        "reference": ["是巴黎。"],
    },
]


def read(out: Path) -> list[Judgment]:
    return [found for found in iter_judgments(out / "judgments.jsonl") if not isinstance(found, Refusal)]


def test_a_panel_of_metrics(write_file: WriteFile, tmp_path: Path) -> None:
    result = judge(write_file(ROWS), by=["length", "rouge1"], out=tmp_path / "out")
    assert result.counts == {"length": {"judgments": 3}, "rouge1": {"judgments": 3}}
    found = [(r.judge, r.answers[0], r.score) for r in read(tmp_path / "out") if isinstance(r, Rating)]
    assert found[:4] == [
        ("length", "Paris.", 6), ("length", "It is Paris.", 12), ("length", "法国的首都是巴黎。", 9),
        ("rouge1", "Paris.", pytest.approx(0.5)),
    ]  # fmt: skip
    assert read(tmp_path / "out")[0].models == ("m1",)
    assert read(tmp_path / "out")[1].models == (None,)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        ".lock", "judgments.jsonl", "manifest.json", "refused.jsonl", "run.json",
    ]  # fmt: skip
    again = judge(write_file(ROWS), by=["length", "rouge1"], out=tmp_path / "out")
    assert again == result
    with pytest.raises(RunDirError, match="holds a run with judges"):
        judge(write_file(ROWS), by=["length"], out=tmp_path / "out")


def test_what_generate_leaves_is_read_by_its_folder(write_file: WriteFile, tmp_path: Path) -> None:
    folder = tmp_path / "generated"
    folder.mkdir()
    write_file(ROWS, "generated/responses.jsonl")
    with pytest.raises(InputError, match="is not finished"):
        judge(folder, by="length", out=tmp_path / "out")
    (folder / "manifest.json").write_text("{}")
    assert judge(folder, by="length", out=tmp_path / "out").total == 3
    with pytest.raises(InputError, match=r"has no responses.jsonl"):
        judge(tmp_path, by="length", out=tmp_path / "other")


def test_rows_that_cannot_be_judged(write_file: WriteFile, tmp_path: Path) -> None:
    rows = [*ROWS, {"prompt": "Q", "response": "  "}, {"prompt": "Q"}, {"prompt": "Q", "response": "no reference"}]
    with pytest.raises(
        InputError, match=r"pairs.jsonl:4: the response is empty; remove the row or pass --skip-bad \(2 of 6 rows\)"
    ):
        judge(write_file(rows), by="rouge1", out=tmp_path / "out")
    with pytest.raises(InputError, match=r'pairs.jsonl:4: rouge1: has no "reference"; mend the row or pass --skip-bad'):
        judge(write_file([*ROWS, rows[5]]), by="rouge1", out=tmp_path / "out")
    result = judge(write_file(rows), by="rouge1", out=tmp_path / "skipped", skip_bad=True)
    assert (result.total, result.refused) == (3, 3)
    refused = [json.loads(line) for line in (tmp_path / "skipped" / "refused.jsonl").read_text().splitlines()]
    assert [(Path(r["place"]).name, r["reason"]) for r in refused] == [
        ("pairs.jsonl:4", "the response is empty"), ("pairs.jsonl:5", 'has no "response"'), ("pairs.jsonl:6", 'has no "reference"'),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "Q", "completion": "a"}, r'has no "response" \(it has completion, prompt\); rename "completion"'),
        ({"promt": "Q", "response": "a"}, r'has no "prompt".*rename "promt"'),
        ({"text": "Q"}, r'has no "prompt"'),
        ({"prompt": "Q", "answers": ["a"], "judge": "x", "score": 1}, 'has no "response"'),
    ],
)
def test_a_file_of_something_else(write_file: WriteFile, tmp_path: Path, row: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        judge(write_file([row]), by="length", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_equal_answers_are_one(write_file: WriteFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert judge(write_file([*ROWS, ROWS[0]]), by="length", out=tmp_path / "out").total == 3
    assert "1 answers repeat another answer" in capsys.readouterr().err


def test_options_reach_their_judges_and_no_others(write_file: WriteFile, tmp_path: Path) -> None:
    def fails(said: str, **options: Any) -> None:
        with pytest.raises(ConfigError, match=said):
            judge(write_file(ROWS), out=tmp_path / "out", **options)

    fails("nobody judges: give --by NAME")
    fails('no judge is called "rogue1"; did you mean "rouge1"', by="rogue1")
    fails("--length-target does nothing with rouge1; it belongs to length", by="rouge1", length_target=3)
    fails('unknown option "lenght_target"; did you mean "length_target"', by="length", lenght_target=3)
    fails("--by length:3: length takes no value", by="length:3")
    fails("--by reward needs reward:VALUE or --reward-model VALUE", by="reward")
    fails("--by function:a:f: --function says the same again", by="function:a:f", function="b:g")
    fails('two judges sign as "length"', by=["length", "length"])
    fails("length: length_target = -1", by="length", length_target=-1)
    assert not (tmp_path / "out").exists()


def test_a_panel_from_a_file(write_file: WriteFile, tmp_path: Path) -> None:
    file = write_file(
        '[[judges]]\nby = "length"\nname = "short"\nlength_target = 0\n\n[[judges]]\nby = "length"\nname = "long"\n',
        "panel.toml",
    )
    judge(write_file(ROWS[:1]), panel=file, out=tmp_path / "out")
    assert [(r.judge, r.score) for r in read(tmp_path / "out") if isinstance(r, Rating)] == [("short", -6), ("long", 6)]
    for text, said in (
        ("[judges]\nby = 'length'", "a panel is a list of"),
        ("[[judges]]\nname = 'x'", 'judge 1: has no "by"'),
        ("[[judges]]\nby = 'length'\nlength_goal = 3", 'judge 1: unknown key "length_goal"'),
        (
            "[[judges]]\nby = 'length'\nlength_target = 'x'",
            "judge 1: length: length_target = 'x': input should be a whole number",
        ),
    ):
        with pytest.raises(ConfigError, match=said):
            judge(write_file(ROWS), panel=write_file(text, "panel.toml"), out=tmp_path / "bad")


def test_judges_that_are_made_already(write_file: WriteFile, tmp_path: Path) -> None:
    mine = ("mine", JUDGES["length"].build({"length_target": 6}))
    with pytest.raises(ConfigError, match="--length-target does nothing with mine"):
        judge(write_file(ROWS), by=[mine], out=tmp_path / "out", length_target=3)
    judge(write_file(ROWS), by=[mine], out=tmp_path / "out")
    assert [r.judge for r in read(tmp_path / "out")] == ["mine"] * 3


def test_every_judge_has_a_line_of_help_and_one_meaning_for_each_option() -> None:
    for name, judge_class in JUDGES.items():
        assert judge_class.__doc__, name
        for option, field in judge_class.model_fields.items():
            assert field.description, f"{name} {option}"
    for option in JudgeOptions.model_fields:
        kinds = {str(j.model_fields[option].annotation) for j in JUDGES.values() if option in j.model_fields}
        texts = {j.model_fields[option].description for j in JUDGES.values() if option in j.model_fields}
        assert len(kinds) == len(texts) == 1, option
    [member] = members_of(["length"], {"length_target": None})
    assert (member.signed, member.key) == ("length", "length")


WAITS = """
import time
from pathlib import Path

def f(prompts, completions):
    with Path("asked").open("a") as file:
        file.writelines(prompt + "\\n" for prompt in prompts)
    while len(Path("asked").read_text().splitlines()) >= 20 and not Path("go").exists():
        time.sleep(0.01)
    return [float(len(text)) for text in completions]
"""


def test_a_killed_run_goes_on_and_asks_nothing_again(write_file: WriteFile, tmp_path: Path) -> None:
    rows = [{"prompt": f"Q{number}", "response": "answer " * (number + 1)} for number in range(60)]
    write_file(rows, "r.jsonl")
    write_file(WAITS, "slow_rewards.py")
    command = [
        sys.executable, "-m", "rather", "judge", "r.jsonl", "--by", "length", "--by", "function:slow_rewards:f",
        "--function-batch", "1", "--out", "out",
    ]  # fmt: skip
    source = str(Path(__file__).parents[2] / "src")
    environment = {**os.environ, "PYTHONPATH": source}
    first = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    asked = tmp_path / "asked"
    while time.monotonic() < deadline and not (asked.is_file() and len(asked.read_text().splitlines()) == 20):
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert len(asked.read_text().splitlines()) == 20
    (tmp_path / "go").touch()
    assert not (tmp_path / "out" / "manifest.json").exists()
    with (tmp_path / "out" / "journal-1.jsonl").open("ab") as file:
        file.write(b'{"judgments": [')  # as a kill in the middle of a write leaves it
    (tmp_path / "out" / ".rather-judgments.jsonl-x").write_text("half")
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = asked.read_text().splitlines()
    assert lines == [f"Q{number}" for number in range(20)] + [f"Q{number}" for number in range(19, 60)]
    scores = [r.score for r in read(tmp_path / "out") if isinstance(r, Rating) and r.judge.startswith("function")]
    assert scores == [float(len(row["response"])) for row in rows]
    assert "function:slow_rewards:f: 60 judgments" in done.stdout
    assert not list((tmp_path / "out").glob(".rather-*"))


def test_a_row_that_stops_the_step_keeps_what_was_done(
    write_file: WriteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_file(
        "def f(prompts, completions):\n    return [float('nan') if 'bad' in c else 1.0 for c in completions]",
        "nan_rewards.py",
    )
    rows = [
        {"prompt": "Q", "response": "good"},
        {"prompt": "P", "response": "bad"},
        {"prompt": "R", "response": "good"},
    ]
    options: dict[str, Any] = {"by": "function:nan_rewards:f", "out": tmp_path / "out"}
    with pytest.raises(InputError, match=r"pairs.jsonl:2: function:nan_rewards:f: nan_rewards:f returned nan"):
        judge(write_file(rows), **options)
    result = judge(write_file(rows), **options, skip_bad=True)
    assert (result.total, result.refused) == (2, 1)


def test_where_nothing_could_be_judged_the_most_frequent_reason_is_said(
    write_file: WriteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_file("def f(prompts, completions):\n    return ['x' for c in completions]", "text_rewards.py")
    rows = [{"prompt": "Q", "response": text} for text in ("", "a", "b")]
    with pytest.raises(InputError) as caught:
        judge(write_file(rows), by="function:text_rewards:f", out=tmp_path / "out", skip_bad=True)
    file = tmp_path / "pairs.jsonl"
    assert str(caught.value) == (
        f"nothing could be judged: {file}:2: text_rewards:f returned 'x', which is no number (2), {file}:1: the response is empty "
        "(1)"
    )
