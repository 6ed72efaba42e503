"""The text of kernels, CuPy's and ours, compiled by g++ as NVRTC is asked to."""

from __future__ import annotations

import ctypes
import re
import struct
import tempfile
from functools import cache
from pathlib import Path

from emulator import build

HERE = Path(__file__).parent
EMULATOR = Path(build.__file__).parent
FLAGS = ("-std=c++17", "-fPIC", "-fno-strict-aliasing", "-U_FORTIFY_SOURCE")
INCLUDES = (f"-I{HERE / 'include'}", f"-I{EMULATOR}")
MAGIC = b"ONCPU"
FAILED = 6  # NVRTC_ERROR_COMPILATION

# Shared memory whose size the launch says is a pointer here, into as much as there may be.
_BY_LAUNCH = re.compile(r"extern __shared__ ([\w ]+?)\s+(\w+)\[\];")
_KERNEL = re.compile(r"NN_GLOBAL\s+void\s+(\w+)\s*\(")
# How a kernel is called, and which sizes its arguments have.
_ENTRY = """
extern "C" void nn_entry_{0}(void** arguments) {{ nn_call({0}, arguments); }}
extern "C" const std::size_t* nn_sizes_{0}() {{ return nn_sizes({0}); }}
"""
Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
)


@cache
def kernel_flags() -> tuple[str, ...]:
    """Return how kernels are compiled: NVRTC rounds a * b + c once, and so do these if they can."""
    contracts = " fma " in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return ("-O1", "-w", "-ffp-contract=fast", *(["-mfma"] if contracts else []))


class Compiler:
    """What the library that plays NVRTC calls.

    Args:
        runtime: the object file of the emulator, which goes into every module.
    """

    def __init__(self, runtime: Path) -> None:
        self._runtime, self._folder = runtime, build.scratch()
        self.callback = Callback(self._compile)

    def _compile(self, text: bytes, options: bytes, path: int, size: int) -> int:
        """Write where the module is, or what the compiler said; return NVRTC's status."""
        status = 0
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
            try:
                file.write(self.module(text.decode(), options.decode().splitlines()))
            except AssertionError as error:
                status = FAILED
                file.write(str(error).encode())
        name = file.name.encode() + b"\0"
        assert len(name) <= size
        ctypes.memmove(path, name, len(name))
        return status

    def module(self, text: str, options: list[str]) -> bytes:
        """Return what takes a cubin's place: a shared library behind a header with its length."""
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            source, whole, made = (Path(name, one) for one in ("text.cpp", "text.ii", "module.so"))
            text = _BY_LAUNCH.sub(r"\1* \2 = (\1*)nn_shared_by_launch();", text)
            source.write_text(f'#include "device_code.h"\n{text}', encoding="utf-8")
            taken = [one for one in options if one.startswith(("-D", "-I"))]
            command = (build.compiler(), *FLAGS)
            build.run(*command, "-E", *INCLUDES, *taken, str(source), "-o", str(whole))
            seen = whole.read_text(encoding="utf-8")
            kernels = dict.fromkeys(_KERNEL.findall(seen))
            seen = seen.replace("NN_GLOBAL", "") + "".join(map(_ENTRY.format, kernels))
            whole.write_text(seen, encoding="utf-8")
            parts = (str(whole), str(self._runtime))
            build.run(
                *command, *kernel_flags(), "-shared", "-fpreprocessed", *parts, "-o", str(made)
            )
            content = made.read_bytes()
        return struct.pack("<8sQ", MAGIC, len(content)) + content
