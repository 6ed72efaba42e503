"""What the tests of formulas share: array_api_strict's warning on dtype look-ups is not ours."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # nnscratch looks a dtype up in one table for all libraries; strict warns at a hash collision.
    mark = pytest.mark.filterwarnings("ignore:You are comparing a array_api_strict dtype")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(mark)
