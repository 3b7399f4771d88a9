"""Votes whose answers stand elsewhere."""

from __future__ import annotations

import pytest

from rather.errors import ConfigError, InputError
from rather.formats import Refusal
from rather.formats.bare_votes import read_bare_votes
from rather.records import Comparison
from tests.conftest import WriteFile


def test_a_vote_names_its_answers_by_what_wrote_them(write_file: WriteFile):
    file = write_file(
        "id,prompt,worker,winner,left,right\n7,3,58,right,Bird,Weaver\n8,3,58,both,Bird,Weaver\n", "v.csv"
    )
    vote, refusal = read_bare_votes(file)
    assert isinstance(vote, Comparison)
    assert isinstance(refusal, Refusal)
    assert (vote.prompt, vote.answers, vote.models) == (
        "question 3", ("answer of Bird", "answer of Weaver"), ("Bird", "Weaver"),
    )  # fmt: skip
    assert (vote.judge, vote.verdict, vote.tags) == ("58", "b", {"pair": "7", "texts": "unknown"})
    assert (vote.source, refusal.place) == (f"{file}:2", f"{file}:3")


def test_without_models_the_pair_is_the_question(write_file: WriteFile):
    (vote,) = read_bare_votes(write_file("id,winner\n7,tie\n", "v.csv"), judge="gpt-4", by="model")
    assert isinstance(vote, Comparison)
    assert (vote.prompt, vote.answers, vote.judge, vote.by) == (
        "pair 7",
        ("answer of left", "answer of right"),
        "gpt-4",
        "model",
    )


@pytest.mark.parametrize(("text", "error"), [("id,winner\n7,tie\n", ConfigError), ("id,worker\n7,x\n", InputError)])
def test_a_file_that_is_none_is_an_error(write_file: WriteFile, text: str, error: type[Exception]):
    with pytest.raises(error):
        list(read_bare_votes(write_file(text, "v.csv")))
