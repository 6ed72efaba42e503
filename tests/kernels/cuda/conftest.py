"""What the tests of the CUDA kernels share: the emulator, which compiles each .cu file once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulator.driver import Emulator


@pytest.fixture(scope="session")
def emulator() -> Emulator:
    """Return a driver that watches every access to memory."""
    return Emulator()
