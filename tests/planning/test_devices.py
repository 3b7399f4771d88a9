from __future__ import annotations

import pytest

from rather.errors import ConfigError
from rather.planning.devices import GPUS, parse_gpus


@pytest.mark.parametrize(
    ("text", "machines", "each", "said"),
    [
        ("H100", 1, 1, "1xH100"), ("8xH100", 1, 8, "8xH100"), ("8×h100", 1, 8, "8xH100"), ("4x8xH100", 4, 8, "4x8xH100"),
        ("64xH100", 8, 8, "8x8xH100"), ("2xrtx 4090", 1, 2, "2xRTX4090"), ("A100-40GB", 1, 1, "1xA100-40GB"),
    ],
)  # fmt: skip
def test_gpus_as_people_write_them(text: str, machines: int, each: int, said: str) -> None:
    found = parse_gpus(text)
    assert found is not None
    assert (found.machines, found.each, str(found)) == (machines, each, said)
    assert found.ranks == machines * each


def test_cpu_is_no_gpu() -> None:
    assert parse_gpus("cpu") is None
    assert parse_gpus(" CPU ") is None


@pytest.mark.parametrize("text", ["", "8x", "0xH100", "8*H100", "8 H100", "1x2x3xH100", "-1xH100", "8"])
def test_another_form_is_one_line_that_shows_the_right_one(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--gpus .*8xH100"):
        parse_gpus(text)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match='no GPU is called "H900"') as error:
        parse_gpus("8xH900")
    assert all(name in str(error.value) for name in GPUS)
    assert "\n" not in str(error.value)


def test_so_many_that_no_machine_of_eight_holds_them_evenly() -> None:
    with pytest.raises(ConfigError, match="on how many machines"):
        parse_gpus("12xH100")


def test_fewer_of_them_stand_on_as_few_machines() -> None:
    found = parse_gpus("4x8xH100")
    assert found is not None
    assert [str(found.fewer(ranks)) for ranks in (1, 2, 8, 16, 32)] == [
        "1xH100",
        "2xH100",
        "8xH100",
        "2x8xH100",
        "4x8xH100",
    ]
