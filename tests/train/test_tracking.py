"""Callbacks for TensorBoard and MLflow: what their own readers find in what was written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnscratch import nn
from nnscratch.errors import ConfigurationError
from nnscratch.train import Callback, MLflow, TensorBoard, Trainer

DATA = (np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32), np.arange(32) % 2)


def trainer(*callbacks: Any, **options: Any) -> Trainer:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    return Trainer(model, callbacks=callbacks, seed=0, compile=False, **options)


def events(folder: Any) -> dict[str, list[tuple[int, float]]]:
    """The scalars of the event files of a folder by tag, read as TensorBoard reads them."""
    from tensorboardX.event_file_writer import EventFileWriter  # noqa: F401
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, list[tuple[int, float]]] = {}
    for path in sorted(folder.glob("events.*")):
        content, at = path.read_bytes(), 0
        while at < len(content):
            length = int.from_bytes(content[at : at + 8], "little")
            event = Event.FromString(content[at + 12 : at + 12 + length])
            at += 16 + length
            for value in event.summary.value:
                kind = value.WhichOneof("value")
                figure = value.simple_value if kind == "simple_value" else float("nan")
                found.setdefault(value.tag, []).append((event.step, figure))
    return found


def test_tensorboard(tmp_path: Any) -> None:
    made = trainer(TensorBoard(tmp_path, histograms=2), metrics=["f1"])
    made.fit(DATA, 3, validation=DATA)
    for part, prefix in (("training", "train_"), ("validation", "val_")):
        scalars = events(tmp_path / part)
        losses = [(row["epoch"], np.float32(row[f"{prefix}loss"])) for row in made.history]
        assert scalars["loss"] == losses
    assert len(events(tmp_path / "validation")["f1"]) == 3
    others = events(tmp_path)
    assert [step for step, _ in others["lr"]] == [1, 2, 3]
    assert [step for step, _ in others["weights/0.weight"]] == [2]
    assert [step for step, _ in others["gradients/2.bias"]] == [2]


def test_tensorboard_goes_on(tmp_path: Any) -> None:
    run = tmp_path / "run"
    trainer(TensorBoard(), run_dir=run).fit(DATA, 2)
    trainer(TensorBoard(), run_dir=run).fit(DATA, 4, resume=True)
    steps = [step for step, _ in events(run / "tensorboard" / "training")["loss"]]
    assert steps == [1, 2, 3, 4]


def test_tensorboard_is_refused(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="needs a folder"):
        trainer(TensorBoard()).fit(DATA, 1)
    with pytest.raises(ConfigurationError, match="from 0 on"):
        TensorBoard(tmp_path, histograms=-1)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ConfigurationError, match=r"nnscratch\[tensorboard\]"):
        trainer(TensorBoard(tmp_path)).fit(DATA, 1)


class FakeClient:
    """MLflow's client, as far as the callback takes it, in memory."""

    runs: dict[str, dict[str, Any]]
    broken = False

    def __init__(self, tracking_uri: str | None = None) -> None:
        if tracking_uri == "bad":
            raise ValueError("no such store")

    def get_experiment_by_name(self, name: str) -> Any:
        return None

    def create_experiment(self, name: str) -> str:
        return name

    def create_run(self, experiment: str, run_name: str | None) -> Any:
        number = str(len(self.runs))
        self.runs[number] = {"experiment": experiment, "name": run_name, "params": {}, "rows": []}
        return type("R", (), {"info": type("I", (), {"run_id": number})})

    def log_batch(self, number: str, metrics: Any = (), params: Any = ()) -> None:
        if self.broken and metrics:
            raise OSError("the server is away")
        self.runs[number]["params"] |= {one.key: one.value for one in params}
        self.runs[number]["rows"] += [(one.step, one.key, one.value) for one in metrics]

    def update_run(self, number: str, status: str) -> None:
        self.runs[number]["status"] = status

    def set_terminated(self, number: str, status: str) -> None:
        self.runs[number]["status"] = status

    def log_artifact(self, number: str, place: str) -> None:
        self.runs[number].setdefault("artifacts", []).append(Path(place).name)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> type[FakeClient]:
    """MLflow itself takes two seconds to import; its entities are plain records."""
    import types
    from collections import namedtuple

    kind = type("Client", (FakeClient,), {"runs": {}})
    package, entities = types.ModuleType("mlflow"), types.ModuleType("mlflow.entities")
    package.MlflowClient = kind  # type: ignore[attr-defined]
    entities.Metric = namedtuple("Metric", "key value timestamp step")  # type: ignore[attr-defined]
    entities.Param = namedtuple("Param", "key value")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", package)
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    return kind


def test_mlflow(client: type[FakeClient], tmp_path: Any) -> None:
    run = tmp_path / "run"
    made = trainer(
        MLflow("flowers", parameters={"colour": "red"}, artifacts=True),
        run_dir=run, config={"batch": 32, "target": None},
    )  # fmt: skip
    made.fit(DATA, 2, validation=DATA)
    (logged,) = client.runs.values()
    assert (logged["experiment"], logged["name"]) == ("flowers", "run")
    assert logged["status"] == "FINISHED"
    assert logged["artifacts"] == ["checkpoint.safetensors", "history.csv"]
    assert logged["params"]["colour"] == "red"
    assert logged["params"]["batch"] == "32"
    assert "target" not in logged["params"]
    losses = [(step, value) for step, key, value in logged["rows"] if key == "val_loss"]
    assert losses == [(row["epoch"], row["val_loss"]) for row in made.history]
    trainer(MLflow("flowers"), run_dir=run).fit(DATA, 3, resume=True)
    assert list(client.runs) == ["0"]
    assert [step for step, key, _ in logged["rows"] if key == "train_loss"] == [1, 2, 3]


class Failing(Callback):
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def on_epoch_end(self, trainer: Trainer, row: dict[str, Any]) -> None:
        raise self.error


def test_mlflow_is_told_how_it_ended(client: type[FakeClient]) -> None:
    for error in (ValueError("x"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            trainer(MLflow(), Failing(error)).fit(DATA, 1)
    assert [one["status"] for one in client.runs.values()] == ["FAILED", "KILLED"]


def test_mlflow_away_does_not_end_a_training(client: type[FakeClient]) -> None:
    client.broken = True
    with pytest.warns(RuntimeWarning, match="the server is away") as seen:
        trainer(MLflow()).fit(DATA, 3)
    assert len(seen) == 1
    with pytest.raises(ConfigurationError, match="no such store"):
        trainer(MLflow(tracking_uri="bad")).fit(DATA, 1)


def test_mlflow_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigurationError, match=r"nnscratch\[mlflow\]"):
        trainer(MLflow()).fit(DATA, 1)
