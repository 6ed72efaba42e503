"""Twins of the models here: the same text with PyTorch where it says ``nnscratch``, or with JAX."""

from __future__ import annotations

import importlib
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

_WORDS = {
    "from nnscratch.tensors.grad_mode import": "from torch import",
    "from nnscratch.tensors.creation import": "from torch import",
    "from nnscratch.tensors.functions import": "from torch import",
    "from nnscratch.tensors import": "from torch import",
    "from nnscratch.nn import": "from torch.nn import",
    "from nnscratch import nn": "from torch import nn",
    "nnscratch.models": "torch_twins",
}
_JAX = "benchmarks.jax_layers"
_JAX_WORDS = {
    "from nnscratch.tensors.creation import": f"from {_JAX} import",
    "from nnscratch.tensors.functions import": f"from {_JAX} import",
    "from nnscratch.tensors import": f"from {_JAX} import",
    "from nnscratch.nn import": f"from {_JAX} import",
    "from nnscratch import nn": f"from {_JAX} import nn",
}
# In programs the library itself is named, and what it reads files with stays ours.
_PROGRAM_WORDS = {
    "import nnscratch\n": "import torch as nnscratch\n",
    "from nnscratch import": "from torch import",
    **_WORDS,
}


def twin(name: str, jax: bool = False) -> ModuleType:
    """Return a module of ``nnscratch.models``, its layers and tensors being another library's.

    Args:
        name: its name there, such as "resnet".
        jax: whether they are JAX's (``benchmarks/jax_layers.py``), in the place of PyTorch's.
    """
    known = f"{'jax' if jax else 'torch'}_twins.{name}"
    if known not in sys.modules:
        found = find_spec(f"nnscratch.models.{name}")
        assert found is not None
        assert found.origin is not None
        text = Path(found.origin).read_text(encoding="utf-8")
        _run(text, known, found.origin, _JAX_WORDS if jax else _WORDS)
    return sys.modules[known]


def program(path: Path, *, torch: bool) -> ModuleType:
    """Return a program as a module: as it is, or the same text with PyTorch for ``nnscratch``.

    Args:
        path: its file; what it imports from its folder has to be found by Python's path.
        torch: whether PyTorch runs it. Its ``nnscratch.data`` stays ours: that reads files, and
            gives NumPy's arrays.
    """
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"from nnscratch\.models\.(\w+) import", text) if torch else ():
        twin(name)
    kind = "torch" if torch else "nnscratch"
    return _run(text, f"{kind}_program_{path.stem}", str(path), _PROGRAM_WORDS if torch else {})


def _run(text: str, name: str, origin: str, words: dict[str, str]) -> ModuleType:
    for ours, theirs in words.items():
        text = text.replace(ours, theirs)
    made = ModuleType(name)
    made.__file__ = origin
    sys.modules[name] = made  # where dataclasses look for it
    exec(compile(text, origin, "exec"), vars(made))
    return made


def pair(name: str, kind: str, *args: Any, **options: Any) -> tuple[Any, Any]:
    """Return a model and PyTorch's twin of it with the same weights.

    Args:
        name: the module in ``nnscratch.models``.
        kind: the class in it.
        args: what both are made with.
        options: likewise.
    """
    ours = getattr(importlib.import_module(f"nnscratch.models.{name}"), kind)(*args, **options)
    theirs = getattr(twin(name), kind)(*args, **options)
    copy_weights(ours, theirs)
    return ours, theirs


def copy_weights(ours: Any, theirs: Any) -> None:
    """Copy parameters and buffers into PyTorch's model, and check that the names are the same."""
    import torch

    state = {
        key: torch.tensor(np.asarray(value.detach())) for key, value in ours.state_dict().items()
    }
    theirs.load_state_dict(state)
