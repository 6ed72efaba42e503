"""What nnscratch says of CUDA on machines of many kinds, played by a stand-in for CuPy."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import sysconfig
import types
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

import nnscratch
from nnscratch.array import cuda, cuda_problem, cuda_report
from nnscratch.array.device import cupy
from nnscratch.errors import DeviceError


class CUDARuntimeError(RuntimeError):
    pass


class Machine:
    """What the stand-in tells; change it before asking."""

    wheels: tuple[str, ...] = ("cupy-cuda13x 14.2.0",)
    runtime, driver, count = 13020, 13020, 1
    nvrtc: Any = (13, 2)
    headers = True
    import_error: Exception | None = None


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Machine]:
    told = Machine()

    def distributions() -> list[Any]:
        return [
            types.SimpleNamespace(metadata={"Name": name}, version=version)
            for name, version in (wheel.split() for wheel in told.wheels)
        ]

    def get_device_count() -> int:
        if told.driver == 0:
            raise CUDARuntimeError("cudaErrorInsufficientDriver")
        return told.count

    runtime = types.SimpleNamespace(
        runtimeGetVersion=lambda: told.runtime,
        driverGetVersion=lambda: told.driver,
        getDeviceCount=get_device_count,
        getDeviceProperties=lambda index: {
            "name": b"A GPU", "major": 9, "minor": 0, "totalGlobalMem": 80 * 10**9,
        },
        CUDARuntimeError=CUDARuntimeError,
    )  # fmt: skip
    fake: Any = types.ModuleType("cupy")
    fake.__spec__ = ModuleSpec("cupy", None)
    fake.__version__ = "14.2.0"
    fake.cuda = types.SimpleNamespace(runtime=runtime)
    environment: Any = types.ModuleType("cupy._environment")
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "cuda_fp16.h").touch()
    environment.get_cuda_path = lambda: str(tmp_path) if told.headers else None
    libs: Any = types.ModuleType("cupy_backends.cuda.libs.nvrtc")

    def get_version() -> tuple[int, int]:
        if isinstance(told.nvrtc, Exception):
            raise told.nvrtc
        return told.nvrtc

    libs.getVersion = get_version
    monkeypatch.setitem(sys.modules, "cupy", fake)
    monkeypatch.setitem(sys.modules, "cupy._environment", environment)
    for name in ("cupy_backends", "cupy_backends.cuda", "cupy_backends.cuda.libs"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "cupy_backends.cuda.libs.nvrtc", libs)
    monkeypatch.setattr(importlib.metadata, "distributions", distributions)
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"purelib": str(tmp_path / "no")})
    monkeypatch.setattr(cuda, "_installed_driver", lambda: "575.51.03")
    cuda_problem.cache_clear()
    yield told
    cuda_problem.cache_clear()


def mends() -> dict[str, str]:
    return {row.name: row.mend for row in cuda_report() if row.mend is not None}


def test_a_machine_on_which_all_is_well(machine: Machine) -> None:
    found = {row.name: row.found for row in cuda_report()}
    assert found == {
        "CuPy": "cupy-cuda13x 14.2.0",
        "driver": "for CUDA 13.2 (575.51.03)",
        "GPU": "A GPU (sm_90, 80 GB)",
        "compiler": "NVRTC 13.2",
        "headers": found["headers"],
    }
    assert not mends()
    assert cuda_problem() is None
    assert nnscratch.cuda.is_available()
    assert nnscratch.cuda.device_count() == 1


def test_two_wheels_at_once(machine: Machine) -> None:
    machine.wheels = ("cupy-cuda12x 13.4.0", "numpy 2.4.6", "cupy-cuda13x 14.2.0", "cupyx 1")
    (row,) = cuda_report()
    assert row.found == "2 at once: cupy-cuda12x 13.4.0, cupy-cuda13x 14.2.0"
    assert row.mend is not None
    assert "pip uninstall -y cupy-cuda12x cupy-cuda13x" in row.mend
    assert 'pip install "nnscratch[cuda13]"' in row.mend
    with pytest.raises(DeviceError, match=r"2 at once.*pip uninstall"):
        nnscratch.ones(2).to("cuda")


def test_no_cupy(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.wheels = ()
    monkeypatch.setattr(cuda.importlib.util, "find_spec", lambda name: None)
    (row,) = cuda_report()
    assert row.found == "CuPy is not installed"
    assert row.mend is not None
    assert 'pip install "nnscratch[cuda12]"' in row.mend


def test_a_cupy_that_cannot_be_imported(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(cuda.importlib.util, "find_spec", lambda name: True)
    (row,) = cuda_report()
    assert row.found.startswith("CuPy cannot be imported")
    assert row.mend is not None
    assert "reinstall" in row.mend


def test_no_driver(machine: Machine) -> None:
    machine.driver = 0
    assert "install NVIDIA's driver" in mends()["driver"]
    assert "CuPy finds no NVIDIA driver for CUDA 13.2" in str(cuda_problem())
    assert not nnscratch.cuda.is_available()
    assert nnscratch.cuda.device_count() == 0


@pytest.mark.parametrize(
    ("runtime", "driver", "mend"),
    [
        (13020, 12080, 'update it to 580.65.06 or newer, or take .*"nnscratch\\[cuda12\\]"'),
        (12040, 11080, "update it to 525.60.13 or newer$"),
        (14000, 13000, 'update it to a newer one or newer, or .*"nnscratch\\[cuda13\\]"'),
        (12090, 12020, None),  # of one major version
        (12090, 13000, None),
    ],
)
def test_a_driver_that_is_too_old(
    runtime: int, driver: int, mend: str | None, machine: Machine
) -> None:
    machine.runtime, machine.driver = runtime, driver
    if mend is None:
        assert not mends()
        return
    assert re.search(mend, mends()["driver"])
    assert "too old for CUDA" in str(cuda_problem())
    assert "(575.51.03)" in str(cuda_problem())


def test_no_gpu(machine: Machine) -> None:
    machine.count = 0
    assert "CUDA_VISIBLE_DEVICES" in mends()["GPU"]
    with pytest.raises(DeviceError, match=r"finds no NVIDIA GPU.*`nnscratch doctor` says more"):
        cupy()


def test_no_compiler_and_no_headers_are_no_reason_to_refuse(machine: Machine) -> None:
    machine.nvrtc, machine.headers = RuntimeError("libnvrtc.so.13: no such file\nmore"), False
    found = mends()
    assert "pip install nvidia-cuda-nvrtc-cu12" in found["compiler"]
    assert "nvidia-cuda-runtime" in found["headers"]
    assert cuda_problem() is None
    row = next(row for row in cuda_report() if row.name == "compiler")
    assert row.found == "NVRTC was not found (libnvrtc.so.13: no such file)"


def test_a_gpu_that_the_machine_has_not(machine: Machine) -> None:
    with pytest.raises(DeviceError, match=r"cuda:3 does not exist: this machine has 1 GPU"):
        nnscratch.ones(2).to("cuda:3")


def test_here_as_it_is() -> None:
    """Whatever this machine has: an answer, and the same answer from ``.to``."""
    cuda_problem.cache_clear()
    rows = cuda_report()
    assert rows
    assert all(row.name and row.found for row in rows)
    problem = cuda_problem()
    if problem is not None:
        with pytest.raises(DeviceError) as caught:
            nnscratch.ones(2).to("cuda")
        assert problem in str(caught.value)
