"""What a long count has done so far, in a file, so that the same command goes on where it was stopped."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rather


@dataclass
class Done:
    """What was counted before, in a file; kept after each count, so that a killed run loses one."""

    file: Path | None
    of: dict[str, Any]
    counts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path | None, **of: Any) -> Done:
        """That of a run of the same code, seeds and pairs; else nothing."""
        of["code"] = code()
        if file is None or not file.exists():
            return cls(file, of)
        kept = json.loads(file.read_text(encoding="utf-8"))
        return cls(file, of, kept["counts"] if kept["of"] == of else {})

    def keep(self, key: str, count: Any) -> None:
        self.counts[key] = count
        if self.file is not None:
            spare = self.file.with_name(self.file.name + ".new")
            spare.write_text(json.dumps({"of": self.of, "counts": self.counts}), encoding="utf-8")
            spare.replace(self.file)


def code() -> str:
    """A hash of everything that a count depends on."""
    digest = hashlib.sha256()
    own = [file for file in Path(__file__).parent.glob("plant*.py") if file.stem != "planted_preferences"]
    sources = [*Path(rather.__file__).parent.glob("auditing/**/*.py"), *own]
    for source in sorted(sources):
        digest.update(source.read_bytes())
    return digest.hexdigest()
