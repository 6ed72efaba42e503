"""Comparing with PyTorch: the same numbers go into both, and everything that comes out is equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from tolerances import PARITY

import nnscratch
from nnscratch.formulas import FORMULAS


def of_torch(path: str) -> Any:
    """What stands at a dotted path below ``torch``, None where there is nothing."""
    found: Any = torch
    for name in path.split("."):
        found = getattr(found, name, None)
    return found


def torch_functions() -> dict[str, Callable[..., Any]]:
    """PyTorch's function for every formula that it has one for by the same name."""
    found = {}
    for name, made in FORMULAS.items():
        said = made.public.torch if made.public else ""
        paths = (said, f"nn.functional.{name}", f"nn.functional.{name}_loss", name)
        function = next((one for path in paths if path and (one := of_torch(path))), None)
        if function is not None:
            found[name] = function
    return found


def ours(array: Any, requires_grad: bool = False) -> nnscratch.Tensor:
    """An array of ours with a copy of the values."""
    return nnscratch.tensor(np.asarray(array), requires_grad=requires_grad)


def theirs(array: Any, requires_grad: bool = False) -> torch.Tensor:
    """PyTorch's, with a copy of the values."""
    return torch.tensor(np.asarray(array), requires_grad=requires_grad)


def values(item: Any) -> np.ndarray:
    """The values of a tensor of either, as NumPy."""
    if isinstance(item, torch.Tensor):
        return item.detach().numpy()
    if isinstance(item, nnscratch.Tensor):
        return np.asarray(item.detach())
    return np.asarray(item)


def assert_same(got: Any, expected: Any, what: str = "", times: float = 1.0) -> None:
    """Assert that ours has the shape, dtype and values of PyTorch's."""
    if expected is None:
        assert got is None, f"{what}: {got} where PyTorch has none"
        return
    got, expected = values(got), values(expected)
    assert got.shape == expected.shape, f"{what}: shape {got.shape}, PyTorch has {expected.shape}"
    assert got.dtype == expected.dtype, f"{what}: {got.dtype}, PyTorch has {expected.dtype}"
    if got.dtype.kind != "f":
        assert np.array_equal(got, expected), f"{what}: {got}, PyTorch has {expected}"
        return
    rtol, atol = PARITY[str(got.dtype)]
    np.testing.assert_allclose(got, expected, rtol * times, atol * times, err_msg=what)


def check(
    mine: Callable[..., Any],
    its: Callable[..., Any],
    arrays: Sequence[Any],
    needs: Sequence[bool] | None = None,
    seed: int = 0,
    times: float = 1.0,
) -> None:
    """Assert equal outputs, and equal gradients of every input for a random cotangent."""
    arrays = [np.asarray(array) for array in arrays]
    asks = [a.dtype.kind == "f" for a in arrays] if needs is None else list(needs)
    a = [ours(x, ask) for x, ask in zip(arrays, asks, strict=True)]
    b = [theirs(x, ask) for x, ask in zip(arrays, asks, strict=True)]
    got, expected = mine(*a), its(*b)
    assert_same(got, expected, "output", times)
    if not expected.requires_grad:
        assert not got.requires_grad
        return
    cotangent = np.random.default_rng(seed).normal(size=values(expected).shape)
    cotangent = cotangent.astype(values(expected).dtype)
    got.backward(ours(cotangent))
    expected.backward(theirs(cotangent))
    for index, (x, y) in enumerate(zip(a, b, strict=True)):
        assert_same(x.grad, y.grad, f"gradient of input {index}", times)
