"""`rather` beside TRL on one GPU: models of random weights in the shape of real ones, pairs in the shape of real ones.

    python benchmarks/gpu.py check                       # correctness: packed = plain, in values and gradients, on CUDA
    python benchmarks/gpu.py compare --out benchmarks/results/gpu-NAME.json

`compare` runs Llama-3.2-1B's shape (full fine-tuning) and Qwen2.5-7B's (LoRA), on pairs with the lengths of HH transcripts and
on long answers (400–600 tokens), TRL at its best setting beside it, each in its own process; it prints pairs/s, peak memory
of the device, and the share of the measured bf16 matmul rate at the fewest possible FLOPs. No text is needed and nothing is
downloaded: token ids are drawn, so the tokenizer is a stand-in with the model's vocabulary size.
Needs CUDA; `compare` needs TRL too. Where wheels must be carried: `pip download trl==1.16 --no-deps`, and PYTHONPATH.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# Shapes as in the models' published configs. name → (config class, its fields, LoRA rank or 0)
SHAPES: dict[str, tuple[str, dict[str, Any], int]] = {
    "llama-1b": (
        "LlamaConfig",
        {
            "vocab_size": 128_256, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
            "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "tie_word_embeddings": True,
            "max_position_embeddings": 8192, "rope_theta": 500_000.0,
        },
        0,
    ),
    "qwen-7b-lora": (
        "Qwen2Config",
        {
            "vocab_size": 152_064, "hidden_size": 3584, "intermediate_size": 18_944, "num_hidden_layers": 28,
            "num_attention_heads": 28, "num_key_value_heads": 4, "tie_word_embeddings": False,
            "max_position_embeddings": 8192, "rope_theta": 1_000_000.0,
        },
        16,
    ),
}  # fmt: skip
SMOKE = {
    "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16,
}  # fmt: skip
# name → (prompt tokens from, to; answer tokens from, to). HH: the middle nine tenths of the helpful test transcripts.
LENGTHS = {"hh": (30, 330, 8, 130), "long": (60, 200, 400, 600)}
BATCH, BETA, LR, TARGETS = 16, 0.1, 1e-6, "all-linear"


def drawn(case: str, count: int, vocabulary: int) -> list[tuple[list[int], list[int], list[int]]]:
    """Prompt, chosen and rejected token ids of `count` pairs; every fourth pair shares the start of its answers."""
    least, most, short, long = LENGTHS[case]
    draw = random.Random(0)

    def ids(length: int) -> list[int]:
        return [draw.randrange(10, vocabulary) for _ in range(length)]

    found = []
    for number in range(count):
        shared = ids(3) if number % 4 == 0 else []
        sides = [shared + ids(draw.randint(short, long)) + [2] for _ in range(2)]
        found.append((ids(draw.randint(least, most)), *sides))
    return found


def make_model(shape: str, *, small: bool) -> tuple[Any, int]:
    """Random weights and the LoRA rank; `small` keeps the family and shrinks the rest, to try the script itself."""
    import torch
    import transformers

    kind, fields, rank = SHAPES[shape]
    config = getattr(transformers, kind)(**{**fields, **(SMOKE if small else {})})
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.device(device):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16 if rank else torch.float32)
    return model.eval(), rank


def run_rather(shape: str, case: str, updates: int, *, small: bool) -> dict[str, Any]:
    import torch

    from rather.losses import LOSSES, PairLogps
    from rather.model import Sample, completions

    model, rank = make_model(shape, small=small)
    policy = _with_lora(model, rank) if rank else model
    trained = [weight for weight in policy.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=LR, weight_decay=0.0, fused=True)
    pairs = [
        (Sample(tuple(p + c), len(p)), Sample(tuple(p + r), len(p)))
        for p, c, r in drawn(case, BATCH * updates, model.config.vocab_size)
    ]
    batches = [pairs[start : start + BATCH] for start in range(0, len(pairs), BATCH)]

    def sums(batch: list[Any]) -> Any:
        flat = [sample for pair in batch for sample in pair]
        return completions(policy, flat, dtype=torch.bfloat16).sums().view(-1, 2)

    with torch.no_grad():
        reference = [sums(batch) for batch in batches]

    def update(number: int) -> float:
        logps = sums(batches[number])
        given = PairLogps(
            chosen=logps[:, 0], rejected=logps[:, 1],
            ref_chosen=reference[number][:, 0], ref_rejected=reference[number][:, 1],
        )  # fmt: skip
        loss = LOSSES["dpo"](given, beta=BETA).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    losses, seconds = _clocked(update, len(batches))
    return {"losses": losses, "seconds": seconds, "distinct": _distinct_flops(model, batches, adapter=bool(rank))}


def run_trl(shape: str, case: str, updates: int, *, small: bool) -> dict[str, Any]:
    """TRL at its best setting: bf16, no checkpointing, reference precomputed, padding-free where attention allows it."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import DPOConfig, DPOTrainer

    model, rank = make_model(shape, small=small)
    rows = drawn(case, BATCH * updates, model.config.vocab_size)
    spans: list[tuple[float, float]] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            _wait()
            self.began = time.monotonic()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            _wait()
            spans.append((self.began, time.monotonic()))

    class AsDrawn(DPOTrainer):
        """Takes token ids as they are, in the order given."""

        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset

        def _get_train_sampler(self, *_: Any) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

    data = Dataset.from_list([{"prompt_ids": p, "chosen_ids": c, "rejected_ids": r} for p, c, r in rows])
    trainer = AsDrawn(
        model,
        args=DPOConfig(
            output_dir="/tmp/trl-gpu", per_device_train_batch_size=BATCH, num_train_epochs=1, learning_rate=LR, beta=BETA,
            max_length=None, bf16=torch.cuda.is_available(), gradient_checkpointing=False, precompute_ref_log_probs=True,
            logging_steps=1, save_strategy="no", report_to=[], optim="adamw_torch_fused", weight_decay=0.0,
            max_grad_norm=1.0, warmup_steps=0, lr_scheduler_type="constant", disable_tqdm=True, seed=0,
        ),
        train_dataset=data,
        processing_class=_stand_in(model.config.vocab_size),
        peft_config=LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=TARGETS) if rank else None,
        callbacks=[Clock()],
    )  # fmt: skip
    trainer.train()
    return {
        "losses": [row["loss"] for row in trainer.state.log_history if "loss" in row],
        "seconds": [stop - start for start, stop in spans],
    }


def check() -> None:
    """Packed against plain on CUDA: values and gradients of a small Llama, Gemma 2 (window, caps) and Qwen 3."""
    import torch
    from transformers import AutoModelForCausalLM, Gemma2Config, LlamaConfig, Qwen3Config

    from rather.model import Sample, completions

    if not torch.cuda.is_available():
        sys.exit("no CUDA device here")
    windowed = Gemma2Config(**SMOKE, sliding_window=24, attn_logit_softcapping=20.0, final_logit_softcapping=10.0)
    for config in (LlamaConfig(**SMOKE), Qwen3Config(**SMOKE), windowed):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config).cuda().eval()
        samples = [Sample(tuple(p + a), len(p)) for p, c, r in drawn("hh", 6, config.vocab_size) for a in (c, r)]
        found = {}
        for packed in (True, False):
            model.zero_grad(set_to_none=True)
            sums = completions(model, samples, dtype=torch.float32, packed=packed).sums()
            (sums * torch.linspace(-1, 1, len(sums), device="cuda")).sum().backward()
            grads = torch.cat([w.grad.flatten() for w in model.parameters() if w.grad is not None])
            found[packed] = (sums.detach(), grads)
        value = float((found[True][0] - found[False][0]).abs().max())
        slope = float((found[True][1] - found[False][1]).norm() / found[False][1].norm())
        print(
            f"{type(config).__name__:14} largest difference of a sum {value:.1e} nats, of the gradient {slope:.1e} of its norm"
        )
        assert value < 5e-3, "packed values differ on this device"
        assert slope < 1e-3, "packed gradients differ on this device"


def _with_lora(model: Any, rank: int) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model

    adapted = get_peft_model(
        model, LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=TARGETS, task_type="CAUSAL_LM")
    )
    for weight in adapted.parameters():
        if weight.requires_grad:
            weight.data = weight.data.to(torch.float32)
    return adapted.eval()


def _stand_in(vocabulary: int) -> Any:
    """A tokenizer of nothing but numbers, for a trainer that must have one."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = {f"t{number}": number for number in range(vocabulary)}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="t0")),
        unk_token="t0",
        pad_token="t1",
        eos_token="t2",
    )


def _clocked(update: Any, count: int) -> tuple[list[float], list[float]]:
    losses, seconds = [], []
    for number in range(count):
        _wait()
        began = time.monotonic()
        losses.append(update(number))
        _wait()
        seconds.append(time.monotonic() - began)
    return losses, seconds


def _wait() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _distinct_flops(model: Any, batches: list[Any], *, adapter: bool) -> float:
    """Products alone, each distinct token once; a frozen base needs no gradient of its weights (4 in place of 6)."""
    from rather.model import pack

    head = model.get_output_embeddings().weight
    body = sum(w.numel() for w in model.parameters() if w.dim() == 2 and w.shape != head.shape)
    times = 4 if adapter else 6
    packed = [pack([sample for pair in batch for sample in pair]) for batch in batches]
    return float(sum(times * (body * len(p.token_T) + head.numel() * len(p.place_U)) for p in packed))


def matmul_rate() -> float:
    """bf16 products of 8192³, FLOP/s."""
    import torch

    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    best = 0.0
    for _ in range(10):
        _wait()
        began = time.monotonic()
        for _ in range(5):
            a @ a
        _wait()
        best = max(best, 5 * 2 * 8192**3 / (time.monotonic() - began))
    return best


def worker(engine: str, shape: str, case: str, updates: int, *, small: bool) -> dict[str, Any]:
    import torch

    run = run_rather if engine == "rather" else run_trl
    found = run(shape, case, updates, small=small)
    steady = found["seconds"][len(found["seconds"]) // 3 :]  # kernels are compiled and tuned in the first
    found["pairs_per_s"] = BATCH * len(steady) / sum(steady)
    if torch.cuda.is_available():
        found["peak_gb"] = torch.cuda.max_memory_allocated() / 1e9
    if "distinct" in found:
        found["flops_per_s"] = found["distinct"] / len(found["seconds"]) * len(steady) / sum(steady)
    return found


def measured(engine: str, shape: str, case: str, arguments: argparse.Namespace) -> dict[str, Any]:
    command = [
        sys.executable, __file__, "worker", "--engine", engine, "--shapes", shape, "--cases", case,
        "--updates", str(arguments.updates), *(["--small"] if arguments.small else []),
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    line = next((line for line in result.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        return {"failed": result.stderr[-2000:]}
    return json.loads(line.removeprefix("RESULT "))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["check", "compare", "worker"])
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--cases", default=",".join(LENGTHS))
    parser.add_argument("--updates", type=int, default=12)
    parser.add_argument("--small", action="store_true", help="tiny models, to try the script where there is no GPU")
    parser.add_argument("--engine", default="rather,trl")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.mode == "check":
        check()
        return
    if arguments.mode == "worker":
        found = worker(arguments.engine, arguments.shapes, arguments.cases, arguments.updates, small=arguments.small)
        print("RESULT " + json.dumps(found))
        return
    import torch

    from rather.rundir import versions, write_json

    rate = matmul_rate() if torch.cuda.is_available() else None
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    report: dict[str, Any] = {"device": name, "matmul_rate": rate, "versions": versions(), "results": []}
    for shape in arguments.shapes.split(","):
        for case in arguments.cases.split(","):
            for engine in arguments.engine.split(","):
                found = measured(engine, shape, case, arguments)
                report["results"].append({"engine": engine, "shape": shape, "case": case, **found})
                if "failed" in found:
                    print(
                        f"{shape:14} {case:5} {engine:6} failed: {found['failed'].strip().splitlines()[-1:]}",
                        flush=True,
                    )
                    continue
                share = f"{found['flops_per_s'] / rate:5.0%}" if rate and "flops_per_s" in found else ""
                print(
                    f"{shape:14} {case:5} {engine:6} {found['pairs_per_s']:8.2f} pairs/s "
                    f"{found.get('peak_gb', 0):6.1f} GB {share}", flush=True,
                )  # fmt: skip
            if arguments.out:
                write_json(arguments.out, report)


if __name__ == "__main__":
    main()
