"""Options as users write them: the config file taken out of a command line, and the one form of a complaint."""

from __future__ import annotations

from pathlib import Path

import pytest

from rather.errors import ConfigError
from rather.options import in_config_file, without_config
from tests.conftest import WriteFile


def test_the_config_file_is_taken_out_wherever_it_stands() -> None:
    for arguments in (["--config", "a.toml", "train", "p"], ["train", "--config=a.toml", "p"]):
        assert without_config(arguments) == (["train", "p"], Path("a.toml"))
    assert without_config(["train", "p", "--conf", "x"]) == (["train", "p", "--conf", "x"], None), "nothing is guessed"
    for arguments, complaint in ((["--config"], "takes a TOML file"), (["--config=a", "--config=b"], "given twice")):
        with pytest.raises(ConfigError, match=complaint):
            without_config(arguments)


def test_a_config_file_holds_options_and_no_table(write_file: WriteFile) -> None:
    file = write_file("beta = 0.3\n", "a.toml")
    assert in_config_file(file).config == {"beta": 0.3}
    with pytest.raises(ConfigError, match=r"\[train\] is a table"):
        in_config_file(write_file("[train]\nbeta = 0.3\n", "b.toml"))
