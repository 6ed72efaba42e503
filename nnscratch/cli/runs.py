"""Run folders: their files, and loading the trained model from one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnscratch.cli.images import ImagePreprocessor
from nnscratch.cli.settings import TrainingSettings, saved_settings, settings_text
from nnscratch.cli.sources import Preprocessor, preprocessor_from, width_of
from nnscratch.data import Tokenizer
from nnscratch.errors import CheckpointError, ConfigurationError, RunError
from nnscratch.nn import Module
from nnscratch.train.architectures import Architecture, architecture_from
from nnscratch.train.callbacks import Callback
from nnscratch.train.checkpoint import load_into
from nnscratch.train.files import prepare_folder, read_json, run_folder, write_json, write_text
from nnscratch.train.image_networks import ImageNetwork
from nnscratch.train.mlp import MLP
from nnscratch.train.tensor_file import TensorFile
from nnscratch.train.trainer import CHECKPOINT_FILE, Trainer

CONFIG, PREPROCESSING, MODEL = "config.json", "preprocessing.json", "model.safetensors"
REPORT, REPORT_TEXT, HISTORY = "report.json", "report.txt", "history.json"
RUN_FILE = "run.toml"
SAMPLE, SAMPLE_IMAGES, SPLIT = "sample.csv", "sample.npz", "split.csv"
MADE = (
    CHECKPOINT_FILE,
    MODEL,
    CONFIG,
    PREPROCESSING,
    REPORT,
    REPORT_TEXT,
    HISTORY,
    "history.csv",
    "curves.png",
    "confusion.png",
    "predictions.png",
    "mistakes.png",
    "mistakes.csv",
    SAMPLE,
    SAMPLE_IMAGES,
    SPLIT,
    RUN_FILE,
    "samples.txt",
)
"""Every file that a training writes into its folder."""
_FORM, VERSION = "nnscratch-run", 1
_BEGINNING = "beginning"
JOB = "NNSCRATCH_JOB"
"""The environment variable by which ranks know the job that started them, and what it has."""
OWN = ":own"
"""Stands there behind the job's number once the job has begun the run in its folder."""


@dataclass
class RunFolder:
    """The contents of a run folder.

    Args:
        folder: the path of the folder.
        settings: the settings of the training.
        architecture: the architecture of the model.
        preprocessor: the preprocessing of the model's inputs.
        config: the content of config.json.
    """

    folder: Path
    settings: TrainingSettings
    architecture: Architecture
    preprocessor: Preprocessor | Tokenizer
    config: dict[str, Any]

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of a model of texts.

        Raises:
            ConfigurationError: if the model is of tables or images.
        """
        if not isinstance(self.preprocessor, Tokenizer):
            raise ConfigurationError(
                f"{self.folder}: the model of this run predicts a {self.preprocessor.task}, it "
                f"writes no text; use `nnscratch predict {self.folder} FILE`"
            )
        return self.preprocessor

    def model(self, device: str | None = None) -> Module:
        """Return the trained model, in evaluation mode.

        Raises:
            CheckpointError: if training never finished, or the weights are damaged.
        """
        path = self.folder / MODEL
        if not path.exists() and (self.folder / CHECKPOINT_FILE).exists():
            raise CheckpointError(
                f"{self.folder}: the training is not finished; go on with "
                f"`nnscratch train --resume --run {self.folder}`"
            )
        with TensorFile(path) as file:
            # Compare names and shapes first, so that a wrong file allocates no memory.
            sizes = sum(entry.stop - entry.start for entry in file.entries.values())
            if sizes < 4 * self.architecture.parameters:
                raise CheckpointError(f"{path}: of another architecture than {CONFIG} describes")
            model = self.architecture.build()
            load_into(file, "", model)
        return (model if device is None else model.to(device=device)).eval()


def config_of(
    settings: TrainingSettings, architecture: Architecture, **more: Any
) -> dict[str, Any]:
    """Return the content of config.json."""
    from nnscratch import __version__

    return {
        "form": _FORM,
        "version": VERSION,
        "nnscratch": __version__,
        "settings": settings.to_dict(),
        "architecture": architecture.to_dict(),
        **more,
    }


def write_config(
    folder: Path, settings: TrainingSettings, architecture: Architecture, **more: Any
) -> None:
    """Write run.toml, with which ``nnscratch train --config`` does the same again, and config.json.

    Raises:
        RunError: if one cannot be written.
    """
    said = (
        f"The settings of this run: nnscratch train --config {RUN_FILE} does the same again, in a "
        "folder of its own."
    )
    write_text(folder / RUN_FILE, settings_text(settings, said))
    write_json(folder / CONFIG, config_of(settings, architecture, **_of_job(), **more))


def open_run(folder: str | Path) -> RunFolder:
    """Read the configuration and preprocessing of a run folder.

    Raises:
        CheckpointError: if it is no run folder, or damaged.
    """
    path = Path(folder)
    # os.path returns False where Path raises, such as for a name that is too long.
    if not os.path.isfile(path / CONFIG):
        what = (
            "there is no such folder"
            if not os.path.exists(path)
            else f"no run folder: no {CONFIG} in it"
        )
        raise CheckpointError(f"{path}: {what}")
    where = str(path / CONFIG)
    config = read_json(path / CONFIG)
    if not isinstance(config, dict) or config.get("form") != _FORM:
        raise CheckpointError(f"{where}: this is not the configuration of a run")
    version = config.get("version")
    if version != VERSION:
        raise CheckpointError(
            f"{where}: version {str(version)[:20]} of the format, this nnscratch reads version "
            f"{VERSION}; it was written by another nnscratch"
        )
    if config.get("state") == _BEGINNING:
        raise CheckpointError(
            f"{path}: the training into this folder was ended before its first step, and there is "
            "nothing to go on with; give its command again, without --resume"
        )
    settings = saved_settings(config.get("settings"), where)
    try:
        architecture = architecture_from(config.get("architecture"))
    except CheckpointError as error:
        raise CheckpointError(f"{where}: {error}") from None
    record = path / PREPROCESSING
    preprocessor = preprocessor_from(read_json(record), str(record))
    if not _fits(architecture, preprocessor):
        raise CheckpointError(f"{record}: of another model than {CONFIG} describes")
    return RunFolder(path, settings, architecture, preprocessor, config)


def _fits(architecture: Architecture, preprocessor: Preprocessor | Tokenizer) -> bool:
    """Say whether a model takes what a preprocessing gives."""
    if isinstance(preprocessor, Tokenizer):
        return getattr(architecture, "vocabulary", None) == preprocessor.size
    if isinstance(architecture, ImageNetwork):
        taken = (architecture.channels, architecture.height, architecture.width)
        return (
            isinstance(preprocessor, ImagePreprocessor)
            and taken == preprocessor.shape
            and architecture.outputs == preprocessor.target.outputs
        )
    if not isinstance(architecture, MLP):
        return not hasattr(architecture, "vocabulary")
    sizes = (width_of(preprocessor), preprocessor.target.outputs)
    return sizes == (architecture.inputs, architecture.outputs)


def _config_in(folder: Path) -> dict[str, Any] | None:
    """Return the config.json of a run folder that nnscratch made; None for another folder."""
    try:
        config = read_json(folder / CONFIG)
    except CheckpointError:
        return None
    return config if isinstance(config, dict) and config.get("form") == _FORM else None


def _of_job() -> dict[str, str]:
    """Return what a configuration says of the job of several ranks, if one trains."""
    job = os.environ.get(JOB, "").removesuffix(OWN)
    return {"job": job} if job else {}


def begun_by(folder: Path) -> tuple[str | None, bool]:
    """Return the number of the job that began the run in a folder, and whether it got further.

    The number is None if there is no run, or no job of several ranks began it.
    """
    config = _config_in(folder) or {}
    job = config.get("job")
    return job if isinstance(job, str) else None, config.get("state") != _BEGINNING


def is_run(folder: Path) -> bool:
    """Say whether a folder is a run folder that nnscratch made."""
    return _config_in(folder) is not None


def check_free(folder: Path, resume: bool, overwrite: bool) -> None:
    """Check that training may write into a folder, so that no file of the user's is overwritten.

    Raises:
        RunError: naming them.
    """
    if resume:
        return
    config = _config_in(folder)
    if config is None:
        others = [name for name in MADE if os.path.lexists(folder / name)]
        if others:
            raise RunError(
                f"{folder}: this is no run folder of nnscratch, and training would replace "
                f"{', '.join(others)} in it; choose another folder"
            )
    elif not overwrite and config.get("state") != _BEGINNING:
        raise RunError(
            f"{folder}: there is a run in this folder already; go on with it with --resume, "
            "replace it with --overwrite, or choose another folder"
        )


@contextmanager
def held(
    folder: Path,
    settings: TrainingSettings,
    *,
    resume: bool = False,
    overwrite: bool = False,
    new: bool = False,
) -> Iterator[None]:
    """Keep other trainings out of a run folder, from before the data are read until the end.

    Args:
        folder: made if it does not exist.
        settings: those of the training; of one that goes on, read before the folder was locked.
        resume: whether the training goes on with the run in the folder.
        overwrite: whether it replaces that run.
        new: whether the folder was just made for it.

    Raises:
        RunError: if another training writes into it, or there is something that must stay.
    """
    check_free(folder, resume, overwrite)
    with run_folder(folder, new):
        # Again: another training may have begun, or replaced the run, until the folder was locked.
        check_free(folder, resume, overwrite)
        job = os.environ.get(JOB, "")
        if job.endswith(OWN) and begun_by(folder)[0] != job.removesuffix(OWN):
            raise replaced(folder)
        if resume:
            saved = open_run(folder).settings
            if replace(saved, epochs=settings.epochs, data=settings.data) != settings:
                raise replaced(folder)
        yield


def replaced(folder: Path) -> RunError:
    """Return the error for a run folder that another training has taken meanwhile."""
    return RunError(
        f"{folder}: another training has just replaced the run in this folder; look at it, and "
        "choose another folder"
    )


def begin(folder: Path) -> None:
    """Remove what a training before made, so that a new one can write its own.

    A training that is killed meanwhile leaves a folder in which the same command can begin again:
    until the new config.json is there, which has to be written last, one says that it is missing.
    """
    head = {"form": _FORM, "version": VERSION, **_of_job(), "state": _BEGINNING}
    write_json(folder / CONFIG, head)
    for name in MADE:
        if name != CONFIG:
            (folder / name).unlink(missing_ok=True)


class BeginsRun(Callback):
    """Writes what a run folder has from the start, once nothing stands in the way of training.

    Until then the run that was there before is whole: settings that make no sense, a rank that
    has other data than the first, or one that dies meanwhile do not cost it.

    Args:
        folder: the run folder.
        anew: whether what a training before made is removed.
        write: writes the files.
    """

    def __init__(self, folder: Path, anew: bool, write: Callable[[], None]) -> None:
        self.folder, self.anew, self.write = folder, anew, write
        self._begun = 0

    def on_fit_start(self, trainer: Trainer) -> None:
        """Write, if this is the process that does."""
        if trainer.leads:
            if self.anew:
                begin(self.folder)
            self.write()
        self._begun = trainer.step_number

    def on_lead(self, trainer: Trainer) -> None:
        """Write, if the rank that should have may have died before it had."""
        if trainer.step_number == self._begun:
            self.on_fit_start(trainer)


def free_folder(name: str, root: Path = Path("runs")) -> Path:
    """Make a new folder: runs/NAME, or runs/NAME-2 and so on if that exists.

    It is made at once, so that of two trainings that begin together each has its own.

    Raises:
        RunError: if none can be made.
    """
    prepare_folder(root)
    for path in _folders(root / name):
        try:
            path.mkdir()
            return path
        except FileExistsError:
            continue
        except OSError as error:
            raise RunError(f"{path}: cannot be made ({error.strerror})") from error
    raise AssertionError("there is always another number")


def _folders(first: Path) -> Iterator[Path]:
    yield first
    number = 2
    while True:
        yield first.with_name(f"{first.name}-{number}")
        number += 1
