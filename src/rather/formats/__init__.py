"""File formats ⇄ records.

read_pairs(source) -> Reading: the pairs (or ranked lists, or single answers), what was refused and why, and the columns that
nothing read. iter_examples and iter_judgments give the same one record at a time.
"""

from rather.formats.conversion import Converted, convert
from rather.formats.examples import (
    READERS,
    Reading,
    Source,
    data_hash,
    iter_examples,
    keep_examples,
    load_examples,
    load_pairs,
    name_of,
    only_pairs,
    read_pairs,
)
from rather.formats.judgments import JUDGMENT_READERS, iter_judgments, judgment_rows
from rather.formats.refusals import Refusal, require_clean, rows_said, say_refused
from rather.formats.targets import TARGETS
from rather.formats.votes import read_votes
from rather.formats.writing import WRITERS, write_jsonl, write_pairs, write_refused

__all__ = [
    "JUDGMENT_READERS", "READERS", "TARGETS", "WRITERS", "Converted", "Reading", "Refusal", "Source", "convert",
    "data_hash", "iter_examples", "iter_judgments", "judgment_rows", "keep_examples", "load_examples", "load_pairs", "name_of",
    "only_pairs",
    "read_pairs", "read_votes", "require_clean", "rows_said", "say_refused", "write_jsonl", "write_pairs", "write_refused",
]  # fmt: skip
