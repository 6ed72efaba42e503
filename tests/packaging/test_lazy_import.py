"""`import nnscratch` stays light: what is heavy loads where it is first used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nnscratch import data, inspect, models, train, verify
from nnscratch.kernels import cpu

HEAVY = {"click", "cupy", "llvmlite", "matplotlib", "numba", "onnx", "polars", "rich", "scipy"}
HEAVY |= {"PIL", "safetensors", "sklearn", "torch"}

FIT = """
import numpy as np
from nnscratch.interop.sklearn import NeuralNetClassifier
X = np.random.default_rng(0).standard_normal((40, 5))
NeuralNetClassifier((4,), max_iter=60, tol=0.0, compile=True).fit(X, X[:, 0] > 0)
"""
HELP = "from nnscratch.cli import main; main(['--help'])"


def loaded(code: str, folder: Path) -> set[str]:
    """Return the names of the modules that a program has loaded at its end."""
    code = f"import sys\n{code}\nprint('loaded:', *sys.modules)"
    out = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=folder, capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip
    return set(out.rpartition("loaded:")[2].split())


def test_importing_nnscratch_loads_nothing_heavy(tmp_path: Path) -> None:
    found = {name.partition(".")[0] for name in loaded("import nnscratch", tmp_path)}
    assert "nnscratch" in found
    assert not HEAVY & found


@pytest.mark.parametrize(
    ("code", "needed"),
    [("import nnscratch.interop.sklearn", "train.choices"), (FIT, "kernels.cpu.linear")],
)
def test_estimators_load_no_tables_no_networks_and_the_kernels_of_what_they_compute(
    code: str, needed: str, tmp_path: Path
) -> None:
    found = loaded(code, tmp_path)
    assert f"nnscratch.{needed}" in found
    assert not [name for name in found if name.startswith("nnscratch.models.")]
    assert not [name for name in found if name.startswith("nnscratch.data.")]
    for other in ("convolution", "attention", "lstm", "pooling", "embedding", "normalizing"):
        assert f"nnscratch.kernels.cpu.{other}" not in found
    assert "nnscratch.train.trainer" not in found


def test_help_loads_no_kernels_and_no_networks(tmp_path: Path) -> None:
    found = loaded(HELP, tmp_path)
    assert "click" in found
    for other in (
        "kernels.cpu.elementwise",
        "kernels.cuda",
        "models.gpt2",
        "plan",
        "train.trainer",
    ):
        assert f"nnscratch.{other}" not in found
    assert not found & {"numba", "llvmlite"}


def test_a_fresh_process_knows_every_kind_of_saved_model(tmp_path: Path) -> None:
    code = """
from nnscratch.errors import CheckpointError
from nnscratch.train import architecture_from
try:
    architecture_from({"kind": "unheard-of"})
except CheckpointError as error:
    assert "kinds mlp, gpt, char-lstm, image-network;" in str(error), error
"""
    assert "nnscratch.train.image_networks" in loaded(code, tmp_path)


@pytest.mark.parametrize("room", [data, inspect, models, train, verify, cpu])
def test_a_room_finds_its_names_in_the_files_that_it_says(room: object) -> None:
    places: dict[str, str] = room.PLACES  # type: ignore[attr-defined]
    (folder, *_) = room.__path__  # type: ignore[attr-defined]
    files = {path.stem for path in Path(folder).iterdir()}
    assert not files & set(places)  # a module's name would stand for the module
    for name in places:
        assert getattr(room, name) is vars(room)[name]
        assert name in dir(room)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        room.nothing  # type: ignore[attr-defined]
