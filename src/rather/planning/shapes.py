"""A model's sizes, and how many weights it has, by its config alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rather.errors import ModelError
from rather.planning.known import KNOWN


@dataclass(frozen=True)
class Family:
    """How a kind of model (`model_type` in config.json) is built, as far as its sizes do not say.

    norms     of one layer, each over the hidden size
    qk_norm   a norm of queries and keys: of each head, or over all heads together
    qkv_bias  whether queries, keys and values have a bias; the name of the config's key where it says so
    mlp_bias  the same of the feed-forward layers
    fused     one matrix for queries, keys and values, and one for gate and up
    tied      whether embedding and head are one matrix where the config does not say
    """

    norms: int = 2
    qk_norm: Literal["head", "all"] | None = None
    qkv_bias: bool | str = False
    o_bias: bool | str = False
    mlp_bias: bool | str = False
    fused: bool = False
    tied: bool = False


FAMILIES: dict[str, Family] = {
    "gemma": Family(qkv_bias="attention_bias", o_bias="attention_bias", tied=True),
    "gemma2": Family(norms=4, qkv_bias="attention_bias", o_bias="attention_bias", tied=True),
    "gemma3_text": Family(norms=4, qk_norm="head", qkv_bias="attention_bias", o_bias="attention_bias", tied=True),
    "granite": Family(qkv_bias="attention_bias", o_bias="attention_bias", mlp_bias="mlp_bias"),
    "llama": Family(qkv_bias="attention_bias", o_bias="attention_bias", mlp_bias="mlp_bias"),
    "mistral": Family(),
    "olmo2": Family(qk_norm="all", qkv_bias="attention_bias", o_bias="attention_bias"),
    "phi3": Family(fused=True),
    "qwen2": Family(qkv_bias=True),
    "qwen3": Family(qk_norm="head", qkv_bias="attention_bias", o_bias="attention_bias"),
    "smollm3": Family(qkv_bias="attention_bias", o_bias="attention_bias", mlp_bias="mlp_bias", tied=True),
}


@dataclass(frozen=True)
class Shape:
    """Sizes of a causal language model of gated layers. Counts of weights follow transformers' own modules."""

    name: str
    kind: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    tied: bool
    biases: int
    norm_values: int
    positions: int | None

    @property
    def query(self) -> int:
        """Width of all queries together."""
        return self.heads * self.head_dim

    @property
    def key(self) -> int:
        """Width of all keys, and of all values."""
        return self.kv_heads * self.head_dim

    @property
    def family(self) -> Family:
        return FAMILIES[self.kind]

    @property
    def matrices(self) -> tuple[tuple[int, int], ...]:
        """(in, out) of each linear layer of one layer."""
        hidden, query, key, inner = self.hidden, self.query, self.key, self.intermediate
        if self.family.fused:
            return (hidden, query + 2 * key), (query, hidden), (hidden, 2 * inner), (inner, hidden)
        return (
            (hidden, query),
            (hidden, key),
            (hidden, key),
            (query, hidden),
            (hidden, inner),
            (hidden, inner),
            (inner, hidden),
        )

    @property
    def layer_products(self) -> int:
        """Weights of one layer that are multiplied with."""
        return sum(into * out for into, out in self.matrices)

    @property
    def products(self) -> int:
        """The same of all layers; embedding and head are not among them."""
        return self.layers * self.layer_products

    @property
    def head(self) -> int:
        """Weights of the head, which are the embedding's too where the two are tied."""
        return self.vocab * self.hidden

    @property
    def layer_weights(self) -> int:
        """Weights of one layer."""
        return self.layer_products + self.biases + self.norm_values

    @property
    def outside(self) -> int:
        """Weights outside the layers: embedding, head, last norm."""
        return self.head * (1 if self.tied else 2) + self.hidden

    @property
    def weights(self) -> int:
        """All weights, a tied matrix once."""
        return self.layers * self.layer_weights + self.outside

    def adapter(self, rank: int) -> int:
        """Weights of a LoRA adapter of `rank` on every linear layer but the head: rank·(in + out) each."""
        return self.layers * sum(rank * (into + out) for into, out in self.matrices)

    @property
    def modules(self) -> int:
        """Linear layers of one layer."""
        return len(self.matrices)


def shape_of(config: Mapping[str, Any], name: str) -> Shape:
    """The shape that a config.json describes. Raises ModelError for a kind that is not counted, and where a size is missing."""
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise ModelError(
            f"{name}: models of the kind {str(kind)[:40]} are not counted; those that are: {', '.join(FAMILIES)}"
        )
    family = FAMILIES[kind]

    def size(key: str, otherwise: int | None = None) -> int:
        value = config.get(key)
        value = otherwise if value is None else value
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ModelError(
                f"{name}: config.json has no usable {key} ({str(value)[:40]}); a whole number above 0 is needed"
            )
        return value

    def has(answer: bool | str) -> bool:
        return answer if isinstance(answer, bool) else bool(config.get(answer, False))

    hidden, heads, inner = size("hidden_size"), size("num_attention_heads"), size("intermediate_size")
    kv_heads, head_dim = size("num_key_value_heads", heads), size("head_dim", hidden // heads)
    if heads % kv_heads:
        raise ModelError(f"{name}: config.json has {heads} heads over {kv_heads} of keys, which do not divide them")
    query, key = heads * head_dim, kv_heads * head_dim
    biases = (
        has(family.qkv_bias) * (query + 2 * key)
        + has(family.o_bias) * hidden
        + has(family.mlp_bias) * (2 * inner + hidden)
    )
    qk_norm = {None: 0, "head": 2 * head_dim, "all": query + key}[family.qk_norm]
    positions = config.get("max_position_embeddings")
    return Shape(
        name=name,
        kind=kind,
        layers=size("num_hidden_layers"),
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate=inner,
        vocab=size("vocab_size"),
        tied=bool(config.get("tie_word_embeddings", family.tied)),
        biases=biases,
        norm_values=family.norms * hidden + qk_norm,
        positions=positions if isinstance(positions, int) else None,
    )


def read_shape(model: str) -> Shape:
    """The shape of a folder, of a well-known model by name, or of a hub id, whose config.json alone is fetched.

    Raises ModelError where there is none, where it cannot be read, and for kinds that are not counted.
    """
    name = model.strip()
    folder = Path(name or "an empty name").expanduser()
    if not folder.exists() and (known := _known(name)) is not None:
        return shape_of(KNOWN[known], known)
    file = folder if folder.is_file() else folder / "config.json" if folder.is_dir() else _fetched(name)
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{model} has no config.json; a folder in Hugging Face layout has one") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not JSON"
        raise ModelError(f"{file} cannot be read ({reason}); fetch or copy the model again") from error
    if not isinstance(config, dict):
        raise ModelError(f"{file} is no config: it holds no table of names and values")
    return shape_of(config, name)


def _known(name: str) -> str | None:
    """A name of the table: as it stands there, behind an owner, and with an ending that changes no size."""
    bare = name.rpartition("/")[2].lower()
    for ending in ("-instruct-v0.3", "-instruct", "-it", "-base", "-chat"):
        bare = bare.removesuffix(ending)
    return next((known for known in KNOWN if known.lower() == bare), None)


def _fetched(name: str) -> Path:
    """config.json of a hub id: from the local cache, or fetched there."""
    cure = f"give a folder with a config.json, a hub id, or one of {', '.join(KNOWN)}"
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise ModelError(f"{name or 'an empty name'} is no folder here and no model that is known by name; {cure}")
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.utils import logging
    except ModuleNotFoundError as error:
        raise ModelError(f"{name} is on a hub, and the package huggingface_hub is not here; {cure}") from error
    before = logging.get_verbosity()
    logging.set_verbosity_error()  # it would warn of every try
    try:
        return Path(hf_hub_download(name, "config.json"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{name}: its config.json is not here, and the hub does not give it; {cure}") from error
    finally:
        logging.set_verbosity(before)
