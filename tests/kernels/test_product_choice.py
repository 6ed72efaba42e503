"""Which products go to tiles and which to BLAS, and what is kept of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nnscratch.errors import ConfigurationError
from nnscratch.kernels import cpu
from nnscratch.kernels.cpu import products as of_products
from nnscratch.kernels.cpu.runtime import processor, product_choice
from nnscratch.kernels.cpu.runtime.blas import Blas
from nnscratch.kernels.cpu.runtime.product_choice import Measured


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, Measured]]:
    """Return what the machine would measure, by name; what is measured is kept in ``tmp_path``."""
    times: dict[str, Measured] = {}

    def measure(dtype: str, size: int) -> Measured:
        return times.pop(f"{dtype} 2^{size}")  # nothing is measured twice

    library = Blas("libblas.so", "a library that is only named", 1, 1, 64, 0, 0)
    monkeypatch.setattr(product_choice, "blas", lambda: library)
    monkeypatch.setattr(of_products, "blas", lambda: library)
    monkeypatch.setattr(product_choice, "_measure", measure)
    monkeypatch.setattr(product_choice, "folder", lambda: str(tmp_path))
    monkeypatch.delenv(product_choice.VARIABLE, raising=False)
    forget()
    yield times
    monkeypatch.undo()
    forget()


def forget() -> None:
    for cached in (product_choice.chosen, product_choice._file, product_choice.told):
        cached.cache_clear()


def where(m: int, n: int, k: int, dtype: str = "float32") -> str:
    return cpu.product_kernel(dtype, m, n, k)[0].name


def test_small_products_go_to_tiles_unasked(measuring: dict[str, Measured]) -> None:
    assert where(1000, 10, 10) == "gemm_tiles"
    assert where(64, 128, 64) == "gemm_tiles"


def test_the_quicker_one_is_taken_and_a_tie_goes_to_tiles(measuring: dict[str, Measured]) -> None:
    measuring["float32 2^27"] = Measured(1.0, 0.95)
    measuring["float32 2^30"] = Measured(1.0, 0.5)
    measuring["float64 2^30"] = Measured(1.0, 2.0)
    assert where(512, 512, 512) == "gemm_tiles"
    assert where(4096, 4096, 4096) == "gemm"
    assert where(4096, 4096, 4096, "float64") == "gemm_tiles"
    assert not measuring


def test_what_was_measured_is_kept_for_later_processes(
    measuring: dict[str, Measured], tmp_path: Path
) -> None:
    measuring["float32 2^30"] = Measured(1.0, 0.5)
    where(4096, 4096, 4096)
    forget()
    assert where(4096, 4096, 4096) == "gemm"
    path, found = product_choice.kept()
    assert found == {"float32 2^30": Measured(1.0, 0.5)}
    assert path is not None
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "damage",
    ["", "{}", "[1]", '{"measured on": "another machine", "seconds": {"float32 2^30": [1, 2]}}'],
)
def test_a_damaged_or_foreign_file_is_measured_anew(
    damage: str, measuring: dict[str, Measured], tmp_path: Path
) -> None:
    path = product_choice._file()
    assert path is not None
    path.write_text(damage)
    measuring["float32 2^30"] = Measured(1.0, 0.5)
    assert where(4096, 4096, 4096) == "gemm"
    assert json.loads(path.read_text())["seconds"] == {"float32 2^30": [1.0, 0.5]}


def test_without_blas_all_go_to_tiles(
    measuring: dict[str, Measured], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_choice, "blas", lambda: None)
    for word in ("auto", "tiles", "blas"):
        monkeypatch.setenv(product_choice.VARIABLE, word)
        forget()
        assert where(4096, 4096, 4096) == "gemm_tiles"


def test_where_nothing_can_be_kept_all_go_to_tiles(
    measuring: dict[str, Measured], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_choice, "folder", lambda: None)
    assert where(4096, 4096, 4096) == "gemm_tiles"


def test_a_variable_decides_for_all_sizes(
    measuring: dict[str, Measured], monkeypatch: pytest.MonkeyPatch
) -> None:
    for word, name in (("tiles", "gemm_tiles"), ("blas", "gemm")):
        monkeypatch.setenv(product_choice.VARIABLE, word)
        forget()
        assert where(4096, 4096, 4096) == where(2, 2, 2) == name
    monkeypatch.setenv(product_choice.VARIABLE, "mkl")
    forget()
    with pytest.raises(ConfigurationError, match="auto, tiles or blas, got 'mkl'"):
        where(2, 2, 2)


def test_a_measurement_is_of_the_two_kernels() -> None:
    if cpu.blas() is None:
        with pytest.raises(LookupError, match="not found"):
            product_choice._measure("float32", 21)
        return
    measured = product_choice._measure("float32", 21)
    assert measured.tiles > 0
    assert measured.blas > 0


@pytest.mark.parametrize("told", ["16", "32", "64", "", "8"])
def test_tiles_of_smaller_registers(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(processor.VECTOR_BYTES, raising=False)
    processor.vector_bytes.cache_clear()
    widest = processor.vector_bytes()
    monkeypatch.setenv(processor.VECTOR_BYTES, told)
    processor.vector_bytes.cache_clear()
    try:
        if told == "8":
            with pytest.raises(ConfigurationError, match="16, 32 or 64, got '8'"):
                processor.vector_bytes()
        else:
            assert processor.vector_bytes() == min(widest, int(told or "64"))
    finally:
        monkeypatch.undo()
        processor.vector_bytes.cache_clear()


PRODUCTS = """
import numpy as np
from nnscratch.kernels import cpu
from nnscratch.kernels.cpu.runtime import processor
rng = np.random.default_rng(0)
for name in ("gemm_tiles", "gemm"):
    if name == "gemm" and cpu.blas() is None:
        continue
    for m, n, k, ta, tb in {cases}:
        A = rng.standard_normal((k, m) if ta else (m, k), dtype=np.float32)
        B = rng.standard_normal((n, k) if tb else (k, n), dtype=np.float32)
        true = (A.T if ta else A).astype(float) @ (B.T if tb else B).astype(float)
        made, first = getattr(cpu, "by_tiles" if name == "gemm_tiles" else "by_blas")("float32")
        bits = set()
        for threads in (1, 2, 3, 7):
            C = np.full((m, n), np.nan, np.float32)
            words = (first, ta, tb, m, n, k, A, A.shape[1], B, B.shape[1], C, n)
            table = cpu.Table()
            table.add(made, words)
            table.build().run(threads)
            bits.add(C.tobytes())
            np.testing.assert_allclose(C, true, rtol=2e-6, atol=1.2e-7 * (8 + k))
        assert len(bits) == 1, (name, m, n, k, ta, tb)
print(processor.vector_bytes(), cpu.blas().config if cpu.blas() else "no BLAS")
"""
CASES = [(257, 33, 65, 0, 1), (1030, 40, 300, 0, 1), (40, 1030, 260, 1, 0), (530, 520, 70, 0, 0)]


def products(**environment: str) -> str:
    """Multiply in a process of its own, with the registers and the BLAS that it is told to use."""
    done = subprocess.run(
        [sys.executable, "-c", PRODUCTS.format(cases=CASES)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# OpenBLAS dies of a core whose instructions the processor does not have, so only the others are
# named; other libraries have no such variable, and the products have to be right then, too.
CORES = ["Prescott", "Nehalem", "Sandybridge"]
CORES += ["Haswell", "Zen"] if "avx2" in processor.features() else []
CORES += ["SkylakeX"] if "avx512f" in processor.features() else []
CORES += ["Cooperlake", "Sapphirerapids"] if "avx512bf16" in processor.features() else []


@pytest.mark.parametrize("core", CORES)
def test_products_on_every_core_of_openblas(core: str) -> None:
    products(OPENBLAS_CORETYPE=core)


@pytest.mark.parametrize("bytes_", ["16", "32", "64"])
def test_products_in_registers_of_every_size(bytes_: str, tmp_path: Path) -> None:
    shown = products(NNSCRATCH_VECTOR_BYTES=bytes_, NUMBA_CACHE_DIR=str(tmp_path))
    assert int(shown.split()[0]) <= int(bytes_)


def test_products_on_a_processor_without_anything(tmp_path: Path) -> None:
    shown = products(NUMBA_CPU_NAME="generic", NUMBA_CACHE_DIR=str(tmp_path))
    assert shown.split()[0] == "16"
