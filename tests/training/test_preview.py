"""What `rather preview` shows of each pair."""

from __future__ import annotations

from pathlib import Path

import pytest

from rather.errors import ConfigError
from rather.training.preview import preview
from tests.conftest import WriteFile

CHAT = {
    "prompt": [{"role": "user", "content": "Hi"}],
    "chosen": [{"role": "assistant", "content": "Yo."}],
    "rejected": [{"role": "assistant", "content": "Go [bold]away[/x]!"}],
}


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")


def test_a_pair_token_by_token(tiny: Path, write_file: WriteFile, capsys: pytest.CaptureFixture[str]) -> None:
    preview(write_file([CHAT, CHAT]), model=str(tiny), limit=1, max_length=1024)
    out = capsys.readouterr().out
    assert out.count("chosen,") == 1, "--limit 1"
    assert "pairs.jsonl:1" in out
    assert "prompt, 21 tokens, given and not trained" in out
    assert "<|im_start|>|u|s|e|r" in out
    assert "chosen, 4 tokens trained, ends its turn" in out
    assert "Y|o|.<|im_end|>" in out
    assert "[|b|o|l|d|]" in out, "markup in the data is text"
    assert out.count("<|im_end|>") == 3, "once in the prompt, once behind each answer"


def test_a_cut_answer_and_a_system_prompt(
    tiny: Path, write_file: WriteFile, capsys: pytest.CaptureFixture[str]
) -> None:
    preview(write_file([CHAT]), model=str(tiny), limit=3, max_length=56, system_prompt="Be brief.")
    out = capsys.readouterr().out
    assert "B|e| |b|r|i|e|f|." in out.replace("Ġ", " ")
    assert "chosen, 4 tokens trained, ends its turn" in out
    assert "cut at --max-length: no end-of-turn" in out
    assert "✂" in out


def test_rows_that_would_be_refused_say_why(
    tiny: Path, write_file: WriteFile, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_file([{**CHAT, "chosen": [{"role": "assistant", "content": " "}]}, CHAT])
    preview(file, model=str(tiny), limit=3, max_length=10)
    out = capsys.readouterr().out
    assert 'pairs.jsonl:1: refused: "chosen" is empty' in out
    assert "pairs.jsonl:2: refused: the prompt has 21 tokens and leaves no room for an answer in 10" in out


def test_text_as_chat(tiny: Path, write_file: WriteFile, capsys: pytest.CaptureFixture[str]) -> None:
    text = {"prompt": "Hi", "chosen": "Yo.", "rejected": "Go!"}
    preview(write_file([text]), model=str(tiny), limit=3, max_length=99)
    assert "prompt, 2 tokens" in capsys.readouterr().out
    preview(write_file([text]), model=str(tiny), limit=3, max_length=99, as_chat=True)
    assert "prompt, 21 tokens" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="--as-chat does nothing"):
        preview(write_file([CHAT]), model=str(tiny), limit=3, max_length=99, as_chat=True)
