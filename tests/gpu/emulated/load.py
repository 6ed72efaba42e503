"""CuPy, as it is installed, on a machine without a GPU: ``load()`` before it is imported.

The libraries that CuPy opens (the driver, NVRTC, cuBLAS) are played by ones that are built here and
loaded first. Of the CUDA runtime and of Thrust's sorts CuPy has copies in its own modules; their
functions are overwritten in memory by jumps to those that play them. So what runs is CuPy's own
code down to the calls of CUDA, the text of its kernels and of ours.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from emulator import build
from gpu.emulated import texts
from gpu.emulated.elf import DEFINED, IMPORTED, divert, symbols

HERE = Path(__file__).parent
RUNTIME, THRUST = "cupy_backends.cuda.api.runtime", "cupy.cuda.thrust"
SORTS = "_Z11thrust_sort", "_Z14thrust_argsort"
FLAGS = (*texts.FLAGS, "-O2", "-Wall", "-Wextra", "-shared", f"-I{HERE / 'cuda'}")
CUDA, CUBLAS = ("memory", "streams", "devices", "driver", "sorting"), ("cublas",)
_NAME = re.compile(r"\bcu(?:da|blas)[\w#]+(?=\()")


class Counts(ctypes.Structure):
    """What CUDA was asked for: see device.h."""

    _fields_ = [
        (name, ctypes.c_long)
        for name in ("launches", "graphs", "to_device", "to_host", "within", "waits")
    ]


@contextmanager
def hurried() -> Iterator[None]:
    """Let the default stream do its work at once, other streams as late as they may."""
    cuda = ctypes.CDLL("libcuda.so.1")
    cuda.gpu_hurry(True)
    try:
        yield
    finally:
        cuda.gpu_hurry(False)


class NotHere(RuntimeError):
    """This machine cannot play a GPU for CuPy."""


@cache
def load() -> Counts:
    """Let CuPy find a GPU in this process; returns what it is asked for from now on.

    Raises:
        NotHere: on another system than Linux on x86-64, or without CuPy's wheel.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise NotHere("CuPy's functions are replaced in machine code: Linux on x86-64 only")
    try:
        version = importlib.metadata.version("cupy-cuda12x")
    except importlib.metadata.PackageNotFoundError:
        raise NotHere("install cupy-cuda12x; `make test` does so in a folder of its own") from None
    if "cupy" in sys.modules:
        raise NotHere("CuPy was imported already")
    folder = build.cache_folder() / f"emulated-gpu-{_stamp(version)}"
    folder.mkdir(exist_ok=True)
    # Reductions by CUB are compiled for GPUs, and CuPy has its own in their place.
    os.environ.update(CUPY_ACCELERATORS="", CUPY_CACHE_DIR=str(folder / "kernels"))
    os.environ["CUDA_PATH"] = str(HERE)
    cuda = _library(folder, "libcuda.so.1", CUDA, _missing(CUDA, RUNTIME, DEFINED, "cuda", 801))
    versions = build.scratch() / "versions"
    versions.write_text("libcublas.so.12 { global: cublas*; };\n", encoding="utf-8")
    _library(
        folder, "libcublas.so.12", CUBLAS,
        _missing(CUBLAS, "cupy_backends.cuda.libs.cublas", IMPORTED, "cublas", 15),
        f"-Wl,--version-script={versions}", str(folder / "libcuda.so.1"),
    )  # fmt: skip
    _library(folder, "libcublasLt.so.12")
    nvrtc = _library(folder, "libnvrtc.so.12", ("nvrtc",))
    compiler = texts.Compiler(_emulator(folder))
    nvrtc.nvrtc_on_cpu(compiler.callback)
    _kept.append(compiler)
    divert(RUNTIME, "cuda", cuda)
    for name in SORTS:
        divert(THRUST, name, cuda)
    cuda.gpu_counts.restype = ctypes.POINTER(Counts)
    counts: Counts = cuda.gpu_counts().contents
    return counts


_kept: list[object] = []


def _stamp(version: str) -> str:
    """Return what changes with anything that the libraries are made of."""
    files = [*HERE.rglob("*"), *texts.EMULATOR.iterdir()]
    sources = sorted(one for one in files if one.suffix in (".cpp", ".h", ".cuh", ".py"))
    parts = [version.encode(), build.version().encode(), *(one.read_bytes() for one in sources)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:24]


def _missing(sources: tuple[str, ...], module: str, kind: int, prefix: str, error: int) -> Path:
    """Return a source with the functions that CuPy's module names and ours lack: they fail."""
    text = "".join((HERE / "cuda" / f"{one}.cpp").read_text("utf-8") for one in sources)
    have = {
        one.replace("##LETTER##", letter) for one in _NAME.findall(text) for letter in ("S", "D")
    }
    lines = [
        f'extern "C" int {name}() {{ return gpu_fail({error}, "there is no {name}"); }}'
        for name in symbols(module, kind, prefix)
        if name not in have
    ]
    made = build.scratch() / f"missing_{prefix}.cpp"
    made.write_text("\n".join(['#include "device.h"', *lines]) + "\n", encoding="utf-8")
    return made


def _library(
    folder: Path, name: str, sources: tuple[str, ...] = (), *more: str | Path
) -> ctypes.CDLL:
    """Load a library for whoever asks by its name; it is built unless an earlier run has."""
    files = [str(HERE / "cuda" / f"{one}.cpp") for one in sources]
    _make(folder / name, *FLAGS, *files, *map(str, more), f"-Wl,-soname,{name}")
    return ctypes.CDLL(str(folder / name), ctypes.RTLD_GLOBAL)


def _emulator(folder: Path) -> Path:
    """Return what runs the threads of a kernel, as an object file."""
    made = folder / "emulator.o"
    source = str(texts.EMULATOR / "cuda_on_cpu.cpp")
    _make(made, *texts.FLAGS, "-O2", "-DNN_ENDED_MAY_BE_MISSING", "-c", source)
    return made


def _make(made: Path, *command: str) -> None:
    if not made.exists():
        # Another process may be building the same: whoever comes last replaces an equal file.
        partial = made.with_name(f"{made.name}.{os.getpid()}")
        build.run(build.compiler(), *command, "-o", str(partial))
        partial.replace(made)
