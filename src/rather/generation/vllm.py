"""Answers from vLLM in this process, where it is installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rather.errors import ConfigError
from rather.generation.config import GenerateConfig
from rather.generation.plan import Answer, Ask
from rather.onray.once import once

# Answers are kept after each part of this size: what a kill loses.
_PART = 1024


def inputs(model: str) -> dict[str, str]:
    """What the answers depend on besides the options: the model's content."""
    from rather.model import model_hash

    return {model: model_hash(model)}


def answer(model: str, asks: Sequence[Ask], config: GenerateConfig, done: Callable[[Ask, Answer], None]) -> None:
    """Answer every ask, calling `done` as each is there. Raises ConfigError where there is no vLLM."""
    try:
        from vllm import LLM, SamplingParams
    except ImportError as error:
        raise ConfigError(
            f"--backend vllm needs vLLM, which cannot be imported ({error}); pip install vllm, or leave --backend out"
        ) from error
    from rather.generation.local import answer_of, tokens_of
    from rather.model import Renderer, load_tokenizer
    from rather.model.load import folder_of

    renderer = Renderer(load_tokenizer(model))
    dtype = {"auto": "auto", "fp32": "float32", "bf16": "bfloat16"}[config.dtype]
    llm = once(LLM, model=str(folder_of(model)), dtype=dtype, enable_prefix_caching=True)
    window = llm.llm_engine.model_config.max_model_len
    for start in range(0, len(asks), _PART):
        given = [(ask, tokens_of(renderer, ask, config, window)) for ask in asks[start : start + _PART]]
        for ask, tokens in given:
            if isinstance(tokens, Answer):
                done(ask, tokens)
        part = [(ask, tokens) for ask, tokens in given if not isinstance(tokens, Answer)]
        params = [
            SamplingParams(
                temperature=ask.temperature, top_p=config.top_p, max_tokens=config.max_new_tokens, seed=ask.seed,
                stop_token_ids=sorted(renderer.stop_tokens),
            )
            for ask, _ in part
        ]  # fmt: skip
        outputs = llm.generate([{"prompt_token_ids": tokens} for _, tokens in part], params, use_tqdm=False)
        for (ask, _), output in zip(part, outputs, strict=True):
            done(ask, answer_of(renderer, ask, tuple(output.outputs[0].token_ids)))
