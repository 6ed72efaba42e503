"""In a browser: the examples of the docstrings. Run by ``test_browser.py``."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re

import pytest

import nnscratch

ROOMS = ("array", "formulas", "tensors", "autograd", "nn", "optim", "graph", "plan", "data")
ROOMS += ("train", "verify", "inspect", "parallel", "utils", "random", "linalg", "fft", "special")
NEEDS = {
    "nnscratch.array.bfloat16": "ml_dtypes",
    "nnscratch.data.image_files": "Pillow",
    "nnscratch.data.image_sources": "Pillow",
    "nnscratch.data.tokenizers": "tokenizers",
    "nnscratch.parallel.adding": "ml_dtypes",
}
"""Modules with examples of what a browser has only where somebody loads this package."""


def modules() -> list[str]:
    found = []
    for room in ROOMS:
        found.append(f"nnscratch.{room}")
        folders = getattr(importlib.import_module(found[-1]), "__path__", ())
        found += [one.name for one in pkgutil.walk_packages(folders, f"{found[-1]}.")]
    return [name for name in found if name not in NEEDS]


class Checker(doctest.OutputChecker):
    """Takes NumPy's arrays of either dtype: which one they show depends on the platform."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return super().check_output(_plain(want), _plain(got), optionflags)


def _plain(text: str) -> str:
    if "array(" in text and "tensor(" not in text:
        text = re.sub(r",\s*dtype=int(32|64)", "", text)
    return text


@pytest.mark.parametrize("name", modules())
def test_examples(name: str) -> None:
    module = importlib.import_module(name)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(Checker(), optionflags=flags)
    report: list[str] = []
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)


def test_that_all_rooms_can_be_imported() -> None:
    assert nnscratch.__file__
    assert len(modules()) > 200
