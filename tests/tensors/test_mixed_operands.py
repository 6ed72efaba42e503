"""Operands of several dtypes and shapes, and indices: PyTorch's numbers, or its refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from calls import MATRIX, Call, same

import nnscratch
from nnscratch.errors import ConfigurationError, DataError, NNScratchError, ShapeError

INDEX = [[0, 2, 1]]

MIXED: dict[str, tuple[Call, Any, str]] = {
    "xlogy of unsigned integers and -1": (lambda lib, x: lib.xlogy(x, -1), [0, 3], "uint8"),
    "xlogy of small integers and 300": (lambda lib, x: lib.xlogy(x, 300), [0, 3], "int8"),
    "addcmul with a float64 number": (
        lambda lib, x: x.addcmul(x > 0, lib.tensor(0.7, dtype=lib.float64), value=4),
        MATRIX, "float32",
    ),
    "addcdiv with a float64 number": (
        lambda lib, x: x.addcdiv(lib.tensor([1, 2, 3]), lib.tensor(0.7, dtype=lib.float64)),
        MATRIX, "float32",
    ),
    "addr of integers, the input not read": (
        lambda lib, x: lib.addr(x, lib.tensor([1, 2]), lib.tensor([1, 2, 3]), beta=0, alpha=0.5),
        MATRIX, "float32",
    ),
    "nansum of integers in int32": (lambda lib, x: x.nansum(0, dtype=lib.int32), INDEX, "int64"),
    "narrow from the end": (lambda lib, x: x.narrow(1, -2, 2), MATRIX, "float32"),
    "angle of infinity": (lambda lib, x: x.angle(), [-np.inf, np.inf, -1.0, np.nan], "float32"),
    "fill_ by a tensor": (
        lambda lib, x: lib.ones(2, 2).fill_(x.sum()).cumsum(0), MATRIX, "float32",
    ),
    "take from the end": (lambda lib, x: x.take(lib.tensor([-1, 0])), MATRIX, "float32"),
    "take_along_dim from the end": (
        lambda lib, x: lib.take_along_dim(x, lib.tensor([[-1], [0]]), 1), MATRIX, "float32",
    ),
    "put from the end": (
        lambda lib, x: x.put(lib.tensor([-1, 1]), lib.tensor([8.0, 9.0])), MATRIX, "float32",
    ),
    "index_fill from the end": (
        lambda lib, x: x.index_fill(1, lib.tensor([-1]), 9.0), MATRIX, "float32",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MIXED)
def test_numbers_and_dtypes(name: str) -> None:
    call, values, dtype = MIXED[name]
    same(call, values, dtype)


def _at(lib: Any) -> Any:
    return lib.tensor([[0, -1, 1]])


REFUSED: dict[str, tuple[Call, type[NNScratchError], str]] = {
    "gather": (lambda lib, x: x.gather(0, _at(lib)), DataError, "0 to 1, got -1"),
    "index_select": (
        lambda lib, x: x.index_select(1, lib.tensor([0, -1])), DataError, "0 to 2, got -1",
    ),
    "scatter": (lambda lib, x: x.scatter(0, _at(lib), 9.0), DataError, "0 to 1, got -1"),
    "scatter_add": (
        lambda lib, x: x.scatter_add(0, _at(lib), lib.ones(1, 3)), DataError, "0 to 1, got -1",
    ),
    "scatter_reduce": (
        lambda lib, x: x.scatter_reduce(0, _at(lib), lib.ones(1, 3), "amax"),
        DataError, "0 to 1, got -1",
    ),
    "index_add": (
        lambda lib, x: x.index_add(0, lib.tensor([-1]), lib.ones(1, 3)), DataError, "got -1",
    ),
    "index_copy": (
        lambda lib, x: x.index_copy(0, lib.tensor([-1]), lib.ones(1, 3)), DataError, "got -1",
    ),
    "index_fill with several values": (
        lambda lib, x: x.index_fill(0, lib.tensor([0]), lib.ones(2)), ShapeError, "one number",
    ),
    "fill_ with several values": (
        lambda lib, x: lib.ones(2).fill_(lib.ones(2)), ShapeError, "one number",
    ),
    "inner of other lengths": (
        lambda lib, x: lib.inner(x, lib.ones(1)), ShapeError, "last dimensions of one size",
    ),
    "addr to a larger input": (
        lambda lib, x: lib.addr(x, lib.ones(1), lib.ones(3)), ShapeError, r"product of shape \(1",
    ),
    "addmv to a matrix": (
        lambda lib, x: lib.addmv(x[:, :2], x, lib.ones(3)), ShapeError, r"product of shape \(2,\)",
    ),
    "addmm to more dimensions, beta 0": (
        lambda lib, x: lib.addmm(x.reshape(1, 2, 3), x, lib.ones(3, 3), beta=0),
        ShapeError, r"product of shape \(2, 3\)",
    ),
    "cholesky_inverse": (lambda lib, x: lib.cholesky_inverse(x), ShapeError, "square matrices"),
    "cholesky_solve": (
        lambda lib, x: lib.cholesky_solve(lib.ones(2, 1), x), ShapeError, "square matrices",
    ),
    "renorm of p = 0": (lambda lib, x: x.renorm(0, 0, 1.0), ConfigurationError, "p above 0"),
    "a dimension of a number": (
        lambda lib, x: x.sum().transpose(0, 1), ShapeError, "dim must be from -1 to 0",
    ),
    "flatten of a number": (lambda lib, x: x.sum().flatten(1), ShapeError, "from -1 to 0"),
    "movedim of a number": (lambda lib, x: lib.movedim(x.sum(), 1, 0), ShapeError, "from -1 to 0"),
    "prod of a number": (lambda lib, x: x.sum().prod(-3), ShapeError, "from -1 to 0"),
    "batch norm with eps 0": (
        lambda lib, x: lib.nn.functional.batch_norm(x, None, None, training=True, eps=0.0),
        ConfigurationError, "eps must be above 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_pytorch_refuses(name: str) -> None:
    call, kind, text = REFUSED[name]
    with pytest.raises((RuntimeError, IndexError, ValueError)):
        call(torch, torch.tensor(MATRIX))
    with pytest.raises(kind, match=text):
        call(nnscratch, nnscratch.tensor(MATRIX))


def test_a_compiled_step_refuses_negative_indices_too() -> None:
    x = nnscratch.tensor(MATRIX)
    step = nnscratch.compile(lambda index: x.gather(1, index).sum())
    for _ in range(3):
        assert step(nnscratch.tensor([[1], [2]])).item() == -2.25
    with pytest.raises(DataError, match="got -1"):
        step(nnscratch.tensor([[1], [-1]]))
