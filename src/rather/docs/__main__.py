"""`python -m rather.docs`: write every page."""

from __future__ import annotations

from rather.docs import DOCS, pages

for name, content in pages().items():
    (DOCS / name).write_text(content, encoding="utf-8")
    print(DOCS / name)
