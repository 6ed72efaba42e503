"""``nnscratch export --to onnx``: the model of a run for the programs that run ONNX."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nnscratch.cli import runs
from nnscratch.cli.images import ImagePreprocessor
from nnscratch.data import ClassTarget, TablePreprocessor, Tokenizer
from nnscratch.nn import functional as F
from nnscratch.tensors import Tensor
from nnscratch.train.language import scores_of
from nnscratch.train.mlp import MLP


def write_onnx(
    found: runs.RunFolder, place: Path, sample: Any, size_of: Callable[[Path], str]
) -> list[str]:
    """Write the model of a run, with what comes before and behind it as far as operators go.

    Args:
        found: the run.
        place: the file.
        sample: an input of the model: one row of zeros.
        size_of: returns the size of a file as people read it.

    Raises:
        ConfigurationError: if the onnx package is not installed, or a layer has no operator.
        RunError: if the file cannot be written.
    """
    from nnscratch.interop.onnx import export

    pre = found.preprocessor
    metadata = {
        "nnscratch.architecture": json.dumps(found.architecture.to_dict()),
        "nnscratch.preprocessing": json.dumps(pre.to_dict()),
    }
    if isinstance(pre, TablePreprocessor):
        return _write_table(found, pre, place, sample, metadata, size_of)
    taken, function = _program(found)
    gives = "scores"
    if isinstance(pre, ImagePreprocessor):
        sample = np.zeros((1, *pre.shape), np.float32)
        gives = "value"
        if isinstance(pre.target, ClassTarget):
            gives = "probabilities"
            metadata["classes"] = json.dumps(list(pre.target.classes))
    export(
        function, sample, place, input_names=[taken], output_names=[gives], metadata=metadata
    )  # fmt: skip
    size = size_of(place)
    what = {
        "tokens": "the numbers of tokens, as the run's tokenizer gives them",
        "images": f"pixels as they are in files, of the shape {tuple(sample.shape[1:])}",
    }[taken]
    return [
        f"Written to {place} ({size}): it takes {what}, for any number at once, and gives {gives}",
        "What the run knows besides (classes, columns, tokens) is in its metadata, as JSON",
    ]


def _write_table(
    found: runs.RunFolder,
    pre: TablePreprocessor,
    place: Path,
    sample: Any,
    metadata: dict[str, str],
    size_of: Callable[[Path], str],
) -> list[str]:
    """Write the model of a table: from its columns to labels, or to numbers in their units."""
    from nnscratch.interop.onnx import export

    gives = "the value, in its own units"
    if isinstance(pre.target, ClassTarget):
        metadata["classes"] = json.dumps(list(pre.target.classes))
        gives = "label and probabilities"
    export(found.model(), sample, place, metadata=metadata, preprocessing=pre)
    kinds = set(pre.encoder.kinds.values())
    words = {
        "numeric": "numbers as float64, NaN for a gap",
        "categorical": 'text as it is, "" for a gap',
        "boolean": "true and false as text",
        "datetime": "dates as int64, microseconds since 1970",
    }
    forms = "; ".join(text for kind, text in words.items() if kind in kinds)
    return [
        f"Written to {place} ({size_of(place)}): it takes the table's columns by name, each with "
        f"one value a row (N, 1), for any number of rows, and gives {gives}",
        f"The inputs are {forms}",
    ]


def _program(found: runs.RunFolder) -> tuple[str, Callable[[Any], Any]]:
    """Return what the model takes, and a function from there to what it says."""
    pre, model = found.preprocessor, found.model().eval()
    if isinstance(pre, Tokenizer):
        return "tokens", lambda tokens: scores_of(model, tokens)
    target = pre.target

    def answer(outputs: Any) -> Any:
        if isinstance(target, ClassTarget):
            return F.softmax(outputs, 1)
        scale = target.standardiser
        return outputs * float(scale.std[0]) + float(scale.mean[0])

    assert isinstance(pre, ImagePreprocessor)
    middle, spread = (np.asarray(one, np.float64)[:, None, None] for one in (pre.mean, pre.std))
    factor = Tensor((1.0 / (pre.white * spread)).astype(np.float32))
    shift = Tensor((middle / spread).astype(np.float32))
    flat = isinstance(found.architecture, MLP)

    def of_images(images: Any) -> Any:
        x = images * factor - shift
        return answer(model(x.flatten(1) if flat else x))

    return "images", of_images
