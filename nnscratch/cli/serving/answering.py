"""A run that answers: its reader of rows, its computer, and its outputs as predictions."""

from __future__ import annotations

import re
from math import exp, isfinite
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
Judged = tuple[int, list[float]]
"""The number of a class, and the probability of each."""
_FEW_CLASSES = 32
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

    def predictions(self, outputs: Array, probabilities: bool) -> list[dict[str, Any]]:
        """Return for each row of outputs what was predicted.

        JSON has no NaN: a row for which the network computes one has an error.
        """
        if self.classes:
            return [self._class_of(one, probabilities) for one in judged(outputs)]
        assert not isinstance(self.target, ClassTarget)
        with np.errstate(all="ignore"):  # such rows are answered with an error
            numbers = self.target.inverse_transform(outputs)
        finite = (np.isfinite(outputs) & np.isfinite(numbers).reshape(outputs.shape)).ravel()
        return [
            {"prediction": value} if right else {"error": NO_NUMBER}
            for value, right in zip(numbers.ravel().tolist(), finite.tolist(), strict=True)
        ]

    def _class_of(self, one: Judged | None, probabilities: bool) -> dict[str, Any]:
        if one is None:
            return {"error": NO_NUMBER}
        place, shares = one
        made = {"prediction": self.classes[place], "probability": shares[place]}
        if probabilities:
            made["probabilities"] = dict(zip(self._names, shares, strict=True))
        return made

    def answer(
        self, read: ReadRows, outputs: Array, probabilities: bool
    ) -> tuple[list[dict[str, Any]], int]:
        """Return a prediction or an error for each row of a request, and how many errors."""
        made = self.predictions(outputs, probabilities) if len(outputs) else []
        wrong = len(read.errors) + sum(["error" in one for one in made])
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


def judged(outputs: Array) -> list[Judged | None]:
    """Return for each row of scores (N, K) its class and the probabilities; None if it has none.

    There is none for scores that are no finite numbers. A row gets the same bits in any company,
    since it depends on the number of classes alone how they are computed: for few of them the calls
    of NumPy would take longer than the numbers.
    """
    if outputs.shape[1] <= _FEW_CLASSES:
        return [_judged(row) for row in outputs.tolist()]
    finite: list[bool] = np.logical_and.reduce(np.isfinite(outputs), axis=1).tolist()
    scores = outputs.astype(np.float64)
    with np.errstate(invalid="ignore"):
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, scores)
        scores /= scores.sum(axis=1, keepdims=True)
    places = outputs.argmax(axis=1).tolist()
    return [
        (place, shares) if right else None
        for place, shares, right in zip(places, scores.tolist(), finite, strict=True)
    ]


def _judged(scores: list[float]) -> Judged | None:
    if not isfinite(sum(scores)) and not all(map(isfinite, scores)):
        return None
    top = max(scores)
    shares = [exp(one - top) for one in scores]
    total = sum(shares)
    return scores.index(top), [one / total for one in shares]
