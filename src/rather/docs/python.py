"""docs/api.md: every public name of `rather`. A name, or a parameter of one, that nobody explained is an error."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pydantic import BaseModel

import rather
from rather.app import app
from rather.cli import VERBS
from rather.config import Config
from rather.docs.commands import rows
from rather.errors import RatherError

# What a call has in common with others and a command line does not.
COMMON = {
    "config": "the options as one object, in place of naming them",
    "options": "the options by name; they are checked as on the command line",
    "out": "folder that is written",
    "format": "name of the form, where it shall not be recognised",
    "judge": "name of who judged, where rows do not say",
    "by": "people, model, metric, …: what kind of judge",
}


def page() -> str:
    """The page."""
    verbs = [name for name in rather.__all__ if name in VERBS]
    others = [name for name in rather.__all__ if name not in VERBS]
    return f"""# Python

Written by `make docs` from the code; do not edit.

`import rather` needs no torch: a name is imported when it is first used. The verbs of the command line are functions with the
same names and parameters; options are given by name (`rather.train(…, beta=0.1)`) or as one config object. Errors are
`rather.RatherError` with a message fit to show. Losses are in `rather.losses.LOSSES` ([losses](losses.md)).

```python
import rather

pairs = rather.read_pairs("pairs.jsonl")  # what is usable, and what was refused and why
print(len(pairs.records), len(pairs.refused))
print(rather.audit("pairs.jsonl").verdict)  # pass, warn or stop
```

## Verbs

{chr(10).join(_function(name) for name in verbs)}
## Values and helpers

{chr(10).join(_function(name) if inspect.isfunction(getattr(rather, name)) else _value(name) for name in others)}"""


def _function(name: str) -> str:
    function = getattr(rather, name)
    signature = inspect.signature(function)
    said = _doc(name)
    known = _parameters(name)
    table = ["| parameter | default | |", "|---|---|---|"]
    for each in signature.parameters.values():
        meaning = known.get(each.name) or _in_docstring(said, each.name) or COMMON.get(each.name)
        if not meaning:
            raise RatherError(f"rather.{name}: nobody says what {each.name} is; write it into the docstring")
        shown = "required" if each.default is each.empty and each.kind is not each.VAR_KEYWORD else _shown(each.default)
        stars = "**" if each.kind is each.VAR_KEYWORD else ""
        table.append(f"| `{stars}{each.name}` | {shown} | {meaning} |")
    return f"### `rather.{name}`\n\n```text\n{said}\n```\n\n" + "\n".join(table) + "\n"


def _value(name: str) -> str:
    value = getattr(rather, name)
    text = f"### `rather.{name}`\n\n```text\n{_doc(name)}\n```\n"
    if inspect.isclass(value) and issubclass(value, Config):
        return text + f"\nIts fields are in [config](config.md#{value.__name__.lower()}).\n"
    if inspect.isclass(value) and issubclass(value, BaseModel):
        table = ["| field | default |", "|---|---|"]
        table += [
            f"| `{field}` | {'required' if info.is_required() else _shown(info.get_default(call_default_factory=True))} |"
            for field, info in value.model_fields.items()
        ]
        text += "\n" + "\n".join(table) + "\n"
    return text


def _doc(name: str) -> str:
    said = inspect.getdoc(getattr(rather, name))
    if not said:
        raise RatherError(f"rather.{name} has no docstring")
    return textwrap.dedent(said).strip()


def _parameters(name: str) -> Mapping[str, str]:
    """What the command of that name says of its options."""
    if name not in VERBS:
        return {}
    import_module(VERBS[name])
    found = {}
    for option, _, _, said in rows(f"rather {name}", app[name]):
        found[option.split("`")[0].lstrip("-").replace("-", "_").lower()] = said
    return found


def _in_docstring(said: str, parameter: str) -> str | None:
    """Whether the docstring speaks of it: in backticks, or at the beginning of a line that explains it."""
    if re.search(rf"`{parameter}`|`out/|^{parameter}\b[:,]?", said, flags=re.M):
        return "see above"
    return None


def _shown(default: Any) -> str:
    if default is inspect.Parameter.empty or default is None or default in ((), {}, []):
        return ""
    return f"`{default!r}`"
