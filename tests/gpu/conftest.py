"""Devices for tests that compare a GPU with the CPU.

Each such test also runs with the CPU in the GPU's place, so that a machine without a GPU finds a
mistake in the test itself.
"""

from __future__ import annotations

from typing import Any

import pytest

DEVICES = [pytest.param("cpu"), pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    """Return each device."""
    return str(request.param)


@pytest.fixture
def counts(request: pytest.FixtureRequest) -> Any:
    """Return what the emulated GPU was asked for; tests of it are skipped on a real one."""
    if not request.config.getoption("--emulated-gpu"):
        pytest.skip("is about the GPU that a CPU plays")
    from gpu.emulated.load import load

    return load()
