"""Reward models: a causal language model's body with a linear head of one number, as transformers' sequence classification."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForSequenceClassification

from rather.errors import ModelError
from rather.model.catalog import resolve
from rather.model.check import packing_is_exact
from rather.model.load import Loaded, blaming, folder_of, load_tokenizer, pick_device, without_bars
from rather.model.logps import autocast, hidden_states
from rather.model.pack import Sample, pack

# Largest difference of a score that rounding explains, by the precision of the products.
TOLERANCE = {torch.float32: 2e-4, torch.bfloat16: 5e-2}


def load_reward(
    name: str, *, seed: int, dtype: torch.dtype | Literal["auto"] = torch.float32, device: str | None = None
) -> Loaded:
    """A folder, hub id or catalogued name with a scalar head, in eval mode; the head is drawn from `seed` if the folder has none.

    dtype: of the weights; "auto" as they are stored.
    Raises ModelError where transformers has no sequence classification for it, or more than its head is missing.
    """
    folder, tokenizer = folder_of(name), load_tokenizer(name)
    torch.manual_seed(seed)
    with blaming(name, folder, "config.json"):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, num_labels=1)
    with blaming(name, folder, "the weights"), without_bars():
        model, found = AutoModelForSequenceClassification.from_pretrained(
            folder, config=config, dtype=dtype, trust_remote_code=False, use_safetensors=True,
            output_loading_info=True,
        )  # fmt: skip
    missing = [key for key in found["missing_keys"] if not key.startswith("score.")]
    if missing or not isinstance(getattr(model, "score", None), torch.nn.Linear):
        what = f"has no weights for {min(missing)}" if missing else "has no linear score head in transformers"
        raise ModelError(f"{name} {what}; a reward model needs a causal language model such as Llama or Qwen")
    model.requires_grad_(True)
    model.eval()
    return Loaded(model.to(device or pick_device()), tokenizer, resolve(name))


def set_padding(loaded: Loaded, samples: Iterable[Sample]) -> None:
    """Choose a padding token that ends no conversation, for transformers reads the score at the last token that is none.

    Where every special token ends some conversation a new one is added.
    """
    tokenizer = loaded.tokenizer
    last = {sample.tokens[-1] for sample in samples}
    own = [tokenizer.pad_token_id, tokenizer.unk_token_id, *tokenizer.all_special_ids]
    free = [token for token in own if isinstance(token, int) and token not in last]
    if free:
        tokenizer.pad_token = str(tokenizer.convert_ids_to_tokens(free[0]))
    else:
        tokenizer.add_special_tokens({"pad_token": "<|pad|>"})
    assert tokenizer.pad_token_id not in last
    pad_with(loaded)


def pad_with(loaded: Loaded) -> None:
    """Tell the model the padding token of its tokenizer, and make room for it where it is a new one."""
    model: Any = loaded.model
    if len(loaded.tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(loaded.tokenizer))
    if loaded.tokenizer.pad_token_id is not None:
        model.config.pad_token_id = loaded.tokenizer.pad_token_id


def scores(model: torch.nn.Module, samples: Sequence[Sample], *, dtype: torch.dtype, packed: bool = True) -> Tensor:
    """[R] the score of each whole conversation, read at its last token, float32, with gradient if enabled.

    packed=False takes the model's own forward, a conversation at a time.
    """
    device = next(model.parameters()).device
    base: Any = model.get_base_model() if hasattr(model, "get_base_model") else model  # pyright: ignore[reportCallIssue]
    if not packed:
        found = []
        for sample in samples:
            with autocast(device, dtype):
                found.append(model(input_ids=torch.tensor([sample.tokens], device=device)).logits[0, 0])
        return torch.stack(found).float()
    # An answer's last token is no input of a packed micro-batch, since nothing is predicted from it; here something is.
    batch = pack([Sample((*sample.tokens, 0), len(sample.tokens)) for sample in samples]).to(device)
    hidden_RH = hidden_states(base, batch, dtype=dtype)[batch.place_U[batch.row_C]]
    with autocast(device, dtype):
        return base.score(hidden_RH)[:, 0].float()


def scores_pack(model: torch.nn.Module, pairs: Sequence[Sequence[Sample]], *, dtype: torch.dtype) -> bool:
    """True if packed and plain scores agree: tried on the shortest and the longest of `pairs`, and said if not."""
    return packing_is_exact(model, pairs, dtype=dtype, difference=packing_reason)


def packing_reason(model: torch.nn.Module, pairs: Sequence[Sequence[Sample]], *, dtype: torch.dtype) -> str | None:
    """None if packed and plain scores of `pairs` agree; else the reason why packing cannot be used."""
    samples = [sample for pair in pairs for sample in pair]
    with torch.no_grad():
        theirs = scores(model, samples, dtype=dtype, packed=False)
        try:
            ours = scores(model, samples, dtype=dtype)
        except (TypeError, ValueError, AttributeError, KeyError, RuntimeError) as error:
            return f"it does not take packed input ({str(error).splitlines()[0][:120] if str(error) else type(error).__name__})"
    worst = float(((ours - theirs).abs() / theirs.abs().clamp(min=1.0)).nan_to_num(nan=torch.inf).max())
    return f"packed scores differ from its own by {worst:.1e} of their size" if worst > TOLERANCE[dtype] else None
