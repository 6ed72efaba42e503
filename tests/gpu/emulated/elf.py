"""CuPy's own copies of CUDA's functions: where they are, and how to put others in their place."""

from __future__ import annotations

import ctypes
import importlib.util
import struct
from pathlib import Path

DEFINED, IMPORTED = 2, 11  # the kinds of section that hold a module's symbols
FUNCTIONS = (0, 2)  # the types of symbols: unknown, as imported ones are, and functions
_SYMBOL = struct.Struct("<IBBHQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
# mov rax, address; jmp rax
_JUMP, _BY_RAX = b"\x48\xb8", b"\xff\xe0"
PAGE = 4096
READ_WRITE_EXECUTE = 7


def module_path(module: str) -> Path:
    """Return the file of a module that need not be imported."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin)


def symbols(module: str, kind: int, prefix: str) -> dict[str, int]:
    """Return a module's functions by their names, and their places; 0 for imported ones."""
    data = module_path(module).read_bytes()
    (table,) = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3A)
    sections = [_SECTION.unpack_from(data, table + n * size) for n in range(count)]
    found = {}
    for _, section, _, _, start, length, link, *_ in sections:
        if section != kind:
            continue
        names = sections[link][4]
        for at in range(start, start + length, _SYMBOL.size):
            name, info, _, _, place, _ = _SYMBOL.unpack_from(data, at)
            text = data[names + name : data.index(b"\0", names + name)].decode()
            if info & 15 in FUNCTIONS and text.startswith(prefix):
                found[text] = place
    return found


def divert(module: str, prefix: str, library: ctypes.CDLL) -> None:
    """Let functions of a module that is not imported yet jump to those of a library.

    All whose names begin with the prefix; the library must have every one of them.
    """
    path = module_path(module).resolve()
    ctypes.CDLL(str(path))
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    base = min(int(line.split("-")[0], 16) for line in maps if line.endswith(str(path)))
    libc = ctypes.CDLL(None)
    libc.mprotect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    for name, place in symbols(module, DEFINED, prefix).items():
        target = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
        assert target is not None
        at = base + place
        assert libc.mprotect(at // PAGE * PAGE, 2 * PAGE, READ_WRITE_EXECUTE) == 0
        jump = _JUMP + struct.pack("<Q", target) + _BY_RAX
        ctypes.memmove(at, jump, len(jump))
