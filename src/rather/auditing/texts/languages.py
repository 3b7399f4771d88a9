"""The language of prompts and answers, told by script and by function words: no model, and nothing to install.

A text speaks for itself or not at all: one of few letters, or of words that are in no list, has no language here and is passed
over.
"""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from rather.auditing.findings import EXAMPLES, AuditInput, by_share, shown
from rather.records import Bars, Example, Finding

# A script is a text's own with so many letters of it, and so great a share of all letters.
LETTERS, SHARE = 8, 0.7
# A language is told by so many function words, and so many times as many as of the next one.
WORDS, TIMES = 4, 2
# Of a larger set every so many-th record is looked at.
AT_MOST = 50_000
# Beginnings tell a language as well as whole texts do.
BEGIN = 400

_SCRIPTS = {
    "Japanese": re.compile(r"[\u3040-\u30ff]"),
    "Chinese": re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]"),
    "Korean": re.compile(r"[\uac00-\ud7af]"),
    "Cyrillic": re.compile(r"[\u0400-\u04ff]"),
    "Greek": re.compile(r"[\u0370-\u03ff]"),
    "Arabic": re.compile(r"[\u0600-\u06ff]"),
    "Hebrew": re.compile(r"[\u0590-\u05ff]"),
    "Devanagari": re.compile(r"[\u0900-\u097f]"),
    "Thai": re.compile(r"[\u0e00-\u0e7f]"),
}
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
_WORD = re.compile(r"[a-z\u00df-\u024f]+")

# Frequent words; those that two languages share speak for both, and so for neither.
_FUNCTION_WORDS = {
    "English": "the of and to in is that it for you are with as this have be not what can how your my they do would there",
    "French": "le la les des du est et une pour dans que qui pas vous je il elle nous avec sur ce cette sont au aux plus ne",
    "German": "der die das und ist nicht ein eine ich sie mit auf für den dem des von zu wir auch es sich wie aber oder sind",
    "Spanish": "el la los las de que es y en un una por con para no se su como más pero sus lo está son del al muy si",
    "Italian": "il la che di è e un una per con non sono del della dei delle si come più ma gli le nel anche questo ha",
    "Portuguese": "o a os as de que é e um uma para com não em do da dos das se por mais como mas você seu sua ao são",
    "Dutch": "de het een en van is dat niet op te voor met zijn er aan ook als maar bij om dan nog wel naar uit je",
}  # fmt: skip
_LANGUAGES_OF = {
    word: [name for name, words in _FUNCTION_WORDS.items() if word in words.split()]
    for word in {word for words in _FUNCTION_WORDS.values() for word in words.split()}
}

_EXCUSE = re.compile(
    r"translat|traduc|tradui|übersetz|翻译|翻譯|英文|英语|中文|汉语|法语|德语|日语"
    r"|\b(?:english|french|german|spanish|italian|portuguese|dutch|chinese|mandarin|japanese|korean|russian|arabic|hindi|greek|latin)\b",
    re.IGNORECASE,
)


def language_of(text: str) -> str | None:
    """The text's language (of some scripts their common name), or None where it cannot be told."""
    begin = text[:BEGIN]
    if begin.isascii():
        return _by_words(begin)
    counts = {name: len(script.findall(begin)) for name, script in _SCRIPTS.items()}
    latin = len(_LATIN.findall(begin))
    if counts["Japanese"] >= 2:  # kana stand between the same characters that Chinese is written in
        counts["Japanese"] += counts.pop("Chinese")
    name, most = max(counts.items(), key=lambda item: item[1])
    # An English word has five letters where a Chinese one has two characters.
    weight = 2 if name in ("Chinese", "Japanese", "Korean") else 1
    if most * weight >= LETTERS and most * weight >= SHARE * (most * weight + latin):
        return name
    return _by_words(begin) if latin >= SHARE * (latin + most * weight) else None


def _by_words(text: str) -> str | None:
    votes: dict[str, int] = {}
    for word in filter(_LANGUAGES_OF.__contains__, _WORD.findall(text.lower())):
        for name in _LANGUAGES_OF[word]:
            votes[name] = votes.get(name, 0) + 1
    best = sorted(votes.items(), key=lambda vote: -vote[1])[:2]
    if not best or best[0][1] < WORDS:
        return None
    return best[0][0] if len(best) == 1 or best[0][1] >= TIMES * best[1][1] else None


def other_language(given: AuditInput) -> list[Finding]:
    """Answers in another language than their prompt, and pairs whose two sides are in different ones.

    A prompt that speaks of translating, or names a language, excuses its answers. Of a large set every so many-th is looked at.
    """
    every = -(-len(given.records) // AT_MOST) or 1
    rows = np.arange(0, len(given.records), every)
    answered: list[int] = []
    divided: list[int] = []
    spoken: Counter[str] = Counter()
    for row, turns, answers in zip(rows.tolist(), given.packed.turns(rows), given.packed.answers(rows), strict=True):
        known = {language for text in answers if (language := language_of(text))}
        spoken.update(known)
        if len(known) > 1:
            divided.append(row)
        if known:
            last = turns[-1][1]
            asked = language_of(last)
            if asked and known - {asked} and not _EXCUSE.search(last):
                answered.append(row)
    sampled = f" (every {every}th was looked at)" if every > 1 else ""
    findings = by_share(
        "other_language",
        answered,
        given,
        message=f"have an answer in another language than the prompt{sampled}",
        cure="drop them, unless they translate: the model would learn to change the language",
        of=len(rows),
    )
    findings += (
        []
        if given.kind == "sample"
        else by_share(
            "other_language",
            divided,
            given,
            message=f"have answers in different languages, by which alone they can be told apart{sampled}",
            cure="pair answers of one language",
            limits=given.thresholds.two_languages,
            of=len(rows),
        )
    )
    return [
        finding.model_copy(
            update={
                "examples": tuple(
                    shown(record, _said(record)) for record in map(given.records.__getitem__, found[:EXAMPLES])
                ),
                "plots": _chart(spoken) if finding.verdict != "pass" else (),
                "evidence": {**finding.evidence, "languages": dict(spoken.most_common(8))},
            }
        )
        for finding, found in zip(findings, (answered, divided), strict=False)
    ]


def _said(record: Example) -> str:
    last = record.prompt if isinstance(record.prompt, str) else record.prompt[-1].content
    answers = " and ".join(language_of(text) or "?" for text in record.answers)
    return f"asked in {language_of(last) or '?'}, answered in {answers}"


def _chart(spoken: Counter[str]) -> tuple[Bars, ...]:
    names, values = zip(*spoken.most_common(8), strict=True)
    unit = "records with an answer in it"
    return (Bars(title="Languages of the answers", unit=unit, names=names, values=tuple(map(float, values))),)
