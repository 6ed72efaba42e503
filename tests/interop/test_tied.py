"""Weights that are tied, in a file that holds them once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from nnscratch import nn
from nnscratch.errors import CheckpointError
from nnscratch.interop.safetensors import load_model, save_file
from nnscratch.train import load_model as load_own


def tied(library: Any) -> Any:
    class Twice(library.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.a = library.nn.Linear(3, 3, bias=False)
            self.b = library.nn.Linear(3, 3, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x: Any) -> Any:
            return self.b(self.a(x))

    return Twice()


@pytest.mark.parametrize("load", [load_model, lambda model, path: load_own(path, model)])
def test_a_file_that_pytorch_wrote_without_the_twin(load: Any, tmp_path: Path) -> None:
    import nnscratch

    theirs, mine = tied(torch), tied(nnscratch)
    path = tmp_path / "m.safetensors"
    safetensors.torch.save_model(theirs, str(path))
    load(mine, path)
    expected = theirs.a.weight.detach().numpy()
    np.testing.assert_array_equal(mine.a.weight.detach().numpy(), expected)
    assert mine.b.weight is mine.a.weight


def test_weights_that_are_not_tied_may_not_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file({"0.weight": np.ones((2, 2), np.float32)}, path)
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    with pytest.raises(CheckpointError, match=r"missing: 1\.weight"):
        load_model(model, path)
