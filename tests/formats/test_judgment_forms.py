"""Judgments as other programs export them: told by the first row, read whole, refused with line and reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rather.errors import InputError
from rather.formats import JUDGMENT_READERS, Refusal, iter_judgments
from rather.records import Comparison, Event, Judgment, Message, Ranking, Rating
from tests.conftest import WriteFile
from tests.formats.test_forms import NECTAR, ranks

Q = (Message(role="user", content="Why?"),)
TURN = {"role": "user", "content": "Why?"}


def read(
    write_file: WriteFile, content: Any, name: str = "judgments.jsonl"
) -> tuple[str, list[Judgment], list[Refusal]]:
    """The form that was told, the judgments without their places, and the refusals."""
    stream = iter_judgments(write_file(content, name))
    found = list(stream)
    judgments = [j.model_copy(update={"source": None}) for j in found if not isinstance(j, Refusal)]
    return stream.format, judgments, [refusal for refusal in found if isinstance(refusal, Refusal)]


def rated(answer: str, score: float, **more: Any) -> Rating:
    return Rating(**{"prompt": Q, "answers": (answer,), "score": score, **more})


def completion(response: str, overall: float | None, *scores: Any, **more: Any) -> dict[str, Any]:
    names = ("helpfulness", "honesty", "instruction_following", "truthfulness")
    notes = {name: {"Rating": score, "Rationale": "…"} for name, score in zip(names, scores, strict=False)}
    return {"model": "m", "response": response, "overall_score": overall, "annotations": notes, **more}


ULTRAFEEDBACK: dict[str, Any] = {
    "source": "evol_instruct",
    "instruction": "Why?",
    "models": ["m"],
    "completions": [completion("So.", 7.5, "4", "5", "N/A", "3")],
}


class TestUltraFeedback:
    def test_each_aspect_is_a_rating_and_so_is_the_whole(self, write_file: WriteFile):
        form, judgments, refused = read(write_file, [ULTRAFEEDBACK])
        by: dict[str, Any] = {"judge": "gpt-4", "by": "model", "models": ("m",)}
        assert (form, refused) == ("ultrafeedback", [])
        assert judgments == [
            rated("So.", 4.0, aspect="helpfulness", scale=(1.0, 5.0), **by),
            rated("So.", 5.0, aspect="honesty", scale=(1.0, 5.0), **by),
            rated("So.", 3.0, aspect="truthfulness", scale=(1.0, 5.0), **by),
            rated("So.", 7.5, scale=(1.0, 10.0), **by),
        ]

    @pytest.mark.parametrize(
        ("scores", "said"),
        [
            (("1", "2", "1", "1"), "its aspects average 1.2 of 5"),  # 5/4
            (("4", "4", "4", "4"), "its aspects average 4 of 5"),  # the authors' own bound is above 4
            (("N/A", "N/A", "N/A", "N/A"), "no aspect was rated beside it"),
            ((), "no aspect was rated beside it"),
        ],
    )
    def test_a_ten_that_its_aspects_do_not_bear_out_is_refused_and_the_rest_kept(
        self, write_file: WriteFile, scores: tuple[str, ...], said: str
    ):
        row = {
            **ULTRAFEEDBACK,
            "completions": [completion("Bad.", 10, *scores), completion("Good.", 10, "5", "5", "4", "4")],
        }
        _, judgments, (refusal,) = read(write_file, [ULTRAFEEDBACK, row])
        assert refusal.place.endswith(":2")
        assert refusal.reason == f"completion 1 has the overall_score 10, but {said}: a known defect wrote 10 for 1"
        assert [j for j in judgments if isinstance(j, Rating) and j.score == 10] == [
            rated("Good.", 10.0, scale=(1.0, 10.0), judge="gpt-4", by="model", models=("m",))
        ]
        assert sum(j.answers == ("Bad.",) for j in judgments) == sum(score != "N/A" for score in scores)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (completion("a", 3, "6"), "6 is outside the scale, 1 to 5"),
            (completion("a", 3, "high"), "\"completion 1 helpfulness Rating\" is 'high', not a number"),
            (completion("a", 11, "4"), "11 is outside the scale, 1 to 10"),
            ({"model": "m"}, '"completion 1 response" is null, not text'),
        ],
    )
    def test_a_completion_that_cannot_be_used(self, write_file: WriteFile, change: Any, said: str):
        _, _, refused = read(write_file, [ULTRAFEEDBACK, {**ULTRAFEEDBACK, "completions": [change]}])
        assert [(r.place[-2:], r.reason) for r in refused] == [(":2", said)]


ALPACAEVAL: dict[str, Any] = {
    "instruction": "Why?",
    "output_1": "So.",
    "output_2": "Because.",
    "generator_1": "m1",
    "generator_2": "m2",
    "annotator": "gpt4",
    "preference": 2.0,
}


class TestAlpacaEval:
    @pytest.mark.parametrize(
        ("preference", "verdict", "confidence"),
        [(1, "a", None), (2.0, "b", None), (1.5, "tie", None), (1.75, "b", 0.75), (1.25, "a", 0.75)],
    )
    def test_a_preference_is_a_comparison(
        self, write_file: WriteFile, preference: float, verdict: str, confidence: float | None
    ):
        form, (vote,), refused = read(write_file, [{**ALPACAEVAL, "preference": preference}])
        assert isinstance(vote, Comparison)
        assert (form, refused, vote.verdict, vote.confidence) == ("alpacaeval", [], verdict, confidence)
        assert (vote.prompt, vote.answers, vote.models) == (Q, ("So.", "Because."), ("m1", "m2"))
        assert (vote.judge, vote.by, vote.tags) == ("gpt4", "model", {"order": "unknown"})

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"preference": None}, '"preference" is empty: the annotator gave no answer that could be read'),
            ({"preference": float("nan")}, '"preference" is empty'),
            ({"preference": 0}, '"preference" is 0; it must lie between 1 and 2'),
            ({"preference": "first"}, "\"preference\" is 'first', not a number"),
            ({"output_2": "So."}, "two of the answers are the same text"),
        ],
    )
    def test_what_cannot_be_used(self, write_file: WriteFile, change: dict[str, Any], said: str):
        _, _, (refusal,) = read(write_file, [ALPACAEVAL, {**ALPACAEVAL, **change}])
        assert refusal.place.endswith(":2")
        assert refusal.reason.startswith(said)


def arena(first: str = "So.", second: str = "Because.", **change: Any) -> dict[str, Any]:
    return {
        "question_id": "x",
        "model_a": "m1",
        "model_b": "m2",
        "winner": "model_a",
        "judge": "arena_user_7",
        "conversation_a": [TURN, {"role": "assistant", "content": first}],
        "conversation_b": [TURN, {"role": "assistant", "content": second}],
        "tstamp": 1682351591.125,
        "language": "English",
        **change,
    }


class TestArena:
    @pytest.mark.parametrize(
        ("winner", "verdict"),
        [
            ("model_a", "a"),
            ("model_b", "b"),
            ("tie", "tie"),
            ("tie (bothbad)", "both_bad"),
            ("both_bad", "both_bad"),
        ],
    )
    def test_a_vote_is_a_comparison(self, write_file: WriteFile, winner: str, verdict: str):
        form, (vote,), _ = read(write_file, [arena(winner=winner)])
        assert isinstance(vote, Comparison)
        assert (form, vote.verdict, vote.at) == ("arena", verdict, 1682351591.125)
        assert (vote.prompt, vote.answers, vote.models) == (Q, ("So.", "Because."), ("m1", "m2"))
        assert (vote.judge, vote.tags) == ("arena_user_7", {"language": "English"})

    def test_the_form_with_flags_and_json_texts(self, write_file: WriteFile):
        row = {
            "id": 7,
            "model_a": "m1",
            "model_b": "m2",
            "prompt": '["Hi", "Why?"]',
            "response_a": '["Ho", "So."]',
            "response_b": '["Ho", "Because."]',
            "winner_model_a": 0,
            "winner_model_b": 0,
            "winner_tie": 1,
        }
        different = {**row, "response_b": '["Hey", "Because."]'}
        plain = {
            **row,
            "prompt": "Why?",
            "response_a": "[sic] So.",
            "response_b": "No.",
            "winner_tie": 0,
            "winner_model_b": 1,
        }
        form, votes, refused = read(write_file, [row, different, plain, {**row, "winner_tie": 0}])
        assert form == "arena"
        assert [(vote.prompt, vote.answers, getattr(vote, "verdict", None)) for vote in votes] == [
            (
                (Message(role="user", content="Hi"), Message(role="assistant", content="Ho"), *Q),
                ("So.", "Because."),
                "tie",
            ),
            (Q, ("[sic] So.", "No."), "b"),
        ]
        assert votes[0].judge == "arena"
        assert [r.reason for r in refused] == [
            "the two sides differ before their last turn, so they answer different prompts",
            "has 0 of winner_model_a, winner_model_b, winner_tie set; a vote has one",
        ]

    @pytest.mark.parametrize(
        ("row", "said"),
        [
            (arena(winner="model_c"), "\"winner\" is 'model_c'; known are left, right"),
            (arena(conversation_b=[TURN]), "both sides must end with an assistant turn"),
            (arena(conversation_b=None), '"conversation_b" is null, not a list'),
            (
                arena(tstamp=1682351591125),
                '"tstamp" is 1682351591125: as seconds since 1970 that is no date; are these',
            ),
            (
                arena(conversation_b=[{**TURN, "content": "Who?"}, {"role": "assistant", "content": "I."}]),
                "the two sides differ before their last turn",
            ),
        ],
    )
    def test_what_cannot_be_used(self, write_file: WriteFile, row: dict[str, Any], said: str):
        _, _, (refusal,) = read(write_file, [arena(), row])
        assert refusal.place.endswith(":2")
        assert refusal.reason.startswith(said)


def argilla(responses: Any, fields: dict[str, Any] | None = None) -> dict[str, Any]:
    asked = fields or {"prompt": "Why?", "response-1": "So.", "response-2": "Because."}
    return {
        "id": "1",
        "status": "completed",
        "fields": asked,
        "responses": responses,
        "suggestions": {},
        "metadata": {},
    }


class TestArgilla:
    def test_rankings_ratings_and_labels_of_each_user(self, write_file: WriteFile):
        row = argilla({
            "ranking": [
                {"value": ["response-2", "response-1"], "user_id": "u1"},
                {"value": [{"value": "response-1", "rank": 1}, {"value": "response-2", "rank": 1}], "user_id": "u2"},
                {"value": ["response-1", "response-2"], "user_id": "u3", "status": "discarded"},
            ],
            "rating-2": [{"value": 4, "user_id": "u1", "status": "submitted"}],
            "best": [{"value": "response-2", "user_id": "u1"}, {"value": "tie", "user_id": "u2"}],
        })  # fmt: skip
        form, judgments, refused = read(write_file, [row])
        both: dict[str, Any] = {"prompt": "Why?", "answers": ("So.", "Because.")}
        assert (form, refused) == ("argilla", [])
        assert judgments == [
            Ranking(**both, ranks=(2, 1), judge="u1", aspect="ranking"),
            Ranking(**both, ranks=(1, 1), judge="u2", aspect="ranking"),
            Rating(prompt="Why?", answers=("Because.",), score=4.0, judge="u1", aspect="rating-2"),
            Comparison(**both, verdict="b", judge="u1", aspect="best"),
            Comparison(**both, verdict="tie", judge="u2", aspect="best"),
        ]

    def test_a_flattened_export(self, write_file: WriteFile):
        row = {
            "id": "1",
            "status": "completed",
            "prompt": "Why?",
            "response": "So.",
            "quality.responses": [5, 2],
            "quality.responses.users": ["u1", "u2"],
            "quality.responses.status": ["submitted", "draft"],
            "quality.suggestion": 3,
        }
        form, judgments, refused = read(write_file, [row])
        assert (form, refused) == ("argilla", [])
        assert judgments == [Rating(prompt="Why?", answers=("So.",), score=5.0, judge="u1", aspect="quality")]

    def test_a_record_that_nobody_answered_holds_nothing(self, write_file: WriteFile):
        pending = argilla({})
        assert read(write_file, [pending, argilla({"q": None})])[1:] == ([], [])

    @pytest.mark.parametrize(
        ("row", "said"),
        [
            (
                argilla({"q": [{"value": 3, "user_id": "u"}]}),
                '"q" does not tell which of response-1, response-2 it is of',
            ),
            (argilla({"q": [{"value": ["x", "y"], "user_id": "u"}]}), '"q" ranks "x", which is none of response-1'),
            (argilla({"q": [{"value": "fine", "user_id": "u"}]}), "\"q\" says 'fine', which is none of response-1"),
            (argilla({"q": [{"value": "response-1"}]}), 'a response to "q" does not say whose it is'),
            (argilla({"q": [{"value": True, "user_id": "u"}]}), '"q" is answered with true or false, which is no'),
            (argilla({"q": [{"value": 3, "user_id": "u"}]}, {"text": "So."}), "has no question under any of prompt"),
        ],
    )
    def test_what_cannot_be_used(self, write_file: WriteFile, row: dict[str, Any], said: str):
        good = argilla({"q": [{"value": "response-1", "user_id": "u"}]})
        _, (_,), (refusal,) = read(write_file, [good, row])
        assert refusal.place.endswith(":2")
        assert refusal.reason.startswith(said)


def task(*results: Any, data: Any = None, **annotation: Any) -> dict[str, Any]:
    asked = data or {"prompt": "Why?", "answer1": "So.", "answer2": "Because."}
    said = {"completed_by": 3, "lead_time": 9.5, "created_at": "2024-05-01T12:00:00Z", "result": list(results)}
    return {"id": 1, "data": asked, "annotations": [{**said, **annotation}], "predictions": []}


def pairwise(side: str) -> dict[str, Any]:
    return {"from_name": "pw", "type": "pairwise", "value": {"selected": side}}


ITEMS = {
    "prompt": "Why?",
    "items": [
        {"id": "x", "title": "1", "body": "So."},
        {"id": "y", "title": "2", "body": "Because."},
        {"id": 7, "body": "No."},
    ],
}


def ranker(value: Any) -> dict[str, Any]:
    return {"from_name": "rank", "to_name": "items", "type": "ranker", "value": {"ranker": value}}


class TestLabelStudio:
    SAID: dict[str, Any] = {"prompt": "Why?", "judge": "3", "at": 1714564800.0, "seconds": 9.5}  # noqa: RUF012
    BOTH: dict[str, Any] = {**SAID, "answers": ("So.", "Because.")}  # noqa: RUF012
    ALL: dict[str, Any] = {**SAID, "answers": ("So.", "Because.", "No.")}  # noqa: RUF012

    def test_an_export_is_a_json_array_of_tasks(self, write_file: WriteFile):
        rows = [
            task(pairwise("left")),
            task(pairwise("right"), completed_by={"id": 3, "email": "ana@example.org"}),
            task({"from_name": "pw", "type": "choices", "value": {"choices": ["Tie"]}}),
            task({"from_name": "stars", "to_name": "answer2", "type": "rating", "value": {"rating": 4}}),
            task(ranker(["y", "7", "x"]), data=ITEMS),
            task(ranker({"_": ["x"], "good": ["y", "7"], "bad": []}), data=ITEMS),
            task(pairwise("left"), was_cancelled=True),
        ]
        form, judgments, refused = read(write_file, json.dumps(rows), "export.json")
        assert (form, refused) == ("labelstudio", [])
        assert judgments == [
            Comparison(**self.BOTH, verdict="a"),
            Comparison(**{**self.BOTH, "judge": "ana@example.org"}, verdict="b"),
            Comparison(**self.BOTH, verdict="tie"),
            Rating(**self.SAID, answers=("Because.",), score=4.0, aspect="stars"),
            Ranking(**self.ALL, ranks=(3, 1, 2)),
            Ranking(**self.ALL, ranks=(None, 1, 2), aspect="good"),
        ]

    @pytest.mark.parametrize(
        ("row", "said"),
        [
            (task(), "annotation 1 has no result: the pairwise tag stores none for a tie, so it may be one or a skip"),
            (task(pairwise("top")), "\"pw\" says 'top', which is none of answer1, answer2, left, right"),
            (task(pairwise("left"), completed_by=None), '"completed_by" is null, not text'),
            (task(pairwise("left"), data={"text1": "a", "text2": "b"}), "has no question under any of prompt"),
            (
                task(pairwise("left"), data={"prompt": "Q", "a": "x"}),
                "\"pw\" says 'left' of 1 answers (a); a comparison",
            ),
            (task({"type": "labels", "value": {}}), "\"labels\" is a result of type 'labels'; known are pairwise"),
            (task(ranker(["y", "z"]), data=ITEMS), '"rank" ranks "z", which is none of x, y, 7'),
            (task(ranker({"_": ["x", "y"]}), data=ITEMS), '"rank" sorts fewer than two items'),
        ],
    )
    def test_what_cannot_be_used(self, write_file: WriteFile, row: dict[str, Any], said: str):
        _, (_,), (refusal,) = read(write_file, [task(pairwise("left")), row])
        assert refusal.place.endswith(":2")
        assert refusal.reason.startswith(said)


class TestTables:
    def test_ratings_of_csv_and_jsonl_are_the_same(self, write_file: WriteFile):
        table = "prompt,response,score,rater,low,high,time\nWhy?,So.,4,ana,1,5,2024-05-01T12:00:00\nWhy?,No.,2.5,,,,\n"
        form, judgments, refused = read(write_file, table, "ratings.csv")
        assert (form, refused) == ("ratings", [])
        assert judgments == [
            Rating(prompt="Why?", answers=("So.",), score=4.0, scale=(1.0, 5.0), judge="ana", at=1714564800.0),
            Rating(prompt="Why?", answers=("No.",), score=2.5, judge="ratings"),
        ]
        rows = [
            {"prompt": "Why?", "response": "So.", "score": 4, "rater": "ana", "low": 1, "high": 5, "time": 1714564800},
            {"prompt": "Why?", "response": "No.", "score": 2.5},
        ]
        assert read(write_file, rows) == (form, judgments, refused)

    def test_events_of_csv(self, write_file: WriteFile):
        table = (
            "user,prompt,response,event,position,time,value,text\n"
            "7,Why?,So.,shown,2,1714564800,,\n"
            "7,Why?,So.,dwell,2,2024-05-01T12:00:00.5Z,9.5,\n"
            "7,Why?,So.,edit,,,,Thus.\n"
        )
        form, judgments, refused = read(write_file, table, "events.csv")
        common: dict[str, Any] = {"prompt": "Why?", "answers": ("So.",), "judge": "7"}
        assert (form, refused) == ("events", [])
        assert judgments == [
            Event(**common, event="shown", position=2, at=1714564800.0),
            Event(**common, event="dwell", position=2, at=1714564800.5, value=9.5),
            Event(**common, event="edit", text="Thus."),
        ]

    @pytest.mark.parametrize(
        ("header", "line", "said"),
        [
            ("prompt,response,score", "Why?,So.,good", "\"score\" is 'good', not a number"),
            ("prompt,response,score", "Why?,So.,nan", "\"score\" is 'nan', not a number"),
            ("prompt,response,score", ",So.,3", '"prompt" is null'),
            ("prompt,response,score", "Why?,,3", '"response" is null, not text'),
            ("prompt,response,score,low,high", "Why?,So.,7,1,5", "7 is outside the scale, 1 to 5"),
            ("prompt,response,score,low,high", "Why?,So.,7,1,", 'has "low" alone; a scale has "low" and "high"'),
            ("prompt,response,score,time", "Why?,So.,3,noon", "\"time\" is 'noon'; a time is seconds"),
            ("user,prompt,response,event", "7,Why?,So.,click", "\"event\" is 'click'; known are shown, like"),
            ("user,prompt,response,event", "7,Why?,So.,dwell", 'a "dwell" has a "value" in seconds'),
            ("user,prompt,response,event,position", "7,Why?,So.,like,1.5", '"position" is 1.5, not a whole number'),
            ("user,prompt,response,event", ",Why?,So.,like", '"user" is null, not text'),
        ],
    )
    def test_what_cannot_be_used(self, write_file: WriteFile, header: str, line: str, said: str):
        _, _, (refusal,) = read(write_file, f"{header}\n{line}\n", "table.csv")
        assert refusal.place.endswith("table.csv:2")
        assert refusal.reason.startswith(said)


class TestNectar:
    def test_equal_ranks_are_ties(self, write_file: WriteFile):
        form, (ranking,), _ = read(write_file, [{**NECTAR, "answers": ranks(2, 1, 1)}])
        assert isinstance(ranking, Ranking)
        assert (form, ranking.ranks, ranking.judge, ranking.by) == ("nectar", (2, 1, 1), "gpt-4", "model")
        assert (ranking.tags, ranking.sided) == ({"order": "unknown"}, False)
        assert [getattr(turn, "content", None) for turn in ranking.prompt] == ["Hi", "Hello", "Why?"]

    def test_what_cannot_be_used(self, write_file: WriteFile):
        rows = [NECTAR, {**NECTAR, "answers": []}, {**NECTAR, "answers": ranks(1, 2.5)}]
        _, _, refused = read(write_file, rows)
        assert [(r.place[-2:], r.reason) for r in refused] == [
            (":2", "fewer than two answers have a place, so nothing is ranked"),
            (":3", '"answers 2" has the rank 2.5; ranks are whole numbers from 1'),
        ]


LLMBAR: dict[str, Any] = {
    "input": "Why?",
    "output_1": "So.",
    "output_2": "Because.",
    "label": 2,
    "results": [{"swap = False": {"winner": "2"}, "swap = True": {"winner": "1"}}],
}


class TestLLMBar:
    def test_a_verdict_in_each_order_beside_the_label(self, write_file: WriteFile):
        form, said, refused = read(write_file, [LLMBAR], "Natural_judge_x.jsonl")
        assert (form, refused) == ("llmbar", [])
        assert [(v.judge, v.by, v.answers, v.verdict) for v in said if isinstance(v, Comparison)] == [
            ("label", "person", ("So.", "Because."), "b"),
            ("Natural_judge_x", "model", ("So.", "Because."), "b"),
            ("Natural_judge_x", "model", ("Because.", "So."), "b"),  # output 1, which was shown second
        ]
        assert [v.tags.get("gold") for v in said] == ["label", None, None]

    def test_an_order_without_a_verdict_is_refused_alone(self, write_file: WriteFile):
        row = {**LLMBAR, "results": [{"swap = False": {"winner": None}, "swap = True": {"winner": "1"}}]}
        _, said, (refusal,) = read(write_file, [row])
        assert len(said) == 2
        assert refusal.reason == "\"swap = False winner\" is 'None'; it must be 1 or 2, the number of the better output"


FIRST_ROWS: dict[str, dict[str, Any]] = {
    "native": {"prompt": "Q", "answers": ["a", "b"], "judge": "x", "verdict": "a"},
    "nectar": NECTAR,
    "ultrafeedback": ULTRAFEEDBACK,
    "argilla": argilla({}),
    "labelstudio": task(pairwise("left")),
    "alpacaeval": ALPACAEVAL,
    "arena": arena(),
    "llmbar": LLMBAR,
    "events": {"user": "7", "prompt": "Q", "response": "a", "event": "like"},
    "ratings": {"prompt": "Q", "response": "a", "score": 1},
}


@pytest.mark.parametrize("form", JUDGMENT_READERS)
def test_each_form_is_told_by_no_reader_but_its_own(form: str):
    module = JUDGMENT_READERS[form]
    assert [name for name, reader in JUDGMENT_READERS.items() if reader.matches(FIRST_ROWS[form])] == [form]
    assert set(module.REQUIRED) <= module.FIELDS
    assert module.matches({}) is False


def test_native_times_may_be_iso(write_file: WriteFile):
    row = {**FIRST_ROWS["native"], "at": "2024-05-01T14:00:00+02:00"}
    _, (vote,), _ = read(write_file, [row])
    assert vote.at == 1714564800


def test_votes_on_pairs_elsewhere_say_so(write_file: WriteFile, tmp_path: Path):
    with pytest.raises(InputError, match=r"votes\.csv:2: is a vote on a pair that stands in another file .*--answers"):
        list(iter_judgments(write_file("id,worker,winner\n0,5,left\n", "votes.csv")))
