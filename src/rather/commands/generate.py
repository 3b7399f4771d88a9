"""The command `rather generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from rather.app import app
from rather.errors import ConfigError
from rather.generation.config import GenerateConfig

Names = Annotated[list[str] | None, Parameter(negative="", consume_multiple=False)]


@app.command
def generate(
    questions: Path,
    /,
    *,
    out: Path,
    model: Names = None,
    limit: int | None = None,
    as_chat: Annotated[bool, Parameter(negative="")] = False,
    skip_bad: Annotated[bool, Parameter(negative="")] = False,
    correct: Path | None = None,
    ray: int | None = None,
    ray_address: str | None = None,
    config: Annotated[GenerateConfig | None, Parameter(name="*")] = None,
) -> None:
    """Ask a model for several answers to each question. The same command goes on where it was stopped.

    Parameters
    ----------
    questions
        Text with a question a line, rows with a prompt, or any file of pairs, whose prompts are asked.
    out
        Folder for responses.jsonl, refused.jsonl, diversity.json, manifest.json.
    model
        A folder in Hugging Face layout, a hub id, or a catalogued name (smollm2-135m-instruct). May be repeated.
    limit
        Ask the first so many different questions; rows behind them are not looked at.
    as_chat
        Make each plain-text prompt a user's turn.
    skip_bad
        List rows that cannot be asked in refused.jsonl and go on without them.
    correct
        TOML file of rules: each answer that they change becomes a pair, as they make it over as it was.
    ray
        Answer on so many workers of a Ray cluster: of one of this machine's own, if no address is given.
    ray_address
        HOST:PORT of a running Ray cluster that this machine is part of, or auto.
    """
    from rather.generation.run import generate as run

    if limit is not None and limit < 1:
        raise ConfigError(f"--limit {limit}: must be 1 or more")
    result = run(
        questions, out=out, model=model or (), limit=limit, as_chat=as_chat, skip_bad=skip_bad, correct=correct,
        ray=ray, ray_address=ray_address, config=config,
    )  # fmt: skip
    print(summary(result.figures))
    print(f"responses: {result.responses}")
    if result.pairs:
        made = result.figures["correction"]
        why = "".join(f", {reason}: {count:,}" for reason, count in made["skipped"].items())
        print(f"{made['pairs']:,} pairs by correction{why}")
        print(f"pairs: {result.pairs}")


def summary(figures: dict[str, Any]) -> str:
    """What came of it, in one line."""
    said = [f"{figures['answers']:,} answers to {figures['questions']:,} questions"]
    said += [f"{figures[name]:,} {what}" for name, what in _TOLD.items() if figures[name]]
    found = figures["diversity"]
    if found["distinct_2"] is not None:
        said.append(f"distinct-2 {found['distinct_2']:.2f}")
    if found["self_bleu"] is not None:
        said.append(f"self-BLEU {found['self_bleu']:.0f}, near duplicates {found['near_duplicates']:,}")
    return ", ".join(said)


_TOLD = {
    "merged": "the same as another and merged",
    "unfinished": "cut at --max-new-tokens",
    "empty": "empty",
    "unusable": "not usable as text",
    "not_asked": "not asked",
}
