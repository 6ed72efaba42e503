"""Histories, summaries and check-ups in a notebook: well-formed, and the numbers are there."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest

import nnscratch
from nnscratch import nn
from nnscratch.train import History
from nnscratch.train.markup import html_curves, html_table


def _text(html: str) -> str:
    """Return the text of markup that is well-formed and asks for nothing from elsewhere."""
    assert "src=" not in html
    assert "http" not in html
    return " ".join("".join(ET.fromstring(html).itertext()).split())


def test_a_table_keeps_what_would_be_markup() -> None:
    html = html_table(["a<b", "n"], [["  x&y", "1"]], [1], "A title", ["total 1"])
    assert _text(html) == "A title" + "a<bn" + " x&y1" + "total 1"
    assert html.count("text-align:right") == 2


def test_curves_have_gaps_where_there_is_no_number() -> None:
    losses = [3.0, 2.0, math.nan, 1.5, 1.0]
    html = html_curves("loss", [1, 2, 3, 4, 5], {"training": losses, "validation": [None] * 5})
    picture = ET.fromstring(html)
    paths = [one.attrib["d"] for one in picture.iter() if one.tag.endswith("path")]
    assert [path.count("L") for path in paths] == [1, 1]
    # The highest number lies on the upper edge and the lowest on the lower one.
    frame = next(one for one in picture.iter() if one.tag.endswith("rect")).attrib
    top, tall = float(frame["y"]), float(frame["height"])
    downs = [float(point.split()[1]) for path in paths for point in path[1:].split("L")]
    assert downs[0] == pytest.approx(top, abs=0.1)
    assert downs[-1] == pytest.approx(top + tall, abs=0.1)
    assert downs == sorted(downs)


@pytest.mark.parametrize("values", [[], [None], [math.inf], [2.0], [2.0, 2.0]])
def test_curves_of_little(values: list[float]) -> None:
    assert "loss" in _text(html_curves("loss", list(range(len(values))), {"training": values}))


def test_a_history_shows_each_column_but_no_seconds() -> None:
    rows = [
        {"epoch": 1, "train_loss": 0.75, "val_loss": 0.8, "lr": 0.1, "seconds": 12.25},
        {"epoch": 2, "train_loss": 0.5, "val_loss": 0.25, "lr": 0.1, "seconds": 13.75},
        {"epoch": 3, "train_loss": math.nan, "val_loss": 0.5, "lr": 0.1, "seconds": 14.5},
    ]
    html = History(rows)._repr_html_()
    text = _text(html)
    assert "train_loss" + "0.75" + "0.5" + "0.75" + "nan" in text
    assert "val_loss" + "0.8" + "0.25" + "0.8" + "0.5" in text
    assert "seconds" not in text
    assert html.count("<svg") == 1
    assert "0 epochs" in _text(History()._repr_html_())


def test_a_summary_and_a_checkup_show_what_their_texts_say() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    summary = nnscratch.summary(model, (5, 3))
    text = _text(summary._repr_html_())
    for row in summary.rows:
        assert row.kind in text
    assert all(" ".join(line.split()) in text for line in summary.totals())
    report = nnscratch.checkup(
        nn.Linear(3, 2), nn.MSELoss(), nnscratch.ones(4, 3), nnscratch.ones(4, 2)
    )
    text = _text(report._repr_html_())
    assert report.symptoms
    assert all(symptom.text in text for symptom in report.symptoms)
