from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, ValidationError, model_validator

from rather.config import Config, read_toml
from rather.errors import ConfigError
from tests.conftest import WriteFile


class Oven(Config):
    """A config to test with."""

    degrees: float = Field(default=180.0, gt=0, le=300)
    """How hot."""
    fan_speed: int = Field(default=1, ge=0)
    heat: Literal["top", "bottom"] = "top"
    door_open: bool = False

    @model_validator(mode="after")
    def _closed(self) -> Oven:
        if self.door_open and self.fan_speed:
            raise ConfigError("--fan-speed does nothing with --door-open; close it")
        return self


def one_line(caught: pytest.ExceptionInfo[ConfigError]) -> str:
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_defaults_and_given_values():
    oven = Oven.build({"degrees": 200})
    assert (oven.degrees, oven.fan_speed, oven.heat) == (200.0, 1, "top")
    assert Oven.model_fields["degrees"].description == "How hot."


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("degres", 'did you mean "degrees"?'),
        ("fan-speed", 'did you mean "fan_speed"?'),
        ("xyz", "known are degrees, fan_speed, heat, door_open"),
    ],
)
def test_an_unknown_key_is_refused_with_a_hint(key: str, hint: str):
    with pytest.raises(ConfigError) as caught:
        Oven.build({key: 1}, where="oven.toml: ")
    assert one_line(caught) == f'oven.toml: unknown key "{key}"; {hint}'


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"degrees": 0}, "degrees = 0: input should be greater than 0"),
        ({"degrees": 301}, "degrees = 301: input should be less than or equal to 300"),
        ({"degrees": float("nan")}, "degrees = nan: input should be a finite number"),
        ({"degrees": float("inf")}, "degrees = inf: input should be a finite number"),
        ({"fan_speed": 1.5}, "fan_speed = 1.5: input should be a whole number"),
        ({"heat": "all"}, "heat = 'all': input should be 'top' or 'bottom'"),
        ({"degrees": "hot\n" * 100}, "degrees = 'hot\\nhot"),
    ],
)
def test_a_bad_value_names_key_value_and_range(values: dict, message: str):
    with pytest.raises(ConfigError) as caught:
        Oven.build(values, where="oven.toml: ")
    assert one_line(caught).startswith(f"oven.toml: {message}")
    assert len(one_line(caught)) < 200


def test_options_that_cannot_act_together_are_refused_at_their_place():
    with pytest.raises(ConfigError) as caught:
        Oven.build({"door_open": True}, where="oven.toml: ")
    assert one_line(caught) == "oven.toml: --fan-speed does nothing with --door-open; close it"
    with pytest.raises(ConfigError, match=r"^--fan-speed does nothing"):
        Oven(door_open=True)


def test_configs_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Oven().degrees = 1


def test_toml_with_a_byte_order_mark_is_read(write_file: WriteFile):
    assert read_toml(write_file(b"\xef\xbb\xbfdegrees = 1\r\n", "a.toml")) == {"degrees": 1}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"degrees = 1\nheat = \n", "is not TOML: Invalid value (at line 2, column 8)"),
        (b"degrees = 1\ndegrees = 2\n", "is not TOML: Cannot overwrite a value (at line 2, column 12)"),
        (b"\xff\xfed\x00", "is not UTF-8; save it as UTF-8"),
    ],
)
def test_broken_toml_is_one_line_with_its_place(write_file: WriteFile, content: bytes, complaint: str):
    file = write_file(content, "oven.toml")
    with pytest.raises(ConfigError) as caught:
        read_toml(file)
    assert one_line(caught) == f"{file}: {complaint}"


def test_a_missing_file_and_a_folder(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"none\.toml: no such file$"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory\)$"):
        read_toml(tmp_path)
