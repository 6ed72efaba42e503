"""The launch path: arguments, falling back where nothing compiles, late errors, repeatability."""

from __future__ import annotations

import ctypes
import math
import struct
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from emulator import build
from emulator.driver import Emulator

from nnscratch.errors import DataError
from nnscratch.formulas import ADAM, RELU, choosing, registry
from nnscratch.formulas.live import LiveFloat, LiveInt
from nnscratch.kernels.cuda import (
    IMPLEMENTATIONS,
    CompileWarning,
    KernelArgumentError,
)
from nnscratch.kernels.cuda.driver import MOST_BLOCKS, cover
from nnscratch.kernels.cuda.launch import At, form, packed


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture
def only_cuda(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the registry have just these kernels of just this driver."""

    def enter(driver: Any, *names: str) -> None:
        made = {name: [IMPLEMENTATIONS[name].on(driver)] for name in names}
        monkeypatch.setattr(choosing, "_implementations", made)
        monkeypatch.setattr(choosing, "_later", {})

    return enter


def test_entering_the_kernels_imports_no_cupy() -> None:
    code = (
        "import sys; from nnscratch.formulas import registry\n"
        "from nnscratch.kernels.cuda import IMPLEMENTATIONS\n"
        "assert all(i in registry.implementations(n) for n, i in IMPLEMENTATIONS.items())\n"
        "import numpy\n"
        "assert IMPLEMENTATIONS['relu'].refuses('forward', (numpy.ones(3),), {})\n"
        "assert not {'cupy', 'numba', 'nvmath'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_grid_covers_the_work_and_has_an_end() -> None:
    assert cover(0) == (1,)
    assert cover(1) == (1,)
    assert cover(256) == (1,)
    assert cover(257) == (2,)
    assert cover(257, 4) == (1,)
    assert cover(10**10) == (MOST_BLOCKS,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda x: (x, x), r"takes 3 arguments \(X, out, n\), got 2"),
        (lambda x: (x.astype("f8"), x, 6), "contiguous array of float32 as X, got one"),
        (lambda x: (x, x[::2], 6), "contiguous array of float32 as out.*strides"),
        (lambda x: (x, x.astype("i4"), 6), "as out, got one of int32"),
    ],
    ids=["too few", "another dtype", "strides", "integers"],
)
def test_arguments_that_are_not_declared(arguments: Any, message: str, emulator: Emulator) -> None:
    x = np.ones(6, np.float32)
    with pytest.raises(KernelArgumentError, match=message):
        emulator.launch("relu", "relu_forward", "float32", (1,), arguments(x))


def test_arguments_lie_in_memory_as_they_are_declared() -> None:
    partial = np.ones(6)
    given = (partial, None, LiveInt(6, 0, "n"), LiveFloat(0.5, 0, "scale"))
    declared = form("reductions", "sum_finish", "float32")
    assert declared.offsets == (0, 8, 16, 24)
    data, arrays = packed("sum_finish", declared, given, lambda array: array.ctypes.data)
    assert struct.unpack("=QQqd", data) == (partial.ctypes.data, 0, 6, 0.5)
    assert len(arrays) == 1
    # A number that may come late is followed by the address of where it then stands.
    declared = form("random", "dropout", "float64")
    assert declared.offsets == (0, 8, 16, 24, 32, 40, 48, 64)
    page = np.arange(4, dtype=np.uint64)
    given = (None, None, None, 9, 0.25, 2.0, 2**64 - 1, At(page, 3))
    data, arrays = packed("dropout", declared, given, lambda array: array.ctypes.data)
    assert struct.unpack("=QQQqddQQQQ", data)[4:] == (
        0.25, 2.0, 2**64 - 1, 0, 0, page.ctypes.data + 24,
    )  # fmt: skip
    assert arrays == [page]
    # A flag of 32 bits is filled up: what follows lies at a multiple of 8.
    assert form("losses", "loss_backward_mse", "float32").layout.size == 80


def test_a_launch_has_the_addresses_of_its_arguments(emulator: Emulator) -> None:
    x, y = np.ones(6, np.float32), np.zeros(6, np.float32)
    made = emulator.prepare("relu", "relu_forward", x.dtype, (1,), (x, y, 6))
    pointers = (ctypes.c_void_p * 3).from_address(made.pointers)
    start = ctypes.addressof(made.arguments)
    assert list(pointers) == [start + 8 * index for index in range(3)]
    assert (made.grid, made.block) == ((1, 1, 1), (256, 1, 1))


def test_more_work_than_a_grid_has_threads(emulator: Emulator, rng: Any) -> None:
    """The loop over the grid: one block for work that would fill several."""
    plain = Emulator("plain")
    X = rng.standard_normal(5003).astype(np.float32)
    Y = np.zeros_like(X)
    plain.launch("relu", "relu_forward", "float32", (1,), (X, Y, X.size))
    np.testing.assert_array_equal(Y, np.maximum(X, 0))
    # Bias columns that a thread meets in another order, since 7 divides no power of two.
    Z, b = rng.standard_normal((999, 7)).astype(np.float32), np.arange(7, dtype=np.float32)
    Y = np.zeros_like(Z)
    arguments = (Z, b, None, Y, 999, 7, 0.0, 0.0)
    plain.launch("linear", "bias_activation_identity", "float32", (3,), arguments)
    np.testing.assert_array_equal(Y, Z + b)


def test_arrays_that_are_not_aligned_for_vectors(emulator: Emulator, rng: Any) -> None:
    for start in (0, 1, 2, 3):
        X = rng.standard_normal(301).astype(np.float32)[start:]
        kernel = IMPLEMENTATIONS["relu"].on(emulator)
        np.testing.assert_array_equal(kernel.forward(X)[0], np.maximum(X, 0))
        P, G = X.copy(), rng.standard_normal(400).astype(np.float32)[start : start + X.size]
        IMPLEMENTATIONS["sgd"].on(emulator).update(P, G, lr=0.5)
        np.testing.assert_allclose(P, X - np.float32(0.5) * G, rtol=1e-6)


@pytest.mark.parametrize("shifted", range(5))
def test_any_array_of_the_bias_kernel_may_be_the_unaligned_one(
    shifted: int, emulator: Emulator, rng: Any
) -> None:
    shapes = ((6, 8), (8,), (6, 8), (6, 8))
    Z, b, kept, Y = (np.zeros(math.prod(s) + 1, np.float32)[int(i == shifted) :][: math.prod(s)]
                     for i, s in enumerate(shapes))  # fmt: skip
    Z[...], b[...] = rng.standard_normal(48), rng.standard_normal(8)
    arguments = (Z, b, kept, Y, 6, 8, 0.0, 0.0)
    emulator.launch("linear", "bias_activation_relu", "float32", (1,), arguments)
    expected = Z.reshape(6, 8) + b
    np.testing.assert_array_equal(kept.reshape(6, 8), expected)
    np.testing.assert_array_equal(Y.reshape(6, 8), np.maximum(expected, 0))


def training_step(driver: Emulator) -> list[bytes]:
    """Return every result of a step that uses most families."""
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> Any:
        return rng.standard_normal(shape).astype(np.float32)

    X, W, b, V = draw(70, 33), draw(41, 33), draw(41), draw(10, 41)
    T = rng.integers(0, 10, 70)
    kernel = {name: one.on(driver) for name, one in IMPLEMENTATIONS.items()}
    H, saved = kernel["linear_activation"].forward(X, W, b, activation="gelu")
    D, dropped = kernel["dropout"].forward(H, p=0.3, seed=2**40 + 3, offset=5)
    Z, saved_z = kernel["linear"].forward(D, V)
    L, saved_l = kernel["cross_entropy"].forward(Z, T, label_smoothing=0.1)
    dZ = kernel["cross_entropy"].backward(np.ones((), np.float32), saved_l, (True, False, False))[0]
    dD, dV, _ = kernel["linear"].backward(dZ, saved_z, (True, True, False))
    dH = kernel["dropout"].backward(dD, dropped, (True,))[0]
    gradients = kernel["linear_activation"].backward(dH, saved, (True, True, True))
    M, S = np.zeros_like(V), np.zeros_like(V)
    kernel["adam"].update(V, dV, M, S, lr=1e-2, step=1)
    norm = kernel["squared_norm"].forward(dV)[0]
    return [one.tobytes() for one in (H, L, dZ, *gradients, V, M, S, norm)]


@pytest.mark.parametrize("tiled_limit", [0, 1 << 20])
def test_a_step_repeats_bit_for_bit_in_any_order_of_threads(tiled_limit: int) -> None:
    first = training_step(Emulator("plain", 0, tiled_limit=tiled_limit))
    for schedule in (0, 1, 2, 3):
        assert training_step(Emulator("plain", schedule, tiled_limit=tiled_limit)) == first


def test_the_registry_computes_with_the_reference_instead(only_cuda: Any) -> None:
    emulator = Emulator(texts={"relu": "nonsense", "optimizers": "#error no headers"})
    only_cuda(emulator, "relu", "adam")
    X = np.array([-1.0, 2.0], np.float32)
    with registry.observing(registry.CallLog()) as log:
        with pytest.warns(CompileWarning, match=r"(?s)relu.cu .*nonsense"):
            Y, _ = registry.forward(RELU, X)
        registry.forward(RELU, X)
        state = [np.ones(2) for _ in range(4)]
        with pytest.warns(CompileWarning, match=r"(?s)optimizers.cu .*no headers"):
            registry.update(ADAM, *state, lr=0.1, step=1)
    assert Y.tolist() == [0.0, 2.0]
    assert [ran for _, _, ran in log.ran] == ["reference"] * 3
    assert state[0][0] < 1


def test_labels_out_of_range(emulator: Emulator, rng: Any) -> None:
    kernel = IMPLEMENTATIONS["cross_entropy"].on(emulator)
    Z = rng.standard_normal((70, 5)).astype(np.float32)
    for bad in ([5], [-1], [70, -3]):
        T = rng.integers(0, 5, 70)
        T[3 : 3 + len(bad)] = bad
        for reduction in ("mean", "sum", "none"):
            with pytest.raises(DataError, match=rf"{len(bad)} labels are out of range"):
                kernel.forward(Z, T, reduction=reduction)
    T[:] = 4
    assert np.isfinite(kernel.forward(Z, T)[0])


def test_without_a_compiler_these_tests_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build.compiler.cache_clear()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(build.NoCompiler, match=r"apt-get install g\+\+"):
        build.compiler()
    build.compiler.cache_clear()
