"""Models: load, render to tokens, pack, attend, log-probabilities."""

from rather.model.load import (
    Loaded,
    bf16_is_fast,
    device_said,
    load,
    load_tokenizer,
    machine,
    model_hash,
    pick_device,
    save,
)
from rather.model.logps import Completions, completions, pair_logps
from rather.model.pack import Packed, Sample, pack
from rather.model.render import Renderer, TokenExample, TokenList, TokenPair

__all__ = [
    "Completions",
    "Loaded",
    "Packed",
    "Renderer",
    "Sample",
    "TokenExample",
    "TokenList",
    "TokenPair",
    "bf16_is_fast",
    "completions",
    "device_said",
    "load",
    "load_tokenizer",
    "machine",
    "model_hash",
    "pack",
    "pair_logps",
    "pick_device",
    "save",
]
