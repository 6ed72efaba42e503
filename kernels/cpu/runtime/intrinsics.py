"""The few machine operations that Numba has no Python spelling for.

Pointers made from integers, calls through them, atomics for the barrier, and the bit tricks of the
scalar functions. Everything here is plain LLVM; nothing depends on one processor except ``pause``.
Importing this module imports Numba.
"""

from __future__ import annotations

import platform

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .compilers import HelperCompiler
from .processor import has_fma

I8 = ir.IntType(8)
I32 = ir.IntType(32)
I64 = ir.IntType(64)
F32 = ir.FloatType()
F64 = ir.DoubleType()
VOID = ir.VoidType()

KERNEL_ARGS = (types.CPointer(types.int64), types.CPointer(types.float64), types.int64, types.int64)
"""The one signature of every kernel: ``void k(int64 *a, float64 *s, int64 tid, int64 threads)``."""

INLINE = {
    "error_model": "numpy",
    "forceinline": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": HelperCompiler,
}
"""Numba's options for a helper: always inlined, or the loop around it would not vectorise."""

HAS_FMA = has_fma()


# --- pointers ---------------------------------------------------------------------------------


@intrinsic
def pointer(typingctx, address, kind):
    """``pointer(address, np.float32)``: the integer address as a typed pointer, for ``p[i]``.

    Indexing a pointer has neither bounds checks nor the wrap-around of negative indices, and it is
    contiguous by definition, so an inner loop over it vectorises.
    """
    if not isinstance(kind, types.DTypeSpec | types.NumberClass):
        return None
    pointer_type = types.CPointer(kind.dtype)

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(pointer_type))

    return pointer_type(types.int64, kind), codegen


@intrinsic
def stack(typingctx, count, kind):
    """``stack(64, np.float32)``: space in the function's own frame, with whatever lies there."""
    if not isinstance(count, types.IntegerLiteral):
        return None
    pointer_type = types.CPointer(kind.dtype)
    length = count.literal_value

    def codegen(context, builder, signature, args):
        element = context.get_value_type(kind.dtype)
        # Not Numba's ``alloca_once``, which fills what it allocates with zeros at every call.
        with builder.goto_entry_block():
            space = builder.alloca(ir.ArrayType(element, length), name="scratch")
        space.align = 64
        return builder.bitcast(space, element.as_pointer())

    # The literal stays in the signature: Numba keeps one ``codegen`` for each signature.
    return pointer_type(count, kind), codegen


@intrinsic
def address_of(typingctx, where):
    """The address that a pointer holds, as an integer."""

    def codegen(context, builder, signature, args):
        return builder.ptrtoint(args[0], I64)

    return types.int64(where), codegen


@intrinsic
def prefetch(typingctx, where, index, write):
    """``prefetch(p, i, 0)``: ask for the cache line of ``p[i]``, 1 if it will be written.

    There need be nothing at that place.
    """
    if not isinstance(write, types.IntegerLiteral):
        return None
    how = [I32(write.literal_value), I32(3), I32(1)]

    def codegen(context, builder, signature, args):
        line = builder.bitcast(builder.gep(args[0], [args[1]]), I8.as_pointer())
        asks = ir.FunctionType(VOID, [line.type, I32, I32, I32])
        function = cgutils.get_or_insert_function(builder.module, asks, "llvm.prefetch.p0")
        builder.call(function, [line, *how])
        return context.get_dummy_value()

    return types.void(where, index, write), codegen


# --- calls through addresses ------------------------------------------------------------------


def _called(builder, address, returned, arguments):
    """Write the call of the C function at an integer address."""
    kind = ir.FunctionType(returned, [one.type for one in arguments])
    return builder.call(builder.inttoptr(address, kind.as_pointer()), arguments)


@intrinsic
def call_kernel(typingctx, address, a, s, tid, threads):
    """Call the kernel at ``address`` with the buffers at the addresses ``a`` and ``s``."""

    def codegen(context, builder, signature, args):
        a = builder.inttoptr(args[1], I64.as_pointer())
        s = builder.inttoptr(args[2], F64.as_pointer())
        _called(builder, args[0], VOID, [a, s, args[3], args[4]])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), codegen


@intrinsic
def call_plain(typingctx, address):
    """Call ``void f(void)`` at ``address``, which must not be 0 (``sched_yield``)."""

    def codegen(context, builder, signature, args):
        _called(builder, args[0], VOID, [])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@intrinsic
def call_set_threads(typingctx, address, count):
    """Call ``void f(int)``: the BLAS library's own thread switch."""

    def codegen(context, builder, signature, args):
        _called(builder, args[0], VOID, [builder.trunc(args[1], I32)])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def call_get_threads(typingctx, address):
    """Call ``int f(void)``."""

    def codegen(context, builder, signature, args):
        return builder.sext(_called(builder, args[0], I32, []), I64)

    return types.int64(types.int64), codegen


def _call_with_places(context, builder, signature, args):
    places = [builder.inttoptr(one, I8.as_pointer()) for one in args[1:]]
    return builder.sext(_called(builder, args[0], I32, places), I64)


@intrinsic
def call_start(typingctx, address, request):
    """Call ``int f(void *)``: MPI_Start."""
    return types.int64(types.int64, types.int64), _call_with_places


@intrinsic
def call_test(typingctx, address, request, flag, status):
    """Call ``int f(void *, int *, void *)``: MPI_Test."""
    return types.int64(*[types.int64] * 4), _call_with_places


def _gemm_intrinsic(scalar, llvm_scalar, llvm_int):
    """CBLAS ``?gemm``: layout, transA, transB, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc."""

    @intrinsic
    def call(typingctx, f, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
        def codegen(context, builder, signature, args):
            f, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc = args
            pointer_type = llvm_scalar.as_pointer()
            function = ir.FunctionType(
                VOID,
                [
                    I32,
                    I32,
                    I32,
                    llvm_int,
                    llvm_int,
                    llvm_int,
                    llvm_scalar,
                    pointer_type,
                    llvm_int,
                    pointer_type,
                    llvm_int,
                    llvm_scalar,
                    pointer_type,
                    llvm_int,
                ],
            )

            def as_int(value):
                return value if llvm_int is I64 else builder.trunc(value, llvm_int)

            def as_enum(value):  # 111 = no transpose, 112 = transpose
                return builder.trunc(builder.add(value, I64(111)), I32)

            builder.call(
                builder.inttoptr(f, function.as_pointer()),
                [
                    I32(101),
                    as_enum(ta),
                    as_enum(tb),
                    as_int(m),
                    as_int(n),
                    as_int(k),
                    alpha,
                    builder.inttoptr(a, pointer_type),
                    as_int(lda),
                    builder.inttoptr(b, pointer_type),
                    as_int(ldb),
                    beta,
                    builder.inttoptr(c, pointer_type),
                    as_int(ldc),
                ],
            )
            return context.get_dummy_value()

        i = types.int64
        return types.void(i, i, i, i, i, i, scalar, i, i, i, i, scalar, i, i), codegen

    return call


call_sgemm_64 = _gemm_intrinsic(types.float32, F32, I64)
call_dgemm_64 = _gemm_intrinsic(types.float64, F64, I64)
call_sgemm_32 = _gemm_intrinsic(types.float32, F32, I32)
call_dgemm_32 = _gemm_intrinsic(types.float64, F64, I32)


# --- threads ----------------------------------------------------------------------------------


def _word(builder, address):
    return builder.inttoptr(address, I64.as_pointer())


@intrinsic
def atomic_load(typingctx, address):
    """The int64 at ``address``; nothing later is read before it."""

    def codegen(context, builder, signature, args):
        return builder.load_atomic(_word(builder, args[0]), "seq_cst", 8, typ=I64)

    return types.int64(types.int64), codegen


@intrinsic
def atomic_store(typingctx, address, value):
    """Write the int64 at ``address``; everything earlier is visible before it."""

    def codegen(context, builder, signature, args):
        builder.store_atomic(args[1], _word(builder, args[0]), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def atomic_add(typingctx, address, value):
    """Add to the int64 at ``address`` and return what it held before."""

    def codegen(context, builder, signature, args):
        return builder.atomic_rmw("add", _word(builder, args[0]), args[1], "seq_cst")

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def atomic_swap(typingctx, address, value):
    """Write the int64 at ``address`` and return what it held before."""

    def codegen(context, builder, signature, args):
        return builder.atomic_rmw("xchg", _word(builder, args[0]), args[1], "seq_cst")

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def pause(typingctx):
    """Tell the processor that this is a waiting loop."""

    def codegen(context, builder, signature, args):
        machine = platform.machine().lower()
        if machine in ("x86_64", "amd64"):
            name, values = "llvm.x86.sse2.pause", []
        elif machine in ("aarch64", "arm64"):
            name, values = "llvm.aarch64.hint", [I32(1)]
        else:
            return context.get_dummy_value()
        function = ir.FunctionType(VOID, [value.type for value in values])
        builder.call(cgutils.get_or_insert_function(builder.module, function, name), values)
        return context.get_dummy_value()

    return types.void(), codegen


# --- arithmetic -------------------------------------------------------------------------------


@intrinsic
def cast(typingctx, value, like):
    """The number ``value`` in the dtype of ``like``."""

    def codegen(context, builder, signature, args):
        return context.cast(builder, args[0], signature.args[0], like)

    return like(value, like), codegen


@intrinsic
def fma(typingctx, x, y, z):
    """``x * y + z``, rounded once where the processor can, in the precision of its arguments.

    The compiler is never free to choose here, so the vector loop and its remainder agree.
    """
    if x not in (types.float32, types.float64) or y != x or z != x:
        return None

    def codegen(context, builder, signature, args):
        return emit_fma(builder, *args)

    return x(x, x, x), codegen


def emit_fma(builder, x, y, z):
    """Write the same as LLVM."""
    if not HAS_FMA:  # a library call for each element would cost more than it gives
        return builder.fadd(builder.fmul(x, y), z)
    return builder.fma(x, y, z)


@intrinsic
def add_up(typingctx, total, x):
    """``total + x`` in a sum whose order is free: a loop over it vectorises.

    Only this addition is free, and the compiler orders it by the number of terms: it keeps several
    registers of running sums and adds these up behind the loop. Where the loop also stores, the
    order is another one if what it stores overlaps what it reads.
    """
    if total not in (types.float32, types.float64) or x != total:
        return None

    def codegen(context, builder, signature, args):
        return builder.fadd(*args, flags=("reassoc",))

    return total(total, x), codegen


@intrinsic
def add_product(typingctx, total, x, y):
    """``total + x * y`` likewise, the product rounded with the sum where the processor can."""
    if total not in (types.float32, types.float64) or x != total or y != total:
        return None

    def codegen(context, builder, signature, args):
        product = builder.fmul(*args[1:], flags=("contract",))
        return builder.fadd(args[0], product, flags=("reassoc", "contract"))

    return total(total, x, y), codegen


@intrinsic
def larger(typingctx, x, y):
    """The larger of two numbers; if one is NaN, some number or NaN. A loop over it vectorises.

    It is one instruction. One that keeps NaN takes five without AVX-512, and a sum of what is made
    with the maximum finds them anyway.
    """
    if x not in (types.float32, types.float64) or y != x:
        return None

    def codegen(context, builder, signature, args):
        flags = ("nnan", "nsz")
        return builder.select(builder.fcmp_ordered(">", *args, flags=flags), *args, flags=flags)

    return x(x, y), codegen
