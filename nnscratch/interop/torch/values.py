"""Tensors of PyTorch as tensors of ours: a copy of their values, with their dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.tensors import Tensor


class NoValuesError(Exception):
    """A tensor that has no array of numbers, with the reason."""


def values_of(tensor: Any) -> np.ndarray:
    """Return a copy of a PyTorch tensor's values; bfloat16 as float32.

    Raises:
        NoValuesError: for one that is sparse, quantised, nested, without values, or of a dtype
            that is not here.
    """
    kind = type(tensor).__name__
    if kind.startswith("Uninitialized"):
        raise NoValuesError("has no values yet: call the lazy module with a batch first")
    if tensor.device.type == "meta":
        raise NoValuesError("is on the device meta, where tensors have no values")
    if str(tensor.layout) != "torch.strided" or tensor.is_quantized or tensor.is_nested:
        raise NoValuesError("is sparse, nested or quantised; only a dense one is an array")
    plain = tensor.detach().cpu()
    if str(plain.dtype) == "torch.bfloat16":
        plain = plain.float()
    try:
        return np.array(plain.resolve_conj().resolve_neg().numpy(), copy=True)
    except (TypeError, RuntimeError):
        raise NoValuesError(f"has the dtype {tensor.dtype}, which is not here") from None


def tensor_of(tensor: Any) -> Tensor:
    """Return a copy of a PyTorch tensor as one of ours, of its dtype."""
    made = Tensor(values_of(tensor))
    return made.to("bfloat16") if str(tensor.dtype) == "torch.bfloat16" else made
