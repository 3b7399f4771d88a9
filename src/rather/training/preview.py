"""Show pairs as they will be trained: every token, the completion in colour, what is cut off, the end-of-turn."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from rather.errors import RowError
from rather.formats import Source, load_examples
from rather.model import Renderer, Sample, TokenExample, TokenPair, load_tokenizer
from rather.records import JUDGED, Single

_CHOSEN, _REJECTED, _END = "green", "red", "reverse"


def preview(
    pairs: Source,
    *,
    model: str,
    limit: int = 3,
    max_length: int = 1024,
    as_chat: bool = False,
    system_prompt: str | None = None,
) -> None:
    """Print the first `limit` pairs token by token. Rows that would be refused are shown with their reason."""
    renderer = Renderer(load_tokenizer(model), max_length=max_length, system_prompt=system_prompt)
    shown, refused, _ = load_examples(pairs, limit=limit, as_chat=as_chat)
    renderer.require_system_prompt_acts([pair.prompt for pair in shown])
    console = Console(highlight=False)
    for refusal in refused:
        console.print(Text(f"{refusal.place}: refused: {refusal.reason}"))
    for pair in shown:
        try:
            _show(console, renderer, renderer.example(pair))
        except RowError as error:
            console.print(Text(f"{pair.source}: refused: {error.reason}"))


def _show(console: Console, renderer: Renderer, item: TokenExample) -> None:
    console.rule(Text(f"{item.record.source or item.record.id}"))
    said = [f"{name} {value:g}" for name in JUDGED if (value := getattr(item.record, name, None)) is not None]
    if said:
        console.print(Text(", ".join(said)))
    prompt = item.samples[0].tokens[: item.samples[0].prompt_tokens]
    console.print(Text(f"prompt, {len(prompt)} tokens, given and not trained"))
    console.print(_tokens(renderer, prompt, "dim"))
    cuts = (item.chosen_truncated, item.rejected_truncated) if isinstance(item, TokenPair) else item.truncated
    names = [name for name, _ in item.record.named]
    if isinstance(item.record, Single):
        names = [f"completion, {'good' if item.record.label else 'bad'}"]
    for place, (name, sample, cut) in enumerate(zip(names, item.samples, cuts, strict=True)):
        style = _CHOSEN if place < len(item.record.good) else _REJECTED
        fate = "cut at --max-length: no end-of-turn" if cut else "ends its turn"
        console.print(Text(f"{name}, {sample.completion_tokens} tokens trained, {fate}"))
        console.print(_completion(renderer, sample, style, cut=cut))


def _completion(renderer: Renderer, sample: Sample, style: str, *, cut: bool) -> Text:
    tokens = sample.tokens[sample.prompt_tokens :]
    text = _tokens(renderer, tokens if cut else tokens[:-1], style)
    if cut:
        return text.append(" ✂", style="bold yellow")
    return text.append(renderer.token_text(tokens[-1]), style=f"{style} {_END}")


def _tokens(renderer: Renderer, tokens: tuple[int, ...], style: str) -> Text:
    """Tokens parted by "|", without which their borders could not be seen in print or without colour."""
    return Text("|", style="dim").join(Text(renderer.token_text(token), style=style) for token in tokens)
