"""How Numba compiles kernels and their helpers: without what neither of them needs. Imports Numba.

Of every function Numba makes a library: the function itself, one that Python can call and one that
C can call, all optimised and turned into machine code. Kernels alone call a helper, and each has
the helper's code in itself. So a helper's library has its function only, optimised and ready to be
linked into others, and no machine code. It is optimised although each kernel is once more: without
that, a convolution was a tenth slower.

Numba's documentation describes compilers and passes of one's own. The methods of libraries are its
private ones. Should one change its name, helpers get machine code again, and only time is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import binding
from numba import _dynfunc
from numba.core.callconv import CPUCallConv
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.cpu import CPUContext
from numba.core.typed_passes import NoPythonBackend

UNNEEDED = frozenset({
    # Of `with`, of functions inside functions, and of others that are taken in as Python.
    "WithLifting", "InlineClosureLikes", "MakeFunctionToJitFunction", "InlineInlinables",
    "InlineOverloads",
    # Of the shapes of arrays, of operations on whole arrays, and of loops over tuples.
    "RewriteSemanticConstants", "NopythonRewrites", "LiteralUnroll", "FindLiterallyCalls",
    "LiteralPropagationSubPipelinePass",
    # Of exceptions, and of loops that Numba shares among threads.
    "RewriteDynamicRaises", "DumpParforDiagnostics",
})  # fmt: skip
"""Numba's passes that look for what the text of kernels never has."""

SEEN = (15, 20, 22)
"""Versions of LLVM that were seen to have the option of ``hoisting``."""


@contextmanager
def hoisting() -> Iterator[None]:
    """Take constants out of the inner loops of kernels that are compiled meanwhile.

    A kernel's loop over elements mostly stands in one over rows or tiles. LLVM takes constants out
    of both only if it knows that the inner one runs at all, which nobody does; so those of a
    polynomial are loaded again for each vector: 38 of 90 instructions of a GELU. Told not to mind,
    it loads them once: a tanh, a SiLU and an ELU take a quarter less time. No number changes.

    LLVM's options hold for the whole process, so this one is set back for others' functions; one
    that it does not know would end the process, so only versions that were seen get it.
    """
    if binding.llvm_version_info[0] not in SEEN:
        yield
        return
    binding.set_option("nnscratch", "-avoid-speculation=false")
    try:
        yield
    finally:
        binding.set_option("nnscratch", "-avoid-speculation=true")


class _Convention(CPUCallConv):  # type: ignore[misc]
    """How kernels return: with no exception."""

    def return_user_exc(self, builder, *exception, **told):
        builder.unreachable()


class _Context(CPUContext):  # type: ignore[misc]
    """What writes kernels as LLVM."""

    @property
    def call_conv(self) -> Any:
        return _Convention(self)


class KernelCompiler(CompilerBase):  # type: ignore[misc]
    """The compiler of kernels, which raise nothing.

    The one exception that Numba would write into them is that of a ``range`` whose step is 0, which
    no kernel has; but the object file of code with an exception works in Numba's hands only.
    """

    def define_pipelines(self) -> list[Any]:
        """Return Numba's passes but for those that find nothing."""
        self.state.targetctx.__class__ = _Context  # the copy of this compilation
        manager = DefaultPassBuilder.define_nopython_pipeline(self.state)
        manager.passes = [one for one in manager.passes if one[0].__name__ not in UNNEEDED]
        manager.finalize()
        return [manager]


class HelperCompiler(KernelCompiler):
    """The compiler of helpers."""

    def define_pipelines(self) -> list[Any]:
        """Return the same passes, of which the last makes no machine code."""
        state = self.state
        state.flags.no_compile = True
        state.library = _LinkedLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        (manager,) = super().define_pipelines()
        manager.passes = [
            (_LinkedBackend if one is NoPythonBackend else one, what)
            for one, what in manager.passes
        ]
        manager.finalize()
        return [manager]


class _LinkedLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The code of a helper, to be linked into kernels."""

    def _finalize_final_module(self):
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _LinkedBackend(NoPythonBackend):  # type: ignore[misc]
    """Lets kernels find a helper, which Numba knows by the function that Python would call."""

    _name = "nnscratch_linked_backend"

    def run_pass(self, state):
        lowered = state.cr
        described = lowered.fndesc
        known = _dynfunc.make_function(
            described.lookup_module(), described.qualname, "", 0, lowered.env, ()
        )
        state.targetctx.insert_user_function(known, described, [state.library])
        state.cr = lowered._replace(cfunc=known)
        return super().run_pass(state)
