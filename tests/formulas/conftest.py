"""What the tests of formulas share: array_api_strict's warning on dtype look-ups is not ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = f"{Path(__file__).parent}{os.sep}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # nnscratch looks a dtype up in one table for all libraries; strict warns at a hash collision.
    mark = pytest.mark.filterwarnings("ignore:You are comparing a array_api_strict dtype")
    for item in items:
        if str(item.path).startswith(HERE):
            item.add_marker(mark)
