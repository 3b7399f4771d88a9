"""The reference is computed once, found again by content, and never believed blindly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from rather.model import Sample, TokenPair, completions
from rather.records import Pair
from rather.training import kept, reference
from rather.training.reference import compute_reference


def pair(number: int) -> TokenPair:
    prompt = (60 + number, 61, 62)
    return TokenPair(
        pair=Pair(prompt=f"q{number}", chosen="a", rejected="b", source=f"pairs.jsonl:{number}"),
        chosen=Sample((*prompt, *range(70, 73 + number)), 3),
        rejected=Sample((*prompt, *range(90, 95)), 3),
        chosen_truncated=False,
        rejected_truncated=False,
    )


PAIRS = [pair(number) for number in range(4)]
CUTS = [(0, 2), (3, 1)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RATHER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "references"


@pytest.fixture
def model(tiny: Path) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(tiny)


def made(model: torch.nn.Module, pairs: list[TokenPair] = PAIRS, **changed: Any) -> reference.Reference:
    options = {"cuts": [CUTS], "weights": "abc", "dtype": torch.float32, "packed": True, **changed}
    return compute_reference(model, pairs, **options)


def passes(model: torch.nn.Module) -> list[int]:
    """Counts the model's forwards from now on, in a list of one number."""
    count = [0]

    def seen(*_: object) -> None:
        count[0] += 1

    model.base_model.register_forward_pre_hook(seen)  # pyright: ignore
    return count


def test_of_any_pairs_in_any_order(model: torch.nn.Module, cache: Path) -> None:
    found = made(model)
    for asked in ([0], [2, 0], [3, 1, 2]):
        with torch.no_grad():
            direct = completions(model, [sample for index in asked for sample in PAIRS[index].samples])
        ours = found.of(asked)
        assert ours.sample_C.tolist() == direct.sample_C.tolist()
        assert ours.tokens_R.tolist() == direct.tokens_R.tolist()
        torch.testing.assert_close(ours.logp_C, direct.logp_C)


def test_in_the_first_epochs_micro_batches_it_is_exact(model: torch.nn.Module, cache: Path) -> None:
    """To the last bit, fresh or from the cache: the first loss must be the neutral one."""
    for _ in range(2):
        found = made(model)
        for cut in CUTS:
            again = completions(model, [sample for index in cut for sample in PAIRS[index].samples])
            assert torch.equal(found.of(cut).sums(), again.sums().detach())


def test_a_second_run_computes_nothing(model: torch.nn.Module, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, count = made(model), passes(model)
    second = made(model)
    assert count == [0]
    assert torch.equal(first.logp_C, second.logp_C)
    assert "4 pairs from the cache" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changed",
    [
        {"weights": "other"},
        {"dtype": torch.bfloat16},
        {"packed": False},
        {"cuts": [[(0, 1), (2, 3)]]},
        {"pairs": [pair(7), *PAIRS[1:]]},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_the_values_depend_on_is_part_of_the_name(
    model: torch.nn.Module, cache: Path, changed: dict[str, Any]
) -> None:
    made(model)
    count = passes(model)
    made(model, **changed)
    assert count[0] > 0
    assert len(list(cache.glob("*.safetensors"))) == 2


def test_a_boundary_that_moved_is_another_content(model: torch.nn.Module, cache: Path) -> None:
    made(model)
    moved = TokenPair(
        PAIRS[0].pair, Sample(PAIRS[0].chosen.tokens, 2), Sample(PAIRS[0].rejected.tokens, 2), False, False
    )
    made(model, pairs=[moved, *PAIRS[1:]])
    assert len(list(cache.glob("*.safetensors"))) == 2


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])


def one_value_changed(file: Path) -> None:
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(bytes(raw))


def foreign(file: Path) -> None:
    values = load_file(file)
    save_file(values, file, metadata={"key": "another", "sha256": "0"})


def no_file_of_ours(file: Path) -> None:
    file.write_text("hello")


@pytest.mark.parametrize("harm", [cut_short, one_value_changed, foreign, no_file_of_ours])
def test_a_harmed_entry_is_found_out_and_computed_again(
    model: torch.nn.Module, cache: Path, harm: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    good = made(model)
    (file,) = cache.glob("*.safetensors")
    harm(file)
    again = made(model)
    assert torch.equal(good.logp_C, again.logp_C)
    assert "the reference is computed again" in capsys.readouterr().err
    count = passes(model)
    made(model)
    assert count == [0], "and kept anew"


def test_a_cache_that_cannot_be_written_costs_this_run_nothing(
    model: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RATHER_CACHE", str(tmp_path / "file"))
    assert len(made(model).tokens_R) == 8
    assert "not kept for later runs" in capsys.readouterr().err


def test_the_oldest_entries_go_when_the_cache_is_full(
    model: torch.nn.Module, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "CACHE_BYTES", 1)
    made(model)
    made(model, weights="other")
    assert len(list(cache.glob("*"))) == 1, "only what was written last"
