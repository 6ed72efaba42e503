"""Counter-based random numbers: equal on every backend, with two integers as their state.

Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011)
turns a 128-bit counter and a 64-bit key into 128 random bits. Here the key is the seed and the
counter is a block number, so number *i* of a stream can be computed anywhere, in any order, by any
number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nnscratch.array.backend import array_namespace
from nnscratch.array.dtypes import HALVES, dtype_name, dtype_of
from nnscratch.errors import ConfigurationError, DTypeError

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_LOW = 0xFFFFFFFF
CHUNK = 1 << 17
"""How many numbers are made at once; a multiple of the numbers in a block."""


def philox(blocks: Any, seed: int) -> tuple[Any, Any, Any, Any]:
    r"""Return four words of 32 random bits for each block number.

    One round, with $M_0, M_1$ the multipliers and hi, lo the halves of a 64-bit product:

    $$(c_0, c_1, c_2, c_3) \leftarrow (\mathrm{hi}(M_1 c_2) \oplus c_1 \oplus k_0,\;
      \mathrm{lo}(M_1 c_2),\; \mathrm{hi}(M_0 c_0) \oplus c_3 \oplus k_1,\; \mathrm{lo}(M_0 c_0))$$

    Args:
        blocks: uint64 array of any shape (n,), the low half of the counter.
        seed: the key, from 0 to 2**64 - 1.

    Returns:
        Four uint64 arrays of that shape, each value below 2**32.
    """
    zeros = array_namespace(blocks).zeros_like(blocks)
    counter = (blocks & _LOW, blocks >> 32, zeros, zeros)
    return rounds(counter, (seed & _LOW, seed >> 32))


def rounds(counter: tuple[Any, Any, Any, Any], key: tuple[int, int]) -> tuple[Any, Any, Any, Any]:
    """Return the four output words of Philox, given the counter's four words and the key's two."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & _LOW, (p0 >> 32) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + KEY_STEPS[0]) & _LOW, (k1 + KEY_STEPS[1]) & _LOW
    return c0, c1, c2, c3


def _words(xp: Any, count: int, per_block: int, seed: int, offset: int, device: Any) -> list[Any]:
    blocks = -(-count // per_block)
    counter = xp.arange(blocks, dtype=xp.uint64, device=device) + offset % 2**64
    return list(philox(counter, seed))


def _interleave(xp: Any, columns: list[Any], count: int) -> Any:
    return xp.reshape(xp.stack(columns, axis=1), (-1,))[:count]


def _filled(
    xp: Any, shape: tuple[int, ...], dtype: str, device: Any, make: Callable[[int, int], Any],
    per_block: int,
) -> Any:  # fmt: skip
    """Return an array of a shape, filled chunk by chunk by ``make(count, first block)``.

    The 64-bit words from which a number is made take eight times its memory. Chunks bound that
    overhead for large arrays.
    """
    count = math.prod(shape)
    kind = dtype_of(xp, dtype)
    if count <= CHUNK:
        return xp.reshape(xp.astype(make(count, 0), kind, copy=False), shape)
    made = xp.empty((count,), dtype=kind, device=device)
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        made[start:stop] = xp.astype(make(stop - start, start // per_block), kind, copy=False)
    return xp.reshape(made, shape)


def _doubles(xp: Any, high: Any, low: Any) -> Any:
    bits = ((high >> 5) << 26) + (low >> 6)
    return xp.astype(bits, xp.float64) * 2.0**-53


def blocks_needed(kind: str, count: int, dtype: str = "float32") -> int:
    """Return how many counter blocks it takes to make ``count`` numbers.

    Args:
        kind: "uniform", "normal", "randint" or "permutation".
        count: how many numbers.
        dtype: their dtype. A block of 128 bits makes four uniform numbers of 32 bits or less, and
            two of anything else.

    >>> blocks_needed("uniform", 5), blocks_needed("normal", 5)
    (2, 3)
    """
    four_a_block = kind == "uniform" and dtype != "float64"
    return -(-count // (4 if four_a_block else 2))


def uniform(
    xp: Any, shape: tuple[int, ...], *, seed: int, offset: int, dtype: Any, device: Any = None
) -> Any:
    """Return numbers uniform in [0, 1), of 8 random bits in bfloat16, 11, 24 or 53 in others.

    Args:
        xp: the array namespace of the result.
        shape: its shape.
        seed: the key of the stream, from 0 to 2**64 - 1.
        offset: the first counter block, from which numbers are taken in order.
        dtype: float16, float32 or float64.
        device: the library's own device object; None for its current one.

    Raises:
        DTypeError: if the dtype is not a floating one.

    >>> import numpy as np
    >>> uniform(np, (3,), seed=0, offset=0, dtype="float32").round(3)
    array([0.399, 0.881, 0.736], dtype=float32)
    """
    name = dtype_name(dtype)
    if name == "float64":

        def doubles(count: int, first: int) -> Any:
            w0, w1, w2, w3 = _words(xp, count, 2, seed, offset + first, device)
            return _interleave(xp, [_doubles(xp, w0, w1), _doubles(xp, w2, w3)], count)

        return _filled(xp, shape, name, device, doubles, 2)
    if name not in ("float32", *HALVES):
        raise DTypeError(f"random numbers need a floating dtype, got {name}")
    bits = {"float32": 24, "float16": 11, "bfloat16": 8}[name]

    def floats(count: int, first: int) -> Any:
        words = _words(xp, count, 4, seed, offset + first, device)
        columns = [xp.astype(word >> (32 - bits), xp.float32) * 2.0**-bits for word in words]
        return _interleave(xp, columns, count)

    return _filled(xp, shape, name, device, floats, 4)


def normal(
    xp: Any, shape: tuple[int, ...], *, seed: int, offset: int, dtype: Any, device: Any = None
) -> Any:
    r"""Return standard normal numbers by the Box-Muller transform.

    $n_0 = \sqrt{-2 \ln(1 - u_0)} \cos 2\pi u_1$, and $n_1$ with the sine. The transform is
    computed in float64 and rounded once, so that libraries whose log and cos differ in the last
    bit agree in float32. The arguments are those of ``uniform``.
    """

    def pairs(count: int, first: int) -> Any:
        w0, w1, w2, w3 = _words(xp, count, 2, seed, offset + first, device)
        radius = xp.sqrt(-2.0 * xp.log(1.0 - _doubles(xp, w0, w1)))
        angle = (2.0 * math.pi) * _doubles(xp, w2, w3)
        return _interleave(xp, [radius * xp.cos(angle), radius * xp.sin(angle)], count)

    return _filled(xp, shape, dtype_name(dtype), device, pairs, 2)


def _integers(xp: Any, count: int, seed: int, offset: int, device: Any) -> Any:
    w0, w1, w2, w3 = _words(xp, count, 2, seed, offset, device)
    return _interleave(xp, [(w0 << 32) + w1, (w2 << 32) + w3], count)


def randint(
    xp: Any,
    low: int,
    high: int,
    shape: tuple[int, ...],
    *,
    seed: int,
    offset: int,
    device: Any = None,
) -> Any:
    """Return int64 numbers uniform from ``low`` to ``high - 1``.

    They are 64 random bits modulo the size of the range, so no number's probability is off by
    more than 2**-64. The other arguments are those of ``uniform``.

    Raises:
        ConfigurationError: if the range is empty.
    """
    if high <= low:
        raise ConfigurationError(f"randint needs low < high, got low={low} and high={high}")
    bits = _integers(xp, math.prod(shape), seed, offset, device)
    return xp.reshape(xp.astype(bits % (high - low), xp.int64) + low, shape)


def permutation(xp: Any, n: int, *, seed: int, offset: int, device: Any = None) -> Any:
    """Return the numbers 0 to n - 1 in random order, as int64: the argsort of n random keys."""
    keys = _integers(xp, n, seed, offset, device)
    return xp.astype(xp.argsort(keys, stable=True), xp.int64)
