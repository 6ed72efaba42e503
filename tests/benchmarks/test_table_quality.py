"""The comparison on tables: which files take part, and what counts as a tie."""

import polars
import pytest

from benchmarks.table_quality import chosen, outcome, table_of


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ([0.9, 0.9, 0.9], [0.8, 0.8, 0.8], "win"),
        ([0.8, 0.8, 0.8], [0.9, 0.9, 0.9], "loss"),
        ([0.9, 0.9, 0.9], [0.903, 0.897, 0.9], "tie"),
        # A mean difference of 0.1 with a standard error of 0.15.
        ([0.9, 0.9, 0.9], [0.5, 0.9, 1.0], "tie"),
        ([0.9], [0.8], "win"),
    ],
)
def test_outcome(left, right, expected):
    assert outcome(left, right) == expected


def test_files_that_take_part(tmp_path):
    n = 240
    columns = {
        "": range(n),
        "x": [None if i % 9 == 0 else i % 7 for i in range(n)],
        "name": [f"row {i}" for i in range(n)],
        "empty": [None] * n,
        "y": ["a" if i % 3 else "b" for i in range(n)],
    }
    frame = polars.DataFrame(columns)
    frame.write_csv(tmp_path / "good.csv")
    frame.head(150).write_csv(tmp_path / "short.csv")
    frame.drop("y", "empty").write_csv(tmp_path / "names.csv")
    (tmp_path / "broken.csv").write_bytes(b"a,b\n\xff\xfe,1,2,3\n")
    assert table_of(tmp_path / "good.csv").columns == ["x", "y"]
    for name in ("short", "names", "broken"):
        assert table_of(tmp_path / f"{name}.csv") is None
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert [name for name, _ in chosen(tmp_path, 5, scratch)] == ["good.csv"]
