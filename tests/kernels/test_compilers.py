"""Kernels and helpers are compiled without what neither of them needs."""

from __future__ import annotations

import pytest
from numba.core.callconv import CPUCallConv
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import DefaultPassBuilder, Flags, StateDict
from numba.core.cpu import CPUContext

from nnscratch.kernels import cpu
from nnscratch.kernels.cpu.runtime import compilers, objects
from nnscratch.kernels.cpu.runtime.language import part


def test_a_helper_is_its_function_alone_and_without_machine_code() -> None:
    assert cpu.kernel("fill", "float32").address
    for made in part.value.overloads.values():
        assert isinstance(made.library, compilers._LinkedLibrary)
        names = [function.name for function in made.library.get_defined_functions()]
        assert made.fndesc.llvm_func_name in names
        assert made.fndesc.llvm_cpython_wrapper_name not in names
        assert made.fndesc.llvm_cfunc_wrapper_name not in names
        engine = made.library.codegen._engine
        assert not engine.is_symbol_defined(made.fndesc.llvm_func_name)


def test_what_is_left_out_has_these_names_in_numba() -> None:
    state = StateDict()
    state.flags, state.func_ir = Flags(), None
    passes = DefaultPassBuilder.define_nopython_pipeline(state).passes
    assert {one.__name__ for one, _ in passes} >= compilers.UNNEEDED
    changed = {name for name in vars(compilers._LinkedLibrary) if not name.startswith("__")}
    assert changed - {"_abc_impl"} <= {*dir(JITCodeLibrary)}
    assert "call_conv" in vars(CPUContext)
    assert "return_user_exc" in vars(CPUCallConv)


def test_a_step_that_only_the_call_knows_needs_nothing_of_numba() -> None:
    made = cpu.kernel("weight_gradients", "float32")
    assert made.address
    if objects.key() is not None:
        assert objects.is_kept(made.symbol)
        assert objects.load(made.symbol) is not None


def test_llvms_option_is_set_back_and_given_to_no_version_that_was_not_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[str] = []
    monkeypatch.setattr(compilers.binding, "set_option", lambda name, option: given.append(option))
    monkeypatch.setattr(compilers, "SEEN", (compilers.binding.llvm_version_info[0],))
    with pytest.raises(ZeroDivisionError), compilers.hoisting():
        raise ZeroDivisionError
    assert given == ["-avoid-speculation=false", "-avoid-speculation=true"]
    monkeypatch.setattr(compilers, "SEEN", ())
    with compilers.hoisting():
        pass
    assert len(given) == 2
