"""What the tests of the CPU kernels share: running one kernel, and drawing inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from nnscratch.kernels import cpu


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a seeded generator."""
    return np.random.default_rng(20240607)


@pytest.fixture
def run() -> Callable[..., None]:
    """Return a function that runs one kernel on arrays with a number of threads."""

    def run_one(
        name: str,
        dtype: str,
        a: Sequence[Any],
        s: Sequence[float] = (),
        options: Sequence[int | str] = (),
        threads: int = 1,
    ) -> None:
        table = cpu.Table()
        table.add(cpu.kernel(name, dtype, *options), a, s)
        table.build().run(threads)

    return run_one


@pytest.fixture(params=("float32", "float64"))
def dtype(request: pytest.FixtureRequest) -> str:
    """Return each dtype of the kernels."""
    return str(request.param)


@pytest.fixture
def tolerance() -> Callable[..., dict[str, float]]:
    """Return a function: rtol and atol for sums of some length of numbers of size 1."""

    def limits(dtype: str, length: int = 1) -> dict[str, float]:
        eps = float(np.finfo(dtype).eps)
        return {"rtol": 16 * eps, "atol": 8 * eps * max(1.0, length**0.5)}

    return limits
