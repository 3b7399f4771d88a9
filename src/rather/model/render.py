"""From records to tokens: the only file that knows chat templates.

A conversation is rendered and tokenised once, whole, and the boundary between prompt and answer is found in tokens: it
lies where the tokens of the prompt alone and those of the whole conversation part. Exactly one end-of-turn is trained.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from rather.errors import ConfigError, ModelError, RowError
from rather.model.pack import Sample
from rather.records import Example, Message, Pair, Prompt, Response, told, turns
from rather.records.tools import names_of

_PROBE = "rather-probe"


@dataclass(frozen=True)
class TokenPair:
    """A pair as it will be trained. A truncated side has lost its end-of-turn."""

    pair: Pair
    chosen: Sample
    rejected: Sample
    chosen_truncated: bool
    rejected_truncated: bool

    @property
    def record(self) -> Pair:
        return self.pair

    @property
    def samples(self) -> tuple[Sample, Sample]:
        return self.chosen, self.rejected

    @property
    def same_tokens(self) -> bool:
        """True if nothing is left to tell the sides apart."""
        return self.chosen.tokens == self.rejected.tokens

    @property
    def tokens(self) -> int:
        """Tokens of both conversations, the prompt counted once: a cheap upper bound of what packing lays out."""
        return self.chosen.prompt_tokens + self.chosen.completion_tokens + self.rejected.completion_tokens


@dataclass(frozen=True)
class TokenList:
    """A ranked list or a single answer as it will be trained, an answer a sample. A truncated one has lost its end-of-turn."""

    record: Example
    samples: tuple[Sample, ...]
    truncated: tuple[bool, ...]

    @property
    def chosen_truncated(self) -> bool:
        """True if a good answer was cut: the best of a list, or a good single one."""
        return any(self.truncated[: len(self.record.good)])

    @property
    def rejected_truncated(self) -> bool:
        """True if another answer was cut."""
        return any(self.truncated[len(self.record.good) :])

    @property
    def same_tokens(self) -> bool:
        """True if nothing is left to tell two answers apart."""
        return len({sample.tokens for sample in self.samples}) < len(self.samples)

    @property
    def tokens(self) -> int:
        """Tokens of all conversations, the prompt counted once."""
        return self.samples[0].prompt_tokens + sum(sample.completion_tokens for sample in self.samples)


TokenExample = TokenPair | TokenList
"""What is trained on: `record`, `samples` in the order of its answers, `tokens`."""


class Renderer:
    """Turns prompts and pairs into token ids with a model's own tokenizer and chat template.

    max_length     tokens that a conversation may have; a longer answer is cut at its end
    stop_tokens    ids at which the model stops generating
    system_prompt  put before every conversation that has no system turn, in place of the template's own
    whole          keep what a template writes behind the end of the turn, as a scorer of rendered conversations sees it
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int = 1024,
        stop_tokens: frozenset[int] = frozenset(),
        system_prompt: str | None = None,
        whole: bool = False,
    ) -> None:
        if max_length < 2:
            raise ConfigError(f"--max-length {max_length}: must be 2 or more, a token of prompt and one of answer")
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.system_prompt = system_prompt
        self.whole = whole
        self.has_template = bool(tokenizer.chat_template)
        eos = tokenizer.eos_token_id
        self._text_end: int | None = eos if isinstance(eos, int) else None
        self._closing, self._chat_end = self._find_chat_end() if self.has_template else ("", None)
        self.stop_tokens = stop_tokens | {t for t in (self._text_end, self._chat_end) if t is not None}
        self._reserved = self._special_texts()

    def prompt_tokens(self, prompt: Prompt) -> list[int]:
        """What the model is given to answer `prompt`."""
        if isinstance(prompt, str):
            return self._encode_text(prompt)
        return self._encode(self._template(prompt, generation=True))

    def pair(self, pair: Pair) -> TokenPair:
        """Tokenise both conversations. Raises RowError where no honest training example can be made."""
        (chosen, rejected), (chosen_cut, rejected_cut) = self._samples(pair)
        return TokenPair(pair, chosen, rejected, chosen_truncated=chosen_cut, rejected_truncated=rejected_cut)

    def example(self, record: Example) -> TokenExample:
        """The same for a record of any kind."""
        return self.pair(record) if isinstance(record, Pair) else TokenList(record, *self._samples(record))

    def _samples(self, record: Example) -> tuple[tuple[Sample, ...], tuple[bool, ...]]:
        """The conversation of each answer, all with one prompt, and whether it was cut."""
        self._refuse_reserved(record)
        prompt = self.prompt_tokens(record.prompt)
        whole = [self._conversation(record.prompt, answer) for answer in record.answers]
        boundary = min(_shared(prompt, tokens) for tokens in whole)
        # A token that spans the border of prompt and answer moves the boundary back; the texts still agree there.
        if boundary < 1:
            raise RowError("the prompt and its answer begin with one token, so nothing is left to be given")
        if boundary >= self.max_length:
            raise RowError(
                f"the prompt has {boundary:,} tokens and leaves no room for an answer in {self.max_length:,} "
                "(--max-length)"
            )
        return (
            tuple(Sample(tuple(tokens[: self.max_length]), boundary) for tokens in whole),
            tuple(len(tokens) > self.max_length for tokens in whole),
        )

    def response(self, response: Response) -> Sample:
        """A generated answer as the model produced it, token by token."""
        prompt = self.prompt_tokens(response.question.prompt)
        return Sample((*prompt, *response.tokens), len(prompt))

    def adds_system_prompt(self, prompt: Prompt) -> bool:
        """True if `system_prompt` will stand before this conversation."""
        return self.system_prompt is not None and not isinstance(prompt, str) and told(prompt)[1][0].role != "system"

    def require_system_prompt_acts(self, prompts: Iterable[Prompt]) -> None:
        """Raise ConfigError where a system prompt was given and none of `prompts` takes it."""
        if self.system_prompt is not None and not any(self.adds_system_prompt(prompt) for prompt in prompts):
            raise ConfigError("--system-prompt does nothing: no prompt is a conversation without a system turn")

    def decode(self, tokens: list[int] | tuple[int, ...]) -> str:
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def token_text(self, token: int) -> str:
        """One token as text, special ones by name, line breaks visible; a part of a character as its bytes' stand-in."""
        return str(self.tokenizer.decode([token])).replace("\n", "⏎\n") or f"<{token}>"

    def _conversation(self, prompt: Prompt, answer: str) -> list[int]:
        """Tokens of prompt and answer up to and including the end-of-turn."""
        if isinstance(prompt, str):
            if self._text_end is None:
                raise ModelError("the tokenizer has no end-of-text token; set eos_token in tokenizer_config.json")
            return [*self._encode_text(prompt + answer), self._text_end]
        text = self._template(prompt, answer)
        asked = self._template(prompt, generation=True)
        if not text.startswith(asked):
            # What is trained would not be what is asked: a template that drops old turns or opens a thought by itself.
            raise RowError("the chat template renders the prompt differently once an answer follows it")
        if not text.endswith(self._closing):
            raise RowError("the chat template closes this answer otherwise than it closes a plain one")
        shown = _visible(text[len(asked) :])
        if any(_visible(part) not in shown for part in _parts(turns(prompt, answer)[-1])):
            raise RowError("the chat template does not show the whole answer")
        if self.whole:
            return self._encode(text)
        if self._chat_end is None:  # the template closes a turn with no token of its own
            if self._text_end is None:
                raise ModelError(
                    "neither template nor tokenizer has an end-of-turn token; set eos_token in tokenizer_config.json"
                )
            return [*self._encode(text.removesuffix(self._closing)), self._text_end]
        tokens = self._encode(text)
        # The text of an answer holds no end-of-turn, so the first behind the prompt is its own; a template may add others.
        return tokens[: tokens.index(self._chat_end, _shared(self._encode(asked), tokens)) + 1]

    def _template(self, messages: tuple[Message, ...], answer: str | None = None, *, generation: bool = False) -> str:
        """The conversation as the model's template writes it, with an answer if there is one."""
        if not self.has_template:
            raise ModelError(
                "the model has no chat template but the data are conversations; use a chat model, or put its "
                f"chat_template.jinja into {self.tokenizer.name_or_path or 'the model folder'}"
            )
        tools, shown = told(messages)[0] or None, turns(messages, answer)
        if self.adds_system_prompt(messages):
            shown.insert(0, {"role": "system", "content": self.system_prompt})
        try:
            text = str(
                self.tokenizer.apply_chat_template(shown, tools=tools, tokenize=False, add_generation_prompt=generation)
            )
        except (TemplateError, TypeError, ValueError) as error:
            cure = "; leave --system-prompt out" if self.adds_system_prompt(messages) else ""
            raise RowError(f"the chat template refuses this conversation: {error}{cure}") from error
        if generation:
            _require_shown(text, shown, tools)
        return text

    def _encode(self, text: str) -> list[int]:
        """Token ids of a rendered conversation; the template has already written every special token."""
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)

    def _encode_text(self, text: str) -> list[int]:
        """Token ids of plain text, with the tokenizer's own beginning-of-text and without its end."""
        tokens = list(self.tokenizer(text).input_ids)
        return tokens[:-1] if tokens and tokens[-1] == self._text_end else tokens

    def _find_chat_end(self) -> tuple[str, int | None]:
        """The first special token that the template puts behind an answer; None if it puts none.

        Raises ModelError for a template that does not show a plain question and its answer.
        """
        try:
            before, shown, closing = self._template((Message(role="user", content="?"),), _PROBE).rpartition(_PROBE)
        except RowError as error:
            raise ModelError(f"the model's chat template cannot be used: {error.reason}") from error
        if not shown or "?" not in before:
            raise ModelError("the model's chat template does not show text content; put another into its folder")
        # Some tokenizers have white space among their added tokens, and white space ends no turn.
        added = {token for token, text in self.tokenizer.added_tokens_decoder.items() if str(text).strip()}
        special = set(self.tokenizer.all_special_ids) | added
        return closing, next((token for token in self._encode(closing) if token in special), None)

    def _special_texts(self) -> tuple[str, ...]:
        """Texts that the tokenizer reads as special tokens, named ones and added ones, and the end of a turn."""
        added = [str(token) for token in self.tokenizer.added_tokens_decoder.values() if token.special]
        ends = [] if self._chat_end is None else [str(self.tokenizer.convert_ids_to_tokens(self._chat_end))]
        texts = {str(token) for token in (*self.tokenizer.all_special_tokens, *added, *ends)}
        return tuple(sorted(text for text in texts if text.strip()))

    def _refuse_reserved(self, record: Example) -> None:
        """Text that spells a special token would be read as one, and a second end-of-turn trained inside the answer."""
        before = record.prompt if isinstance(record.prompt, str) else ""  # the border of the two may spell one as well
        messages = [record.prompt] if isinstance(record.prompt, str) else [turn.content for turn in record.prompt]
        answers = [(name, before + text) for name, text in record.named]
        for name, text in [*(("prompt", message) for message in messages), *answers]:
            for token in self._reserved:
                if token in text:
                    raise RowError(f'"{name}" contains the model\'s special token {token}')


def _require_shown(text: str, shown: list[dict[str, Any]], tools: list[Any] | None) -> None:
    """Raise RowError where a template left out what would make it another conversation: a system turn, tools, or calls."""
    visible = _visible(text)
    if any(turn["role"] == "system" and _visible(turn["content"]) not in visible for turn in shown):
        raise RowError("the chat template leaves the system turn out")
    if any(_visible(name) not in visible for name in names_of(tools or [])):
        raise RowError("the chat template leaves the tools out; train a model whose template knows tools")
    if any(_visible(part) not in visible for turn in shown if "tool_calls" in turn for part in _parts(turn)):
        raise RowError("the chat template leaves a tool's call out; train a model whose template knows tools")


def _parts(turn: dict[str, Any]) -> list[str]:
    """What must be seen of a turn: what it says, what it calls, and the names of the arguments."""
    parts = [] if turn.get("content") is None else [turn["content"]]
    for call in turn.get("tool_calls", ()):
        parts += [call["function"]["name"], *call["function"]["arguments"]]
    return parts


def _visible(text: str) -> str:
    """Text without its white space, which templates trim and set as they like."""
    return "".join(text.split())


def _shared(left: list[int], right: list[int]) -> int:
    """Length of the common prefix."""
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return min(len(left), len(right))
