"""Names that PyTorch has and nnscratch has not: what their errors say to write instead is true."""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import math
import pickle
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nnscratch
from nnscratch import nn
from nnscratch.absent import AbsentNameError, mend
from nnscratch.instead import INSTEAD, METHODS

MODULES = (
    *("", "nn", "nn.functional", "nn.init", "nn.utils", "optim", "optim.lr_scheduler", "linalg"),
    *("fft", "special", "autograd", "autograd.functional", "utils", "utils.data", "cuda"),
    *("random", "backends"),
)
# Of these PyTorch imports a module when somebody asks for it, or has them no more.
ONLY_BY_IMPORT = {
    *("onnx", "nn.utils.prune", "utils.tensorboard", "utils.model_zoo", "utils.data._utils"),
    "cuda.comm",
}
POWERS = [1.0, 2.0, 4.0, 8.0]
OF_OLD = {"package", "nn.Container"}


def there(root: Any, path: str) -> Any:
    for part in path.split(".") if path else ():
        root = getattr(root, part)
    return root


def names_of_pytorch() -> set[str]:
    places = {path: there(torch, path) for path in MODULES}
    places |= {"Tensor": torch.Tensor, "nn.Module": torch.nn.Module}
    return {f"{path}.{name}".removeprefix(".") for path, one in places.items() for name in dir(one)}


def surroundings(folder: Path) -> dict[str, Any]:
    (folder / "data").write_bytes(b"12345678")
    path = folder / "weights"
    model = nn.Linear(3, 3)
    nnscratch.save(model.state_dict(), path)
    x = nnscratch.tensor([[4.0, 1.0, 0.5], [1.0, 3.0, 1.0], [0.5, 1.0, 2.0]])
    scope: dict[str, Any] = {"nnscratch": nnscratch, "nn": nn, "np": np, "math": math}
    scope |= {"x": x, "v": nnscratch.tensor(POWERS), "i": nnscratch.tensor([0, 1, 2, 1])}
    scope |= {"mask": x > 1, "n": 5, "f": lambda x: x * 2, "g": lambda n: n + 1}
    scope |= {"model": model, "path": str(path), "device": "cpu"}
    scope["optimizer"] = nnscratch.optim.SGD(model.parameters(), lr=0.1)
    scope["dataset"] = nnscratch.utils.data.TensorDataset(x)
    return scope


@pytest.mark.parametrize("name", INSTEAD)
def test_what_is_said_to_write_runs(name: str, tmp_path: Path) -> None:
    scope = surroundings(tmp_path)
    with contextlib.redirect_stdout(io.StringIO()):
        exec(INSTEAD[name], scope)


# Where the code computes what PyTorch's function of that name would, its values.
EQUAL: dict[str, Any] = {
    **{name: lambda x, name=name: getattr(torch, name)(5) for name in INSTEAD if "_window" in name},
    **{
        name: lambda x, name=name: there(torch, name)(x)
        for name in ("lgamma", "digamma", "i0", "special.i1", "special.erfcx", "special.gammaln")
    },
    "special.spherical_bessel_j0": lambda x: torch.special.spherical_bessel_j0(x),
    "polygamma": lambda x: torch.polygamma(1, x),
    "igamma": lambda x: torch.igamma(x, x),
    "igammac": lambda x: torch.igammac(x, x),
    "special.zeta": lambda x: torch.special.zeta(x, 1.0),
    "nextafter": lambda x: torch.nextafter(x, torch.tensor(1.0)),
    "pdist": lambda x: torch.pdist(x),
    "rsub": lambda x: torch.rsub(x, 1.0),
    "spmm": lambda x: torch.spmm(x, x),
    "gcd": lambda x: torch.gcd(torch.tensor([0, 1, 2, 1]), torch.tensor([0, 1, 2, 1])),
    "lcm": lambda x: torch.lcm(torch.tensor([0, 1, 2, 1]), torch.tensor([0, 1, 2, 1])),
    "gradient": lambda x: torch.gradient(torch.tensor(POWERS))[0],
    "constant_pad_nd": lambda x: torch.constant_pad_nd(x, (1, 1)),
    "Tensor.sum_to_size": lambda x: x.sum_to_size(1, 3),
    "Tensor.narrow_copy": lambda x: x.narrow_copy(0, 0, 2),
    "Tensor.sparse_mask": lambda x: x.sparse_mask((x * (x > 1)).to_sparse()).to_dense(),
    "frobenius_norm": lambda x: torch.linalg.matrix_norm(x),
    "nuclear_norm": lambda x: torch.linalg.matrix_norm(x, "nuc"),
    "*triangular_solve": lambda x: torch.triangular_solve(x, x.triu())[0],
    "is_nonzero": lambda x: torch.tensor(torch.is_nonzero(x[0, 0])),
    "segment_reduce": lambda x: torch.zeros(3).scatter_reduce(
        0, torch.tensor([0, 1, 2, 1]), torch.tensor(POWERS), "sum"
    ),
}


@pytest.mark.filterwarnings("ignore:torch.triangular_solve is deprecated")
@pytest.mark.parametrize("name", EQUAL)
def test_what_is_said_to_write_gives_the_same(name: str, tmp_path: Path) -> None:
    scope = surroundings(tmp_path)
    first, _, last = INSTEAD[name].partition("  #")[0].rpartition("; ")
    exec(first, scope)
    made = eval(last, scope)
    expected = EQUAL[name](torch.tensor(scope["x"].tolist()))
    np.testing.assert_allclose(np.asarray(made), np.asarray(expected), rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def absent_names() -> set[str]:
    places = {"nn.Module": nn.Module}

    def missing(name: str) -> bool:
        place, _, last = name.rpartition(".")
        return not hasattr(places.get(place) or there(nnscratch, place), last)

    return {name for name in names_of_pytorch() | ONLY_BY_IMPORT | OF_OLD if missing(name)}


@pytest.mark.parametrize("pattern", INSTEAD)
def test_every_entry_is_of_a_name_that_is_not_there(pattern: str, absent_names: set[str]) -> None:
    assert any(fnmatchcase(name, pattern) for name in absent_names)


def test_methods_that_are_not_there() -> None:
    x = nnscratch.ones(2)
    for name in METHODS:
        assert not hasattr(x, name)
        with pytest.raises(AbsentNameError, match=r"write: |it is nnscratch"):
            getattr(x, name)
        with pytest.raises(AbsentNameError, match="a tensor has no attribute"):
            getattr(nnscratch.Tensor, name)
    assert not {*METHODS} & {*dir(x), *dir(nnscratch.Tensor), *dir(nn.Parameter)}
    for kind in (nnscratch.Tensor, nn.Parameter):
        assert all(hasattr(kind, name) or name in kind.__slots__ for name in dir(kind))


SAID = {
    "vmap": "write: nnscratch.stack",
    "jit": "write: nnscratch.compile",
    "nn.LazyLinear": "write: nn.Linear",
    "bfloat16": "float32  # or nnscratch.float16",
    "utils.checkpoint": "write: ",
    "linalg.lobpcg": r"write: nnscratch\.linalg\.eigh",
    "cross_entropy": r"it is nnscratch\.nn\.functional\.cross_entropy$",
    "autograd.gradcheck": r"it is nnscratch\.gradcheck$",
    "nn.relu": r"it is nnscratch\.relu$",
    "softmx": "near names: softmax; docs/migrating_from_pytorch.md",
    "nn.init.xavier_uniform": "near names: xavier_uniform_",
    "optim.Adamm": "near names: Adam",
    "optim.lr_scheduler.StepLr": "near names: StepLR",
    "zzz": "'nnscratch' has no attribute 'zzz'; docs/migrating_from_pytorch.md lists",
    "nn.functional.zzz": "'nnscratch.nn.functional' has no attribute 'zzz'; docs",
}


@pytest.mark.parametrize("name", SAID)
def test_what_the_error_says(name: str) -> None:
    place, _, last = name.rpartition(".")
    module = there(nnscratch, place)
    assert getattr(module, last, None) is None
    with pytest.raises(AbsentNameError, match=SAID[name]) as caught:
        getattr(module, last)
    assert (caught.value.name, caught.value.obj) == (last, module)
    for twin in (copy.copy(caught.value), pickle.loads(pickle.dumps(caught.value))):
        assert str(caught.value).startswith(str(twin).partition(";")[0])


def test_what_a_module_has_not() -> None:
    model = nn.Linear(2, 1)
    with pytest.raises(AttributeError, match=r"^Linear has no attribute 'wieght'; near names: wei"):
        model.wieght
    with pytest.raises(AttributeError, match=r"float32 or float16"):
        model.bfloat16()
    with pytest.raises(AttributeError, match=r"^Linear has no attribute 'zzz'$"):
        model.zzz


def test_an_error_inside_of_a_property_is_seen() -> None:
    class Scaled(nn.Linear):
        @property
        def scale(self) -> float:
            return self.weight.scael

        @property
        def wieght(self) -> float:
            return self.weights

    model = nn.Sequential(Scaled(2, 1))
    with pytest.raises(AttributeError, match=r"has no attribute 'scael'$"):
        model[0].scale
    with pytest.raises(AttributeError, match=r"^Scaled has no attribute 'weights'; near.*: weight"):
        model[0].wieght
    assert not hasattr(model[0], "scale")
    assert getattr(model[0], "scale", None) is None
    assert mend("nn.Module", "weight", model[0]) == "; near names: wieght"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("from nnscratch import vmap", "write: nnscratch.stack"),
        ("import nnscratch.distributed as dist", "write: model"),
        ("from nnscratch.nn import LazyLinear", "write: nn.Linear"),
        ("from nnscratch.utils.checkpoint import checkpoint", "write: model"),
        ("from nnscratch.autograd import gradcheck", r"it is nnscratch\.gradcheck"),
        ("from nnscratch import zzz", "docs/migrating_from_pytorch.md"),
    ],
)
def test_imports_of_what_is_not_there(line: str, said: str) -> None:
    with pytest.raises(ImportError, match=said):
        exec(line, {})


def test_names_that_python_asks_for_are_plain_misses() -> None:
    for module in (nnscratch, nn, nn.functional, nnscratch.linalg):
        with pytest.raises(AttributeError, match=r"__zzz__'$") as caught:
            module.__zzz__
        assert type(caught.value) is AttributeError
    assert importlib.util.find_spec("nnscratch.tensors.zzz") is None


def test_other_packages_are_imported_as_ever() -> None:
    code = "import nnscratch, importlib.util; print(importlib.util.find_spec('zzz'))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "None"
