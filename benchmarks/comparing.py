"""Comparing with PyTorch: its arguments as ours, and whether results and gradients are the same."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch

import nnscratch
from nnscratch import nn


class Differs(Exception):
    """A result that is not PyTorch's."""


def same(got: Any, expected: Any, what: str, values: bool = True) -> None:
    """Raise unless a result is PyTorch's: structure, shapes, dtypes and, if asked, values."""
    if isinstance(expected, torch.Tensor):
        if not isinstance(got, nnscratch.Tensor):
            raise Differs(f"{what}: {type(got).__name__}, PyTorch has a tensor")
        a, b = array_of(got), array_of(expected)
        if a.shape != b.shape:
            raise Differs(f"{what}: shape {a.shape}, PyTorch has {b.shape}")
        if a.dtype != b.dtype:
            raise Differs(f"{what}: {a.dtype}, PyTorch has {b.dtype}")
        if values:
            close(a, b, what)
    elif isinstance(expected, torch.nn.utils.rnn.PackedSequence):
        same(tuple(got), tuple(expected), what, values)
    elif isinstance(expected, (list, tuple)):
        if not isinstance(got, (list, tuple)) or len(got) != len(expected):
            raise Differs(f"{what}: {type(got).__name__}, PyTorch has {type(expected).__name__}")
        for index, (one, other) in enumerate(zip(got, expected, strict=True)):
            same(one, other, f"{what} {index}", values)
    elif isinstance(expected, (bool, int, float, complex)):
        if values:
            close(np.asarray(got), np.asarray(expected), what)
    elif got != ours_of(expected):
        raise Differs(f"{what}: {got!r}, PyTorch has {expected!r}")


def close(a: Any, b: Any, what: str) -> None:
    if b.dtype.kind in "fc":
        single = b.dtype.itemsize <= (8 if b.dtype.kind == "c" else 4)
        rtol, atol = (2e-4, 1e-5) if single else (1e-7, 1e-8)
        # Sums of large numbers cancel to small ones, which have the error of the large ones.
        atol *= max(1.0, float(np.max(np.abs(b), where=np.isfinite(b), initial=0.0)))
        if not np.allclose(a, b, rtol, atol, equal_nan=True):
            with np.errstate(all="ignore"):
                raise Differs(f"{what}: values differ by up to {np.nanmax(np.abs(a - b)):.3g}")
    elif not np.array_equal(a, b):
        raise Differs(f"{what}: other values")


def same_gradients(got: Any, expected: Any, ours: Any, given: Any) -> None:
    """Compare the gradients of all inputs for one random cotangent of every floating output."""
    rng = np.random.default_rng(0)
    theirs = [t for t in tensors_in(expected) if t.requires_grad]
    pairs = list(zip(tensors_in(got), tensors_in(expected), strict=True))
    mine = [m for m, t in pairs if t.requires_grad]
    if any(m.requires_grad and not t.requires_grad for m, t in pairs):
        raise Differs("output: with a gradient, PyTorch has none")
    if not theirs:
        return
    cotangents = [np.asarray(rng.normal(size=tuple(t.shape))) for t in theirs]
    leaves = [t for t in tensors_in(given) if t.requires_grad]
    held = [m for m, t in zip(tensors_in(ours), tensors_in(given), strict=True) if t.requires_grad]
    torch.autograd.backward(
        theirs, [torch.tensor(c).to(t.dtype) for c, t in zip(cotangents, theirs, strict=True)]
    )
    # One of ours without a gradient is right if PyTorch's is 0, as for the sign of a determinant.
    known = [(m, c) for m, c in zip(mine, cotangents, strict=True) if m.requires_grad]
    if known:
        upstream = [nnscratch.tensor(c.astype(array_of(m).dtype)) for m, c in known]
        nnscratch.autograd.backward([m for m, _ in known], upstream)
    for index, (m, t) in enumerate(zip(held, leaves, strict=True)):
        same_gradient(m, t, f"gradient of input {index}")


def forget_gradients(given: Any) -> None:
    for one in tensors_in(given):
        one.grad = None  # the same tensor may be in several calls
        if one.requires_grad and not one.is_leaf:
            one.retain_grad()


def same_gradient(m: Any, t: Any, what: str) -> None:
    if t.grad is None:
        if m.grad is not None and array_of(m.grad).any():
            raise Differs(f"{what}: there is one, PyTorch has none")
    elif m.grad is None:
        if array_of(t.grad).any():
            raise Differs(f"{what}: none, PyTorch has one")
    else:
        same(m.grad, t.grad, what)


def tensors_in(item: Any) -> list[Any]:
    """Return the tensors of either library inside lists, tuples and dictionaries, in order."""
    if isinstance(item, (torch.Tensor, nnscratch.Tensor)):
        return [item]
    if isinstance(item, dict):
        return [t for one in item.values() for t in tensors_in(one)]
    if isinstance(item, (list, tuple)):
        return [t for one in item for t in tensors_in(one)]
    return []


def array_of(item: Any) -> Any:
    return (
        item.detach().resolve_conj().resolve_neg().numpy(force=True)
        if isinstance(item, torch.Tensor)
        else np.asarray(item.detach())
    )


def ours_of(item: Any, made: dict[int, Any] | None = None) -> Any:
    """Return what stands for an argument of PyTorch's here; one tensor given twice stays one."""
    made = {} if made is None else made
    if isinstance(item, torch.nn.Parameter):
        return made.setdefault(id(item), nn.Parameter(nnscratch.tensor(array_of(item).copy())))
    if isinstance(item, torch.Tensor):
        tensor = nnscratch.tensor(array_of(item).copy(), requires_grad=item.requires_grad)
        return made.setdefault(id(item), tensor)
    if isinstance(item, torch.dtype):
        return getattr(nnscratch, str(item).removeprefix("torch."))
    if isinstance(item, torch.memory_format):
        return getattr(nnscratch, str(item).removeprefix("torch."))
    if isinstance(item, torch.Size):
        return tuple(item)
    if is_dataclass(item) and not isinstance(item, type):
        options = {one.name: getattr(item, one.name) for one in fields(item)}
        return getattr(nn, type(item).__name__)(**options)
    if isinstance(item, torch.nn.TransformerEncoderLayer):
        sizes = (item.linear1.in_features, item.self_attn.num_heads, item.linear1.out_features)
        options = {"batch_first": item.self_attn.batch_first, "norm_first": item.norm_first}
        options["bias"] = item.linear1.bias is not None
        shape = ours_of(item.activation)
        return nn.TransformerEncoderLayer(*sizes, item.dropout.p, shape, **options)
    if isinstance(item, torch.nn.Module):
        return getattr(nn, type(item).__name__)()
    if isinstance(item, dict):
        return {key: ours_of(value, made) for key, value in item.items()}
    if isinstance(item, (list, tuple)):
        return type(item)(ours_of(one, made) for one in item)
    if callable(item) and str(getattr(item, "__module__", "")).startswith("torch"):
        return getattr(nn.functional, item.__name__, None) or getattr(nnscratch, item.__name__)
    return item
