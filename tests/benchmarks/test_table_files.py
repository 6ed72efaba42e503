"""The score of a folder of tables counts what trains and predicts, and says why others do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import tables


def test_files_are_tried_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text(",x,k\n" + "".join(f"{i},{i % 5},{'ab'[i % 2]}\n" for i in range(60)))
    bad.write_text("<html></html>")
    assert tables.last_column(good) == "k"
    found = tables.try_file(good, 1)
    assert (found["passed"], found["fault"], found["message"]) == (True, False, "")
    assert found["headline"].startswith("Test: accuracy")
    found = tables.try_file(bad, 1)
    assert (found["passed"], found["step"], found["fault"]) == (False, "train", False)
    assert tables._reason(found["message"]).startswith("this is a page of HTML")
    # Nothing is left behind, neither runs nor predictions.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv", "good.csv"]
