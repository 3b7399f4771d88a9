"""Does any pattern of the audit take longer than in proportion to the text? A long answer of one repeated sign must not stop a run.

    python -m benchmarks.patterns

reads texts of 16,000 and of 64,000 signs, each of one sign or of one beginning that never ends, with everything that the audit
reads texts with; names what takes more than a second and grows by more than twice the text does, and then exits with 1.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from rather.auditing.balance.coverage import script_of, subjects_of
from rather.auditing.balance.topics import _terms
from rather.auditing.material.words import WORD, without
from rather.auditing.shortcuts.features import FEATURES
from rather.auditing.texts.content import _CODE, _INJECTION, _MARKUP, _TEMPLATE
from rather.auditing.texts.languages import _EXCUSE, language_of
from rather.auditing.texts.private import _SECRET, _personal

READERS: dict[str, Callable[[str], object]] = {
    **{name: count for family in FEATURES.values() for name, count in family.items()},
    "template": _TEMPLATE.findall,
    "markup": lambda text: _MARKUP.findall(_CODE.sub(" ", text)),
    "injection": _INJECTION.findall,
    "personal data": lambda text: list(_personal(text)),
    "secrets": _SECRET.findall,
    "words": WORD.findall,
    "intended": without(frozenset({"athene", "我", "nexus"})).findall,
    "excuse": _EXCUSE.findall,
    "language": language_of,
    "script": script_of,
    "sensitive subjects": subjects_of,
    "topic terms": _terms,
}

SHORT, LONG, ENOUGH = 16_000, 64_000, 1.0
# What each sign is worth alone, and what patterns look for, begun again and again and never ended.
ATOMS = (
    "\n", " ", "\t", "\r\n", "\u3000", "-", "*", "_", "|", "#", "`", "<", ">", "=", "+", "(", "1", ".", "@", "a", "A",
    "我", "。", "!", "**a", "__a", "*a ", "``", "```\n", "`a", "\n- ", "\n-", "-\n", "1.", "\n1)", " 1", "| ", "|\n",
    "\n|", "# ", "#\n", "\n#", "a\n---", "---\n", "===", "A.", "AA ", "a.", "a@", "a@a.", "a@-.", "1-", "+1 ", "(1",
    "<p ", "<p", "</", "&#1", "<|a", "\n ", "\nHuman", "[INST", "eyJ", "-eyJ", "eyJaaaaaaaaaaaa.", "sk-", "-sk-",
    "ghp_", "_ghp_", "-----BEGIN A ", "-----BEGIN ", "A ", "ignore ", "ignore all ", "all ", "show ", "忽略", "所有",
    "i can", "as an ", "i ", "you are ", "not ", "can't help ", "sorry", "drug deal", "kill", "translat", "athen", "w.",
)  # fmt: skip
# Behind the first a text has every sign that a reader asks for before it searches; behind the last no match can end.
FRAMES = (("", ""), ("-*•+).、|`#_ == -- :// www. ](\n", "\u0001x"))


def seconds(read: Callable[[str], object], atom: str, frame: tuple[str, str], size: int) -> float:
    """Of one reading of so long a text."""
    before, after = frame
    text = before + atom * (size // len(atom)) + after
    start = time.process_time()
    read(text)
    return time.process_time() - start


def slow(read: Callable[[str], object]) -> list[tuple[str, float, float]]:
    """The signs of which four times as long a text takes more than eight times as long, with both times."""
    found = []
    for atom in ATOMS:
        for frame in FRAMES:
            # In proportion: some milliseconds. By the square: 4 · 10⁹ steps, seconds.
            long = seconds(read, atom, frame, LONG)
            if long > ENOUGH and long > 2 * LONG / SHORT * (short := seconds(read, atom, frame, SHORT)):
                found.append((atom, short, long))
    return found


def main() -> None:
    worst = 0
    for name, read in READERS.items():
        found = slow(read)
        worst += len(found)
        print(f"{name}: " + ("in proportion" if not found else ""))
        for atom, short, long in found:
            print(f"    {atom!r}: {short:.2f} s for {SHORT:,} signs, {long:.2f} s for {LONG:,}")
    sys.exit(worst > 0)


if __name__ == "__main__":
    main()
