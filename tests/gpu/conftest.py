"""Devices for tests that compare a GPU with the CPU.

Each such test also runs with the CPU in the GPU's place, so that a machine without a GPU finds a
mistake in the test itself.
"""

from __future__ import annotations

from typing import Any

import pytest

import nnscratch

GPU = pytest.mark.gpu
# The last is not the current one, so whatever forgets where its arrays are works elsewhere.
DEVICES = [
    pytest.param("cpu"), pytest.param("cuda", marks=GPU), pytest.param("cuda:1", marks=GPU)
]  # fmt: skip


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    """Return each device."""
    if request.param == "cuda:1" and nnscratch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    return str(request.param)


@pytest.fixture
def counts(request: pytest.FixtureRequest) -> Any:
    """Return what the emulated GPU was asked for; tests of it are skipped on a real one."""
    if not request.config.getoption("--emulated-gpu"):
        pytest.skip("is about the GPU that a CPU plays")
    from gpu.emulated.load import load

    return load()
