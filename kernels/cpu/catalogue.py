"""Every kernel with the documented layout of its two buffers. Needs no Numba.

Names in ``a`` that end in ``_p`` are addresses of contiguous arrays of the kernel's dtype unless
the text says otherwise; 0 where it says "or 0". Matrices are row-major. All other entries of ``a``
are integers. "In place" names the outputs that may be one of the inputs; no other overlap is
allowed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from .optimizer_flags import DECOUPLED, MOMENTUM
from .runtime.blas import blas
from .runtime.kernel import Kernel, Layout
from .runtime.product_choice import in_tiles

Cost = Callable[[Sequence[int]], float]
LAYOUTS: dict[str, Layout] = {}


def _enter(name: str, module: str, a: str, s: str, options: str, cost: Cost, doc: str) -> None:
    words = (tuple(a.split()), tuple(s.split()), tuple(options.split()))
    LAYOUTS[name] = Layout(name, module, *words, doc, cost)


@functools.cache
def kernel(name: str, dtype: str, *options: int | str) -> Kernel:
    """Return the kernel of that name for a dtype and its compile-time options.

    Raises:
        KeyError: if the catalogue has no such kernel.
        ValueError: if the dtype or the number of options is wrong.
    """
    layout = LAYOUTS[name]
    if dtype not in ("float32", "float64"):
        raise ValueError(f"kernel {name}: dtype is float32 or float64, got {dtype}")
    if len(options) != len(layout.options):
        raise ValueError(f"kernel {name}: needs the options {layout.options}, got {options}")
    return Kernel(layout, dtype, tuple(o if isinstance(o, str) else int(o) for o in options))


def by_tiles(dtype: str) -> tuple[Kernel, int]:
    """Return the kernel of products in tiles, and the first entry of its ``a``."""
    return kernel("gemm_tiles", dtype), 0


def by_blas(dtype: str) -> tuple[Kernel, int]:
    """Return the kernel of products by BLAS, and the first entry of its ``a``.

    Raises:
        LookupError: if there is no BLAS that can be called.
    """
    library = blas()
    if library is None:
        raise LookupError("NumPy's BLAS was not found: its products go to tiles")
    return kernel("gemm", dtype, library.bits), library.gemm(dtype)


def gemm(dtype: str, m: int, n: int, k: int) -> tuple[Kernel, int]:
    """Return the kernel for the product of (m, k) and (k, n), and the first entry of its ``a``."""
    return by_tiles(dtype) if in_tiles(dtype, m, n, k) else by_blas(dtype)


_GEMM = "blas transpose_a transpose_b m n k A_p lda B_p ldb C_p ldc"
_SCALARS = "p q"

_enter(
    "gemm",
    "linear",
    _GEMM,
    "",
    "bits",
    lambda a: 1000.0 + a[3] * a[4] * a[5] / 45.0,
    "C (m, n) = op(A) op(B) by BLAS. op transposes where its flag is 1; lda, ldb, ldc are the "
    "lengths of the rows as stored. blas is the address and bits the width of an integer of the "
    "library's ?gemm; catalogue.gemm gives both. The threads share blocks of C whose sizes do not "
    "depend on how many threads there are.",
)
_enter(
    "gemm_tiles",
    "products",
    _GEMM,
    "",
    "",
    # One row is as quick as its matrix comes from memory.
    lambda a: 200.0 + a[3] * a[4] * a[5] / (70.0 if a[3] > 1 else 7.5),
    "The same product in tiles of its own; blas is ignored. The threads share the rows of C, or "
    "its columns.",
)
_enter(
    "bias_activation",
    "linear",
    "Z_p b_p Y_p rows columns",
    _SCALARS,
    "activation",
    lambda a: 0.3 * a[3] * a[4],
    "Z += b and Y = f(Z) in one pass over (rows, columns); b or 0. In place: Y = Z, and then only "
    "the output remains. p, q are the activation's parameters.",
)
_enter(
    "activation_bias_backward",
    "linear",
    "dY_p V_p dZ_p db_p rows columns",
    _SCALARS,
    "activation",
    lambda a: 0.3 * a[4] * a[5],
    "dZ = dY f'(V) and db = column sums of dZ (or 0 for none) in one pass. V is what the table of "
    "activations says: the input or the output. In place: dZ = dY. The threads share the columns.",
)
_enter(
    "softmax",
    "softmax",
    "Z_p Y_p rows columns",
    "",
    "logarithm",
    lambda a: 0.8 * a[2] * a[3],
    "Y = softmax Z by rows, or log softmax with logarithm = 1.",
)
_enter(
    "softmax_backward",
    "softmax",
    "dY_p Y_p dZ_p rows columns",
    "",
    "logarithm",
    lambda a: 0.5 * a[3] * a[4],
    "dZ = Y (dY - sum dY Y); of log softmax dZ = dY - e^Y sum dY.",
)
_enter(
    "cross_entropy",
    "softmax",
    "Z_p labels_p P_p lse_p loss_p weight_p class_weights_p rows columns ignore_index status_p",
    "smoothing",
    "",
    lambda a: 1.0 * a[7] * a[8],
    "Of logits Z (rows, columns) and int64 labels (rows): P = softmax Z, lse (rows), each row's "
    "loss times its class weight (label-smoothed), and each row's weight (0 if ignored). "
    "class_weights (columns) or 0. A label out of range makes loss and weight NaN and sets the "
    "status, an int64, to 1.",
)
_enter(
    "mean_rows",
    "softmax",
    "rows_p weights_p count loss_p divisor_p mean",
    "",
    "",
    lambda a: 1.0 * a[2],
    "loss = sum rows / divisor, divisor = sum weights if mean = 1, else 1. By one thread.",
)
_enter(
    "cross_entropy_backward",
    "softmax",
    "P_p labels_p class_weights_p divisor_p g_p g_step dZ_p rows columns ignore_index",
    "smoothing",
    "",
    lambda a: 0.5 * a[7] * a[8],
    "dZ of the loss above: g times the gradient of each row's loss, over divisor (or 0 for 1). "
    "g_step is 0 for one upstream gradient, 1 for one a row. In place: dZ = P.",
)
_enter(
    "loss_sums",
    "losses",
    "X_p T_p weights_p partial_p count period",
    "",
    "loss",
    lambda a: 0.4 * a[4],
    "float64 partial sums, blocks(count) of them, of the loss 0: (x - t)^2, 1: binary "
    "cross-entropy of logits, whose pos_weight (period) or 0 repeats along the elements.",
)
_enter(
    "loss_elements",
    "losses",
    "X_p T_p weights_p out_p count period",
    "",
    "loss",
    lambda a: 0.4 * a[4],
    "The same loss of every element.",
)
_enter(
    "loss_backward",
    "losses",
    "X_p T_p weights_p g_p g_step dX_p count period",
    "factor",
    "loss",
    lambda a: 0.4 * a[6],
    "dX = factor g slope, slope x - t or sigmoid(x) - t and its weighted form; g_step 0 or 1. "
    "For the mean of squares factor is 2 / count.",
)
_enter(
    "adam",
    "optimizers",
    "P_p G_p M_p V_p Vmax_p count",
    "lr beta1 beta2 eps weight_decay step",
    "flags",
    lambda a: 0.5 * a[5],
    "P, M, V (and Vmax with amsgrad, else 0) after step number ``step``, the first being 1. flags "
    "adds up optimizer_flags.",
)
_enter(
    "sgd",
    "optimizers",
    "P_p G_p B_p count",
    "lr momentum dampening weight_decay step",
    "flags",
    lambda a: 0.3 * a[3],
    "P and the momentum buffer B, or 0 without the flag MOMENTUM.",
)
_enter(
    "rmsprop",
    "optimizers",
    "P_p G_p V_p mean_p B_p count",
    "lr alpha eps weight_decay momentum",
    "flags",
    lambda a: 0.5 * a[5],
    "P, V, the mean gradient (flag EXTRA: centered, else 0), the buffer B (flag MOMENTUM, else 0).",
)
_enter(
    "adagrad",
    "optimizers",
    "P_p G_p V_p count",
    "lr eps weight_decay lr_decay step",
    "flags",
    lambda a: 0.4 * a[3],
    "P and the sum of squares V.",
)
_enter(
    "adadelta",
    "optimizers",
    "P_p G_p V_p U_p count",
    "lr rho eps weight_decay",
    "flags",
    lambda a: 0.8 * a[4],
    "P, the mean square V of the gradient and U of the change.",
)
_enter(
    "nadam",
    "optimizers",
    "P_p G_p M_p V_p count",
    "lr beta1 beta2 eps weight_decay step momentum_decay mu_product",
    "flags",
    lambda a: 0.7 * a[4],
    "P, M, V; mu_product is the product of all mu up to this step's.",
)
_enter(
    "scale",
    "elementwise",
    "X_p Y_p factor_p count",
    "c",
    "",
    lambda a: 0.15 * a[3],
    "Y = c X, times the number at factor unless that is 0. In place: Y = X.",
)
_enter("fill", "elementwise", "Y_p count", "c", "", lambda a: 0.1 * a[1], "Y = c.")
_enter(
    "block_sums",
    "reductions",
    "X_p partial_p count",
    "",
    "what",
    lambda a: 0.2 * a[2],
    "float64 partial sums, blocks(count) of them, of x (0) or x^2 (1).",
)
_enter(
    "finish_sum",
    "reductions",
    "partial_p count out_p root",
    "c",
    "",
    lambda a: 1.0 * a[1],
    "out = c sum(partial), or c times its square root with root = 1; count is that of the "
    "partial sums. By one thread.",
)
_enter(
    "clip_factor",
    "reductions",
    "norm_p factor_p",
    "limit",
    "",
    lambda a: 1.0,
    "factor = min(1, limit / (norm + 1e-6)), for ``scale``.",
)
_enter(
    "column_sum",
    "reductions",
    "X_p out_p rows columns",
    "c",
    "",
    lambda a: 0.2 * a[2] * a[3],
    "out (columns) = c times the sum of the rows.",
)
_enter(
    "axis_sum",
    "reductions",
    "X_p out_p kept0 kept1 kept2 kept3 kept_step0 kept_step1 kept_step2 kept_step3 "
    "summed0 summed1 summed2 summed3 summed_step0 summed_step1 summed_step2 summed_step3",
    "c",
    "",
    lambda a: 0.3 * a[2] * a[3] * a[4] * a[5] * a[10] * a[11] * a[12] * a[13],
    "out = c times the sum of X over some axes. The axes that are kept, and those that are summed, "
    "the innermost first; steps are the bytes of X along them. out is contiguous.",
)
_enter(
    "gemm_batch",
    "products",
    "kernel blas transpose_a transpose_b m n k A_p lda B_p ldb C_p ldc batch0 batch1 batch2 "
    "A0 A1 A2 B0 B1 B2 C0 C1 C2",
    "",
    "",
    lambda a: 200.0 + a[13] * a[14] * a[15] * (100.0 + a[4] * a[5] * a[6] / 70.0),
    "Many products C = op(A) op(B) of one size, each by the kernel at an address, which takes the "
    "words from blas to ldc. batch0 is the innermost of the axes over "
    "which they lie; A0 and its like are the bytes along them, 0 where a factor is repeated.",
)
_enter(
    "dropout",
    "random",
    "X_p Y_p mask_p count seed offset",
    "p",
    "",
    lambda a: 2.0 * a[3],
    "mask (uint8) = uniform32 >= p, Y = mask X / (1 - p). In place: Y = X.",
)
_enter(
    "dropout_backward",
    "random",
    "dY_p mask_p dX_p count",
    "p",
    "",
    lambda a: 0.3 * a[3],
    "dX = mask dY / (1 - p). In place: dX = dY.",
)


def usual_kernels(dtypes: Sequence[str] = ("float32",)) -> list[Kernel]:
    """Return what most networks need, for ``warmup``."""
    found = []
    for dtype in dtypes:
        found.append(kernel("gemm_tiles", dtype))
        for activation in ("identity", "relu", "sigmoid", "tanh", "gelu"):
            found.append(kernel("bias_activation", dtype, activation))
            found.append(kernel("activation_bias_backward", dtype, activation))
        names = (
            "cross_entropy",
            "mean_rows",
            "cross_entropy_backward",
            "finish_sum",
            "dropout",
            "dropout_backward",
            "fill",
            "scale",
            "clip_factor",
        )
        found += [kernel(name, dtype) for name in names]
        for loss in (0, 1):
            found += [kernel("loss_sums", dtype, loss), kernel("loss_backward", dtype, loss)]
        found += [
            kernel("block_sums", dtype, 1),
            kernel("adam", dtype, 0),
            kernel("adam", dtype, DECOUPLED),
            kernel("sgd", dtype, 0),
            kernel("sgd", dtype, MOMENTUM),
        ]
    return found
