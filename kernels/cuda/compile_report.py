"""Compiles every kernel for several GPUs and says what each one needs: registers, spills, memory.

``python -m nnscratch.kernels.cuda.compile_report`` needs no GPU, only a compiler: ``nvcc`` from the
CUDA toolkit, or NVRTC from its wheel (``pip install nvidia-cuda-nvrtc``; for CUDA 12,
``nvidia-cuda-nvrtc-cu12``). Any warning is an error.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from .source import REALS, files, text

ARCHITECTURES = ("sm_75", "sm_80", "sm_90")
RESULTS = Path("build")
_FUNCTION = re.compile(r"Compiling entry function '(\w+)' for '(\w+)'")
_SPILLS = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")

Compile = Callable[[str, str, str], str]


class CompileError(RuntimeError):
    """The compiler refused a kernel or warned of something in it."""


class Compiler(NamedTuple):
    """A compiler: its name and version, and a function of file, dtype and architecture."""

    version: str
    compile: Compile


def find_compiler() -> Compiler | None:
    """Return nvcc if there is one, else NVRTC, else None."""
    return _nvcc() or _nvrtc()


def _nvcc() -> Compiler | None:
    path = shutil.which("nvcc")
    if path is None:
        return None
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"release [\d.]+, V([\d.]+)", said)

    def compile(file: str, dtype: str, architecture: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, f"{file}.cu")
            source.write_text(text(file), encoding="utf-8")
            done = subprocess.run(
                [
                    path, f"-arch={architecture}", "-std=c++17", f"-DREAL={REALS[dtype]}", "-cubin",
                    "-Werror=all-warnings", "-Xptxas=-v", "-o", str(Path(folder, "out")),
                    str(source),
                ],
                capture_output=True,
                text=True,
                check=False,
            )  # fmt: skip
        if done.returncode:
            raise CompileError(f"{file}.cu, {dtype}, {architecture}: {done.stdout}{done.stderr}")
        return done.stderr + done.stdout

    return Compiler(f"nvcc {found[1] if found else ''}".strip(), compile)


def _nvrtc_library() -> Any:
    names = [ctypes.util.find_library("nvrtc")]
    found = importlib.util.find_spec("nvidia")
    for folder in (found and found.submodule_search_locations) or ():
        names += map(str, sorted(Path(folder).glob("*/lib/libnvrtc.so*")))
    for name in filter(None, names):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def _nvrtc() -> Compiler | None:
    library = _nvrtc_library()
    if library is None:
        return None
    major, minor = ctypes.c_int(), ctypes.c_int()
    library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))

    def compile(file: str, dtype: str, architecture: str) -> str:
        program = ctypes.c_void_p()
        body = text(file).encode()
        library.nvrtcCreateProgram(
            ctypes.byref(program), body, f"{file}.cu".encode(), 0, None, None
        )
        options = (
            f"--gpu-architecture={architecture}", "-std=c++17", f"-DREAL={REALS[dtype]}",
            "--ptxas-options=-v",
        )  # fmt: skip
        array = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        failed = library.nvrtcCompileProgram(program, len(options), array)
        size = ctypes.c_size_t()
        library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        library.nvrtcGetProgramLog(program, log)
        library.nvrtcDestroyProgram(ctypes.byref(program))
        said = log.value.decode()
        if failed or re.search(r"\bwarning\b", said):
            raise CompileError(f"{file}.cu, {dtype}, {architecture}: {said}")
        return said

    return Compiler(f"NVRTC {major.value}.{minor.value}", compile)


def read(said: str) -> dict[str, dict[str, int]]:
    """Return what each kernel uses, as ptxas says it.

    >>> said = '''Compiling entry function 'k' for 'sm_80'
    ... 0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
    ... Used 24 registers, 1056 bytes smem, 400 bytes cmem[0]'''
    >>> read(said)
    {'k': {'stack': 0, 'spill_stores': 0, 'spill_loads': 0, 'registers': 24, 'shared': 1056}}
    """
    found: dict[str, dict[str, int]] = {}
    kernel = ""
    for line in said.splitlines():
        if match := _FUNCTION.search(line):
            kernel = match[1]
        elif match := _SPILLS.search(line):
            # Of the kernel that was named last; helpers that are not inlined say so as well.
            numbers = (int(number) for number in match.groups())
            found.setdefault(
                kernel, dict(zip(("stack", "spill_stores", "spill_loads"), numbers, strict=True))
            )
        elif match := _USED.search(line):
            shared = _SHARED.search(line)
            found.setdefault(kernel, {})["registers"] = int(match[1])
            found[kernel]["shared"] = int(shared[1]) if shared else 0
    return found


def report(compiler: Compiler, architectures: tuple[str, ...] = ARCHITECTURES) -> dict[str, Any]:
    """Compile everything and return the report."""
    kernels: dict[str, Any] = {}
    for file in files():
        for dtype in REALS:
            for architecture in architectures:
                used = read(compiler.compile(file, dtype, architecture))
                for kernel, numbers in used.items():
                    of_file = kernels.setdefault(file, {}).setdefault(kernel, {})
                    of_file.setdefault(dtype, {})[architecture] = numbers
    return {
        "compiler": compiler.version,
        "warnings": 0,
        "architectures": list(architectures),
        "kernels": kernels,
    }


def markdown(made: dict[str, Any]) -> str:
    """Return the report as a page."""
    architectures = made["architectures"]
    lines = [
        "# Registers of the CUDA kernels",
        "",
        f"Compiled by {made['compiler']} for {', '.join(architectures)} without a warning. This is",
        "what the compiler says of the text; nothing here ran on a GPU. Written by",
        "`python -m nnscratch.kernels.cuda.compile_report`.",
        "",
        "Registers of a thread for float32 / float64, and bytes of shared memory of a block.",
        "",
        f"| file | kernel | {' | '.join(architectures)} | shared | spills |",
        f"|---|---|{'---|' * (len(architectures) + 2)}",
    ]
    spilling = 0
    for file, kernels in made["kernels"].items():
        for kernel in sorted(kernels):
            dtypes = kernels[kernel]
            every = [one for by in dtypes.values() for one in by.values()]
            spills = max(one["spill_stores"] + one["spill_loads"] for one in every)
            spilling += spills > 0
            registers = [
                " / ".join(str(dtypes[dtype][one]["registers"]) for dtype in dtypes)
                for one in architectures
            ]
            shared = max(one["shared"] for one in every)
            cells = [f"{file}.cu", kernel, *registers, str(shared), str(spills)]
            lines.append(f"| {' | '.join(cells)} |")
    count = sum(map(len, made["kernels"].values()))
    said = "None spills." if not spilling else f"{spilling} spill."
    lines[5:5] = ["", f"{count} kernels. {said}"]
    return "\n".join(lines) + "\n"


def write(made: dict[str, Any], folder: Path) -> None:
    """Write the report as JSON and as a page, each under a temporary name first."""
    folder.mkdir(parents=True, exist_ok=True)
    body = json.dumps(made, indent=1, sort_keys=True) + "\n"
    for name, content in (("cuda_registers.json", body), ("cuda_registers.md", markdown(made))):
        partial = folder / f"{name}.partial"
        partial.write_text(content, encoding="utf-8")
        partial.replace(folder / name)


def main(arguments: list[str] | None = None) -> int:
    """Write the report; return what the process ends with."""
    parser = argparse.ArgumentParser(prog="compile_report", description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder to write it to")
    parser.add_argument("--arch", nargs="+", default=list(ARCHITECTURES), help="such as sm_90")
    given = parser.parse_args(arguments)
    compiler = find_compiler()
    if compiler is None:
        print(
            "neither nvcc nor NVRTC was found: install the CUDA toolkit, or\n"
            "  pip install nvidia-cuda-nvrtc",
            file=sys.stderr,
        )
        return 2
    try:
        write(report(compiler, tuple(given.arch)), given.out)
    except CompileError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{given.out / 'cuda_registers.md'} by {compiler.version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
