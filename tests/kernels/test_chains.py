"""Loops that were joined leave in memory what they leave one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnscratch import formulas as f
from nnscratch.kernels.bodies import parsed
from nnscratch.kernels.cpu.chains import MOST_ARRAYS, Chain, PlacedLoop
from nnscratch.kernels.cpu.operands import Operands
from nnscratch.kernels.cpu.runtime.table import Table

CHEAP = [f.ADD, f.MULTIPLY, f.SUBTRACT, f.MAXIMUM, f.RELU, f.ABS, f.NEGATIVE]


class Program:
    """Takes the instructions of loops and runs them, in some threads."""

    def __init__(self) -> None:
        self.table = Table()

    def emit(self, kernel: Any, a: Any, s: Any = (), flags: int = 0) -> None:
        self.table.add(kernel, a, s, flags)

    def run(self, threads: int) -> None:
        self.table.build().run(threads)


def loop(formula: f.Formula, *inputs: Any, out: Any) -> PlacedLoop:
    """Return a loop that computes a formula into an array."""
    words = formula.pointwise
    made = Operands(out.shape, out.dtype)
    values = [*inputs, *words.options.values()]
    made.store(made.apply(parsed(words.forward), [made.add(one) for one in values]), out)
    return PlacedLoop(made)


def apart(loops: list[PlacedLoop], threads: int = 1) -> int:
    program = Program()
    for one in loops:
        one.operands.emit_now(program)
    program.run(threads)
    return len(loops)


def joined(loops: list[PlacedLoop], threads: int = 1) -> int:
    """Join what can be joined, run it, and return how many chains there were."""
    program, chains = Program(), [Chain(loops[0], False, False)]
    for one in loops[1:]:
        if not chains[-1].join(one, False, False):
            chains.append(Chain(one, False, False))
    for chain in chains:
        chain.emit(program)
    program.run(threads)
    return len(chains)


def numbers(*shape: int, seed: int = 0, dtype: str = "float32") -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("seed", range(40))
def test_any_order_of_loops_over_any_views_of_some_memory(seed: int) -> None:
    # Which loops are joined depends on their addresses, counted in elements, and not on the dtype:
    # each program has one of its own, since nearly all of its kernels are compiled for it alone.
    dtype = ("float32", "float64")[seed % 2]
    shape = (6, 24)
    memory = numbers(4000, seed=seed, dtype=dtype)
    whole = memory[: 26 * 50].reshape(26, 50)
    views = [
        *(memory[1300 + 150 * k : 1444 + 150 * k].reshape(shape) for k in range(6)),
        whole[:6, :24],
        whole[:6, 1:25],
        whole[1:7, :24],
        whole[10:16, 26:50],
        whole[20:26, :48:2],
        memory[3000:3144].reshape(24, 6).T,
        np.broadcast_to(memory[3200:3224], shape),
        np.broadcast_to(memory[3300:3306, None], shape),
    ]

    def build(at: Any) -> list[Operands]:
        pick = np.random.default_rng(seed + 1000)
        own = [
            np.lib.stride_tricks.as_strided(
                at[(view.__array_interface__["data"][0] - memory.ctypes.data) // memory.itemsize :],
                view.shape,
                view.strides,
            )
            for view in views
        ]
        made = []
        for _ in range(12):
            formula = CHEAP[pick.integers(len(CHEAP))]
            inputs = [own[pick.integers(len(own))] for _ in formula.pointwise.inputs]
            out = own[pick.integers(len(own) - 2)]
            reads = [np.shares_memory(one, out) and not _same(one, out) for one in inputs]
            if not any(reads):  # a loop by itself must not depend on its own order
                made.append(loop(formula, *inputs, out=out))
        return made

    one, other = memory.copy(), memory.copy()
    count = apart(build(one))
    for threads in (1, 3):
        other[...] = memory
        assert joined(build(other), threads) <= count
        assert one.tobytes() == other.tobytes()


def _same(a: Any, b: Any) -> bool:
    return bool(a.__array_interface__["data"] == b.__array_interface__["data"]) and (
        a.strides == b.strides
    )


def test_neighbours_become_one_and_what_nobody_reads_is_not_written() -> None:
    a, b, t, u = numbers(8, 64), numbers(8, 64, seed=1), np.zeros((8, 64), "f4"), numbers(8, 64)
    wanted = np.maximum(a + b, 0) * b
    chain = Chain(loop(f.ADD, a, b, out=t), False, False)
    assert chain.join(loop(f.RELU, t, out=t), False, False)
    assert chain.join(loop(f.MULTIPLY, t, b, out=u), False, False)
    chain.forget(t)
    program = Program()
    chain.emit(program)
    program.run(2)
    assert chain.joined == 3
    assert len(program.table.instructions) == 1
    np.testing.assert_array_equal(u, wanted)
    assert not t.any()


def test_memory_that_is_given_anew_within_a_chain() -> None:
    a, t, u = numbers(4, 64), np.zeros((4, 64), "f4"), np.zeros((4, 64), "f4")
    chain = Chain(loop(f.NEGATIVE, a, out=t), False, False)
    assert chain.join(loop(f.ABS, t, out=u), False, False)
    chain.forget(t)
    assert chain.join(loop(f.ADD, u, a, out=t), False, False)  # another result in the same place
    chain.forget(u)
    program = Program()
    chain.emit(program)
    program.run(1)
    np.testing.assert_array_equal(t, np.abs(a) + a)
    assert not u.any()


def test_nothing_is_emitted_of_which_nothing_is_wanted() -> None:
    a, t = numbers(64), np.zeros(64, "f4")
    chain = Chain(loop(f.NEGATIVE, a, out=t), False, False)
    chain.forget(t)
    program = Program()
    chain.emit(program)
    assert not program.table.instructions


def test_what_is_not_joined() -> None:
    a, t, u = numbers(6, 64), numbers(6, 64), numbers(6, 64)
    first = loop(f.ADD, a, a, out=t)
    chain = Chain(first, False, False)
    other_shape = loop(f.ADD, a[:3], a[:3], out=u[:3])
    assert not chain.join(other_shape, False, False)
    other_dtype = loop(f.ADD, numbers(6, 64, dtype="float64"), 1.0, out=np.zeros((6, 64)))
    assert not chain.join(other_dtype, False, False)
    row = np.zeros(383, "f4")
    assert not Chain(
        loop(f.ADD, t.reshape(-1)[:-1], 1.0, out=t.reshape(-1)[:-1]), False, False
    ).join(loop(f.NEGATIVE, t.reshape(-1)[1:], out=row), False, False)
    # An argument of a step may be anything that the caller holds, what the step changes included.
    update = loop(f.ADD, t, a, out=u)
    assert not Chain(loop(f.ADD, a, a, out=t), True, False).join(update, False, True)
    strided = loop(f.NEGATIVE, np.zeros((6, 128), "f4")[:, ::2], out=u)
    assert not chain.join(strided, False, False)
    assert chain.joined == 1


def test_no_more_arrays_than_a_processor_has_registers_for() -> None:
    arrays = [numbers(64, seed=k) for k in range(40)]
    loops = [
        loop(f.ADD, a, b, out=c) for a, b, c in zip(arrays, arrays[1:], arrays[2:], strict=False)
    ]
    wanted = [one.copy() for one in arrays]
    for a, b, c in zip(wanted, wanted[1:], wanted[2:], strict=False):
        c[...] = a + b
    chains = joined(loops)
    assert 1 < chains < len(loops)
    assert all(len(one.operands.inputs) + len(one.operands.outputs) <= MOST_ARRAYS for one in loops)
    for got, right in zip(arrays, wanted, strict=True):
        np.testing.assert_array_equal(got, right)


def test_two_exponentials_stay_apart() -> None:
    a, t, u = numbers(64), np.zeros(64, "f4"), np.zeros(64, "f4")
    chain = Chain(loop(f.SIGMOID, a, out=t), False, False)
    assert not chain.join(loop(f.TANH, t, out=u), False, False)
    assert chain.join(loop(f.MULTIPLY, t, t, out=u), False, False)
