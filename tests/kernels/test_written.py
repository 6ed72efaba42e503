"""Texts written as LLVM compute what Numba makes of them, and what cannot be written is refused."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from llvmlite import ir
from numba import njit

from nnscratch.kernels.cpu.runtime import entries, objects
from nnscratch.kernels.cpu.runtime.cache import compile_written
from nnscratch.kernels.cpu.runtime.intrinsics import pointer
from nnscratch.kernels.cpu.runtime.table import word
from nnscratch.kernels.cpu.words import WORDS
from nnscratch.kernels.cpu.written import write_kernel

OF_TWO = ("maximum", "minimum", "power")
OF_ONE = ("absolute", "cos", "exp", "expm1", "floor", "flushed", "log", "log1p", "sign", "sin")
OF_ONE += ("sqrt", "tanh", "normal_tail")
KERNEL = """
def kernel(a, s, tid, threads):
    x, y = pointer(a[0], K), pointer(a[1], K)
    for j in range(0, a[2]):
        y[j] = {}
"""


def written(line: str, X: Any, **scope: Any) -> Any:
    """Return what a line of a loop makes of X."""
    kind, Y = X.dtype.type, np.empty_like(X)
    names = {"K": kind, "pointer": pointer, **scope}
    made = compile_written(partial(write_kernel, KERNEL.format(line), names, kind), "kernel")
    a = np.array([word(X), word(Y), X.size])
    entries._callable(made.address, 4)(word(a), word(a), 0, 1)
    return Y


@pytest.fixture(autouse=True)
def nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "folder", lambda: None)


def test_a_word_has_the_bits_that_numba_gives_it(dtype: str) -> None:
    edges = [0.0, -0.0, 1.0, 2.0, np.inf, -np.inf, np.nan, 1e-40, 1e30, -1e30, 0.5, 88.9, -103.5]
    X = np.array([*edges, *np.random.default_rng(0).standard_normal(100) * 4], dtype)
    calls = {name: f"word_{name}(x[j])" for name in OF_ONE}
    calls |= {name: f"word_{name}(x[j], x[{k}])" for name in OF_TWO for k in (2, 3)}
    calls["where"] = "word_where(x[j] < x[10], x[2], x[j])"
    numbas: dict[str, Any] = dict(WORDS)
    lines = [f"        Y[{k}, j] = {call}" for k, call in enumerate(calls.values())]
    text = ["def numba(x, Y):", "    for j in range(x.size):", *lines]
    exec("\n".join(text), numbas)
    wanted = np.empty((len(calls), X.size), dtype)
    njit(error_model="numpy")(numbas["numba"])(X, wanted)
    for (name, call), right in zip(calls.items(), wanted, strict=True):
        np.testing.assert_array_equal(written(call, X, **WORDS), right, err_msg=name, strict=True)


def test_floats_of_two_dtypes_make_a_float64() -> None:
    X = np.array([1.0, 1e-9], np.float32)
    wide = written("(1.0 + wide(x[j])) - 1.0", X, wide=np.float64)
    np.testing.assert_array_equal(wide, ((1.0 + X.astype(np.float64)) - 1.0).astype(np.float32))
    assert written("(1.0 + x[j]) - 1.0", X)[1] == 0.0


@pytest.mark.parametrize("line", ["[x[j]]", "x[j] if x[j] else print(1.0)", "x[j] @ x[j]"])
def test_what_cannot_be_written_is_refused(line: str) -> None:
    names = {"K": np.float32, "pointer": pointer}
    with pytest.raises(TypeError, match="cannot be written as LLVM"):
        write_kernel(KERNEL.format(line), names, np.float32, ir.Module(), "kernel")
