"""How threads share a product: its rows or its columns."""

from __future__ import annotations

from typing import Any

import pytest
from numba import njit

from nnscratch.kernels.cpu.products import share
from nnscratch.kernels.cpu.runtime.declaration import in_scope


def of_thread(m: int, n: int, turned: int, tid: int) -> Any:
    """Return what a thread of two has in panels of 8 columns: only compiled code may ask."""
    return share(m, n, turned, tid, 2, 8)


@pytest.mark.parametrize(("turned", "by_columns"), [(0, False), (1, True)])
def test_threads_share_the_panels_that_have_to_be_turned(turned: int, by_columns: bool) -> None:
    found = njit(in_scope(of_thread, {}))
    parts = [found(32, 100, turned, tid) for tid in range(2)]
    assert all(((left, right) == (0, 100)) is not by_columns for _, _, left, right in parts)
    assert all(((top, bottom) == (0, 32)) is by_columns for top, bottom, _, _ in parts)
