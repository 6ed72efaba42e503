"""Dropout's random numbers: those of the array layer, and those that Philox's authors give."""

from __future__ import annotations

import numpy as np
import pytest
from emulator.driver import Emulator

from nnscratch.array.philox import philox, uniform
from nnscratch.kernels.cuda import IMPLEMENTATIONS


def words(emulator: Emulator, blocks: int, seed: int, first: int) -> np.ndarray:
    made = np.zeros(4 * blocks, np.uint32)
    arguments = (made, blocks, seed, first)
    emulator.launch("random", "philox_words", "float32", (1,), arguments)
    return made.reshape(blocks, 4)


def test_the_known_answer(emulator: Emulator) -> None:
    (found,) = words(emulator, 1, 0, 0)
    assert [f"{word:08x}" for word in found] == ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]


@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**64 - 1, 0x123456789ABCDEF0])
@pytest.mark.parametrize("first", [0, 1, 2**32 - 2, 2**64 - 3])
def test_the_words_of_the_array_layer(seed: int, first: int, emulator: Emulator) -> None:
    with np.errstate(over="ignore"):
        blocks = np.arange(300, dtype=np.uint64) + np.uint64(first)
    expected = np.stack(philox(blocks, seed), axis=1)
    np.testing.assert_array_equal(words(emulator, 300, seed, first), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1, 3, 4, 5, 257, 1025])
def test_dropout_keeps_what_the_array_layer_says(size: int, dtype: str, emulator: Emulator) -> None:
    for p, seed, offset in ((0.0, 0, 0), (0.3, 7, 2), (0.5, 2**63, 2**40), (1.0, 3, 9)):
        X = np.arange(1, size + 1).astype(dtype)
        kernel = IMPLEMENTATIONS["dropout"].on(emulator)
        Y, saved = kernel.forward(X, p=p, seed=seed, offset=offset)
        kept = uniform(np, (size,), seed=seed, offset=offset, dtype="float32") >= p
        np.testing.assert_array_equal(saved.M, kept)
        factor = 1.0 / (1.0 - p) if p < 1 else 0.0
        np.testing.assert_array_equal(Y, np.where(kept, X * np.asarray(factor, dtype), 0))
