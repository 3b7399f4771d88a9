"""Real trackers, where they are installed, get what stands in metrics.jsonl."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rather.errors import ConfigError
from rather.training.config import TrainConfig
from rather.training.run import train
from rather.training.track import TRACKERS
from tests.conftest import WriteFile

ROWS = [{"prompt": f"Question {i}?", "chosen": f" It is {i}.", "rejected": f" Ask {i + 9} others!"} for i in range(6)]


@pytest.fixture
def tracked_run(tiny: Path, tmp_path: Path, write_file: WriteFile) -> Any:
    """tracker → folder of a run of three updates that it followed, and the rows of metrics.jsonl."""

    def run(tracker: str) -> tuple[Path, list[dict[str, float]]]:
        out = tmp_path / "out"
        train(write_file(ROWS), model=str(tiny), out=out, batch_pairs=2, lr=1e-3, track=(tracker,))
        return out, [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]

    return run


def test_every_tracker_can_be_named_and_no_other() -> None:
    assert TrainConfig(track=tuple(TRACKERS)).track == tuple(TRACKERS)  # pyright: ignore
    with pytest.raises(ConfigError, match="track"):
        TrainConfig.build({"track": ["nothing"]})


@pytest.mark.parametrize("tracker", TRACKERS)
def test_one_that_is_not_installed_is_an_error_with_a_cure(
    tracker: str, tracked_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rather.training.track.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=f"--track {tracker} needs the package {tracker}; pip install {tracker}"):
        tracked_run(tracker)
    assert not (tmp_path / "out").exists()


def test_tensorboard(tracked_run: Any) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out, rows = tracked_run("tensorboard")
    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    seen = {event.step: event.value for event in events.Scalars("loss")}
    assert seen == pytest.approx({row["step"]: row["loss"] for row in rows})
    assert set(events.Tags()["scalars"]) == set(rows[0]) - {"step"}


def test_wandb(tracked_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    out, _ = tracked_run("wandb")
    assert list((out / "wandb").glob("offline-run-*/*.wandb"))


def test_mlflow(tracked_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri(f"file:{tmp_path / 'mlruns'}")
    _, rows = tracked_run("mlflow")
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("rather").experiment_id])
    history = {metric.step: metric.value for metric in client.get_metric_history(run.info.run_id, "margin")}
    assert history == pytest.approx({row["step"]: row["margin"] for row in rows})
    assert run.data.params["lr"] == "0.001"


def test_trackio(tracked_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio", reason="trackio is not installed")
    tracked_run("trackio")
    assert list((tmp_path / "trackio").rglob("*.db"))
