"""What a launcher says of a process."""

from __future__ import annotations

import pytest

from rather.cli import main
from rather.distributed.launch import is_first, launched, require_alone
from rather.errors import ConfigError

TWO = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "host", "MASTER_PORT": "29500"}


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_USE_AGENT_STORE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in TWO.items():
        monkeypatch.setenv(name, value)


def test_what_torchrun_says(second: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "3")
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    found = launched()
    assert found is not None
    assert (found.rank, found.size, found.local_rank, found.local_size) == (1, 2, 1, 2)
    assert (found.address, found.port, found.attempt, found.agent_store) == ("host", 29500, 3, True)
    assert not is_first()


@pytest.mark.parametrize("missing", TWO)
def test_a_variable_that_is_missing_means_one_process(
    second: None, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(missing)
    assert launched() is None
    assert is_first()


@pytest.mark.usefixtures("second")
@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("RANK", "2", "RANK=2 and WORLD_SIZE=2 do not go together"),
        ("MASTER_PORT", "x", "MASTER_PORT=x is not a number"),
    ],
)
def test_numbers_that_make_no_sense(name: str, value: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=reason):
        launched()


@pytest.mark.usefixtures("second")
def test_other_verbs_are_one_process(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="`rather audit` is one process; leave torchrun out"):
        require_alone("audit")
    assert main(["audit", "pairs.jsonl"]) == 2
    assert capsys.readouterr().err == "", "rank 0 says it"
    monkeypatch.setenv("RANK", "0")
    assert main(["audit", "pairs.jsonl"]) == 2
    assert capsys.readouterr().err.startswith("rather: `rather audit` is one process; ")
