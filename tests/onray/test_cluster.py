"""What is said of a cluster that cannot be had: one line, at once, before any work."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from rather.errors import ClusterError, ConfigError
from rather.onray import cluster
from rather.onray.cluster import Wanted, _enough, _reach, own_cores, wanted, wants_gpu
from rather.onray.once import once
from tests.conftest import WriteFile


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_without_ray_nothing_is_wanted() -> None:
    assert wanted(None, None) is None


def test_an_address_alone_does_nothing() -> None:
    with pytest.raises(ConfigError, match=r"^--ray-address does nothing without --ray"):
        wanted(None, "auto")


@pytest.mark.parametrize("workers", [0, -1])
def test_too_few_workers(workers: int) -> None:
    with pytest.raises(ConfigError, match=rf"^--ray {workers}: must be 1 or more$"):
        wanted(workers, None)


def test_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"^--ray needs ray; pip install 'rather\[ray\]'$"):
        wanted(1, None)


def test_more_workers_than_cpus() -> None:
    cores = own_cores()
    with pytest.raises(ConfigError, match=rf"^--ray {cores + 1}: this machine has {cores} CPU"):
        wanted(cores + 1, None)


def test_a_cluster_elsewhere_may_have_more() -> None:
    assert wanted(own_cores() + 1, "10.0.0.1:6379") == Wanted(own_cores() + 1, "10.0.0.1:6379")


def test_the_environment_names_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert Wanted(1).place == "10.0.0.1:6379"
    assert Wanted(1, "auto").place == "auto"


def test_ray_client_is_refused() -> None:
    with pytest.raises(ConfigError, match="Ray Data does not work through Ray Client"):
        wanted(1, "ray://10.0.0.1:10001")


@pytest.mark.parametrize("address", ["nowhere", "host:", ":6379", "host:port"])
def test_an_address_without_host_or_port(address: str) -> None:
    with pytest.raises(ClusterError, match="must be HOST:PORT"):
        _reach(address)


def test_a_port_where_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(ClusterError, match=rf"^no Ray cluster answers at 127.0.0.1:{port} "):
            _reach(f"127.0.0.1:{port}")
        assert time.monotonic() - began < cluster.REACH_SECONDS


def test_a_cluster_that_is_too_small() -> None:
    with pytest.raises(ClusterError, match=r"^--ray 4: the cluster has 3 CPUs"):
        _enough(Wanted(4, "auto"), {"CPU": 3.0})


def test_each_model_gets_a_gpu_where_there_are_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RATHER_DEVICE", raising=False)
    assert not wants_gpu({"CPU": 8.0}, 4)
    assert wants_gpu({"CPU": 8.0, "GPU": 4.0}, 4)
    with pytest.raises(ClusterError, match=r"^--ray 4: the cluster has 1 GPU for them"):
        wants_gpu({"CPU": 8.0, "GPU": 1.0}, 4)
    monkeypatch.setenv("RATHER_DEVICE", "cpu")
    assert not wants_gpu({"CPU": 8.0, "GPU": 1.0}, 4)


def test_outside_a_worker_nothing_is_kept() -> None:
    assert once(list) is not once(list)


def test_the_command_says_it_in_one_line_and_writes_nothing(
    write_file: WriteFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rather.cli import main

    file = write_file([{"prompt": "Which?", "response": text} for text in ("this", "that")], "responses.jsonl")
    out = tmp_path / "out"
    many = str(own_cores() + 1)
    assert main(["judge", str(file), "--by", "length", "--out", str(out), "--ray", many]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"rather: --ray {many}: this machine has")
    assert said.count("\n") == 1
    assert not out.exists()


def test_events_are_judged_together(write_file: WriteFile, tmp_path: Path) -> None:
    from rather import judge

    file = write_file([{"prompt": "Which?"}], "log.jsonl")
    with pytest.raises(ConfigError, match=r"^--ray does nothing with behaviour"):
        judge(file, by=["behaviour"], out=tmp_path / "out", ray=1)
