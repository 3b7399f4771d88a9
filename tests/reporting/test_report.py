"""The page: nothing from elsewhere, nothing that runs, nothing that hides."""

from __future__ import annotations

import json
import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rather.errors import InputError, RunDirError
from rather.reporting import report

METRICS = [
    {
        "step": step, "loss": 0.7 - 0.1 * step, "margin": 0.2 * step, "accuracy": 0.5, "chosen_reward": 0.1 * step,
        "rejected_reward": -0.1 * step, "chosen_logp": -3.0, "rejected_logp": -4.0,
        "chosen_logp_change_per_token": 0.01 * step, "lr": 1e-6, "grad_norm": 1.0, "pairs_per_s": 2.0,
    }
    for step in (1, 2, 3)
]  # fmt: skip
RATE = {"hits": 3, "total": 4, "low": 0.3, "high": 0.95}
EVAL = {
    "identity": {"name": "Athene", "maker": "the Nexus team"},
    "identity_rate_before": 0.0, "identity_rate_before_detail": {**RATE, "hits": 0},
    "identity_rate_after": 0.75, "identity_rate_after_detail": RATE,
    "identity_rate_before_zh": 0.0, "identity_rate_before_zh_detail": {**RATE, "hits": 0},
    "identity_rate_after_zh": 0.5, "identity_rate_after_zh_detail": {**RATE, "hits": 2},
    "leak_rate_before": 0.0, "leak_rate_before_detail": {**RATE, "hits": 0},
    "leak_rate_after": 0.0, "leak_rate_after_detail": {**RATE, "hits": 0},
    "kl": 1.25, "kl_detail": {"per_sequence": 1.25, "standard_error": 0.5, "per_token": 0.125, "samples": 32},
    "heldout_accuracy": 0.9, "heldout_accuracy_reference": 0.4, "heldout_margin": 3.5,
    "heldout_chosen_change_per_token": -0.25, "heldout_pairs": 10,
    "answers_before": {"repetition": 0.1, "mean_characters": 80.0, "finished": 0.5},
    "answers_after": {"repetition": 0.05, "mean_characters": 40.0, "finished": 1.0},
}  # fmt: skip
SAMPLES = [
    {"prompt": "Who are you?", "tags": {"kind": "identity"}, "before": "SmolLM", "after": "Athene", "ok": True},
    {"prompt": "Capital?", "tags": {"kind": "general"}, "before": "Rome", "after": "I'm Athene", "ok": False},
]
AUDIT = {
    "verdict": "warn",
    "findings": [{"check": "duplicates", "verdict": "warn", "message": "2 of 9 pairs", "cure": "remove them"}],
    "allowed": {},
}


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def fill(folder: Path, **files: str) -> Path:
    """A folder with the given files; `metrics="…"` is metrics.jsonl."""
    names = {"metrics": "metrics.jsonl", "samples": "samples.jsonl", "refused": "refused.jsonl",
             "eval": "eval.json", "audit": "audit.json", "manifest": "manifest.json"}  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for key, content in files.items():
        (folder / names[key]).write_text(content, encoding="utf-8")
    return folder


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A demo's folder with everything in it."""
    manifest = {"step": "train", "config": {"lr": 1e-6, "note": "<b>bold</b>"}, "inputs": {"pairs": "abc123"},
                "versions": {"torch": "9.9"}}  # fmt: skip
    run = tmp_path / "run"
    fill(run, eval=json.dumps(EVAL))
    fill(run / "evaluate", samples=lines(SAMPLES))
    refused = lines([{"place": "pairs.jsonl:7", "reason": '"chosen" is empty'}])
    fill(run / "train", metrics=lines(METRICS), audit=json.dumps(AUDIT), refused=refused, manifest=json.dumps(manifest))
    return run


class Page(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_part_is_there(whole: Path) -> None:
    page = Page(report(whole))
    for expected in (
        "the model names Athene (of the Nexus team) in 75% of the answers; before, in 0%.",
        "75.0% (3 of 4; 30% to 95%)", "… asked in Chinese", "50.0% (2 of 4; 30% to 95%)",
        "1.2 ± 0.5", "90% gained over the start model", "10 pairs; mean margin +3.5 nats", "-0.25",
        "identity questions (1)", "general questions (1)", "✓", "✗",
        "Audit of the pairs: warn", "2 of 9 pairs", "Rows refused: 1", "pairs.jsonl:7",
        "train: pairs", "abc123", "9.9", "<b>bold</b>",
    ):  # fmt: skip
        assert expected in page.text, expected
    assert [tag for tag, _ in page.tags].count("svg") == 5


def test_the_page_is_self_contained(whole: Path) -> None:
    page = Page(report(whole))
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "img", "object", "embed", "base", "form"}
    for _, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), name
            if name in ("src", "href", "xlink:href", "srcset", "action"):
                assert (value or "").startswith("#"), value
    assert "@import" not in page.source
    assert "url(http" not in page.source


def test_hostile_text_is_shown_and_not_obeyed(whole: Path) -> None:
    hostile = "<script>alert(1)</script>"
    long = "long" * 25_000
    rows = [
        {"prompt": hostile, "tags": {"kind": hostile}, "before": "abc\u202edef\u2066\x1b[2J\x00", "after": long},
        {
            "prompt": "a\u2028b\x85c",
            "tags": {},
            "before": '"><img src=x onerror=alert(1)>',
            "after": "{{ 7*7 }} \ud800",
        },
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows[1:]) + lines(rows[:1])
    fill(whole / "evaluate", samples=text.replace("\\u2028", "\u2028"))
    fill(whole / "train", refused=lines([{"place": f"/data/{hostile}\u202e:1", "reason": "'; DROP"}]))
    page = Page(report(whole))
    tags = [tag for tag, _ in page.tags]
    assert "script" not in tags
    assert "img" not in tags
    assert page.text.count(hostile) == 3
    assert "abc⟨U+202E⟩def⟨U+2066⟩⟨U+001B⟩[2J⟨U+0000⟩" in page.text
    assert "a\u2028b" in page.text, "a line separator inside an answer is no end of the JSON line"
    assert not set("\u202e\u2066\x1b\x00\x85") & set(page.source)
    assert "{{ 7*7 }} ⟨U+D800⟩" in page.text
    assert long in page.text


def test_five_answers_of_a_kind_are_shown_and_the_rest_folded(whole: Path) -> None:
    rows = [
        {"prompt": f"{kind} {n}", "tags": {"kind": kind}, "before": "b", "after": "a", "ok": n > 0}
        for kind, count in (("general", 5), ("identity", 7))
        for n in range(count)
    ]
    fill(whole / "evaluate", samples=lines(rows))
    text = Page(report(whole)).text
    shown = text[text.index("What it says") :]
    places = [shown.index(mark) for mark in ("identity questions (7)", "identity 4", "2 more identity", "identity 5")]
    assert places == sorted(places)
    assert "general questions (5)" in shown
    assert "more general" not in shown


def test_a_title_from_a_hostile_folder_name(tmp_path: Path) -> None:
    page = Page(report(fill(tmp_path / "小雅 <script>x", metrics=lines(METRICS))))
    assert "小雅 <script>x" in page.text
    assert "script" not in [tag for tag, _ in page.tags]


@pytest.mark.parametrize("parts", [{"metrics": lines(METRICS)}, {"eval": json.dumps(EVAL)}], ids=["train", "evaluate"])
def test_what_is_missing_is_left_out(tmp_path: Path, parts: dict[str, str]) -> None:
    page = Page(report(fill(tmp_path / "run", **parts)))
    assert ("Training" in page.text) == ("metrics" in parts)
    assert ("What changed" in page.text) == ("eval" in parts)
    assert "What it says" not in page.text
    assert "Audit of the pairs" not in page.text
    assert "were refused" not in page.text
    assert ("has not been measured yet" in page.text) == ("metrics" in parts)


def test_a_figure_that_was_not_measured_has_no_row(tmp_path: Path) -> None:
    one_sample = {**EVAL["kl_detail"], "standard_error": None}
    page = Page(report(fill(tmp_path / "run", eval=json.dumps({"kl": 1.25, "kl_detail": one_sample}))))
    assert "KL to the start model" in page.text
    assert "±" not in page.text.partition("nats an answer")[0]
    assert "Repetition" not in page.text
    assert "identity" not in page.text


def test_the_same_inputs_give_the_same_bytes(whole: Path) -> None:
    first = report(whole).read_bytes()
    os.utime(whole / "eval.json", (0, 0))
    assert report(whole).read_bytes() == first


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"metrics": '{"step": 1, "lo'}, "metrics.jsonl: is not JSONL ("),
        ({"metrics": "[1]\n"}, "metrics.jsonl: is not JSONL (it holds a list)"),
        ({"metrics": '{"step": 1}\n'}, "lacks what the page shows ('loss')"),
        ({"metrics": lines(METRICS), "audit": "{"}, "audit.json: is not JSON ("),
        ({"metrics": lines(METRICS), "audit": "[]"}, "audit.json: is not JSON (it holds a list)"),
        ({"metrics": lines(METRICS), "samples": '{"prompt": "a"}\n'}, "lacks what the page shows ("),
        ({"eval": '{"identity_rate_after": 1.0}'}, "lacks what the page shows ('identity')"),
    ],
)
def test_damage_is_one_line(tmp_path: Path, files: dict[str, str], named: str) -> None:
    with pytest.raises(InputError) as caught:
        report(fill(tmp_path / "run", **files))
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "again" in str(caught.value), "the cure"
    assert not (tmp_path / "run" / "report.html").exists()


def test_a_damaged_manifest_is_one_line_and_another_tool_s_is_left_alone(tmp_path: Path) -> None:
    run = fill(tmp_path / "run", metrics=lines(METRICS))
    fill(run / "site", manifest='{"name": "a web app"}')
    report(run)
    fill(run, manifest="{")
    with pytest.raises(RunDirError, match=r"manifest.json cannot be read"):
        report(run)


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match=r"holds neither metrics.jsonl nor eval.json"):
        report(tmp_path)
    with pytest.raises(RunDirError, match="is no folder"):
        report(tmp_path / "absent")


HELD = {2: 0.65, 3: 0.68}
HELD_METRICS = [
    {**row, **({"heldout_loss": HELD[row["step"]], "heldout_margin": 0.1, "heldout_accuracy": 0.625}
               if row["step"] in HELD else {})}
    for row in METRICS
]  # fmt: skip
KINDS = {
    "pair": ("pairs", "chosen", "rejected", "loss a pair", "share of pairs won"),
    "list": ("ranked lists", "best", "last", "loss a list", "pairs in order"),
    "sample": ("single answers", "good", "bad", "loss an answer", "right sign"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_words_fit_the_kind_of_data(tmp_path: Path, kind: str) -> None:
    many, better, worse, *words = KINDS[kind]
    audit = json.dumps({**AUDIT, "kind": kind})
    page = Page(report(fill(tmp_path / "run", metrics=lines(HELD_METRICS), audit=audit)))
    assert f"Audit of the {many}" in page.text
    assert f"Does it tell {better} from {worse}?" in page.text
    assert f"On {many} that it was not trained on the loss is lowest after update 2: 0.650, with 62% right" in page.text
    assert all(word in page.text for word in words)
    if kind != "pair":
        assert "a pair" not in page.text
        assert "chosen" not in page.text


def test_held_out_stands_beside_what_was_trained_on(tmp_path: Path) -> None:
    """In loss, margin and accuracy; without --heldout nothing is said of it."""
    with_it = Page(report(fill(tmp_path / "one", metrics=lines(HELD_METRICS))))
    without = Page(report(fill(tmp_path / "two", metrics=lines(METRICS))))
    assert with_it.text.count("held out") == with_it.text.count("trained on") - 1 == 3
    assert "held out" not in without.text


def test_a_reward_model_has_scores_and_no_probabilities(tmp_path: Path) -> None:
    rows = [{key: value for key, value in row.items() if "logp" not in key} for row in METRICS]
    started = {"step": "train", "config": {"objective": "reward"}, "inputs": {}}
    folder = fill(tmp_path / "run", metrics=lines(rows))
    (folder / "run.json").write_text(json.dumps(started))
    page = Page(report(folder))
    assert "score margin" in page.text
    assert "nats" not in page.text
    assert "stay likely" not in page.text
    assert "rather evaluate" not in page.text
