"""A run that answers: its reader of rows, its computer, and its outputs as predictions."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from nnscratch.cli.images import ImagePreprocessor
from nnscratch.cli.runs import RunFolder
from nnscratch.cli.serving.computing import RowComputer
from nnscratch.cli.serving.image_rows import ImageReader
from nnscratch.cli.serving.reading import ReadRows, RowReader
from nnscratch.cli.serving.table_rows import TableReader
from nnscratch.cli.shown import shown
from nnscratch.data import ClassTarget, Tokenizer
from nnscratch.errors import ConfigurationError
from nnscratch.train.mlp import MLP

Array = npt.NDArray[Any]
encode = msgspec.json.Encoder().encode
NO_NUMBER = "the network computes no finite number of this row: it is too far from the training's"
_NAME = re.compile(r"[^/]{1,100}")


class RunAnswers:
    """What a server needs of a run.

    Args:
        found: the run folder.
        name: what the model is called; by default as the folder.

    Raises:
        ConfigurationError: if its model continues texts.
        CheckpointError: if the folder is damaged.
    """

    def __init__(self, found: RunFolder, name: str | None = None) -> None:
        pre = found.preprocessor
        if isinstance(pre, Tokenizer):
            raise ConfigurationError(
                f"{found.folder}: the model of this run continues texts, and a server answers with "
                f"predictions; use `nnscratch generate {found.folder}`"
            )
        self.name = name or found.folder.resolve().name or "model"
        if (
            not _NAME.fullmatch(self.name)
            or not self.name.isprintable()
            or not self.name.strip(".")
        ):
            raise ConfigurationError(
                f"{shown(self.name)[:80]!r} cannot be the name of a model in a path: give it "
                "another one with --name, of 1 to 100 characters without a slash"
            )
        self.summary = found.architecture.summary
        self.target = pre.target
        self.task = pre.task
        flat = isinstance(found.architecture, MLP)
        self.reader: RowReader
        if isinstance(pre, ImagePreprocessor):
            self.reader = ImageReader(pre, flat)
            shape: tuple[int, ...] = (pre.features_count,) if flat else pre.shape
        else:
            self.reader = TableReader(pre)
            shape = (pre.encoder.features,)
        self.compute = RowComputer(found.model(), shape)
        self.classes: list[Any] = (
            list(pre.target.classes) if isinstance(pre.target, ClassTarget) else []
        )
        self._names = [str(one) for one in self.classes]

    def predictions(
        self, outputs: Array, probabilities: bool, finite: bool = False
    ) -> list[dict[str, Any]]:
        """Return for each row of outputs what was predicted; ``finite`` if all are known to be."""
        if not self.classes:
            assert not isinstance(self.target, ClassTarget)
            numbers = self.target.inverse_transform(outputs)
            return [{"prediction": value} for value in numbers.ravel().tolist()]
        if finite or all_finite(outputs):
            shares = softmax(outputs)
        else:
            with np.errstate(invalid="ignore"):  # such rows are answered with an error
                shares = softmax(outputs)
        best = outputs.argmax(axis=1)
        made: list[dict[str, Any]] = []
        for place, row in zip(best.tolist(), shares.tolist(), strict=True):
            one = {"prediction": self.classes[place], "probability": row[place]}
            if probabilities:
                one["probabilities"] = dict(zip(self._names, row, strict=True))
            made.append(one)
        return made

    def answer(
        self, read: ReadRows, outputs: Array, probabilities: bool
    ) -> tuple[list[dict[str, Any]], int]:
        """Return a prediction or an error for each row of a request, in order, and how many errors.

        JSON has no NaN: a row for which the network computes one has an error.
        """
        finite = all_finite(outputs)
        made = self.predictions(outputs, probabilities, finite) if len(outputs) else []
        wrong = len(read.errors)
        if not finite or not self.classes:
            for number in self.without_number(outputs):
                made[number] = {"error": NO_NUMBER}
                wrong += 1
        if not read.errors and not read.notes:
            return made, wrong
        right = iter(made)
        listed: list[dict[str, Any]] = []
        for number in range(read.count):
            if number in read.errors:
                listed.append({"error": read.errors[number]})
                continue
            one = next(right)
            if number in read.notes:
                one["notes"] = read.notes[number]
            listed.append(one)
        return listed, wrong

    def without_number(self, outputs: Array) -> list[int]:
        """Return the rows of outputs that are no finite numbers, or stand for none."""
        finite = np.isfinite(outputs)
        if not isinstance(self.target, ClassTarget) and len(outputs):
            with np.errstate(all="ignore"):
                finite &= np.isfinite(self.target.inverse_transform(outputs)).reshape(outputs.shape)
        if finite.all():
            return []
        return [int(one) for one in np.flatnonzero(~finite.all(axis=1))]


def all_finite(outputs: Array) -> bool:
    """Say whether all numbers are finite."""
    # The method ``all`` is a function of Python's around this.
    return bool(np.logical_and.reduce(np.isfinite(outputs), axis=None))


def softmax(outputs: Array) -> npt.NDArray[np.float64]:
    """Return the probabilities of scores (N, K)."""
    scores = outputs.astype(np.float64)
    scores -= np.maximum.reduce(scores, axis=1, keepdims=True)
    np.exp(scores, scores)
    scores /= np.add.reduce(scores, axis=1, keepdims=True)
    return scores
