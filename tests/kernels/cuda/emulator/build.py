"""Builds a .cu file's text with g++ into a shared library that plays a GPU.

Two flavours: "watched" sees every access to memory (races, bounds) and runs in the test's own
process; "sanitized" is under the address and undefined-behaviour sanitizers, whose library has to
be in a process before everything else.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from nnscratch.kernels.cuda import source

HERE = Path(__file__).parent
RUNTIME = ("cuda_on_cpu.cpp", "watch.cpp")
COMMON = (
    "-std=c++17", "-fPIC", "-g1", "-fno-strict-aliasing", "-fno-omit-frame-pointer",
    "-U_FORTIFY_SOURCE",  # which takes a jump to another stack for an error
    "-Wall", "-Wextra",
)  # fmt: skip
# Compiling under the sanitizers takes longer than running, so it is not optimised.
SANITIZERS = ("-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
KERNEL_FLAGS = {
    # Without taking structures apart, so that a Pack is seen to be moved as a whole.
    "watched": ("-O1", "-fno-tree-sra", "-fsanitize=thread"),
    "sanitized": SANITIZERS,
    "plain": ("-O1",),
}
RUNTIME_FLAGS = {
    "watched": ("-O2", "-fomit-frame-pointer", "-DNN_WATCH"),
    "sanitized": SANITIZERS,
    "plain": ("-O1",),
}


class NoCompiler(AssertionError):
    """There is no g++, without which the kernels cannot be tested here."""


@cache
def compiler() -> str:
    """Return the path of g++.

    Raises:
        NoCompiler: if there is none. These tests fail without it; they are not skipped.
    """
    found = shutil.which("g++")
    if found is None:
        raise NoCompiler(
            "the CUDA kernels are tested by compiling them with g++, which was not found: "
            "install it (on Debian and Ubuntu: apt-get install g++)"
        )
    return found


@cache
def cache_folder() -> Path:
    """Return where libraries are kept from one run to the next, by a hash of what made them."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "nnscratch" / "cuda-on-cpu"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(tempfile.mkdtemp(prefix="nnscratch-cuda-on-cpu-"))


def run(*command: str) -> str:
    """Run the compiler and return what it said.

    Raises:
        AssertionError: with its messages, if it failed.
    """
    # Not with the sanitizers' library in it, which a process that runs kernels under them has: it
    # makes the compiler take three times as long.
    own = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=own)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def library(file: str, dtype: str, flavour: str = "watched", text: str | None = None) -> Path:
    """Return the shared library of a .cu file, or of another text in its place."""
    text = source.text(file) if text is None else source.included(file, text)
    stamp = _stamp(text, dtype, *KERNEL_FLAGS[flavour], *RUNTIME_FLAGS[flavour])
    made = cache_folder() / f"{file}-{dtype}-{flavour}-{stamp}.so"
    if not made.exists():
        _build(file, dtype, flavour, text, made)
    return made


SOURCES = (".h", ".cpp")


@cache
def version() -> str:
    return run(compiler(), "--version")


def _stamp(*parts: str) -> str:
    """Return a hash of what makes a file: parts, the emulator's own text and the compiler."""
    own = [path.read_text("utf-8") for path in sorted(HERE.iterdir()) if path.suffix in SOURCES]
    return hashlib.sha256("\0".join([*parts, *COMMON, version(), *own]).encode()).hexdigest()[:24]


def _build(file: str, dtype: str, flavour: str, text: str, made: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / f"{file}.cu").write_text(text, encoding="utf-8")
        entries = "".join(f"NN_ENTRY({kernel})\n" for kernel in source.parse(text))
        wrapper = folder / "wrapper.cpp"
        wrapper.write_text(f'#include "cuda_on_cpu.h"\n#include "{file}.cu"\n{entries}', "utf-8")
        real = f"-DREAL={source.REALS[dtype]}"
        includes = (f"-I{folder}", f"-I{_header(flavour)}", f"-I{HERE}")
        kernels, result = str(folder / "kernels.o"), folder / "result.so"
        run(
            compiler(), *COMMON, *KERNEL_FLAGS[flavour], real, *includes, "-c", str(wrapper), "-o",
            kernels,
        )  # fmt: skip
        linked = SANITIZERS if flavour == "sanitized" else ()
        run(compiler(), "-shared", *linked, kernels, *_runtime(flavour), "-o", str(result))
        _keep(result, made)


def _keep(result: Path, made: Path) -> None:
    """Copy a file to its place at once: another process may read it, or be making the same."""
    partial = made.with_suffix(f".{os.getpid()}")
    shutil.copyfile(result, partial)
    partial.replace(made)


def scratch() -> Path:
    """Return a new folder that goes away with this process."""
    folder = tempfile.mkdtemp(prefix="nnscratch-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@cache
def _header(flavour: str) -> Path:
    """Return a folder with the compiled ``cuda_on_cpu.h``, which takes half of a file's time."""
    header = "cuda_on_cpu.h"
    folder = cache_folder() / f"header-{flavour}-{_stamp(*KERNEL_FLAGS[flavour])}"
    folder.mkdir(exist_ok=True)
    made = folder / f"{header}.gch"
    if not made.exists():
        result = scratch() / made.name
        run(
            compiler(), *COMMON, *KERNEL_FLAGS[flavour], "-x", "c++-header", str(HERE / header),
            "-o", str(result),
        )  # fmt: skip
        _keep(result, made)
    return folder


@cache
def _runtime(flavour: str) -> tuple[str, ...]:
    """Return the objects that each library of a flavour is linked with."""
    made = []
    for name in RUNTIME:
        if name == "watch.cpp" and flavour != "watched":
            continue
        stamp = _stamp(*RUNTIME_FLAGS[flavour])
        kept = cache_folder() / f"{Path(name).stem}-{flavour}-{stamp}.o"
        if not kept.exists():
            result = scratch() / kept.name
            run(
                compiler(), *COMMON, *RUNTIME_FLAGS[flavour], "-c", str(HERE / name), "-o",
                str(result),
            )  # fmt: skip
            _keep(result, kept)
        made.append(str(kept))
    return tuple(made)


def asan() -> str:
    """Return the address sanitizer's library, to be loaded before a process starts."""
    return run(compiler(), "-print-file-name=libasan.so").strip()
