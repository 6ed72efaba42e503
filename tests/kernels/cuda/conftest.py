"""What the tests of the CUDA kernels share: the emulator, which compiles each .cu file once."""

from __future__ import annotations

import pytest
from emulator.driver import Emulator


@pytest.fixture(scope="session")
def emulator() -> Emulator:
    """Return a driver that watches every access to memory."""
    return Emulator()
