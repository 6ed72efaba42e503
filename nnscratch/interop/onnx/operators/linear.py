"""Matrix products."""

from __future__ import annotations

from typing import Any

from nnscratch.interop.onnx.operators.table import operator
from nnscratch.nn import functional as F
from nnscratch.tensors import Tensor
from nnscratch.tensors import functions as T
from nnscratch.tensors import ops as O


@operator("MatMul")
def matrix_product(a: Tensor, b: Tensor, /) -> Tensor:
    return T.matmul(a, b)


@operator("Gemm")
def general_product(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    /,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
    broadcast: Any = None,
) -> Tensor:
    if transA:
        a = T.transpose(a, 0, 1)
    floats = a.is_floating_point()
    own = c is None or tuple(c.shape) == (b.shape[0],)
    if floats and transB and alpha == 1.0 and beta == 1.0 and own:
        return F.linear(a, b, c)
    y = T.matmul(a, T.transpose(b, 0, 1) if transB else b)
    if alpha != 1.0:
        y = (y * (alpha if floats else int(alpha))).to(a.dtype)
    if c is None or beta == 0.0:
        return y
    return y + (c if beta == 1.0 else (c * (beta if floats else int(beta))).to(a.dtype))


@operator("Einsum")
def sum_of_products(*xs: Tensor, equation: str) -> Tensor:
    return O.einsum(equation.replace(" ", ""), *xs)


@operator("Det")
def determinant(x: Tensor, /) -> Tensor:
    return O.det(x)
