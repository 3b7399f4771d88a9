"""Configs of well-known models, as they are published: what sizes need, and no more."""

from __future__ import annotations

from typing import Any

Config = dict[str, Any]


def _config(
    kind: str, layers: int, hidden: int, inner: int, heads: int, kv_heads: int, vocab: int, *, tied: bool,
    head_dim: int | None = None, positions: int = 32_768,
) -> Config:  # fmt: skip
    own = {} if head_dim is None else {"head_dim": head_dim}
    return {
        "model_type": kind, "num_hidden_layers": layers, "hidden_size": hidden, "intermediate_size": inner,
        "num_attention_heads": heads, "num_key_value_heads": kv_heads, "vocab_size": vocab, "tie_word_embeddings": tied,
        "max_position_embeddings": positions, **own,
    }  # fmt: skip


KNOWN: dict[str, Config] = {
    "SmolLM2-135M": _config("llama", 30, 576, 1536, 9, 3, 49_152, tied=True, positions=8192),
    "SmolLM2-360M": _config("llama", 32, 960, 2560, 15, 5, 49_152, tied=True, positions=8192),
    "SmolLM2-1.7B": _config("llama", 24, 2048, 8192, 32, 32, 49_152, tied=True, positions=8192),
    "Llama-3.2-1B": _config("llama", 16, 2048, 8192, 32, 8, 128_256, tied=True, positions=131_072),
    "Llama-3.2-3B": _config("llama", 28, 3072, 8192, 24, 8, 128_256, tied=True, positions=131_072),
    "Llama-3.1-8B": _config("llama", 32, 4096, 14_336, 32, 8, 128_256, tied=False, positions=131_072),
    "Llama-3.1-70B": _config("llama", 80, 8192, 28_672, 64, 8, 128_256, tied=False, positions=131_072),
    "Qwen2.5-0.5B": _config("qwen2", 24, 896, 4864, 14, 2, 151_936, tied=True),
    "Qwen2.5-1.5B": _config("qwen2", 28, 1536, 8960, 12, 2, 151_936, tied=True),
    "Qwen2.5-3B": _config("qwen2", 36, 2048, 11_008, 16, 2, 151_936, tied=True),
    "Qwen2.5-7B": _config("qwen2", 28, 3584, 18_944, 28, 4, 152_064, tied=False),
    "Qwen2.5-14B": _config("qwen2", 48, 5120, 13_824, 40, 8, 152_064, tied=False),
    "Qwen2.5-32B": _config("qwen2", 64, 5120, 27_648, 40, 8, 152_064, tied=False),
    "Qwen2.5-72B": _config("qwen2", 80, 8192, 29_568, 64, 8, 152_064, tied=False),
    "Qwen3-0.6B": _config("qwen3", 28, 1024, 3072, 16, 8, 151_936, tied=True, head_dim=128, positions=40_960),
    "Qwen3-1.7B": _config("qwen3", 28, 2048, 6144, 16, 8, 151_936, tied=True, head_dim=128, positions=40_960),
    "Qwen3-4B": _config("qwen3", 36, 2560, 9728, 32, 8, 151_936, tied=True, head_dim=128, positions=40_960),
    "Qwen3-8B": _config("qwen3", 36, 4096, 12_288, 32, 8, 151_936, tied=False, head_dim=128, positions=40_960),
    "Mistral-7B-v0.3": _config("mistral", 32, 4096, 14_336, 32, 8, 32_768, tied=False),
    "gemma-2-2b": _config("gemma2", 26, 2304, 9216, 8, 4, 256_000, tied=True, head_dim=256, positions=8192),
    "gemma-2-9b": _config("gemma2", 42, 3584, 14_336, 16, 8, 256_000, tied=True, head_dim=256, positions=8192),
}
"""Without the endings -Instruct, -it, -Chat, which change no size."""
