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
from types import ModuleType
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


def named(name: str, *more: Any, **options: Any) -> Any:
    return lambda x: there(torch, name)(x, *more, **options)


def polynomials() -> dict[str, Any]:
    names = [name for name in INSTEAD if name.startswith("special.") and "_polynomial_" in name]
    return {name: named(name, 2) for name in names}


OF_ONE = (
    *("lgamma", "digamma", "i0", "special.i0", "special.gammaln", "special.digamma", "special.psi"),
    *(f"special.{name}" for name in ("i0e", "i1", "i1e", "erfcx", "airy_ai")),
    *(f"special.bessel_{name}" for name in ("j0", "j1", "y0", "y1")),
    *(f"special.modified_bessel_{name}" for name in ("i0", "i1", "k0", "k1")),
    *("special.scaled_modified_bessel_k0", "special.scaled_modified_bessel_k1"),
    *("special.spherical_bessel_j0", "pdist", "nuclear_norm", "norm_except_dim", "hash_tensor"),
    *("frexp", "alias_copy", "detach_copy", "diagonal_copy", "squeeze_copy", "t_copy", "linalg.lu"),
    *("unbind_copy", "is_signed", "get_device"),
)
OF_TWO = ("igamma", "igammac", "special.gammainc", "special.gammaincc", "spmm", "is_same_size")
I = torch.tensor([0, 1, 2, 1])
V = torch.tensor(POWERS)


def sparse(x: Any) -> Any:
    return x.to_sparse()


# Where the code computes what PyTorch's function of that name would: what that function returns.
EQUAL: dict[str, Any] = {
    **{name: lambda x, name=name: getattr(torch, name)(5) for name in INSTEAD if "_window" in name},
    **{name: named(name) for name in OF_ONE},
    **{name: lambda x, name=name: there(torch, name)(x, x) for name in OF_TWO},
    **polynomials(),
    "polygamma": lambda x: torch.polygamma(1, x),
    "special.polygamma": lambda x: torch.special.polygamma(1, x),
    "mvlgamma": lambda x: torch.mvlgamma(torch.tensor(4.0), 2),
    "special.multigammaln": lambda x: torch.special.multigammaln(torch.tensor(4.0), 2),
    "special.zeta": named("special.zeta", 1.0),
    "nextafter": named("nextafter", torch.tensor(1.0)),
    "rsub": named("rsub", 1.0),
    "fill": named("fill", 1.0),
    "range": lambda x: torch.range(0, 4),
    "scalar_tensor": lambda x: torch.scalar_tensor(1.0),
    "gcd": lambda x: torch.gcd(I, I),
    "lcm": lambda x: torch.lcm(I, I),
    "gradient": lambda x: torch.gradient(V)[0],
    "histogram": named("histogram", 3),
    "batch_norm": lambda x: torch.batch_norm(
        x, None, None, V[:3], V[1:], False, 0.1, 1e-5, cudnn_enabled=False
    ),
    "instance_norm": lambda x: torch.instance_norm(
        x[None], None, None, V[:3].clone(), V[1:].clone(), True, 0.1, 1e-5, False
    ),
    "embedding": lambda x: torch.embedding(x, I),
    "embedding_bag": lambda x: torch.embedding_bag(x, I, I[:1])[0],
    "vander": lambda x: torch.vander(V),
    "signal": lambda x: torch.signal.windows.hann(5),
    "constant_pad_nd": named("constant_pad_nd", (1, 1)),
    "frobenius_norm": named("frobenius_norm", (0, 1)),
    "svd_lowrank": lambda x: (None, torch.svd_lowrank(x, 3)[1], None),
    "pca_lowrank": lambda x: (None, torch.pca_lowrank(x, 3)[1], None),
    "orgqr": lambda x: torch.orgqr(*torch.geqrf(x)),
    "ormqr": lambda x: torch.ormqr(*torch.geqrf(x), x),
    "linalg.householder_product": lambda x: torch.linalg.householder_product(*torch.geqrf(x)),
    "triangular_solve": lambda x: torch.triangular_solve(x, x.triu())[0],
    "lu_solve": lambda x: torch.lu_solve(x, *torch.linalg.lu_factor(x)),
    "Tensor.sum_to_size": lambda x: x.sum_to_size(1, 3),
    "Tensor.sparse_mask": lambda x: x.sparse_mask(sparse(x * (x > 1))).to_dense(),
    "Tensor.to_dense": lambda x: x.to_dense(),
    "Tensor.crow_indices": lambda x: x.to_sparse_csr().crow_indices(),
    "Tensor.col_indices": lambda x: x.to_sparse_csr().col_indices(),
    "Tensor.indices": lambda x: sparse(x).coalesce().indices(),
    "Tensor.values": lambda x: sparse(x).coalesce().values(),
    "Tensor.sparse_dim": lambda x: x.sparse_dim(),
    "Tensor.dense_dim": lambda x: x.dense_dim(),
    "Tensor.is_pinned": lambda x: x.is_pinned(),
    "Tensor.is_inference": lambda x: x.is_inference(),
    "sspaddmm": lambda x: torch.sspaddmm(sparse(x), sparse(x), x).to_dense(),
    "hspmm": lambda x: torch.hspmm(sparse(x), x).to_dense(),
    "is_inference_mode_enabled": lambda x: torch.is_inference_mode_enabled(),
    "is_autocast_*": lambda x: torch.is_autocast_enabled("cpu"),
    "is_nonzero": lambda x: torch.is_nonzero(x[0, 0]),
    "typename": named("typename"),
    "sym_max": lambda x: torch.sym_max(*x.shape),
    "sym_min": lambda x: torch.sym_min(*x.shape),
    "sym_sum": lambda x: torch.sym_sum(x.shape),
    "sym_float": lambda x: torch.sym_float(5),
    "sym_int": lambda x: torch.sym_int(5),
    "segment_reduce": lambda x: torch.segment_reduce(V, "sum", lengths=torch.tensor([3, 1])),
    "index_reduce": lambda x: torch.index_reduce(torch.ones(3), 0, I, V, "prod"),
    "Tensor.index_reduce_": lambda x: torch.ones(3).index_reduce_(0, I, V, "prod"),
    "nonzero_static": lambda x: torch.nonzero_static(x, size=5),
    "as_strided_scatter": lambda x: torch.as_strided_scatter(x, V[:2], (2,), (1,)),
    "as_strided_copy": named("as_strided_copy", (2,), (1,)),
    "expand_copy": named("expand_copy", (2, 3, 3)),
    "narrow_copy": named("narrow_copy", 0, 0, 2),
    "permute_copy": named("permute_copy", (1, 0)),
    "select_copy": named("select_copy", 0, 1),
    "slice_copy": named("slice_copy", 0, 0, 2),
    "transpose_copy": named("transpose_copy", 0, 1),
    "unfold_copy": named("unfold_copy", 0, 2, 1),
    "unsqueeze_copy": named("unsqueeze_copy", 0),
    "view_copy": named("view_copy", (9,)),
    "split_copy": lambda x: tuple(torch.split_copy(x, 2)),
    "split_with_sizes_copy": lambda x: tuple(torch.split_with_sizes_copy(x, [1, 2])),
    "view_as_real_copy": lambda x: torch.view_as_real_copy(x.cfloat()),
    "view_as_complex_copy": lambda x: torch.view_as_complex_copy(V.view(2, 2)),
    "native_batch_norm": lambda x: torch.native_batch_norm(
        x, None, None, None, None, True, 0.1, 1e-5
    )[0],
    "native_group_norm": lambda x: torch.native_group_norm(x, None, None, 3, 3, 1, 3, 1e-5)[0],
    "native_layer_norm": lambda x: torch.native_layer_norm(x, (3,), None, None, 1e-5)[0],
}


def test_what_stands_for_copies_of_views_is_compared() -> None:
    assert {name for name in INSTEAD if name.endswith("_copy")} <= EQUAL.keys()


def value_of(code: str, scope: dict[str, Any]) -> Any:
    first, _, last = code.partition("  #")[0].rpartition("; ")
    exec(first, scope)
    return eval(last, scope)


@pytest.mark.filterwarnings("ignore:torch.(triangular_solve|range|lu_solve) is")
@pytest.mark.filterwarnings("ignore:(at|Sparse|index_reduce)")
@pytest.mark.parametrize("name", EQUAL)
def test_what_is_said_to_write_gives_the_same(name: str, tmp_path: Path) -> None:
    scope = surroundings(tmp_path)
    x = torch.tensor(scope["x"].tolist())
    made, expected = value_of(INSTEAD[name], scope), EQUAL[name](x)
    if isinstance(expected, str):
        assert made == expected
        return
    pairs = zip(made, expected, strict=True) if isinstance(expected, tuple) else [(made, expected)]
    for one, its in pairs:
        if its is not None:  # which is right but for its signs
            assert np.shape(one) == np.shape(its)
            np.testing.assert_allclose(np.asarray(one), np.asarray(its), rtol=1e-5, atol=1e-6)


def test_dtypes_that_can_be_cast() -> None:
    names = ("bool", "uint8", "int64", "float16", "float64", "complex64")
    for first in names:
        for second in names:
            scope: dict[str, Any] = {"nnscratch": nnscratch}
            scope |= {"x": nnscratch.ones(1, dtype=first), "i": nnscratch.ones(1, dtype=second)}
            its = torch.can_cast(getattr(torch, first), getattr(torch, second))
            assert value_of(INSTEAD["can_cast"], scope) is its


def test_modes_and_dtypes_that_are_said_to_be_asked_for(tmp_path: Path) -> None:
    scope = surroundings(tmp_path)
    for lib in (nnscratch, torch):
        with lib.inference_mode():
            assert eval(INSTEAD["is_inference_mode_enabled"], scope) is (lib is nnscratch)
    for name in ("bool", "int32", "float16", "float64", "complex64"):
        made = eval(INSTEAD["result_type"], {"x": nnscratch.ones(2, dtype=name)})
        its = torch.result_type(torch.ones(2, dtype=getattr(torch, name)), 2.0)
        assert f"torch.{made}" == str(its)


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


def test_what_is_said_to_be_elsewhere_is_there(absent_names: set[str]) -> None:
    found = {}
    for name in absent_names - ONLY_BY_IMPORT - OF_OLD:
        place, _, last = name.rpartition(".")
        if not last.startswith("_") and mend(place, last).startswith("; it is nnscratch."):
            found[name] = mend(place, last).removeprefix("; it is nnscratch.")
    for name, said in found.items():
        its, mine = there(torch, name), there(nnscratch, said)
        assert callable(mine) == callable(its), (name, said)
        assert isinstance(mine, ModuleType) == isinstance(its, ModuleType), (name, said)
    assert found["layer_norm"] == "nn.functional.layer_norm"
    assert found["dropout"] == "nn.functional.dropout"


@pytest.mark.parametrize("name", ["os", "np", "Mapping", "convolution", "contextmanager", "Any"])
def test_what_a_module_imports_is_not_said_to_be_there(name: str) -> None:
    for place in ("", "autograd", "nn.utils"):
        assert "it is" not in mend(place, name)


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
    "utils.checkpoint": "write: ",
    "lobpcg": r"write: nnscratch\.linalg\.eigh",
    "cross_entropy": r"it is nnscratch\.nn\.functional\.cross_entropy$",
    "autograd.summary": r"it is nnscratch\.summary$",
    "nn.relu": r"it is nnscratch\.relu$",
    "softmx": "near names: softmax; docs/migrating_from_pytorch.md",
    "nn.init.xavier_unifor_": "near names: xavier_uniform_",
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
    with pytest.raises(AttributeError, match=r"there is no device without memory"):
        model.to_empty(device="cpu")
    with pytest.raises(AttributeError, match=r"^Linear has no attribute 'zzz'$"):
        model.zzz
    # A pattern of PyTorch's names says nothing of those that users choose.
    for name in ("teacher_copy", "sparse_layer", "quantizer", "storage", "autocast", "norm"):
        with pytest.raises(AttributeError, match=rf"^Linear has no attribute '{name}'$"):
            getattr(model, name)
    model.sparse_layer = nn.Linear(1, 1)
    with pytest.raises(AttributeError, match=r"'sparse_layr'; near names: sparse_layer$"):
        model.sparse_layr
    for name in ("teacher_copy", "my_sparse_function", "storages", "quick_printing", "ssimm"):
        with pytest.raises(AttributeError, match=rf"'{name}'(; near names: \w+)?; docs/"):
            getattr(nnscratch, name)


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
        ("from nnscratch.autograd import summary", r"it is nnscratch\.summary"),
        ("from nnscratch import zzz", "docs/migrating_from_pytorch.md"),
    ],
)
def test_imports_of_what_is_not_there(line: str, said: str) -> None:
    with pytest.raises(ImportError, match=said):
        exec(line, {})


@pytest.mark.parametrize("name", ["distributed", "nn.parallel", "zzz"])
def test_modules_that_are_not_there(name: str) -> None:
    for load in (importlib.import_module, lambda name: exec(f"import {name}")):
        with pytest.raises(ModuleNotFoundError, match=r"write: model|docs/") as caught:
            load(f"nnscratch.{name}")
        assert caught.value.name == f"nnscratch.{name}"


def test_names_that_python_asks_for_are_plain_misses() -> None:
    for module in (nnscratch, nn, nn.functional, nnscratch.linalg):
        with pytest.raises(AttributeError, match=r"__zzz__'$") as caught:
            module.__zzz__
        assert type(caught.value) is AttributeError
    for name in ("tensors.zzz", "zzz", "distributed", "nn.LazyLinear", "nn.functonal"):
        assert importlib.util.find_spec(f"nnscratch.{name}") is None


def test_other_packages_are_imported_as_ever() -> None:
    code = "import nnscratch, importlib.util; print(importlib.util.find_spec('zzz'))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "None"
