"""What the text of kernels has beside Python: each a name here and LLVM, or a function, elsewhere.

Nothing is imported before a kernel that uses it is compiled.
"""

from __future__ import annotations

import importlib
from typing import Any

from .declaration import Deferred, helper


def _of(module: str, name: str) -> Any:
    return Deferred(lambda: getattr(importlib.import_module(module, __package__), name))


KIND: Any = float
"""The dtype of the kernel, as the function that makes its numbers."""

# Of memory.
pointer = _of(".intrinsics", "pointer")
stack = _of(".intrinsics", "stack")
address_of = _of(".intrinsics", "address_of")
call_kernel = _of(".intrinsics", "call_kernel")
call_start = _of(".intrinsics", "call_start")
call_test = _of(".intrinsics", "call_test")

# Of threads.
meet = _of(".driver", "meet")

# Of numbers.
cast = _of(".intrinsics", "cast")
add_up = _of(".intrinsics", "add_up")
prefetch = _of(".intrinsics", "prefetch")
add_product = _of(".intrinsics", "add_product")
fma = _of(".intrinsics", "fma")
larger = _of(".intrinsics", "larger")
decay = _of("..functions", "decay")
raised_decay = _of("..functions", "raised_decay")
exp = _of("..functions", "exp")
log = _of("..functions", "log")
log1p = _of("..functions", "log1p")
sigmoid = _of("..functions", "sigmoid")
tanh = _of("..functions", "tanh")

# Of products.
add_rows = _of("..copies", "add_rows")
ASKED = _of("..tiles", "ASKED")
CHUNK = _of("..tiles", "CHUNK")
LINE = _of("..tiles", "LINE")
ROWS = _of("..tiles", "ROWS")
copy_rows = _of("..copies", "copy_rows")
copy_vectors = _of("..copies", "copy_vectors")
dots = _of("..tiles", "dots")
move_rows = _of("..copies", "move_rows")
put_rows = _of("..copies", "put_rows")
repeat_vectors = _of("..copies", "repeat_vectors")
split_rows = _of("..copies", "split_rows")
pass_panel = _of("..panels", "pass_panel")
rows_times = _of("..panels", "rows_times")
move = _of("..tiles", "move")
transpose = _of("..tiles", "transpose")
transpose_panel = _of("..panels", "transpose_panel")
TERMS = _of("..stencils", "TERMS")
add_lanes = _of("..stencils", "add_lanes")
dot_lines = _of("..stencils", "dot_lines")
dot_rows = _of("..stencils", "dot_rows")
weigh = _of("..stencils", "weigh")
weigh_rows = _of("..stencils", "weigh_rows")
weigh_squares = _of("..stencils", "weigh_squares")
lay_pixels = _of("..transforms", "lay_pixels")
put_pixels = _of("..transforms", "put_pixels")
transform_kernels = _of("..transforms", "transform_kernels")
transform_pixels = _of("..transforms", "transform_pixels")
transform_pixels_of_gradient = _of("..transforms", "transform_pixels_of_gradient")
transform_spread = _of("..transforms", "transform_spread")
transform_spread_sums = _of("..transforms", "transform_spread_sums")
transform_strided = _of("..transforms", "transform_strided")
transform_strided_gradient = _of("..transforms", "transform_strided_gradient")
transform_strided_kernels = _of("..transforms", "transform_strided_kernels")
transform_strided_sums = _of("..transforms", "transform_strided_sums")
transform_sums = _of("..transforms", "transform_sums")
transform_to_kernel = _of("..transforms", "transform_to_kernel")
transform_to_strided_kernel = _of("..transforms", "transform_to_strided_kernel")
call_sgemm_32 = _of(".intrinsics", "call_sgemm_32")
call_sgemm_64 = _of(".intrinsics", "call_sgemm_64")
call_dgemm_32 = _of(".intrinsics", "call_dgemm_32")
call_dgemm_64 = _of(".intrinsics", "call_dgemm_64")


@helper
def part(count, tid, threads, grain):
    """The range of ``count`` things that belongs to one thread, cut at multiples of ``grain``."""
    blocks = (count + grain - 1) // grain
    first = blocks * tid // threads * grain
    last = blocks * (tid + 1) // threads * grain
    return min(first, count), min(last, count)


@helper
def given(array):
    """Say whether an array is there: one that may be missing is given as None."""
    return address_of(array) != 0


@helper
def same(one, other):
    """Say whether two arrays are the same memory."""
    return address_of(one) == address_of(other)
