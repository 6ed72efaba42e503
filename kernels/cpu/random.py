"""Philox4x32-10 and dropout from it: any number of the stream by itself.

The counter of number i is the block ``offset + i // 4``, its word ``i % 4`` (in float64 two
numbers a block). ``nnscratch.array.philox`` has the same stream in array code.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name
from nnscratch.formulas.random import DropoutSaved

from .implementation import Builder, CpuKernel, Inputs, Options
from .runtime.declaration import Bytes, Floats, helper, kernel
from .runtime.language import KIND, part, same, stack

u64 = np.uint64
LOW = u64(0xFFFFFFFF)
HALF = u64(32)
M0, M1 = u64(0xD2511F53), u64(0xCD9E8D57)
STEP0, STEP1 = u64(0x9E3779B9), u64(0xBB67AE85)
GROUP = 64  # blocks that are made side by side, so that the rounds vectorise
WORDS = 256  # their words
PER_GROUP = 4 * GROUP


@helper
def philox(block, k0, k1):
    """The four words of a block; everything is a 32-bit number in a uint64."""
    c0, c1, c2, c3 = block & LOW, block >> HALF, u64(0), u64(0)
    for _ in range(10):
        p0, p1 = c0 * M0, c2 * M1
        c0, c1, c2, c3 = (p1 >> HALF) ^ c1 ^ k0, p1 & LOW, (p0 >> HALF) ^ c3 ^ k1, p0 & LOW
        k0, k1 = (k0 + STEP0) & LOW, (k1 + STEP1) & LOW
    return c0, c1, c2, c3


@helper
def group_of_words(first, k0, k1, words):
    """Write the 4 · GROUP words of GROUP blocks from ``first`` on into uint32 ``words``."""
    for i in range(GROUP):
        w0, w1, w2, w3 = philox(first + u64(i), k0, k1)
        words[4 * i] = np.uint32(w0)
        words[4 * i + 1] = np.uint32(w1)
        words[4 * i + 2] = np.uint32(w2)
        words[4 * i + 3] = np.uint32(w3)


@kernel(cost=lambda count: 2.0 * count)
def dropout(
    X: Floats, Y: Floats, mask: Bytes, count: int, seed: int, offset: int, p: float, tid, threads
):
    """Mask = uniform32 >= p, Y = mask X / (1 - p). In place: Y = X; p = 1 gives 0."""
    key, start_block = u64(seed), u64(offset)
    limit = np.float32(p)
    scale = KIND(1.0 / (1.0 - p)) if p < 1.0 else KIND(0.0)
    words = stack(WORDS, np.uint32)
    first, last = part(count, tid, threads, PER_GROUP)
    for start in range(first, last, PER_GROUP):
        group_of_words(start_block + u64(start // PER_GROUP * GROUP), key & LOW, key >> HALF, words)
        length = min(PER_GROUP, last - start)
        if not same(X, Y):
            for i in range(length):
                kept = np.float32(words[i] >> np.uint32(8)) * np.float32(2.0**-24) >= limit
                mask[start + i] = np.uint8(kept)
                Y[start + i] = X[start + i] * scale if kept else KIND(0.0)
        else:
            for i in range(length):
                kept = np.float32(words[i] >> np.uint32(8)) * np.float32(2.0**-24) >= limit
                mask[start + i] = np.uint8(kept)
                Y[start + i] = Y[start + i] * scale if kept else KIND(0.0)


@kernel(cost=lambda count: 0.3 * count)
def dropout_backward(dY: Floats, mask: Bytes, dX: Floats, count: int, p: float, tid, threads):
    """DX = mask dY / (1 - p). In place: dX = dY."""
    scale = KIND(1.0 / (1.0 - p)) if p < 1.0 else KIND(0.0)
    first, last = part(count, tid, threads, 1024)
    if not same(dY, dX):
        for i in range(first, last):
            dX[i] = dY[i] * scale if mask[i] != 0 else KIND(0.0)
    else:
        for i in range(first, last):
            dX[i] = dX[i] * scale if mask[i] != 0 else KIND(0.0)


def _dropout(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> tuple[tuple[Any, ...], Any]:
    (X,) = inputs
    Y, M = builder.output(0, X.shape, X.dtype), builder.empty(X.shape, np.bool_)
    p = options["p"]
    dropout.emit(
        builder, dtype_name(X.dtype), X=X, Y=Y, mask=M, count=X.size, seed=options["seed"],
        offset=options["offset"], p=p,
    )  # fmt: skip
    return (Y,), DropoutSaved(M, p)


def _dropout_backward(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> tuple[tuple[Any, ...], Any]:
    dY, M, p = inputs
    dX = builder.output(0, dY.shape, dY.dtype)
    dropout_backward.emit(
        builder, dtype_name(dY.dtype), dY=dY, mask=M, dX=dX, count=math.prod(dY.shape), p=p
    )
    return (dX,), None


def _check_dropout(inputs: Inputs, options: Options) -> str | None:
    return None if 0.0 <= options["p"] <= 1.0 else "p is out of range"


def _check_dropout_backward(inputs: Inputs, options: Options) -> str | None:
    dY, M, _ = inputs
    return None if dY.shape == M.shape else f"dY has shape {dY.shape}"


DROPOUT_KERNEL = CpuKernel(
    "dropout",
    {"forward": _dropout, "backward": _dropout_backward},
    {"forward": _check_dropout, "backward": _check_dropout_backward},
)
