"""The examples print what docs/document.md says that they print, and its other numbers are so."""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import io
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
PRINTED = Path(__file__).with_name("document_section_5_2.txt")
PAGE = (ROOT / "docs" / "document.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```text\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
# How far accuracies may move where another BLAS adds up in another order: two points.
ROOM = 0.02


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def numbers(text: str) -> list[float]:
    """The numbers of a table, percentages as shares."""
    found = re.findall(r"(\d+\.\d+)(%?)", text)
    return [float(number) / (100 if percent else 1) for number, percent in found]


def test_only_the_imports_of_the_printed_program_differ() -> None:
    ours = (EXAMPLES / "document_section_5_2.py").read_text(encoding="utf-8").splitlines()
    printed = PRINTED.read_text(encoding="utf-8").splitlines()
    changed = [d for d in difflib.ndiff(printed, ours) if d[0] in "+-"]
    assert sorted(changed) == sorted(
        [
            "- import torch",
            "- import torch.nn as nn",
            "- import torch.optim as optim",
            "+ import nnscratch as torch",
            "+ import nnscratch.nn as nn",
            "+ import nnscratch.optim as optim",
        ]
    )
    assert all(d[2:] in PAGE for d in changed)


def test_section_5_2_prints_what_the_page_shows(tmp_path: Path) -> None:
    script = EXAMPLES / "document_section_5_2.py"
    out = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    shown = BLOCKS[0]
    assert [line.split()[0] for line in out.splitlines()] == ["Epoch"] * 5 + ["Accuracy:"]
    np.testing.assert_allclose(numbers(out), numbers(shown), atol=ROOM)
    assert "**61.7%**" in PAGE
    assert 0.55 < numbers(out)[-1] < 0.7  # nowhere near 95%


def test_the_printed_program_under_pytorch_ends_where_the_page_says() -> None:
    threads = torch.get_num_threads()
    out = io.StringIO()
    try:
        torch.set_num_threads(1)
        torch.manual_seed(0)
        with contextlib.redirect_stdout(out):
            exec(compile(PRINTED.read_text(encoding="utf-8"), "printed", "exec"), {})
    finally:
        torch.set_num_threads(threads)
    said = re.search(r"with seeds 0 to 4, ends at ([\d.]+)%", PAGE)
    assert said is not None
    assert abs(numbers(out.getvalue())[-1] - float(said[1]) / 100) < ROOM


def test_section_4_3_prints_what_the_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    load("document_section_4_3").main()
    out = capsys.readouterr().out
    assert [line.split()[:2] for line in out.splitlines()] == [
        line.split()[:2] for line in BLOCKS[2].splitlines()
    ]
    np.testing.assert_allclose(numbers(out), numbers(BLOCKS[2]), atol=ROOM)
    rows = [numbers(line) for line in BLOCKS[2].splitlines()[1:]]
    assert all(abs(row[-1] - 0.5) < 0.05 for row in rows[:3])
    assert all(min(row[-2:]) > 0.95 for row in rows[4:])


@pytest.mark.parametrize("kind", ["random", "linear", "product"])
def test_the_learnable_example_lies_in_the_ranges_that_the_page_shows(kind: str) -> None:
    (row,) = (line for line in BLOCKS[1].splitlines() if line.startswith(kind))
    mean, low, high, fresh_mean, fresh_low, fresh_high = numbers(row)
    assert low <= mean <= high
    assert fresh_low <= fresh_mean <= fresh_high
    for seed in (0, 3):
        training, fresh = load("learnable").run(kind, seed)
        assert low - ROOM <= training <= high + ROOM
        assert fresh_low - ROOM <= fresh <= fresh_high + ROOM
    if kind == "linear":
        assert min(low, fresh_low) > 0.95
    if kind == "random":
        assert high < 0.7


def test_least_squares_gets_54_percent_of_random_labels() -> None:
    found = []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        X = np.c_[rng.standard_normal((1000, 10)), np.ones(1000)]
        y = rng.integers(0, 2, 1000) * 2.0 - 1.0
        found.append(np.mean((X @ np.linalg.lstsq(X, y)[0] > 0) == (y > 0)))
    assert round(float(np.mean(found)), 2) == 0.54
    assert "already gets 54% on average" in PAGE


@pytest.mark.slow
def test_random_labels_from_20_seeds() -> None:
    said = re.search(
        r"from\s+20 seeds: ([\d.]+)% on average.*?same 20 seeds: ([\d.]+)% on average, between "
        r"([\d.]+)% and ([\d.]+)%",
        PAGE,
        re.DOTALL,
    )
    assert said is not None
    fresh_mean, mean, low, high = (float(number) / 100 for number in said.groups())
    runs = np.array([load("learnable").run("random", seed) for seed in range(20)])
    assert abs(runs[:, 0].mean() - mean) < ROOM / 2
    assert abs(runs[:, 1].mean() - fresh_mean) < ROOM / 2
    assert abs(runs[:, 0].min() - low) < ROOM
    assert abs(runs[:, 0].max() - high) < ROOM


@pytest.mark.slow
def test_ten_times_the_epochs_memorise_a_little_more() -> None:
    training, fresh = load("learnable").run("random", 0, epochs=5000)
    assert abs(training - 0.671) < 2 * ROOM
    assert abs(fresh - 0.498) < 2 * ROOM
    assert "67.1% from seed 0" in PAGE


def test_readme_example_reaches_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    exec(compile(block, "README.md", "exec"), {})
    said = re.search(r"an accuracy of about ([\d.]+)", block)
    found = re.search(r"'accuracy': ([\d.]+)", capsys.readouterr().out)
    assert said is not None
    assert found is not None
    assert abs(float(said[1]) - float(found[1])) < 0.01
