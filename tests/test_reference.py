"""The reference: every command, option, public name and step is in it, and what nobody explained is an error."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import rather
from rather.cli import VERBS
from rather.config import Config
from rather.docs import commands, configs, pages, python, runs
from rather.errors import RatherError

SOURCE = Path(__file__).parents[1] / "src" / "rather"


def test_every_command_has_a_section_and_every_option_a_row() -> None:
    page = commands.page()
    found = dict(commands.commands())
    assert set(VERBS) == {path.split()[1] for path in found}
    assert {"rather annotate invite", "rather signals serve"} <= set(found)
    for path, command in found.items():
        section = page.split(f"## `{path}`\n", 1)[1].split("\n## ", 1)[0]
        for argument in command.assemble_argument_collection() if command.default_command else ():
            assert argument.name == "*" or f"`{argument.name}`" in section, (path, argument.name)


def test_an_option_without_help_is_an_error() -> None:
    from cyclopts import App

    bare = App(name="bare")

    @bare.default
    def bare_command(*, silent: int = 1) -> None:
        """Say nothing."""

    with pytest.raises(RatherError, match="rather bare --silent: no word of help"):
        list(commands.rows("rather bare", bare))


def test_every_public_name_and_parameter_is_documented() -> None:
    page = python.page()
    for name in rather.__all__:
        section = page.split(f"### `rather.{name}`\n", 1)[1].split("\n### ", 1)[0]
        value = getattr(rather, name)
        if inspect.isfunction(value):
            for parameter in inspect.signature(value).parameters:
                row = re.search(rf"^\| `\**{parameter}` \|[^|]*\|(.*)\|$", section, flags=re.M)
                assert row is not None, (name, parameter)
                assert len(row.group(1).strip()) > 3, (name, parameter)


def test_a_public_name_without_a_word_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def mute(path: str, other: int = 0) -> None:
        """Reads `path`."""

    monkeypatch.setattr(rather, "mute", mute, raising=False)
    monkeypatch.setattr(rather, "__all__", [*rather.__all__, "mute"])
    with pytest.raises(RatherError, match=r"rather\.mute: nobody says what other is"):
        python.page()
    mute.__doc__ = None
    with pytest.raises(RatherError, match=r"rather\.mute has no docstring"):
        python.page()


def test_every_public_config_is_in_the_page() -> None:
    public = {
        name for name in rather.__all__ if inspect.isclass(value := getattr(rather, name)) and issubclass(value, Config)
    }
    told = {config.__name__: config for several in configs.CONFIGS.values() for config in several}
    assert public <= set(told)
    page = configs.page()
    for name, config in told.items():
        section = page.split(f"## {name}\n", 1)[1].split("\n## ", 1)[0]
        assert all(f"`--{field.replace('_', '-')}`" in section for field in config.model_fields), name


def test_every_variable_that_is_read_is_in_the_page() -> None:
    read = {
        name
        for file in SOURCE.rglob("*.py")
        for name in re.findall(r"RATHER_[A-Z_]+", file.read_text(encoding="utf-8"))
    }
    assert read
    assert read <= set(configs.VARIABLES)


def test_every_step_is_in_the_page_of_folders() -> None:
    page = runs.page()
    text = "\n".join(file.read_text(encoding="utf-8") for file in SOURCE.rglob("*.py"))
    steps = set(re.findall(r'(?:open_run|opened)\([^)]*?step="([^"]+)"', text, flags=re.S))
    assert {"train", "evaluate", "loop mix", "demo pairs"} <= steps
    assert {step for step in steps if f"## {step}\n" not in page and f"`{step}`" not in page} == set()


@pytest.mark.parametrize(
    ("step", "module", "names"),
    [
        ("generate", "rather.generation.run", ("LOG", "REFUSED", "DIVERSITY", "PAIRS", "EDITS")),
        ("judge", "rather.judging.run", ("JUDGMENTS", "VOTES", "REFUSED", "UNPARSABLE")),
        ("pair", "rather.pairing.run", ("PAIRS", "HELDOUT", "LOOSE", "TRUST", "REFUSED")),
        ("audit", "rather.training.gate", ("AUDIT", "REFUSED")),
        ("evaluate", "rather.evaluation.run", ("EVAL", "SAMPLES", "PAIRS", "SUITE_ROWS")),
        ("signals", "rather.collecting.run", ("JUDGMENTS", "REFUSED")),
        ("train", "rather.training.saving", ("MODEL", "BEST", "ADAPTER", "METRICS", "REFUSED", "AUDIT")),
    ],
)
def test_every_file_of_a_step_is_in_its_table(step: str, module: str, names: tuple[str, ...]) -> None:
    from importlib import import_module

    files = {each.rstrip("/") for key in runs.STEPS[step][1] for each in key.split(", ")}
    assert {getattr(import_module(module), name) for name in names} <= files


def test_generated_pages_link_to_pages_that_are_there() -> None:
    docs = SOURCE.parents[1] / "docs"
    for name in ("cli.md", "config.md", "api.md", "runs.md"):
        for target in re.findall(r"\]\(([\w/.-]+\.md)", pages()[name]):
            assert (docs / target).is_file(), (name, target)
