"""Weights in the safetensors format, with the functions of ``safetensors.torch``.

Files are interchangeable with those of PyTorch and every other library. Nothing is ever
unpickled, and a file is checked before anything is allocated for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnscratch.array import as_device, move
from nnscratch.errors import CheckpointError
from nnscratch.nn import Module
from nnscratch.tensors import Tensor
from nnscratch.train.checkpoint import stored_names
from nnscratch.train.files import FilePath
from nnscratch.train.tensor_file import TensorFile, write_tensors


def save_file(
    tensors: Mapping[str, Any], filename: FilePath, metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors or arrays by name, atomically.

    Raises:
        DTypeError: if one has a dtype that the format lacks.
        RunError: if the file cannot be written; one that was there before is intact.

    >>> import tempfile, nnscratch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_file({"w": nnscratch.ones(2)}, f"{folder}/a.safetensors")
    ...     load_file(f"{folder}/a.safetensors")
    {'w': tensor([1., 1.])}
    """
    write_tensors(filename, tensors, metadata, follow=True)


def load_file(
    filename: FilePath, device: Any = "cpu", *, keep_bfloat16: bool = False
) -> dict[str, Tensor]:
    """Return the tensors of a file by name, on a device.

    Args:
        filename: the file.
        device: the device.
        keep_bfloat16: whether tensors of bfloat16 stay so, in half the memory; else they become
            float32.

    Raises:
        CheckpointError: if it cannot be read, is truncated or damaged, or of another format.
        DeviceError: if this machine has no such device.
        DTypeError: if bfloat16 is to be kept and ``ml_dtypes`` is not installed, or on a GPU.
    """
    where = as_device(device)
    with TensorFile(filename) as file:
        return {name: Tensor(move(file.read(name, keep_bfloat16), where)) for name in file}


def save_model(
    model: Module, filename: FilePath, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a model's parameters and buffers, atomically.

    Raises:
        RunError: if the file cannot be written; one that was there before is intact.
    """
    write_tensors(filename, model.state_dict(), metadata, follow=True)


def load_model(
    model: Module, filename: FilePath, strict: bool = True
) -> tuple[list[str], list[str]]:
    """Copy the values of a file into a model; return the missing and the unexpected names.

    The values take the model's dtype and device. One array at a time is held in memory. Of tied
    weights the file may hold only one, as ``safetensors.torch.save_model`` writes them.

    Raises:
        CheckpointError: if the file is damaged, a shape differs, or (if ``strict``) names are
            missing or unexpected. The model is unchanged then.
    """
    own = model.state_dict()
    with TensorFile(filename) as file:
        stored = stored_names(file, own)
        missing = [name for name in own if name not in stored]
        unexpected = [name for name in file if name not in own]
        problems = []
        if strict and missing:
            problems.append(f"missing: {', '.join(missing[:10])}")
        if strict and unexpected:
            problems.append(f"unexpected: {', '.join(unexpected[:10])}")
        problems += [
            f"{name} has the shape {file.entries[stored[name]].shape}, the model's is "
            f"{tensor.shape}"
            for name, tensor in own.items()
            if name in stored and file.entries[stored[name]].shape != tensor.shape
        ]
        if problems:
            raise CheckpointError(
                f"{file.name}: the weights do not fit this {type(model).__name__}: "
                + "; ".join(problems[:10])
            )
        for name, tensor in own.items():
            if name in stored:
                tensor.copy_(Tensor(move(file.read(stored[name]), tensor.device)))
    return missing, unexpected
