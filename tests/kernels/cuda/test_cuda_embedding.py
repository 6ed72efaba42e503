"""Embeddings in CUDA kernels: indices out of range, long sorts, sums that repeat."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from emulator.driver import Emulator

from nnscratch.errors import IndexRangeError
from nnscratch.formulas import EMBEDDING
from nnscratch.kernels.cuda import IMPLEMENTATIONS


def test_indices_out_of_range(emulator: Emulator, rng: Any) -> None:
    W = rng.standard_normal((5, 3)).astype(np.float32)
    for name, options in (("embedding", {}), ("embedding_bag", {"mode": "sum"})):
        kernel = IMPLEMENTATIONS[name].on(emulator)
        for bad in ([5], [-1], [7, -3]):
            I = np.array([[1, 2, 0], [*bad, 1, 4][:3]])
            with pytest.raises(IndexRangeError, match=rf"{len(bad)} are out of range$"):
                kernel.forward(W, I, **options)
        assert np.isfinite(kernel.forward(W, I % 5, **options)[0]).all()


class Late(Emulator):
    """Reports what is out of range at the next call, as a real GPU does."""

    waits = False


@pytest.mark.parametrize("bad", [-1, -2, 5])
@pytest.mark.parametrize("name", ["embedding", "embedding_bag"])
def test_rows_of_indices_out_of_range_are_nan_until_that_is_said(name: str, bad: int) -> None:
    kernel = IMPLEMENTATIONS[name].on(Late("plain"))
    options = {"mode": "mean"} if name == "embedding_bag" else {}
    made = kernel.forward(np.ones((5, 3), np.float32), np.array([[1, 2, bad]]), **options)[0]
    assert np.isnan(made).any()


@pytest.mark.parametrize("offsets", [[1, 2], [0, 3, 2], [0, 9]])
def test_offsets_out_of_range(offsets: list[int], emulator: Emulator) -> None:
    kernel = IMPLEMENTATIONS["embedding_bag"].on(emulator)
    W, I = np.ones((5, 3), np.float32), np.array([1, 2, 0, 4])
    with pytest.raises(IndexRangeError, match="never fall"):
        kernel.forward(W, I, np.array(offsets), mode="mean")


def test_a_gradient_writes_nowhere_for_an_index_that_was_changed(emulator: Emulator) -> None:
    kernel = IMPLEMENTATIONS["embedding"].on(emulator)
    I = np.array([1, 2, 1])
    _, saved = kernel.forward(np.ones((4, 2)), I)
    I[:] = 9, 1, -2
    (dW, _) = kernel.backward(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), saved, (True, False))
    np.testing.assert_array_equal(dW, [[0, 0], [3, 4], [0, 0], [0, 0]])


@pytest.mark.parametrize("count", [511, 512, 513, 2500])
def test_gradients_of_many_entries(count: int, rng: Any) -> None:
    W, I = rng.standard_normal((40, 35)), rng.integers(0, 40, count)
    I[count // 2 :] = 3
    dY = rng.standard_normal((count, 35))
    expected = EMBEDDING.backward(dY, EMBEDDING.forward(W, I)[1], (True, False))[0]
    made = []
    for schedule in (0, 1, 5):
        kernel = IMPLEMENTATIONS["embedding"].on(Emulator("plain", schedule))
        (dW, _) = kernel.backward(dY, kernel.forward(W, I)[1], (True, False))
        np.testing.assert_allclose(dW, expected, rtol=1e-11, atol=1e-11)
        made.append(dW.tobytes())
    assert len(set(made)) == 1


def test_the_long_sort_has_no_race(emulator: Emulator, rng: Any) -> None:
    I, dY = rng.integers(0, 9, 1100), rng.standard_normal((1100, 2)).astype(np.float32)
    kernel = IMPLEMENTATIONS["embedding"].on(emulator)
    _, saved = kernel.forward(np.ones((9, 2), np.float32), I, scale_grad_by_freq=True)
    emulator.launched.clear()
    (dW, _) = kernel.backward(dY, saved, (True, False))
    assert "sort_step" in emulator.launched
    expected = [dY[row == I].mean(axis=0) for row in range(9)]
    np.testing.assert_allclose(dW, expected, rtol=1e-4, atol=1e-5)
