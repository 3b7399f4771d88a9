"""Pages are jinja2 templates; everything put into them is escaped but what rendering.py made safe."""

from __future__ import annotations

import json
import re
import time
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from rather.annotation.web.look import Look, plain_look


@cache
def _environment() -> Environment:
    from rather.annotation.accounts import SHORTEST_PASSWORD
    from rather.annotation.web import rendering, telling

    environment = Environment(
        loader=PackageLoader("rather.annotation.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "rendered": rendering.rendered,
        "is_long": rendering.is_long,
        "first_part": rendering.first_part,
        "rest": rendering.rest,
        "hidden_in": rendering.hidden_in,
        "shown_source": rendering.shown_source,
        "told": telling.told,
        "LETTERS": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "SHORTEST_PASSWORD": SHORTEST_PASSWORD,
    }
    environment.filters["moment"] = lambda at: time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(at))
    environment.filters["coded"] = lambda text: Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment


def render(name: str, look: Look | None = None, **values: Any) -> str:
    """A page of templates/`name`, as it looks to somebody; in English where nobody is known."""
    chosen = look or plain_look()
    return _environment().get_template(name).render(look=chosen, t=chosen.texts, **values)
