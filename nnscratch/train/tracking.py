"""The history of a training as TensorBoard and MLflow show it; both are imported when used."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnscratch.array import to_numpy
from nnscratch.errors import ConfigurationError
from nnscratch.train.callbacks import Callback
from nnscratch.train.files import FilePath, prepare_folder

if TYPE_CHECKING:
    from nnscratch.train.trainer import Trainer

_MOST_TEXT = 500
_PARTS = {"train": "training", "val": "validation"}


def numbers_in(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures of a row of the history by name, without the epoch.

    >>> numbers_in({"epoch": 2, "train_loss": 0.5, "val_loss": None, "note": "x"})
    {'train_loss': 0.5}
    """
    return {
        name: float(value)
        for name, value in row.items()
        if name != "epoch" and isinstance(value, (int, float)) and not isinstance(value, bool)
    }


class TensorBoard(Callback):
    """Writes every figure of the history for TensorBoard, and on request the weights.

    ``tensorboard --logdir FOLDER`` shows them: losses and metrics of training and validation are
    curves of one chart. A training that goes on goes on in the same curves. It needs
    ``pip install 'nnscratch[tensorboard]'``, the page itself TensorBoard.

    Args:
        folder: where to write; by default ``tensorboard`` in the trainer's run folder.
        histograms: every how many epochs the weights and their gradients are written as
            histograms; 0 for never.

    Raises:
        ConfigurationError: if tensorboardX is not installed, or there is no folder.
    """

    def __init__(self, folder: FilePath | None = None, histograms: int = 0) -> None:
        if histograms < 0:
            raise ConfigurationError(f"histograms must be from 0 on, got {histograms}")
        self.folder = None if folder is None else Path(folder)
        self.histograms = histograms
        self._writers: dict[str, Any] = {}
        self._kind: Any = None
        self._first = 1

    def on_fit_start(self, trainer: Trainer) -> None:
        """Begin to write, behind what was written before."""
        if not trainer.leads:
            return
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ConfigurationError(
                f"TensorBoard needs {error.name}, which is not installed: "
                'pip install "nnscratch[tensorboard]"'
            ) from None
        if self.folder is None:
            if trainer.run_dir is None:
                raise ConfigurationError(
                    "TensorBoard needs a folder to write into: TensorBoard(folder), or a Trainer "
                    "with run_dir"
                )
            self.folder = trainer.run_dir / "tensorboard"
        prepare_folder(self.folder)
        self._kind = SummaryWriter
        self._first = trainer.epoch + 1

    def on_lead(self, trainer: Trainer) -> None:
        """Begin to write, behind what the rank wrote that has died."""
        self.on_fit_start(trainer)

    def _writer(self, part: str) -> Any:
        """Return the writer of a curve; each has a folder, so that one chart shows all."""
        assert self.folder is not None
        if part not in self._writers:
            # Later epochs that are there already are from before a checkpoint, and are hidden.
            place = str(self.folder / part) if part else str(self.folder)
            # Of two writers that begin within a second the names would be the same.
            own = f".{self._first}.{os.getpid()}"
            self._writers[part] = self._kind(place, purge_step=self._first, filename_suffix=own)
        return self._writers[part]

    def on_epoch_end(self, trainer: Trainer, row: dict[str, Any]) -> None:
        """Write the figures of the epoch."""
        if not trainer.leads:
            return
        epoch = int(row["epoch"])
        for name, value in numbers_in(row).items():
            part, _, figure = name.partition("_")
            if part in _PARTS and figure:
                self._writer(_PARTS[part]).add_scalar(figure, value, epoch)
            else:
                self._writer("").add_scalar(name, value, epoch)
        if self.histograms and epoch % self.histograms == 0:
            writer = self._writer("")
            for name, parameter in trainer.model.named_parameters():
                writer.add_histogram(f"weights/{name}", to_numpy(parameter.array), epoch)
                if parameter.grad is not None:
                    grad = to_numpy(parameter.grad.array)
                    writer.add_histogram(f"gradients/{name}", grad, epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_fit_end(self, trainer: Trainer) -> None:
        """Close the files."""
        if not trainer.leads:
            return
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()


class MLflow(Callback):
    """Logs a training as a run of MLflow: settings as parameters, the history as metrics.

    A training that goes on from a checkpoint goes on in the same run of MLflow. A server that
    cannot be reached later on makes a warning, and the training goes on. It needs
    ``pip install 'nnscratch[mlflow]'``.

    Args:
        experiment: the name of the experiment, made if there is none.
        run_name: of the run; by default the name of the trainer's run folder.
        tracking_uri: of the server or database; by default what ``MLFLOW_TRACKING_URI`` says.
        parameters: further parameters to log, beside the trainer's ``config``.
        artifacts: whether the files of the run folder are uploaded at the end.

    Attributes:
        run_id: MLflow's number of the run, None before it began.

    Raises:
        ConfigurationError: if MLflow is not installed, or the run cannot be made there.
    """

    def __init__(
        self,
        experiment: str = "nnscratch",
        run_name: str | None = None,
        tracking_uri: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        artifacts: bool = False,
    ) -> None:
        self.experiment, self.run_name = experiment, run_name
        self.tracking_uri, self.artifacts = tracking_uri, artifacts
        self.parameters = dict(parameters or {})
        self.run_id: str | None = None
        self._client: Any = None
        self._warned = False

    def on_fit_start(self, trainer: Trainer) -> None:
        """Begin a run, or go on with that of the checkpoint."""
        if not trainer.leads:
            return
        try:
            from mlflow import MlflowClient
        except ImportError as error:
            raise ConfigurationError(
                f"MLflow needs {error.name}, which is not installed: "
                'pip install "nnscratch[mlflow]"'
            ) from None
        try:
            self._client = MlflowClient(self.tracking_uri)
            if self.run_id is not None:
                self._client.update_run(self.run_id, status="RUNNING")
                return
            self._begin(trainer)
        except Exception as error:
            reason = " ".join(str(error).split())[:_MOST_TEXT]
            raise ConfigurationError(f"MLflow cannot begin a run: {reason}") from error

    def on_lead(self, trainer: Trainer) -> None:
        """Begin a run of MLflow: the number of that of the rank that has died is not known."""
        self.on_fit_start(trainer)

    def _begin(self, trainer: Trainer) -> None:
        found = self._client.get_experiment_by_name(self.experiment)
        experiment = (
            self._client.create_experiment(self.experiment)
            if found is None
            else found.experiment_id
        )
        name = self.run_name or (None if trainer.run_dir is None else trainer.run_dir.name)
        self.run_id = self._client.create_run(experiment, run_name=name).info.run_id
        from mlflow.entities import Param

        known = {
            "model": type(trainer.model).__name__,
            "parameters": sum(one.numel() for one in trainer.model.parameters()),
            "optimizer": type(trainer.optimizer).__name__,
            "lr": trainer.learning_rate,
            "epochs": trainer.epochs,
            **{k: v for k, v in trainer.run.config.items() if v not in (None, "", [])},
            **self.parameters,
        }
        listed = [Param(str(name), str(value)[:_MOST_TEXT]) for name, value in known.items()]
        for start in range(0, len(listed), 100):  # MLflow takes so many at once
            self._client.log_batch(self.run_id, params=listed[start : start + 100])

    def on_epoch_end(self, trainer: Trainer, row: dict[str, Any]) -> None:
        """Log the figures of the epoch."""
        if not trainer.leads:
            return
        from mlflow.entities import Metric as LoggedMetric

        now, epoch = int(time.time() * 1000), int(row["epoch"])
        listed = [LoggedMetric(name, value, now, epoch) for name, value in numbers_in(row).items()]
        self._carefully(lambda: self._client.log_batch(self.run_id, metrics=listed))

    def on_fit_end(self, trainer: Trainer) -> None:
        """Say how the run ended: finished, failed or killed."""
        if not trainer.leads:
            return
        if self._client is None or self.run_id is None:
            return
        error = sys.exc_info()[1]
        state = "FINISHED" if error is None else "FAILED"
        if isinstance(error, KeyboardInterrupt):
            state = "KILLED"
        if self.artifacts and trainer.run_dir is not None:
            for place in sorted(trainer.run_dir.iterdir()):
                if place.is_file() and not place.name.startswith("."):
                    self._carefully(
                        lambda place=place: self._client.log_artifact(self.run_id, str(place))
                    )
        self._carefully(lambda: self._client.set_terminated(self.run_id, state))

    def _carefully(self, log: Any) -> None:
        """Log, or warn once that it cannot be."""
        try:
            log()
        except Exception as error:
            if not self._warned:
                self._warned = True
                reason = " ".join(str(error).split())[:_MOST_TEXT]
                warnings.warn(
                    f"MLflow could not log, and the training goes on: {reason}",
                    RuntimeWarning,
                    stacklevel=3,
                )

    def state_dict(self) -> dict[str, Any]:
        """Return the number of the run."""
        return {"run_id": self.run_id}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the number of the run, to go on with it."""
        found = state.get("run_id")
        self.run_id = found if isinstance(found, str) else None
