"""Checks for what no answer should hold: a chat template's marks, left-over markup, orders to a model, people's data, secrets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from rather.auditing.findings import EXAMPLES, AuditInput, by_share, shown
from rather.records import Bars, Example, Finding

_TEMPLATE_HINTS = (
    "<|", "INST]", "<<SYS", "<s>", "</s>", "_of_turn>", "Human:", "Assistant:", "USER:", "ASSISTANT:", "### ",
)  # fmt: skip
_TEMPLATE = re.compile(
    r"<\|[A-Za-z_]{2,30}\|>|\[/?INST\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>"
    r"|(?:^|\n)[ \t]*(?:(?:Human|Assistant|USER|ASSISTANT):|### (?:Instruction|Response|Human|Assistant|Input)\b)"
)
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_MARKUP_HINTS = ("</", "/>", "<br", "&nbsp;", "&amp;", "&lt;", "&gt;", "&quot;", "&#", "\ufffd")
_MARKUP = re.compile(
    r"</?(?:p|br|div|span|a|b|i|ul|ol|li|table|tr|td|strong|em|h[1-6]|font|img)\b[^<>\n]{0,200}/?>"
    r"|&(?:nbsp|amp|lt|gt|quot|#\d{2,5});|\ufffd",
    re.IGNORECASE,
)
_INJECTION_HINTS = (
    "ignore", "disregard", "forget", "system prompt", "jailbreak", "do anything now", "developer mode", "忽略", "无视", "系统提示",
)  # fmt: skip
_INJECTION = re.compile(
    r"\b(?:ignore|disregard|forget)\b[^.\n]{0,30}\b(?:previous|prior|above|earlier|preceding|all)\b[^.\n]{0,20}"
    r"\b(?:instructions?|prompts?|rules|directions|context)\b"
    r"|\b(?:reveal|print|show|repeat|output)\b[^.\n]{0,20}\bsystem prompt\b"
    r"|\b(?:jailbreak(?:ed|ing)?|do anything now|developer mode (?:enabled|on))\b"
    r"|(?:忽略|无视)[^。\n]{0,8}(?:之前|以上|上面|先前|前面|所有)[^。\n]{0,6}(?:指令|指示|提示|规则|要求)"
    r"|(?:输出|显示|告诉我|透露)[^。\n]{0,8}系统提示",
    re.IGNORECASE,
)


def template_tokens(given: AuditInput) -> list[Finding]:
    """Marks of a chat template inside an answer teach the model to write the next turn itself."""

    def found_in(text: str) -> re.Match[str] | None:
        return _TEMPLATE.search(text) if any(hint in text for hint in _TEMPLATE_HINTS) else None

    return _in_answers(
        "template_tokens",
        given,
        found_in,
        message="have a chat template's marks inside an answer",
        cure="cut the answers where the next turn begins, or drop them: the model would learn to speak for the user",
    )


def markup(given: AuditInput) -> list[Finding]:
    """HTML tags, entities and broken characters outside code: what a web page left behind."""

    def found_in(text: str) -> re.Match[str] | None:
        if not any(hint in text for hint in _MARKUP_HINTS):
            return None
        return _MARKUP.search(_CODE.sub(" ", text))

    return _in_answers(
        "markup",
        given,
        found_in,
        message="have HTML or broken characters in an answer, outside code",
        cure="convert it to plain text or Markdown, or drop them",
    )


def prompt_injection(given: AuditInput) -> list[Finding]:
    """Orders to a model ("ignore all previous instructions"), in prompts and in answers."""

    def found_in(text: str) -> re.Match[str] | None:
        lower = text.lower()
        return _INJECTION.search(lower) if any(hint in lower for hint in _INJECTION_HINTS) else None

    return _in_answers(
        "prompt_injection",
        given,
        found_in,
        message="hold an order that is meant to override a model's instructions",
        cure="look at them: unless refusing such orders is the lesson, drop them",
        prompts=True,
    )


def _in_answers(
    check: str,
    given: AuditInput,
    found_in: Callable[[str], re.Match[str] | None],
    *,
    message: str,
    cure: str,
    prompts: bool = False,
) -> list[Finding]:
    """One finding on the records in whose texts something is found, with what it was and where."""
    found: list[Example] = []
    why: list[str] = []
    what: Counter[str] = Counter()
    sides: Counter[str] = Counter()
    for record in given.records:
        here = [(side, match) for side, text in texts_of(record, prompts=prompts) if (match := found_in(text))]
        if here:
            found.append(record)
            what.update({" ".join(match[0].split())[:40] for _, match in here})
            sides.update({side for side, _ in here})
            if len(why) < EXAMPLES:
                why.append("; ".join(f'{side}: "{" ".join(match[0].split())[:60]}"' for side, match in here))
    (finding,) = by_share(check, found, given, message=message, cure=cure)
    chart = count_bars("What was found", what)
    return [
        finding.model_copy(
            update={
                "examples": tuple(shown(record, reason) for record, reason in zip(found, why, strict=False)),
                "evidence": {**finding.evidence, "by_side": dict(sides)},
                "plots": chart if finding.verdict != "pass" else (),
            }
        )
    ]


def texts_of(record: Example, *, prompts: bool) -> list[tuple[str, str]]:
    """(where, text) of the answers, and of the prompt's turns on request."""
    asked: Sequence[tuple[str, str]] = ()
    if prompts:
        turns = (record.prompt,) if isinstance(record.prompt, str) else [turn.content for turn in record.prompt]
        asked = [("prompt", turn) for turn in turns]
    return [*asked, *record.named]


def count_bars(title: str, counts: Counter[str]) -> tuple[Bars, ...]:
    """A chart of what was found most; none where there is nothing to tell apart."""
    most = counts.most_common(12)
    if len(most) < 2:
        return ()
    names, values = zip(*most, strict=True)
    return (Bars(title=title, unit="in so many", names=names, values=tuple(float(value) for value in values)),)
