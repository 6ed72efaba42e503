"""Compiling with Numba's cache on disk, and without it where no folder can be written."""

from __future__ import annotations

import functools
import os
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import objects
from .kernel import source_stamp


@dataclass(frozen=True)
class CacheStatus:
    """Where compiled kernels are kept on disk.

    Args:
        path: the folder, None when Numba finds none that it can write.
        writable: whether a new kernel can be kept there.
        entries: how many compiled functions lie there.
        bytes: their size together.
    """

    path: str | None
    writable: bool
    entries: int
    bytes: int


def compile_function(function: Callable[..., Any], symbol: str, words: int = 0) -> Any:
    """Compile a kernel, or load it from the disk: its object file, else from Numba's cache.

    The symbol becomes the function's qualified name, so every variant has an index file of its
    own. Numba numbers the variants of one function without a lock: two processes that compile two
    variants at once could otherwise each take the same number, and one would load the other's code.

    Args:
        function: what is compiled.
        symbol: a name that no other one has.
        words: of a function of the driver, how many integers it takes; it returns another.
    """
    function.__name__ = function.__qualname__ = symbol

    def build(cached: bool) -> Any:
        import numba
        from numba.core.ccallback import CFunc

        from .compilers import KernelCompiler, hoisting
        from .intrinsics import KERNEL_ARGS

        integer = numba.types.int64
        signature = ((integer,) * words, integer) if words else (KERNEL_ARGS, numba.types.void)
        built = CFunc(function, signature, {}, {"error_model": "numpy"}, KernelCompiler)
        if cached:
            built.enable_caching()
            _stamp(built)
        with hoisting():
            built.compile()
        return built

    if objects.key() is None or objects.refused(symbol):
        return _cached_or_not(build)
    built = build(False)
    objects.keep(symbol, built)
    return built


class _Written:
    """A kernel that was written as LLVM, with the names that one of Numba has."""

    cache_hits = 0

    def __init__(self, library: Any, symbol: str) -> None:
        self._library, self._wrapper_name = library, symbol
        self.address = int(library.get_pointer_to_function(symbol))


def compile_written(write: Callable[[Any, str], None], symbol: str) -> Any:
    """Compile a kernel that writes itself as LLVM, without Numba's types, and keep its object file.

    Args:
        write: writes it into a module, as a function of the name ``symbol``.
        symbol: a name that no other one has.
    """
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.registry import cpu_target

    from .compilers import hoisting

    with global_compiler_lock, hoisting():
        library = cpu_target.target_context.codegen().create_library(symbol)
        library.enable_object_caching()
        module = library.create_ir_module(symbol)
        write(module, symbol)
        library.add_ir_module(module)
        library.finalize()
        built = _Written(library, symbol)
    objects.keep(symbol, built)
    return built


_shared: dict[str, Any] = {}
"""The shared functions that were compiled in this process."""


def call_shared(
    builder: Any, name: str, write: Callable[[Any, str], None], arguments: Sequence[Any]
) -> None:
    """Write the call of a function that is compiled once, for all kernels that call it.

    Where object files are not kept it is in each kernel: one that came from Numba's cache would
    look for it in vain.

    Args:
        builder: of a kernel or a helper.
        name: one that no other shared function has.
        write: see ``compile_written``.
        arguments: values of LLVM.
    """
    from llvmlite import ir

    symbol = objects.SHARED + name
    found = builder.module.globals.get(symbol)
    if found is None and _is_shared(symbol, write):
        kind = ir.FunctionType(ir.VoidType(), [one.type for one in arguments])
        found = ir.Function(builder.module, kind, symbol)
    elif found is None:
        write(builder.module, symbol)
        found = builder.module.globals[symbol]
        found.linkage = "linkonce_odr"
    builder.call(found, arguments)


def _is_shared(symbol: str, write: Callable[[Any, str], None]) -> bool:
    """Say whether kernels find a shared function; it is compiled or loaded."""
    from llvmlite import binding

    if objects.key() is None or objects.folder() is None:
        return False
    if symbol not in _shared and not objects.share(symbol):
        built = compile_written(write, symbol)
        if not objects.is_kept(symbol):
            return False
        _shared[symbol] = built
        binding.add_symbol(symbol, built.address)
    return True


def compile_dispatcher(function: Callable[..., Any], words: int) -> Any:
    """Compile a function of the driver, or load it: ``njit`` without the GIL.

    Args:
        function: it takes and returns integers.
        words: how many it takes.
    """
    from numba import njit, types

    def build(cached: bool) -> Any:
        built = njit(nogil=True, error_model="numpy")(function)
        if cached:
            built.enable_caching()
            _stamp(built)
        built.compile(types.int64(*[types.int64] * words))
        built.disable_compile()
        return built

    return _cached_or_not(build)


def _cached_or_not(build: Callable[[bool], Any]) -> Any:
    if _numbas_folder() is not None:
        try:
            return build(True)
        except OSError:  # a disk that is full, or became read-only meanwhile
            pass
    return build(False)


def _stamp(built: Any) -> None:
    """Make a cached function obsolete when any source of this package changes.

    Numba itself looks only at the file in which the function stands, not at its helpers. Should
    its internals change their names, the cache still works, only less carefully.
    """
    file: Any = getattr(getattr(built, "_cache", None), "_cache_file", None)
    if hasattr(file, "_source_stamp"):
        file._source_stamp = (file._source_stamp, source_stamp())


def _probe() -> None:
    """A function whose cache tells where the others lie."""


@functools.cache
def folder() -> str | None:
    """Return the folder of the kernels' cache as Numba chooses it, None if none is usable."""
    if objects.key() is not None:  # by the same rule, without Numba
        path = objects.folder()
        return None if path is None else str(path)
    return _numbas_folder()


@functools.cache
def _numbas_folder() -> str | None:
    return _folder(Path(__file__).parents[1] / "__init__.py")


def _folder(file: Path) -> str | None:
    """Return where Numba keeps the functions of a source file: each folder has its own."""
    from numba.core.caching import FunctionCache

    code = _probe.__code__.replace(co_filename=str(file))
    try:
        return str(FunctionCache(types.FunctionType(code, {}, _probe.__name__)).cache_path)
    except (RuntimeError, OSError):
        return None


def cache_status() -> CacheStatus:
    """Return where compiled kernels are kept, for ``nnscratch doctor``."""
    path = folder()
    if path is None:
        return CacheStatus(None, False, 0, 0)
    of_driver = _folder(Path(__file__))
    folders = [path] if of_driver is None else [path, of_driver]
    kinds = ("*.nbc", f"*{objects.SUFFIX}")
    files = [file for one in folders for kind in kinds for file in Path(one).glob(kind)]
    nearest = Path(path)
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    sizes = [file.stat().st_size for file in files]
    return CacheStatus(path, os.access(nearest, os.W_OK), len(files), sum(sizes))
