"""What an installed nnscratch must have. test_wheel.py also runs this file away from the source."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.resources

import pytest

import nnscratch

PACKAGES = [
    "array",
    "formulas",
    "kernels",
    "kernels.cpu",
    "kernels.cpu.runtime",
    "kernels.cuda",
    "nn",
    "optim",
    "plan",
]
PACKAGES += ["data", "train", "verify", "inspect", "interop"]


@pytest.mark.parametrize("name", PACKAGES)
def test_each_room_can_be_imported(name: str) -> None:
    importlib.import_module(f"nnscratch.{name}")


def test_type_hints_are_published() -> None:
    assert importlib.resources.files(nnscratch).joinpath("py.typed").is_file()


def test_the_command_is_installed() -> None:
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="nnscratch")
    assert command.value == "nnscratch.cli:main"
