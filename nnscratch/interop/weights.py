"""Published weights: files of Hugging Face and torchvision for the networks of ``models``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from nnscratch.array import move
from nnscratch.errors import CheckpointError
from nnscratch.nn import Module
from nnscratch.tensors import Tensor
from nnscratch.train.files import FilePath
from nnscratch.train.tensor_file import TensorFile

# What some files put before every name, and others leave out.
_PREFIXES = ("transformer.", "bert.", "model.", "module.")
# Constants that some versions of a library saved: masks and positions, which are no weights.
_NO_WEIGHTS = re.compile(r"(^|\.)(attn\.(masked_)?bias|position_ids)$")
# The names of a layer norm's parameters in BERT's first checkpoints.
_OLD_NAMES = ((re.compile(r"LayerNorm\.gamma$"), "LayerNorm.weight"),
              (re.compile(r"LayerNorm\.beta$"), "LayerNorm.bias"))  # fmt: skip
_MOST = 20


def load_weights(model: Module, filename: FilePath) -> list[str]:
    """Copy the weights of a published safetensors file into a model, by their names.

    The names of the models here are those of the published files; what differs from file to file
    is mended: a prefix that all names have or lack ("transformer.", "bert.", "module."), weights
    that are tied and stored once (GPT-2's ``lm_head.weight``), constants that are no weights
    of this model (``attn.bias``, ``position_ids``), a batch norm's count of batches that old files
    lack, and the old names of layer norms. The values take the model's dtype and device.

    Args:
        model: is changed in place.
        filename: the file.

    Returns:
        The names in the file that this model has no use for: those of other parts, such as the
        ``cls.`` head of a file whose names begin with ``bert.``.

    Raises:
        CheckpointError: if the file is damaged, or a weight is missing, unexpected or of another
            shape, naming each. The model is unchanged then.

    >>> import tempfile
    >>> from nnscratch import nn
    >>> from nnscratch.interop.safetensors import save_file
    >>> saved, model = nn.Linear(2, 1), nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/weights.safetensors"
    ...     save_file({f"module.{k}": v for k, v in saved.state_dict().items()}, path)
    ...     load_weights(model, path)
    []
    >>> model.weight.tolist() == saved.weight.tolist()
    True
    """
    own = model.state_dict()
    with TensorFile(filename) as file:
        names, others = _named_as_in(own, file)
        stored = {name: names[told] for name, told in _stored(own, names).items()}
        problems = [
            f"missing: {name}"
            for name in own
            if name not in stored and not name.endswith("num_batches_tracked")
        ]
        problems += [f"unexpected: {name}" for told, name in names.items() if told not in own]
        problems += [
            f"{told} has the shape {file.entries[told].shape}, the model's {name} is "
            f"{tuple(own[name].shape)}"
            for name, told in stored.items()
            if tuple(file.entries[told].shape) != tuple(own[name].shape)
        ]
        if problems:
            further = f"; and {len(problems) - _MOST} more" if len(problems) > _MOST else ""
            raise CheckpointError(
                f"{file.name}: the weights do not fit this {type(model).__name__}: "
                f"{'; '.join(problems[:_MOST])}{further}"
            )
        for name, told in stored.items():
            own[name].copy_(Tensor(move(file.read(told), own[name].device)))
    return others


def _stored(own: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """Return for each of the model's tensors the name, as the model has it, that is in the file."""
    found = {name: name for name in own if name in names}
    by_tensor = {id(own[name].array): name for name in found}
    for name, tensor in own.items():
        if name not in found and id(tensor.array) in by_tensor:
            found[name] = by_tensor[id(tensor.array)]
    return found


def _named_as_in(own: Iterable[str], file: TensorFile) -> tuple[dict[str, str], list[str]]:
    """Return the file's names by what a model calls them, and those of other parts."""
    wanted = set(own)
    # A model of one's own may have the old names.
    renamed = [pair for pair in _OLD_NAMES if not any(map(pair[0].search, wanted))]
    given = {_new_name(name, renamed): name for name in file.entries}
    best, others, most = given, list[str](), len(wanted & set(given))
    for prefix in _PREFIXES:
        without = {k.removeprefix(prefix): v for k, v in given.items() if k.startswith(prefix)}
        before = {prefix + k: v for k, v in given.items()}
        rest = [v for k, v in given.items() if not k.startswith(prefix)]
        for names, left in ((without, rest), (before, [])):
            if len(wanted & set(names)) > most:
                best, others, most = names, left, len(wanted & set(names))
    # Only behind the matching: a model of one's own may well have an ``attn.bias`` that is trained.
    best = {k: v for k, v in best.items() if k in wanted or not _NO_WEIGHTS.search(v)}
    return best, [name for name in others if not _NO_WEIGHTS.search(name)]


def _new_name(name: str, renamed: Iterable[tuple[re.Pattern[str], str]]) -> str:
    for old, new in renamed:
        name = old.sub(new, name)
    return name
