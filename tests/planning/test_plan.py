"""`rather plan`: what it prints, what it proposes, and that whatever is wrong is one line and exit status 2."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rather
from rather.cli import main
from rather.errors import ConfigError
from rather.planning.devices import GIB
from rather.planning.engine import Setting
from rather.planning.flops import fewest_flops, forward_flops, update_flops
from rather.planning.run import plan
from rather.planning.shapes import shape_of
from rather.planning.workload import Workload

TINY: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 8, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 16,
    "num_hidden_layers": 2, "vocab_size": 10, "tie_word_embeddings": True,
}  # fmt: skip


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["plan", *arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_flops_by_hand() -> None:
    """A pair of 10 tokens, 4 in answers: 1,152 weights in layers, 80 in the head; 100 scores of 8 numbers in each of 2 layers."""
    shape, work = shape_of(TINY, "tiny"), Workload(1, 10.0, 4.0)
    assert work.computed_scores == 100  # one block
    setting = Setting(cpu=True, dtype="fp32")
    attention = 4 * 8 * 2 * 100
    assert forward_flops(shape, work, setting=setting) == 2 * 1152 * 10 + attention + 2 * 80 * 4
    kept = update_flops(shape, work, setting=setting, micro_batch=10)
    assert kept == 3 * 2 * 1152 * 10 + 3 * attention + 4 * 2 * 80 * 4
    again = update_flops(shape, work, setting=setting.with_(gradient_checkpointing=True), micro_batch=10)
    assert again == kept + 2 * 1152 * 10 + attention
    # rank 3: 128 a layer and rank
    adapter = update_flops(shape, work, setting=setting.with_(lora_rank=3), micro_batch=10)
    assert adapter == 2 * 2 * 1152 * 10 + 3 * 2 * 768 * 10 + 3 * attention + 3 * 2 * 80 * 4
    assert fewest_flops(shape, work, setting=setting) == 6 * (1152 * 10 + 80 * 4)
    assert fewest_flops(shape, work, setting=setting.with_(lora_rank=3)) == 4 * (1152 * 10 + 80 * 4)


def test_time_energy_and_money_by_hand() -> None:
    """Ten updates of one pair on a device of 1 TFLOP/s of which half is reached."""
    found = plan(
        "SmolLM2-135M", pairs="10", mean_tokens=100, answer_tokens=40, gpus="H100", batch_pairs=1, rate=1.0, efficiency=0.5,
        watts=360.0, price=3600.0,
    )  # fmt: skip
    each = found.asked.times
    assert each.products == pytest.approx(found.flops["updates"] / 10 / 0.5e12)
    assert each.reference == pytest.approx(found.flops["reference"] / 0.5e12)
    # fp32 weights, gradients and moments pass 40 bytes a weight, casts 6, at 3,350 GB/s
    assert each.optimiser == pytest.approx(46 * 134_515_008 / 3350e9)
    assert each.overhead == pytest.approx(0.030)
    assert (each.between_ranks, each.unequal) == (0, 0)
    assert found.asked.seconds == pytest.approx(10 * each.update + each.reference)
    assert found.kilowatt_hours == pytest.approx(found.asked.seconds * 360 / 3.6e6)
    assert found.money == pytest.approx(found.asked.seconds)
    assert found.reference_bytes == 4 * 40 * 10
    assert found.host_bytes == 10 * (5000 + 36 * (100 + 60))


def test_options_may_be_numbers_and_may_stand_in_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert plan("SmolLM2-135M", gpus="H100", pairs=5000).config.workload.pairs == 5000
    file = tmp_path / "plan.toml"
    file.write_text('pairs = 5000\ngpus = "8xH100"\nlora_rank = 4\n', encoding="utf-8")
    status, said, _ = run(capsys, "-m", "SmolLM2-135M", "--config", str(file), "--json")
    found = json.loads(said)
    assert (status, found["pairs"], found["devices"], found["asked"]["setting"]["lora_rank"]) == (0, 5000, "8xH100", 4)


def test_four_bits_are_paid_for_in_time() -> None:
    """4.5 bytes for each weight that is multiplied, twice a micro-batch."""
    four, plain = (plan("Qwen2.5-7B", gpus="H200", lora_rank=16, load_in_4bit=bits) for bits in (True, False))
    assert four.asked.held.micro_batches == plain.asked.held.micro_batches == 1
    more = four.asked.times.overhead - plain.asked.times.overhead
    assert more == pytest.approx(2 * 4.5 * four.shape.products / 4800e9)


def test_of_settings_that_cost_alike_the_plainest_is_proposed() -> None:
    found = plan("SmolLM2-135M", gpus="8xH100")
    assert found.same is not None
    assert found.same.setting.flags() == ["--dtype", "bf16"]
    assert found.same.machines.ranks == 1


def test_a_reference_from_the_cache_costs_nothing() -> None:
    once, cached = (plan("SmolLM2-135M", gpus="H100", reference_cached=known) for known in (False, True))
    assert cached.asked.seconds == pytest.approx(once.asked.seconds - once.asked.times.reference)
    assert cached.flops["reference"] == 0


def test_what_fits_is_proposed() -> None:
    """7 billion weights need 20 bytes each to be trained: two H100 or so, and an adapter one."""
    found = plan("Qwen2.5-7B", gpus="8xH100")
    assert not found.fits  # without shards, every GPU would hold all
    assert found.same is not None
    assert found.same.setting.shard
    assert found.same.fits
    assert found.cheapest is not None
    assert found.cheapest.setting.lora_rank == 16
    assert found.cheapest.device_hours <= found.same.device_hours
    assert "torchrun --standalone --nproc-per-node" in found.command(found.same)
    assert "--shard" in found.command(found.same)


def test_where_nothing_fits_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    status, said, _ = run(capsys, "-m", "Llama-3.1-70B", "--gpus", "L4")
    assert status == 0
    assert "IT DOES NOT FIT" in said
    assert "nothing fits" in said


def test_a_pair_that_is_too_long_is_no_fit(capsys: pytest.CaptureFixture[str]) -> None:
    status, said, _ = run(capsys, "-m", "Llama-3.2-1B", "--gpus", "RTX5090", "--max-length", "100000")
    assert status == 0
    assert "NOT EVERY PAIR FITS" in said
    assert "lower it" in said
    assert not plan("Llama-3.2-1B", gpus="RTX5090", max_length=100_000).fits


def test_the_issues_command(capsys: pytest.CaptureFixture[str]) -> None:
    status, said, error = run(
        capsys, "-m", "Llama-3.2-1B", "--pairs", "100k", "--mean-tokens", "600", "--gpus", "8xH100", "--lora-rank", "16"
    )
    assert (status, error) == (0, "")
    parts = (
        "weights", "optimiser", "gradients", "activations", "head", "framework", "tokens at a time", "reference cache on disk",
        "time:", "energy:", "cost:", "work:", "cheapest that learns the same", "assumed:", "--lora-rank 16",
    )  # fmt: skip
    for part in parts:
        assert part in said, part


def test_json_holds_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    status, said, _ = run(
        capsys, "-m", "Qwen2.5-7B", "--gpus", "8xH100", "--shard", "--pairs", "1e6", "--json", "--price", "2"
    )
    found = json.loads(said)
    assert status == 0
    assert found["pairs"] == 1_000_000
    assert found["weights"] == 7_615_616_512
    asked = found["asked"]
    assert asked["peak_bytes"] == max(
        sum(asked["update_bytes"].values()), asked["loading_bytes"], asked["checkpoint_bytes"]
    )
    assert found["money"] == pytest.approx(2 * asked["device_hours"])
    assert found["fits"] == (asked["peak_bytes"] <= found["device_bytes"] and asked["longest_pair"] >= 2047)
    assert found["cheapest_of_same_result"]["setting"]["lora_rank"] is None


def test_a_folder_is_read_without_weights_and_without_torch(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(TINY), encoding="utf-8")
    code = (
        "import sys; from rather.cli import main; "
        f"status = main(['plan', '-m', {str(tmp_path)!r}, '--gpus', 'H100']); "
        "assert 'torch' not in sys.modules, 'torch'; raise SystemExit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1,272 weights" in done.stdout


def test_on_a_cpu_its_rate_is_measured_or_given(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rather.model.rate.matmul_rate", lambda *_: 4e11)
    monkeypatch.setattr("rather.training.memory.free_bytes", lambda _: 16 * GIB)
    status, said, _ = run(capsys, "-m", "SmolLM2-135M", "--pairs", "1k", "--mean-tokens", "200")
    assert status == 0
    assert "this machine" in said
    assert "0.4 TFLOP/s of fp32 products (measured or given)" in said
    with pytest.raises(ConfigError, match="--rate"):
        plan("SmolLM2-135M", gpus="cpu")
    assert rather.plan("SmolLM2-135M", gpus="cpu", rate=0.2, memory=16.0).asked.setting.cpu


def test_the_probe_finds_a_rate() -> None:
    from rather.model.rate import matmul_rate

    assert matmul_rate("fp32", 32, 64, seconds=0.01) > 1e6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--gpus", "8xH900"], 'no GPU is called "H900"; known are A10'),
        (["--gpus", "8x"], "write 8xH100"),
        (["--gpus", "12xH100"], "on how many machines"),
        (["--pairs", "many"], "--pairs many: is not a number; write 100000, 100k, 1e6 or 2M"),
        (["--pairs", "0"], "--pairs 0: must be a whole number"),
        (["--mean-tokens", "0"], "--mean-tokens 0"),
        (["--mean-tokens", "100", "--answer-tokens", "100"], "leaves no prompt"),
        (["--batch-pairs", "0"], "--batch-pairs 0"),
        (["--price", "-1"], "--price -1"),
        (["--efficiency", "1.5"], "--efficiency 1.5"),
        (["--dtype", "fp16"], "--dtype"),
        (["--load-in-4bit"], "--load-in-4bit needs --lora-rank"),
        (["--load-in-4bit", "--lora-rank", "8", "--gpus", "8xH100"], "takes one GPU"),
        (["--optimizer", "adamw_8bit", "--gpus", "cpu"], "needs a CUDA GPU"),
        (["--optimizer", "adamw_8bit", "--shard", "--gpus", "8xH100"], "does not go with --shard"),
        (["--shard", "--gpus", "H100"], "--shard does nothing on one device"),
        (["--shard"], "--shard does nothing on one device"),
        (["--loar-rank", "8"], "--loar-rank"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    status, out, error = run(capsys, "-m", "SmolLM2-135M", *arguments)
    assert (status, out) == (2, "")
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("", "cannot be read (it is not JSON)"),
        ("{]", "cannot be read (it is not JSON)"),
        ('{"model_type": "mamba"}', "the kind mamba are not counted"),
        ("{}", "are not counted"),
    ],
)
def test_a_config_that_cannot_be_used(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, config: str, said: str
) -> None:
    (tmp_path / "config.json").write_text(config, encoding="utf-8")
    status, out, error = run(capsys, "-m", str(tmp_path), "--gpus", "H100")
    assert (status, out) == (2, "")
    assert said in error
    assert error.count("\n") == 1


def test_a_model_that_is_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, error = run(capsys, "-m", "no-such-model", "--gpus", "H100")
    assert status == 2
    assert "known by name" in error
    assert run(capsys, "--gpus", "H100")[0] == 2


@given(
    st.integers(1, 10**7),
    st.integers(1, 4),
    st.sampled_from(["H100", "8xH100", "2x8xA100", "L4"]),
    st.sampled_from([None, 8]),
)
def test_more_pairs_longer_ones_and_slower_devices_never_take_less(
    pairs: int, times: int, gpus: str, rank: int | None
) -> None:
    few = plan("Llama-3.2-1B", pairs=str(pairs), gpus=gpus, lora_rank=rank)
    many = plan("Llama-3.2-1B", pairs=str(pairs * times), gpus=gpus, lora_rank=rank)
    assert many.asked.seconds >= few.asked.seconds
    assert many.flops["updates"] >= few.flops["updates"]
    longer = plan("Llama-3.2-1B", pairs=str(pairs), gpus=gpus, lora_rank=rank, mean_tokens=600 * times)
    assert longer.asked.times.products >= few.asked.times.products
    slow = plan("Llama-3.2-1B", pairs=str(pairs), gpus=gpus, lora_rank=rank, rate=10.0)
    assert slow.asked.seconds >= few.asked.seconds
