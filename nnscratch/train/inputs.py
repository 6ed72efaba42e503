"""Conversion of integer and boolean inputs to the floating-point dtype that a model needs."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch import nn
from nnscratch.array import asarray, is_floating
from nnscratch.data.rows import as_numbers
from nnscratch.nn import Module
from nnscratch.tensors import Tensor
from nnscratch.train.batches import TARGETS


def for_model(model: Module, data: Any) -> Any:
    """Return data with integer input arrays cast to the dtype of the model's first linear layer.

    Only a model that begins with a linear layer is known to need floating-point inputs. For other
    models, and for tensors, data sets and loaders, the data is returned as it is.

    >>> X, y = for_model(nn.Linear(2, 1), (np.ones((3, 2), int), np.zeros((3, 1))))
    >>> X.dtype
    dtype('float32')
    """
    if isinstance(data, (tuple, list)) and data and not isinstance(data[0], Tensor):
        first = _first(model)
        if first is None:
            return data
        return (_floating(data[0], first), *data[1:])
    if isinstance(data, dict):
        first = _first(model)
        if first is None:
            return data
        return {
            key: item if key in TARGETS or isinstance(item, Tensor) else _floating(item, first)
            for key, item in data.items()
        }
    if isinstance(data, np.ndarray):
        first = _first(model)
        return data if first is None else _floating(data, first)
    return data


def _first(model: Module) -> nn.Linear | None:
    """Return the linear layer that a model begins with, after layers that change no dtype."""
    if isinstance(model, nn.Linear):
        return model
    if isinstance(model, nn.Sequential):
        for child in model:
            if not isinstance(child, (nn.Flatten, nn.Identity, nn.Dropout)):
                return _first(child)
    return None


def _floating(inputs: Any, first: nn.Linear) -> Any:
    if not hasattr(inputs, "__array__") and not isinstance(inputs, (list, tuple)):
        return inputs
    array = asarray(as_numbers(inputs, 0))
    if type(array) is not np.ndarray or is_floating(array):
        return array
    return array.astype(first.weight.dtype)
