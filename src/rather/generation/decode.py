"""Answers token by token: every prompt computed once, keys and values written in place, finished answers replaced by new ones.

A slot is one answer that grows. Its keys and values stand in columns: the prompt's at the right end of the first `width`,
then a ring of as many columns as an answer may have tokens, of which all slots write the same one in a step. Positions are in the
keys, so the order of columns does not matter; `bias` says which columns are a slot's own.

Shapes: S slots, M prompts, T columns, D size of a head, V vocabulary.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from rather.generation.choose import choose, uniforms
from rather.generation.draws import Draw
from rather.generation.weights import Layer, Weights

# The ring grows by so many columns; freed slots are filled, and empty ones dropped, once they are one in eight.
_GROW, _IDLE = 32, 8
# Tokens of prompts that are computed together: a bound for what their layers hold at once.
_PREFILL_TOKENS = 8192
_NEVER = -1e9  # and not −∞: a row of nothing but −∞ has no softmax


@dataclass
class Slot:
    """One answer that grows."""

    draw: int
    position: int
    tokens: list[int] = field(default_factory=list)


class Cache:
    """Keys and values of every layer, [S, kv heads, T, D] each, and bias [S, 1, 1, T]."""

    def __init__(self, weights: Weights, slots: int, width: int, longest: int) -> None:
        self.width, self.longest = width, longest
        self.own = min(longest, _GROW)
        shape = (slots, weights.kv_heads, width + self.own, weights.head_size)
        self.keys = [torch.zeros(shape, dtype=weights.dtype, device=weights.device) for _ in weights.layers]
        self.values = [torch.zeros_like(keys) for keys in self.keys]
        self.bias = torch.full((slots, 1, 1, shape[2]), _NEVER, dtype=weights.dtype, device=weights.device)
        self.column = width

    def advance(self) -> None:
        """Move on to the column of the next step, making room or coming round."""
        self.column += 1
        if self.column == self.width + self.own:
            if self.own < self.longest:
                self._grow(min(_GROW, self.longest - self.own))
            else:
                self.column = self.width

    def take(self, slots: list[int], rows: list[int], prompts: Prefill) -> None:
        """Put the prompts' keys and values into slots. rows: which prompt for each slot."""
        first = self.width - prompts.width
        for mine, theirs in zip(self.keys + self.values, prompts.keys + prompts.values, strict=True):
            mine[slots, :, first : self.width] = theirs[rows]
        self.bias[slots] = _NEVER
        self.bias[slots, :, :, first : self.width] = prompts.bias[rows]

    def keep(self, slots: list[int]) -> None:
        """Drop every slot but these, and the columns before the longest prompt that is left."""
        self.bias = self.bias[slots]
        used = (self.bias[:, 0, 0, : self.width] == 0).any(dim=0).nonzero()
        first = int(used[0]) if len(used) else self.width
        self.bias = self.bias[..., first:].contiguous()
        self._change(lambda held: held[slots, :, first:].contiguous())
        self.width, self.column = self.width - first, self.column - first

    def _change(self, change: Callable[[Tensor], Tensor]) -> None:
        """Layer by layer, so that no more than one is there twice."""
        for held in (self.keys, self.values):
            for number, tensor in enumerate(held):
                held[number] = change(tensor)

    def _grow(self, columns: int) -> None:
        self.own += columns
        self._change(lambda held: F.pad(held, (0, 0, 0, columns)))
        self.bias = F.pad(self.bias, (0, columns), value=_NEVER)


@dataclass
class Prefill:
    """Prompts that were computed: keys, values and bias right-aligned to `width`, and the logits behind each."""

    width: int
    keys: list[Tensor]
    values: list[Tensor]
    bias: Tensor
    logits_MV: Tensor


@torch.inference_mode()
def decode(
    weights: Weights,
    prompts: Sequence[Sequence[int]],
    draws: Sequence[Draw],
    *,
    stops: frozenset[int],
    max_new_tokens: int,
    top_p: float,
    batch: int,
    on_done: Callable[[int, tuple[int, ...]], None],
) -> None:
    """As `sampling.draw`. The longest prompts come first: what is then allocated is enough for all."""
    waiting = _by_prompt(prompts, draws)
    if not waiting:
        return
    longest = len(prompts[waiting[0].prompt])
    slots: list[Slot | None] = [None] * min(len(draws), batch, _most_slots(weights, longest + max_new_tokens))
    cache = Cache(weights, len(slots), longest, max_new_tokens)

    def append(places: list[int], logits_SV: Tensor) -> None:
        """Draw one more token for the slots at `places`; a finished one is told and emptied."""
        grown = [(place, slot) for place in places if (slot := slots[place]) is not None]
        wanted = [draws[slot.draw] for _, slot in grown]
        uniform = uniforms([draw.seed for draw in wanted], [len(slot.tokens) for _, slot in grown])
        chosen = choose(logits_SV, [draw.temperature for draw in wanted], uniform, top_p)
        for (place, slot), token in zip(grown, chosen, strict=True):
            slot.tokens.append(token)
            if token in stops or len(slot.tokens) == max_new_tokens:
                slots[place] = None
                on_done(slot.draw, tuple(slot.tokens))

    while waiting or any(slots):
        free = [place for place, slot in enumerate(slots) if slot is None]
        if waiting and (len(free) * _IDLE >= len(slots)):
            _fill(weights, cache, slots, free, waiting, prompts, append)
            continue
        if not waiting and len(free) * _IDLE >= len(slots):
            left = [place for place, slot in enumerate(slots) if slot is not None]
            slots = [slots[place] for place in left]
            cache.keep(left)
        busy = [place for place, slot in enumerate(slots) if slot is not None]
        hidden = step(weights, cache, [(s.tokens[-1], s.position + len(s.tokens) - 1) if s else (0, 0) for s in slots])
        append(busy, weights.head(hidden if len(busy) == len(slots) else hidden[busy]))
        cache.advance()


@dataclass
class Waiting:
    """Draws that have not begun, of one prompt."""

    prompt: int
    draws: deque[int]


def _by_prompt(prompts: Sequence[Sequence[int]], draws: Sequence[Draw]) -> deque[Waiting]:
    found: dict[int, Waiting] = {}
    for index, draw in enumerate(draws):
        found.setdefault(draw.prompt, Waiting(draw.prompt, deque())).draws.append(index)
    return deque(sorted(found.values(), key=lambda waiting: -len(prompts[waiting.prompt])))


def _most_slots(weights: Weights, columns: int) -> int:
    """Slots whose keys and values fill half of the memory that is free."""
    if weights.device.type == "cuda":
        free = torch.cuda.mem_get_info(weights.device)[0]
    else:
        meminfo = Path("/proc/meminfo")
        found = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text()) if meminfo.is_file() else None
        free = int(found[1]) * 1024 if found else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return max(1, free // 2 // (weights.column_bytes * columns))


def _fill(
    weights: Weights,
    cache: Cache,
    slots: list[Slot | None],
    free: list[int],
    waiting: deque[Waiting],
    prompts: Sequence[Sequence[int]],
    append: Callable[[list[int], Tensor], None],
) -> None:
    """Start draws in free slots and draw their first tokens. A prompt begins when all its draws have room, and is then
    computed once; only one with more draws than there are free slots is computed again for the rest.
    """
    asked: list[int] = []
    rows: list[int] = []
    places: list[int] = []
    while waiting and (not asked or len(waiting[0].draws) <= len(free)):
        prompt = waiting[0].prompt
        if asked and (len(asked) + 1) * len(prompts[asked[0]]) > _PREFILL_TOKENS:
            break
        for _ in range(min(len(free), len(waiting[0].draws))):
            place = free.pop(0)
            slots[place] = Slot(waiting[0].draws.popleft(), len(prompts[prompt]))
            places.append(place)
            rows.append(len(asked))
        asked.append(prompt)
        if not waiting[0].draws:
            waiting.popleft()
    done = prefill(weights, [prompts[prompt] for prompt in asked])
    cache.take(places, rows, done)
    append(places, done.logits_MV[rows])


def prefill(weights: Weights, prompts: Sequence[Sequence[int]]) -> Prefill:
    """Compute whole prompts, padded on the left."""
    width = max(len(prompt) for prompt in prompts)
    device = weights.device
    padding = torch.tensor([width - len(prompt) for prompt in prompts], device=device)
    ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts], device=device)
    columns = torch.arange(width, device=device)
    real_MT = columns >= padding[:, None]
    mask = torch.where((columns <= columns[:, None]) & real_MT[:, None], 0.0, _NEVER)[:, None].to(weights.dtype)
    cos, sin = (t[:, :, None] for t in weights.cos_sin((columns - padding[:, None]).clamp(min=0)))
    x = weights.embedding[ids]
    keys, values = [], []
    for layer in weights.layers:
        q, k, v = (t.transpose(1, 2) for t in _qkv(weights, layer, x, cos, sin))
        keys.append(k)
        values.append(v)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=weights.scale, enable_gqa=True)
        x = _behind_attention(weights, layer, x, seen.transpose(1, 2).reshape(*x.shape[:2], -1))
    last = F.rms_norm(x[:, -1], x.shape[-1:], weights.norm, weights.epsilon)
    bias = torch.where(real_MT, 0.0, _NEVER)[:, None, None].to(weights.dtype)
    return Prefill(width, keys, values, bias, weights.head(last))


def step(weights: Weights, cache: Cache, inputs: Sequence[tuple[int, int]]) -> Tensor:
    """The hidden state behind one more token of every slot, normed for the head; its keys and values are in the cache.

    inputs: token and position of each.
    """
    tokens, positions = torch.tensor(inputs, device=weights.device).unbind(dim=1)
    cos, sin = (t[:, None] for t in weights.cos_sin(positions))
    cache.bias[..., cache.column] = 0
    x = weights.embedding[tokens]
    shared = (len(x), weights.kv_heads, weights.heads // weights.kv_heads, weights.head_size)
    for number, layer in enumerate(weights.layers):
        keys, values = cache.keys[number], cache.values[number]
        q, k, v = _qkv(weights, layer, x, cos, sin)
        keys[:, :, cache.column] = k
        values[:, :, cache.column] = v
        # Plain products: with one query a head, they are far faster on a processor than the fused attention.
        scores = torch.matmul(q.reshape(shared), keys.transpose(-1, -2))
        scores = torch.add(cache.bias, scores, alpha=weights.scale)
        seen = torch.matmul(scores.softmax(dim=-1), values)
        x = _behind_attention(weights, layer, x, seen.reshape(len(x), -1))
    return F.rms_norm(x, x.shape[-1:], weights.norm, weights.epsilon)


def _qkv(weights: Weights, layer: Layer, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries and keys with their positions, and values, [..., heads, D]."""
    normed = F.rms_norm(x, x.shape[-1:], layer.attention_norm, weights.epsilon)
    heads = layer.qkv(normed).view(*x.shape[:-1], -1, weights.head_size)
    qk, v = heads.split((weights.heads + weights.kv_heads, weights.kv_heads), dim=-2)
    if layer.q_norm is not None and layer.k_norm is not None:
        q, k = qk.split((weights.heads, weights.kv_heads), dim=-2)
        size = (weights.head_size,)
        qk = torch.cat((
            F.rms_norm(q, size, layer.q_norm, weights.epsilon), F.rms_norm(k, size, layer.k_norm, weights.epsilon)
        ), dim=-2)  # fmt: skip
    half = weights.head_size // 2
    turned = torch.cat((qk[..., half:], qk[..., :half]), dim=-1)
    qk = torch.addcmul(qk * cos, turned, sin)
    q, k = qk.split((weights.heads, weights.kv_heads), dim=-2)
    return q, k, v


def _behind_attention(weights: Weights, layer: Layer, x: Tensor, seen: Tensor) -> Tensor:
    """The rest of a layer: output projection and feed-forward, each added to what came in."""
    x = layer.out(seen, x)
    normed = F.rms_norm(x, x.shape[-1:], layer.mlp_norm, weights.epsilon)
    gate, up = layer.gate_up(normed).chunk(2, dim=-1)
    return layer.down(F.silu(gate) * up, x)
