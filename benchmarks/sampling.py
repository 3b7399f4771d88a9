"""`rather generate`'s decoding beside transformers' `generate`: the same model, prompts, n and temperature, in one run.

    python benchmarks/sampling.py --prompts 32 --n 4 --tokens 64 --batches 32,64,128 --out benchmarks/results/NAME.json

prints answers' tokens a second (up to and with the end of each answer) for transformers in fp32 and bf16 at each batch size, for
ours, and the ratios to transformers' best.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

MODEL = "smollm2-135m-instruct"


def prompts_of(count: int, tokenizer_of: Any) -> list[list[int]]:
    from rather.demos.questions import questions

    asked = [q for q in questions("general", "train") if q.tags["language"] == "en"]
    return [tokenizer_of.prompt_tokens(asked[k % len(asked)].prompt) for k in range(count)]


def theirs(
    loaded: Any, prompts: list[list[int]], stops: frozenset[int], n: int, tokens: int, rows: int, temperature: float
) -> tuple[int, float]:
    """transformers: prompts sorted by length, padded on the left, `rows` answers at once."""
    model, total, started = loaded.model, 0, time.perf_counter()
    order = sorted(prompts, key=len)
    config = GenerationConfig(
        max_new_tokens=tokens, do_sample=True, temperature=temperature, top_k=0, num_return_sequences=n,
        eos_token_id=sorted(stops), pad_token_id=min(stops),
    )  # fmt: skip
    model.generation_config = GenerationConfig()
    for start in range(0, len(order), rows // n):
        batch = order[start : start + rows // n]
        width = max(map(len, batch))
        ids = torch.tensor([[0] * (width - len(p)) + p for p in batch])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in batch])
        with torch.inference_mode():
            out = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
        for row in out[:, width:].tolist():
            total += next((k + 1 for k, token in enumerate(row) if token in stops), len(row))
    return total, time.perf_counter() - started


def ours(
    loaded: Any, prompts: list[list[int]], stops: frozenset[int], n: int, tokens: int, rows: int, temperature: float,
    dtype: torch.dtype,
) -> tuple[int, float]:  # fmt: skip
    from rather.generation.draws import Draw
    from rather.generation.sampling import draw

    lengths: list[int] = []
    draws = [Draw(k, temperature, k * n + j) for k in range(len(prompts)) for j in range(n)]
    started = time.perf_counter()
    draw(
        loaded, prompts, draws, stops=stops, max_new_tokens=tokens, dtype=dtype, batch=rows,
        on_done=lambda _, produced: lengths.append(len(produced)),
    )  # fmt: skip
    return sum(lengths), time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--n", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--batches", default="32,64,128")
    parser.add_argument("--kinds", default="theirs-bf16,theirs-fp32,ours-bf16,ours-fp32")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    from rather.model import Renderer, load

    found: dict[str, dict[int, float]] = {}
    for kind in args.kinds.split(","):
        who, _, name = kind.partition("-")
        dtype = torch.bfloat16 if name == "bf16" else torch.float32
        loaded = load(args.model, dtype=dtype if who == "theirs" else torch.float32)
        renderer = Renderer(loaded.tokenizer, stop_tokens=loaded.stop_tokens)
        prompts = prompts_of(args.prompts, renderer)
        run = theirs if who == "theirs" else lambda *given, dtype=dtype: ours(*given, dtype)
        for rows in map(int, args.batches.split(",")):
            run(loaded, prompts[: rows // args.n], renderer.stop_tokens, args.n, 4, rows, args.temperature)  # warm
            total, seconds = run(
                loaded, prompts, renderer.stop_tokens, args.n, args.tokens, rows, args.temperature
            )  # fmt: skip
            found.setdefault(kind, {})[rows] = total / seconds
            print(f"{kind} {rows} rows: {total} tokens in {seconds:.1f} s, {total / seconds:.0f} tokens/s", flush=True)
    best = {kind: max(speeds.values()) for kind, speeds in found.items()}
    ratios = {
        f"{mine} ÷ {their}": round(best[mine] / best[their], 2)
        for mine in best if mine.startswith("ours") for their in best if their.startswith("theirs")
    }  # fmt: skip
    print(json.dumps(ratios, ensure_ascii=False))
    if args.out:
        settings = {key: value for key, value in vars(args).items() if key != "out"}
        threads = torch.get_num_threads()
        args.out.write_text(
            json.dumps(
                {"settings": settings, "threads": threads, "tokens_per_second": found, "ratios": ratios}, indent=1
            )
        )


if __name__ == "__main__":
    main()
