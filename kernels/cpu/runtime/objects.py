"""Machine code of kernels kept on disk, and loaded by llvmlite alone.

Numba takes half a second before it can load a kernel that it kept: for its own import, and for what
it knows of Python's types. None of that is in a kernel's code. So the object file that LLVM made of
each kernel is kept beside Numba's cache, with a line that says what it is:

    {"key": ..., "entry": name of the function, "needs": names from elsewhere, "crc": ...}

A file is taken only if its key is today's: the sources, the versions, the processor and Numba's
variables. What it needs has to be in the process already, or is written here (``_GIL``). A kernel
whose file is missing, old, damaged or in need of something else comes from Numba, as do all where
object files are not of the ELF format (macOS, Windows).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import importlib.util
import json
import os
import platform
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .processor import description

SUFFIX = ".nno"
LOCKED = "numba.lock"
"""The name of a file of which each process locks a byte while it compiles a kernel."""
CHECKED = "numba"
"""The name of the file that says by its key that Numba could be imported."""
_OF_NO_CODE = ("NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER")
"""Variables of Numba that change no machine code: where it is kept, and Numba's own threads."""
_MOST_SECONDS = 60.0
"""How long one process waits for another's kernel: longer than any takes to be compiled."""
SHARED = "nnscratch_"
"""How the names of functions begin that kernels call, each in an object file of its own."""
_ELF64 = b"\x7fELF\x02\x01"
_SYMBOLS = 2
"""The type of the section of an ELF file that lists its symbols."""
_GIL = """
declare i32 @PyGILState_Ensure()
declare void @PyGILState_Release(i32)
define void @numba_gil_ensure({pointer} %state) {{
  %held = call i32 @PyGILState_Ensure()
  store i32 %held, {pointer} %state
  ret void
}}
define void @numba_gil_release({pointer} %state) {{
  %held = load i32, {pointer} %state
  call void @PyGILState_Release(i32 %held)
  ret void
}}
"""
"""What Numba writes into a function for C around the report of an exception, which kernels never
raise; the two are linked in all the same."""


@dataclass(frozen=True)
class Loaded:
    """A compiled function that came from an object file.

    Attributes:
        address: of the function.
        cache_hits: 1, as Numba counts what it loaded.
    """

    address: int
    cache_hits: int = 1


@functools.cache
def folder() -> Path | None:
    """Return the folder of the kernels' cache, by Numba's rule; None if none can be written."""
    own = Path(__file__).absolute().parents[1]
    apart = f"{own.name}_{hashlib.sha1(str(own).encode()).hexdigest()}"
    told = os.environ.get("NUMBA_CACHE_DIR")
    users = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "numba", apart)
    for path in [Path(told, apart)] if told else [own / "__pycache__", users]:
        with contextlib.suppress(OSError):
            path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path):
                return path
    return None


@functools.cache
def key() -> str | None:
    """Return what machine code depends on, None where it is not kept or Numba is not installed."""
    if not sys.platform.startswith("linux") or sys.modules.get("llvmlite", key) is None:
        return None
    try:
        import llvmlite
        from llvmlite import binding

        from .kernel import source_stamp

        found = importlib.util.find_spec("numba")
        if found is None or found.origin is None:
            return None
        numba = (Path(found.origin).parent / "_version.py").read_bytes()
        features = sorted(binding.get_host_cpu_features().items())
        processor = (platform.machine(), binding.get_host_cpu_name(), features, description())
    except (ImportError, ValueError, OSError, RuntimeError):
        return None
    told = sorted(
        (name, value)
        for name, value in os.environ.items()
        if name.startswith("NUMBA_") and name not in _OF_NO_CODE
    )
    versions = (sys.version, found.origin, numba, llvmlite.__version__, np.__version__)
    return hashlib.sha256(repr((source_stamp(), versions, processor, told)).encode()).hexdigest()


def load(symbol: str) -> Loaded | None:
    """Return a kernel that was kept, None if there is none that can be taken."""
    found = _read(symbol)
    if found is None or not found[0]["entry"]:
        return None
    head, code = found
    try:
        from llvmlite import binding

        _prepare()
        if any(not _is_there(binding, name) for name in head["needs"]):
            return None
        engine = _engine(binding, "")
        engine.add_object_file(binding.object_file.ObjectFileRef.from_data(code))
        engine.finalize_object()
        address = engine.get_function_address(head["entry"])
    except (ImportError, OSError, RuntimeError):
        return None
    return Loaded(int(address)) if address else None


@contextlib.contextmanager
def alone(symbol: str) -> Iterator[None]:
    """Let other processes wait that need the same kernel now, instead of compiling it as well.

    With eight ranks on two processors each would otherwise wait for eight compilations. A process
    that was stopped meanwhile holds nobody up for long.
    """
    path = folder()
    if path is None or key() is None:
        yield
        return
    import fcntl

    try:
        file = os.open(path / LOCKED, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:  # somebody else's, or on a disk that became read-only
        yield
        return
    try:
        end = time.monotonic() + _MOST_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                # One byte stands for a kernel; it is free again when the file is closed.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, zlib.crc32(symbol.encode()))
                break
            time.sleep(0.02)
        yield
    finally:
        os.close(file)


def share(name: str) -> bool:
    """Let the code of kernels find a shared function that was kept; say whether it does."""
    from llvmlite import binding

    if binding.address_of_symbol(name):
        return True
    kept = load(name)
    if kept is None:
        return False
    binding.add_symbol(name, kept.address)
    return True


def is_kept(symbol: str) -> bool:
    """Say whether there is a file of today, be it one that says that the code needs Numba."""
    return _read(symbol) is not None


def refused(symbol: str) -> bool:
    """Say whether a kernel's code is known to need Numba, and what it calls is there."""
    found = _read(symbol)
    return found is not None and not found[0]["entry"] and all(map(share, found[0]["needs"]))


def keep(symbol: str, built: Any) -> bool:
    """Keep the code of a function that Numba has just compiled; say whether it can be loaded.

    Numba's names are private ones. Should they change, its own cache is used.
    """
    today = key()
    if today is None:
        return False
    try:
        code = bytes(built._library._get_compiled_object())
        entry = str(built._wrapper_name)
        needs = undefined(code)
    except (AttributeError, RuntimeError, ValueError, struct.error):
        code, entry, needs = b"", "", []
    if any(name.startswith("numba_") and name not in _GIL for name in needs):
        code, entry, needs = b"", "", [name for name in needs if name.startswith(SHARED)]
    head = {"key": today, "entry": entry, "needs": needs, "crc": zlib.crc32(code)}
    return _write(symbol, head, code) and bool(entry)


def numba_was_imported() -> bool:
    """Say whether this Numba could be imported by an earlier process of this Python."""
    if sys.modules.get("numba", key) is None:
        return False
    return _read(CHECKED) is not None


def note_numba() -> None:
    """Note that Numba could be imported."""
    today = key()
    if today is not None and not numba_was_imported():
        head = {"key": today, "entry": "", "needs": [], "crc": 0}
        _write(CHECKED, head, b"")


def undefined(code: bytes) -> list[str]:
    """Return the names that an ELF file of 64 bits expects from elsewhere.

    Raises:
        ValueError: if it is no such file.
    """
    if not code.startswith(_ELF64):
        raise ValueError("expected an ELF file of 64 bits, little-endian")
    (start,) = struct.unpack_from("<Q", code, 40)
    size, count = struct.unpack_from("<HH", code, 58)
    # Of a section: type, place, bytes, and the section that holds its names.
    sections = [struct.unpack_from("<4xI16xQQI", code, start + n * size) for n in range(count)]
    names = []
    for kind, place, length, link in sections:
        if kind != _SYMBOLS:
            continue
        text = sections[link][1]
        for at in range(place, place + length, 24):
            name, section = struct.unpack_from("<I2xH", code, at)
            if section == 0 and name:
                names.append(code[text + name : code.index(b"\0", text + name)].decode())
    return names


def _read(symbol: str) -> tuple[dict[str, Any], bytes] | None:
    """Return a file's line and its code, None if it is not there, old or damaged."""
    path, today = folder(), key()
    if path is None or today is None:
        return None
    try:
        line, _, code = (path / f"{symbol}{SUFFIX}").read_bytes().partition(b"\n")
        head = json.loads(line)
        if head["key"] != today or head["crc"] != zlib.crc32(code):
            return None
        return {"entry": str(head["entry"]), "needs": list(head["needs"])}, code
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(symbol: str, head: dict[str, Any], code: bytes) -> bool:
    path = folder()
    if path is None:
        return False
    try:
        handle, name = tempfile.mkstemp(dir=path, prefix=symbol)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(json.dumps(head).encode() + b"\n" + code)
            os.replace(name, path / f"{symbol}{SUFFIX}")
        except OSError:
            os.unlink(name)
            raise
    except OSError:  # a disk that is full, or became read-only meanwhile
        return False
    return True


@functools.cache
def _prepare() -> None:
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    _engine(binding, "")  # which makes the names of the process known


def _is_there(binding: Any, name: str) -> bool:
    """Say whether linked code finds a name in this process; define it if it is one of ours."""
    if binding.address_of_symbol(name):
        return True
    if name.startswith(SHARED):
        return share(name)
    if f"@{name}(" not in _GIL:
        return False
    for pointer in ("ptr", "i32*"):  # as this LLVM, or an older one, writes it
        with contextlib.suppress(RuntimeError):
            engine = _engine(binding, _GIL.format(pointer=pointer))
            engine.finalize_object()
            for ours in ("numba_gil_ensure", "numba_gil_release"):
                binding.add_symbol(ours, engine.get_function_address(ours))
            return True
    return False


_engines: list[Any] = []
"""What holds the memory of the code: for as long as the process lives."""


def _engine(binding: Any, text: str) -> Any:
    machine = binding.Target.from_default_triple().create_target_machine(
        opt=0, jit=True, codemodel="jitdefault"
    )
    made = binding.create_mcjit_compiler(binding.parse_assembly(text), machine)
    _engines.append(made)
    return made
