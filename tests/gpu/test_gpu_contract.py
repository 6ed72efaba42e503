"""On a GPU: the contract of every formula on CuPy, by the reference and by the CUDA kernels."""

from __future__ import annotations

from typing import Any

import pytest
from formulas import contract

from nnscratch.array.device import namespace_on
from nnscratch.formulas import FORMULAS
from nnscratch.formulas.cases import cases
from nnscratch.kernels.cuda import IMPLEMENTATIONS

pytestmark = pytest.mark.gpu
DTYPES = ("float32", "float64")
# They take a device by its name and make their own array; test_gpu_random compares those.
MADE_FROM_NOTHING = ("random_uniform", "random_normal")


def overlap(a: Any, b: Any) -> bool:
    """Say whether two arrays may share memory."""
    import cupy

    if not (isinstance(a, cupy.ndarray) and isinstance(b, cupy.ndarray)):
        return False
    return bool(cupy.may_share_memory(a, b))


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> contract.Backend:
    monkeypatch.setattr(contract, "_share", overlap)
    return contract.Backend("cupy", namespace_on("cuda"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in FORMULAS if name not in MADE_FROM_NOTHING])
def test_the_reference_on_cupy(name: str, dtype: str, gpu: contract.Backend) -> None:
    for case in cases(name):
        for layout in contract.LAYOUTS:
            contract.check(FORMULAS[name], case, dtype, layout, gpu)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_the_kernels(name: str, dtype: str, gpu: contract.Backend) -> None:
    implementation = IMPLEMENTATIONS[name]
    ran: list[str] = []
    for case in cases(name):
        for layout in contract.LAYOUTS:
            log = contract.check(FORMULAS[name], case, dtype, layout, gpu, implementation)
            ran += [how for _, _, how in log]
    assert "cuda" in ran


@pytest.mark.parametrize("name", ["linear", "linear_activation"])
def test_the_products_of_cublas_and_of_the_tiled_kernel(
    name: str, gpu: contract.Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    implementation = IMPLEMENTATIONS[name]
    for limit in (0, 1 << 62):
        monkeypatch.setattr(implementation.driver, "tiled_limit", limit)
        for case in cases(name):
            contract.check(FORMULAS[name], case, "float32", "C", gpu, implementation)
