"""The renderer with the chat templates and the kinds of tokenizer that users bring.

Tokenizers are built here, small, with what matters of the real ones: their special tokens, how they split, what merges
and how spaces are kept. Templates render as the published ones do, without tools and images. What every family must
keep is written once, in `check`; the rest of the file is what one family alone does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from rather.errors import ModelError, RowError
from rather.model import Renderer
from rather.records import Message, Pair

LLAMA3 = r"""{{- bos_token }}{%- for m in messages %}
{{- '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"""

QWEN25 = r"""{%- if messages[0]['role'] != 'system' %}
{{- '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n' }}{%- endif %}
{%- for m in messages %}{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"""

# Old turns lose their thought; the last one gets an empty thought where it has none.
QWEN3 = r"""{%- set ns = namespace(last_query=0) %}
{%- for m in messages %}{%- if m.role == 'user' %}{%- set ns.last_query = loop.index0 %}{%- endif %}{%- endfor %}
{%- for m in messages %}{%- set content = m.content %}{%- set thought = '' %}
{%- if m.role == 'assistant' and '</think>' in content %}
{%- set thought = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
{%- set content = content.split('</think>')[-1].lstrip('\n') %}
{%- endif %}
{%- if m.role == 'assistant' and loop.index0 > ns.last_query and (loop.last or thought) %}
{%- set content = '<think>\n' + thought.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') %}
{%- endif %}
{{- '<|im_start|>' + m.role + '\n' + content + '<|im_end|>\n' }}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}
{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}{%- endif %}"""

ALTERNATE = r"""{%- if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{%- endif %}"""

GEMMA2 = r"""{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{%- for m in messages %}ALTERNATE{%- set role = 'model' if m['role'] == 'assistant' else m['role'] %}
{{- '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{%- endfor %}
{%- if add_generation_prompt %}{{- '<start_of_turn>model\n' }}{%- endif %}""".replace("ALTERNATE", ALTERNATE)

SPLIT_SYSTEM = r"""{%- set system, turns = false, messages %}
{%- if messages[0]['role'] == 'system' %}{%- set system, turns = messages[0]['content'], messages[1:] %}{%- endif %}"""

# The system turn goes into the last user turn, but only while that is the last turn of all.
MISTRAL = (
    SPLIT_SYSTEM
    + r"""{{- bos_token }}{%- for m in turns %}ALTERNATE
{%- if m['role'] == 'assistant' %}{{- ' ' + m['content'] | trim + eos_token }}
{%- elif loop.last and system %}{{- '[INST] ' + system + '\n\n' + m['content'] + ' [/INST]' }}
{%- else %}{{- '[INST] ' + m['content'] + ' [/INST]' }}{%- endif %}{%- endfor %}""".replace("ALTERNATE", ALTERNATE)
)

LLAMA2 = (
    SPLIT_SYSTEM
    + r"""{%- for m in turns %}ALTERNATE{%- set content = m['content'] %}
{%- if loop.first and system %}{%- set content = '<<SYS>>\n' + system + '\n<</SYS>>\n\n' + content %}{%- endif %}
{%- if m['role'] == 'user' %}{{- bos_token + '[INST] ' + content.strip() + ' [/INST]' }}
{%- else %}{{- ' ' + content.strip() + ' ' + eos_token }}{%- endif %}{%- endfor %}""".replace("ALTERNATE", ALTERNATE)
)

# Its line breaks are the template's own.
ZEPHYR = r"""{% for m in messages %}
{{ '<|' + m['role'] + '|>\n' + m['content'] + eos_token }}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}{% endfor %}"""

PHI3 = r"""{%- for m in messages %}{{- '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>\n' }}{%- else %}{{- eos_token }}{%- endif %}"""

# Its first published form: a system turn falls through both branches.
PHI3_FIRST = r"""{{- bos_token }}{%- for m in messages %}
{%- if m['role'] == 'user' %}{{- '<|user|>\n' + m['content'] + '<|end|>\n<|assistant|>\n' }}
{%- elif m['role'] == 'assistant' %}{{- m['content'] + '<|end|>\n' }}{%- endif %}{%- endfor %}"""

# As many of its copies have it: the generation prompt ends with a space, which the answer's first word takes over.
VICUNA = r"""{{- bos_token }}{%- for m in messages %}{%- if m['role'] == 'system' %}{{- m['content'] + ' ' }}
{%- elif m['role'] == 'user' %}{{- 'USER: ' + m['content'] + ' ' }}
{%- else %}{{- 'ASSISTANT: ' + m['content'] + eos_token }}{%- endif %}{%- endfor %}
{%- if add_generation_prompt %}{{- 'ASSISTANT: ' }}{%- endif %}"""

# No token ends a turn.
ALPACA = r"""{%- for m in messages %}
{{- '### ' + {'user': 'Instruction', 'assistant': 'Response'}[m['role']] + ':\n' + m['content'] + '\n\n' }}{%- endfor %}
{%- if add_generation_prompt %}{{- '### Response:\n' }}{%- endif %}"""

# How Llama 3 and Qwen split text before they merge: line breaks go together, whoever wrote them.
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
WORDS = ("Hello", "assistant", "model", "user", "INST", "line", "one")


def finish(tokenizer: Tokenizer, specials: list[Any], plain: tuple[str, ...], **named: Any) -> PreTrainedTokenizerFast:
    """Add tokens, special ones and `plain` ones, and the beginning-of-text that a template writes by itself."""
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in plain])
    tokenizer.add_special_tokens(specials)
    if bos := named.get("bos_token"):
        ids = [(bos, tokenizer.token_to_id(bos))]
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=ids)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)


def bpe(first: list[str], words: list[str], merges: list[tuple[str, str]], **options: Any) -> Tokenizer:
    """BPE that builds each word from its left and then knows `merges`."""
    merges = [(word[:end], word[end]) for word in words for end in range(1, len(word))] + merges
    pieces = dict.fromkeys([*first, *(left + right for left, right in merges)])
    return Tokenizer(models.BPE(vocab={piece: index for index, piece in enumerate(pieces)}, merges=merges, **options))


def byte_level(specials: list[Any], *, plain: tuple[str, ...] = (), **named: Any) -> PreTrainedTokenizerFast:
    """Byte-level BPE as Llama 3 and Qwen have it."""
    tokenizer = bpe(sorted(pre_tokenizers.ByteLevel.alphabet()), [*WORDS], [("Ċ", "Ċ"), *(("Ġ", w) for w in WORDS)])
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLIT), "isolated"), to_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    return finish(tokenizer, specials, plain, **named)


def sentencepiece(
    specials: list[Any], *, scheme: str, plain: tuple[str, ...] = (), **named: Any
) -> PreTrainedTokenizerFast:
    """SentencePiece BPE as it is converted: ▁ for a space, before a word; bytes for what is not in the vocabulary."""
    first = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *map(chr, range(33, 127))]
    tokenizer = bpe(first, ["▁" + word for word in WORDS], [], unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return finish(tokenizer, ["<unk>", *specials], plain, unk_token="<unk>", **named)


def llama(template: str, *, scheme: str = "first") -> PreTrainedTokenizerFast:
    named = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}
    return sentencepiece(["<s>", "</s>"], scheme=scheme, chat_template=template, **named)


def llama3() -> PreTrainedTokenizerFast:
    specials = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    named = {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>", "pad_token": "<|eot_id|>"}
    return byte_level(specials, chat_template=LLAMA3, **named)


def qwen(template: str, *, pad: str = "<|endoftext|>") -> PreTrainedTokenizerFast:
    named = {"eos_token": "<|im_end|>", "pad_token": pad, "plain": ("<think>", "</think>")}
    return byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], chat_template=template, **named)


def phi(template: str, *, eos: str = "<|endoftext|>") -> PreTrainedTokenizerFast:
    # Phi's tokens swallow the white space behind them.
    texts = ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
    specials = ["<s>", "<|endoftext|>", *(AddedToken(text, rstrip=True, normalized=False) for text in texts)]
    named = {"bos_token": "<s>", "eos_token": eos, "pad_token": "<|endoftext|>"}
    return sentencepiece(specials, scheme="first", chat_template=template, **named)


def gemma(template: str) -> PreTrainedTokenizerFast:
    # Gemma's line breaks are added tokens that are not special.
    named = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "plain": ("\n", "\n\n")}
    specials = ["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"]
    return sentencepiece(specials, scheme="never", chat_template=template, **named)


@dataclass(frozen=True)
class Family:
    """A tokenizer with its template, which makes of an answer: `lead` + `shown(answer)` + `tail` + `end`."""

    tokenizer: PreTrainedTokenizerFast
    end: str
    lead: str = ""
    shown: Callable[[str], str] = str
    tail: str = ""
    merges: tuple[str, ...] = ()  # beginnings of a shown answer that may merge with the prompt's end
    refuses_system: str | None = None


ALWAYS = ("",)
NO_THOUGHT = QWEN3.replace("enable_thinking is defined and enable_thinking is false", "true")
THOUGHT = NO_THOUGHT.replace(r"{{- '<think>\n\n</think>\n\n' }}", r"{{- '<think>\n' }}")


def no_lines(answer: str) -> str:
    return answer.lstrip("\n")


FAMILIES = {
    "llama 3": Family(llama3(), "<|eot_id|>", shown=str.strip),
    "qwen 2.5": Family(qwen(QWEN25), "<|im_end|>", merges=("\n",)),
    "qwen 2.5, eos is pad": Family(qwen(QWEN25, pad="<|im_end|>"), "<|im_end|>", merges=("\n",)),
    "qwen 3": Family(qwen(QWEN3), "<|im_end|>", "<think>\n\n</think>\n\n", no_lines),
    "qwen 3 without thought": Family(qwen(NO_THOUGHT), "<|im_end|>", shown=no_lines),
    "qwen 3 with thought": Family(qwen(THOUGHT), "<|im_end|>", "\n</think>\n\n", no_lines, merges=ALWAYS),
    "gemma 2": Family(gemma(GEMMA2), "<end_of_turn>", shown=str.strip, refuses_system="System role not supported"),
    "mistral": Family(llama(MISTRAL), "</s>", " ", str.strip, refuses_system="renders the prompt differently"),
    "zephyr, eos is pad": Family(llama(ZEPHYR), "</s>"),
    "phi 3": Family(phi(PHI3), "<|end|>", shown=str.lstrip),
    "llama 2": Family(llama(LLAMA2), "</s>", " ", str.strip, " "),
    "llama 2, a space in every part": Family(llama(LLAMA2, scheme="always"), "</s>", " ", str.strip, " "),
    "vicuna": Family(llama(VICUNA), "</s>", merges=ALWAYS),
}
every_family = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())


def turn(role: Any, content: str) -> Message:
    return Message(role=role, content=content)


HI = (turn("user", "Hi there"),)
SEVERAL = (turn("user", "你好！"), turn("assistant", "Hello, 我是助手🙂"), turn("user", "Say it\n\nin one line "))
PAIR = Pair(prompt=HI, chosen="Hello.", rejected="Go.")
ANSWERS = {
    "plain": ("Hello.", "Go away."),
    "chinese and emoji": ("你好，世界🙂", "Hello 👩‍👩‍👧 𝔘"),
    "space or line first": (" Hello", "\nHello"),
    "lines inside and behind": ("Hello\n\nline one\n", "  one  "),
}


def completions(tokenizer: PreTrainedTokenizerFast, pair: Pair) -> list[list[str]]:
    """The pieces that are trained, of both sides."""
    samples = Renderer(tokenizer).pair(pair).samples
    return [list(tokenizer.convert_ids_to_tokens(list(s.tokens[s.prompt_tokens :]))) for s in samples]


def check(family: Family, pair: Pair) -> None:
    """What every family keeps."""
    tokenizer, renderer = family.tokenizer, Renderer(family.tokenizer)
    turns = [message.model_dump() for message in pair.prompt if isinstance(message, Message)]
    asked_text = str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    asked = list(tokenizer.apply_chat_template(turns, add_generation_prompt=True)["input_ids"])
    assert renderer.prompt_tokens(pair.prompt) == asked

    item = renderer.pair(pair)
    prompt = list(item.chosen.tokens[: item.chosen.prompt_tokens])
    assert prompt == list(item.rejected.tokens[: item.rejected.prompt_tokens]) == asked[: len(prompt)]
    shown = [family.lead + family.shown(answer) for answer in (pair.chosen, pair.rejected)]
    if not any(text.startswith(family.merges) for text in shown):
        assert prompt == asked

    for sample, answer, text in zip(item.samples, (pair.chosen, pair.rejected), shown, strict=True):
        whole = str(tokenizer.apply_chat_template([*turns, {"role": "assistant", "content": answer}], tokenize=False))
        whole = whole[: whole.index(family.end, len(asked_text)) + len(family.end)]
        assert list(sample.tokens) == tokenizer(whole, add_special_tokens=False).input_ids
        completion = sample.tokens[sample.prompt_tokens :]
        assert completion[-1] == tokenizer.convert_tokens_to_ids(family.end)
        assert sum(token in renderer.stop_tokens for token in completion) == 1
        # Decoded with its prompt: alone, a first piece could not tell whether a space stands before it.
        decoded = tokenizer.decode(sample.tokens)[len(tokenizer.decode(prompt)) :]
        taken, found, rest = decoded.rpartition(text + family.tail + family.end)
        assert (bool(found), rest) == (True, "")
        assert asked_text.endswith(taken)  # what a token across the border has taken from the prompt
        assert not taken or prompt != asked


@every_family
@pytest.mark.parametrize("answers", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize("prompt", [HI, SEVERAL], ids=["one turn", "several turns"])
def test_every_family_keeps_the_promises(family: Family, prompt: tuple[Message, ...], answers: tuple[str, str]) -> None:
    check(family, Pair(prompt=prompt, chosen=answers[0], rejected=answers[1]))


# Without ▁, which SentencePiece cannot tell from a space, and the separators that are white space to Python alone.
characters = st.characters(codec="utf-8", exclude_characters="\x00\x1c\x1d\x1e\x1f▁")
texts = st.text(st.one_of(st.sampled_from(" \nHeo1[]<|你🙂"), characters), min_size=1, max_size=30).filter(str.strip)


@every_family
@given(texts, texts, texts)
def test_every_family_keeps_them_for_any_text(family: Family, prompt: str, chosen: str, rejected: str) -> None:
    check(family, Pair(prompt=(turn("user", prompt),), chosen=chosen, rejected=rejected))


@every_family
def test_a_truncated_answer_has_no_end_of_turn_in_any_family(family: Family) -> None:
    pair = Pair(prompt=SEVERAL, chosen="Hello, line one.", rejected="你")
    whole = Renderer(family.tokenizer).pair(pair)
    item = Renderer(family.tokenizer, max_length=len(whole.chosen.tokens) - 1).pair(pair)
    assert (item.chosen_truncated, item.rejected_truncated) == (True, False)
    assert item.chosen.tokens == whole.chosen.tokens[:-1]
    assert item.chosen.tokens[-1] not in Renderer(family.tokenizer).stop_tokens
    assert item.rejected == whole.rejected


@every_family
@pytest.mark.parametrize("as_option", [False, True], ids=["turn", "option"])
def test_a_system_turn_is_shown_once_or_refused(family: Family, as_option: bool) -> None:
    prompt = (turn("system", "You are Athene."), *SEVERAL)[as_option:]
    pair = PAIR.model_copy(update={"prompt": prompt})
    option = "You are Athene." if as_option else None
    if family.refuses_system:
        # With the option no row could pass, so that the renderer itself may refuse.
        with pytest.raises((RowError, ModelError) if as_option else RowError, match=family.refuses_system):
            Renderer(family.tokenizer, system_prompt=option).pair(pair)
        return
    item = Renderer(family.tokenizer, system_prompt=option).pair(pair)
    shown = family.tokenizer.decode(item.chosen.tokens[: item.chosen.prompt_tokens])
    assert shown.count("You are Athene.") == 1
    assert "You are Qwen" not in shown


def test_a_templates_own_system_prompt_stands_where_nobody_gave_one() -> None:
    tokenizer = FAMILIES["qwen 2.5"].tokenizer
    text = tokenizer.decode(Renderer(tokenizer).prompt_tokens(HI))
    assert text.startswith("<|im_start|>system\nYou are Qwen, created by Alibaba Cloud.")


@pytest.mark.parametrize("name", ["gemma 2", "mistral", "llama 2"])
def test_turns_that_do_not_alternate_refuse_the_row(name: str) -> None:
    pair = PAIR.model_copy(update={"prompt": (*HI, *HI)})
    with pytest.raises(RowError, match=r"the chat template refuses this conversation: .*must alternate"):
        Renderer(FAMILIES[name].tokenizer).pair(pair)


def test_a_token_across_the_border_moves_it_for_both_sides() -> None:
    lines = completions(FAMILIES["qwen 2.5"].tokenizer, Pair(prompt=HI, chosen="\nHello", rejected="Hello"))
    assert lines == [["ĊĊ", "Hello", "<|im_end|>"], ["Ċ", "Hello", "<|im_end|>"]]
    space = completions(FAMILIES["vicuna"].tokenizer, Pair(prompt=HI, chosen="Hello", rejected="G"))
    assert space == [["▁Hello", "</s>"], ["▁", "G", "</s>"]]


@pytest.mark.parametrize("scheme", ["first", "always", "never"])
def test_plain_text_with_sentencepiece_begins_once_and_ends_once(scheme: str) -> None:
    tokenizer = llama(LLAMA2, scheme=scheme)
    item = Renderer(tokenizer).pair(Pair(prompt="Say ", chosen="Hello 你", rejected="one"))
    for sample, text in zip(item.samples, ("Say Hello 你", "Say one"), strict=True):
        assert list(sample.tokens) == [*tokenizer(text).input_ids, tokenizer.eos_token_id]
        assert sample.tokens.count(tokenizer.bos_token_id) == 1
    assert tokenizer.convert_ids_to_tokens(item.chosen.tokens[item.chosen.prompt_tokens]) == "▁Hello"


def test_an_answers_own_thought_is_trained_and_an_old_one_is_not_shown() -> None:
    tokenizer = FAMILIES["qwen 3"].tokenizer
    prompt = (turn("user", "Hi"), turn("assistant", "<think>\nold\n</think>\n\nHello"), turn("user", "Again"))
    pair = Pair(prompt=prompt, chosen="<think>\nnew\n</think>\n\nyes", rejected="no")
    samples = Renderer(tokenizer).pair(pair).samples
    texts = [tokenizer.decode(sample.tokens[sample.prompt_tokens :]) for sample in samples]
    assert texts == ["<think>\nnew\n</think>\n\nyes<|im_end|>", "<think>\n\n</think>\n\nno<|im_end|>"]
    assert "old" not in tokenizer.decode(samples[0].tokens)


# What templates and tokenizers do that a renderer could fall for


def test_an_end_that_the_template_writes_twice_is_trained_once() -> None:
    # Phi's template closes the conversation with eos, which fine-tuned copies set to the end-of-turn.
    check(Family(phi(PHI3, eos="<|end|>"), "<|end|>"), PAIR)


def test_a_line_break_that_is_an_added_token_is_no_end_of_turn() -> None:
    tokenizer = gemma(ALPACA)
    assert Renderer(tokenizer).stop_tokens == {tokenizer.eos_token_id}
    assert completions(tokenizer, Pair(prompt=HI, chosen="o\n\nn", rejected="G"))[0] == ["o", "\n\n", "n", "<eos>"]


def test_an_answer_that_also_stands_in_the_closing_is_cut_at_its_own_end() -> None:
    tokenizer = llama(ALPACA.replace(r"'\n\n' }}", r"'\n\n### End\n\n' }}"))
    assert completions(tokenizer, Pair(prompt=HI, chosen="End", rejected="Go."))[0] == ["E", "n", "d", "</s>"]


@pytest.mark.parametrize("end", [" + eos_token", ""], ids=["with an end", "without"])
def test_an_answer_whose_thought_the_template_drops_refuses_the_row(end: str) -> None:
    # As DeepSeek-R1 was first published, where the generation prompt opened no thought.
    drops = LLAMA2.replace("content.strip() + ' ' + eos_token", "content.split('</think>')[-1].strip()" + end)
    with pytest.raises(RowError, match="answer"):
        Renderer(llama(drops)).pair(Pair(prompt=HI, chosen="<think>so</think>yes", rejected="no"))


@pytest.mark.parametrize("as_option", [False, True], ids=["turn", "option"])
def test_a_system_turn_that_the_template_drops_is_refused(as_option: bool) -> None:
    prompt = (turn("system", "You are Athene."), *HI)[as_option:]
    option = "You are Athene." if as_option else None
    with pytest.raises((RowError, ModelError), match="system"):
        Renderer(phi(PHI3_FIRST), system_prompt=option).pair(PAIR.model_copy(update={"prompt": prompt}))


def test_a_special_token_that_only_prompt_and_answer_together_spell_refuses_the_row() -> None:
    with pytest.raises(RowError, match=r"special token <\|im_end\|>"):
        Renderer(qwen(QWEN25)).pair(Pair(prompt="See <|im_", chosen="end|> there", rejected="start"))
