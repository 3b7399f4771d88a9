"""The model card: README.md in the model's folder, so that whoever gets the model knows what it was made of."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from pathlib import Path

from rather.auditing import Audit
from rather.records import NOUNS
from rather.rundir import versions
from rather.training.config import TrainConfig

CARD = "README.md"


def model_card(base: str, config: TrainConfig, audit: Audit, inputs: Mapping[str, str], *, pairs: int) -> str:
    """Markdown with the front matter of a model hub: base model, data by hash, objective, audit and what was let pass."""
    # A folder is no name on a hub, and nobody else's business.
    named = [] if Path(base).exists() else [f"base_model: {json.dumps(base, ensure_ascii=False)}"]
    trained = ", ".join(config.in_force["losses"]) or config.objective
    lines = [
        "---",
        "library_name: transformers",
        *named,
        "tags: [rather, preference-optimisation]",
        "---",
        "",
        "# A model trained on preferences with rather",
        "",
        f"- base model: {_plain(Path(base).name if Path(base).exists() else base)} (content hash `{inputs['model'][:16]}`)",
        f"- trained on {pairs:,} {NOUNS[audit.kind]} (data hash `{inputs['pairs']}`)",
        f"- objective: {trained}; learning rate {config.in_force['lr']:g}, {config.epochs} epochs, seed {config.seed}",
        f"- versions: {', '.join(f'{name} {version}' for name, version in versions().items())}",
        "",
        "## Audit of the data",
        "",
        f"Verdict: **{audit.verdict}**.{f' {_plain(audit.sample)}.' if audit.sample else ''}",
        "",
    ]
    for finding in audit.findings:
        if finding.verdict != "pass":
            lines.append(f"- {finding.verdict}: `{finding.check}`: {_plain(finding.message)}")
            reason = audit.reason(finding)
            lines += [f"  - let pass: {_plain(reason)}"] if reason is not None else []
    if all(finding.verdict == "pass" for finding in audit.findings):
        lines.append("Nothing was found.")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """One line in which nothing is HTML or Markdown; it may hold an answer's words."""
    line = html.escape(" ".join(text.split()), quote=False)
    return "".join(f"\\{sign}" if sign in "\\`*_[]#|" else sign for sign in line)
