"""Convolution of any number of axes, and the two other derivatives of one trilinear form.

Input X, weights W and output Y of a convolution meet in

    T(X, W, Y) = Σ X[n, c, s i + d k - p] W[o, c, k] Y[n, o, i]        over n, o, c, i, k

which is linear in each of them. The convolution is ∂T/∂Y, the transposed convolution ∂T/∂X (Zeiler
et al. 2010), and ∂T/∂W is what the gradient of the weights is. Each of the three formulas has the
two others as its derivatives, so derivatives of any order are one of the three.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nnscratch.array import array_namespace, dtype_name, is_complex, is_recorded
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.formulas.derivations import (
    CONVOLUTION_STEPS,
    CONVOLUTION_TRANSPOSE_STEPS,
    CONVOLUTION_WEIGHT_STEPS,
)
from nnscratch.formulas.formula import Shapes, formula
from nnscratch.formulas.saved import Saved
from nnscratch.formulas.windows import (
    Geometry,
    Padding,
    Sizes,
    added_up,
    exact,
    kernel_size,
    laid_out,
    places,
    reached,
)


class ConvolutionSaved(Saved):
    """What the backward of a convolution needs; the padding is exact (``windows.exact``)."""

    X: Any
    W: Any
    stride: Sizes
    padding: Padding
    dilation: Sizes
    groups: int


def _check(where: str, X: Any, W: Any, b: Any, groups: int, transposed: bool) -> None:
    """Check what all sizes have to be.

    Raises:
        ShapeError, ConfigurationError, DTypeError: as the formulas say.
    """
    _check_dtypes(where, X=X, W=W, b=b)
    if W.ndim < 3 or X.ndim != W.ndim:
        raise ShapeError(
            f"{where}: expected an input (N, C, size) and weights with as many axes, got shapes "
            f"{tuple(X.shape)} and {tuple(W.shape)}"
        )
    own, other = W.shape[0], W.shape[1]
    if groups < 1 or own % groups:
        what = "in_channels" if transposed else "out_channels"
        raise ConfigurationError(
            f"{where}: the {own} {what} of weights {tuple(W.shape)} are not divisible into "
            f"{groups} groups"
        )
    channels, outputs = (own, other * groups) if transposed else (other * groups, own)
    if X.shape[1] != channels:
        raise ShapeError(
            f"{where}: weights of shape {tuple(W.shape)} with groups={groups} take an input of "
            f"{channels} channels, got {X.shape[1]} in shape {tuple(X.shape)}"
        )
    if b is not None and tuple(b.shape) != (outputs,):
        raise ShapeError(f"{where}: expected a bias of shape ({outputs},), got {tuple(b.shape)}")


def _check_dtypes(where: str, **arrays: Any) -> None:
    """Check that all are of one dtype; the complex-step checker may mix in complex numbers."""
    found = {name: array for name, array in arrays.items() if array is not None}
    (first, one), *others = found.items()
    for name, other in others:
        if other.dtype != one.dtype and not (is_complex(one) or is_complex(other)):
            raise DTypeError(
                f"{where}: {first} is {dtype_name(one.dtype)} but {name} is "
                f"{dtype_name(other.dtype)}; convert one of them first, for example "
                f"{name}.to({first}.dtype)"
            )


def correlated(X: Any, W: Any, at: Geometry, groups: int) -> Any:
    """Return ∂T/∂Y: the convolution of X with W."""
    if is_recorded(X):
        options = {**at._asdict(), "groups": groups}
        return array_namespace(X).formula("convolution", X, W, None, **options)
    xp = array_namespace(X)
    n, _, *size = X.shape
    o, own, *kernel = W.shape
    count = places("convolution", size, kernel, at)
    terms, points = own * math.prod(kernel), math.prod(count)
    cols = laid_out(X, tuple(kernel), count, at)
    cols = xp.reshape(cols, (n, groups, terms, points))
    Y = xp.reshape(W, (1, groups, o // groups, terms)) @ cols
    return xp.reshape(Y, (n, o, *count))


def spread(Y: Any, W: Any, at: Geometry, groups: int) -> Any:
    """Return ∂T/∂X: every pixel of Y spread over the window that it comes from."""
    if is_recorded(Y):
        options = {**at._asdict(), "groups": groups}
        return array_namespace(Y).formula("convolution_transpose", Y, W, None, **options)
    xp = array_namespace(Y)
    n, o, *count = Y.shape
    _, own, *kernel = W.shape
    terms, points = own * math.prod(kernel), math.prod(count)
    matrices = xp.reshape(W, (1, groups, o // groups, terms))
    cols = xp.matrix_transpose(matrices) @ xp.reshape(Y, (n, groups, o // groups, points))
    cols = xp.reshape(cols, (n, groups * own, math.prod(kernel), *count))
    return added_up(cols, tuple(kernel), tuple(count), at)


def matched(X: Any, Y: Any, at: Geometry, groups: int) -> Any:
    """Return ∂T/∂W: the windows of X, each times the pixel of Y that it makes."""
    if is_recorded(X):
        options = {**at._asdict(), "groups": groups}
        return array_namespace(X).formula("convolution_weight", X, Y, **options)
    xp = array_namespace(X)
    n, c, *size = X.shape
    o, count = Y.shape[1], tuple(Y.shape[2:])
    kernel = kernel_size(count, tuple(size), at)
    own, points = c // groups, math.prod(count)
    terms = own * math.prod(kernel)
    cols = xp.reshape(laid_out(X, kernel, count, at), (n, groups, terms, points))
    cols = xp.reshape(xp.permute_dims(cols, (1, 0, 3, 2)), (groups, n * points, terms))
    rows = xp.permute_dims(xp.reshape(Y, (n, groups, o // groups, points)), (1, 2, 0, 3))
    rows = xp.reshape(rows, (groups, o // groups, n * points))
    return xp.reshape(rows @ cols, (o, own, *kernel))


def _with_bias(Y: Any, b: Any) -> Any:
    if b is None:
        return Y
    return Y + array_namespace(Y).reshape(b, (1, b.shape[0], *[1] * (Y.ndim - 2)))


def _channel_sums(dY: Any) -> Any:
    return array_namespace(dY).sum(dY, axis=(0, *range(2, dY.ndim)))


def convolution_forward(
    X: Any,
    W: Any,
    b: Any = None,
    *,
    stride: Sizes,
    padding: Padding,
    dilation: Sizes,
    groups: int,
) -> tuple[Any, ConvolutionSaved]:
    r"""Compute $Y_{n,o,i} = b_o + \sum_{c,k} W_{o,c,k}\, X_{n,c,s i + d k - p}$.

    It is a correlation: the kernel is not turned round, as in all libraries of networks.

    Args:
        X: images (N, C, *size), of one axis or more.
        W: weights (O, C / groups, *kernel).
        b: biases (O,), or None.
        stride: for each axis from one place of the kernel to the next.
        padding: for each axis a pair, the zeros before and behind it; below zero, pixels left out.
        dilation: for each axis from one pixel of the kernel to the next.
        groups: the channels are divided into so many groups; outputs of the k-th see its inputs.

    Returns:
        Y (N, O, *places), and what the backward needs.

    Raises:
        ShapeError: if the channels do not fit, or the kernel is larger than the padded input.
        ConfigurationError: if groups do not divide the channels, or an option is not positive.
        DTypeError: if the dtypes differ.

    >>> import numpy as np
    >>> X, W = np.array([[[1.0, 2.0, 4.0]]]), np.array([[[1.0, 10.0]]])
    >>> one = {"stride": (1,), "dilation": (1,), "groups": 1}
    >>> convolution_forward(X, W, padding=((0, 1),), **one)[0]
    array([[[21., 42.,  4.]]])
    """
    _check("convolution", X, W, b, groups, transposed=False)
    at = Geometry(tuple(stride), tuple(padding), tuple(dilation))
    places("convolution", X.shape[2:], W.shape[2:], at)
    at = exact(X.shape[2:], W.shape[2:], at)
    Y = _with_bias(correlated(X, W, at, groups), b)
    return Y, ConvolutionSaved(X, W, *at, groups)


def convolution_backward(
    dY: Any, saved: ConvolutionSaved, needs: tuple[bool, ...]
) -> tuple[Any, ...]:
    """Return dX, the transposed convolution of dY; dW, dY times the windows of X; and db = Σ dY."""
    X, W, groups = saved.X, saved.W, saved.groups
    at = Geometry(saved.stride, saved.padding, saved.dilation)
    dX = spread(dY, W, at, groups) if needs[0] else None
    dW = matched(X, dY, at, groups) if needs[1] else None
    return dX, dW, _channel_sums(dY) if needs[2] else None


_CONVOLUTION = "Dumoulin and Visin 2016, arXiv:1603.07285"


def _flops(inputs: Shapes, outputs: Sequence[tuple[int, ...]]) -> int:
    """Return the operations of a convolution: each weight of a channel for each of its places.

    Those that meet the padding count too.
    """
    _, W, b = inputs
    assert W is not None
    return math.prod(outputs[0]) * (2 * math.prod(W[1:]) + (b is not None))


def _transpose_flops(inputs: Shapes, outputs: Sequence[tuple[int, ...]]) -> int:
    X, W, b = inputs
    assert X is not None
    assert W is not None
    return 2 * math.prod(X) * math.prod(W[1:]) + (0 if b is None else math.prod(outputs[0]))


def _weight_flops(inputs: Shapes, outputs: Sequence[tuple[int, ...]]) -> int:
    D = inputs[1]
    assert D is not None
    return 2 * math.prod(D) * math.prod(outputs[0][1:])


CONVOLUTION = formula(
    convolution_forward,
    convolution_backward,
    equation=r"Y_{n,o,i} = b_o + \sum_{c,k} W_{o,c,k} X_{n,c,s i + d k - p}",
    gradients={
        "X": r"\sum_{o, \; s i + d k - p = j} W_{o,c,k} "
        r"\left(\frac{\partial L}{\partial Y}\right)_{n,o,i}",
        "W": r"\sum_{n,i} X_{n,c,s i + d k - p} \left(\frac{\partial L}{\partial Y}\right)_{n,o,i}",
        "b": r"\sum_{n,i} \left(\frac{\partial L}{\partial Y}\right)_{n,o,i}",
    },
    entries={"X": "n,c,j", "W": "o,c,k"},
    shapes="X (N, C, *size), W (O, C / groups, *kernel), b (O,) or None -> Y (N, O, *places)",
    source=_CONVOLUTION,
    flops=_flops,
    analytic=True,
    derivation=CONVOLUTION_STEPS,
)


def convolution_transpose_forward(
    X: Any,
    W: Any,
    b: Any = None,
    *,
    stride: Sizes,
    padding: Padding,
    dilation: Sizes,
    groups: int,
) -> tuple[Any, ConvolutionSaved]:
    r"""Compute $Y_{n,o,j} = b_o + \sum_{c,\; s i + d k - p = j} W_{c,o,k}\, X_{n,c,i}$.

    It is the gradient of a convolution with respect to its input: every pixel of X is spread over
    a window of Y.

    Args:
        X: (N, C, *places).
        W: weights (C, O / groups, *kernel).
        b: biases (O,), or None.
        stride: for each axis from one window of Y to the next.
        padding: for each axis a pair, the entries that Y lacks before and behind; below zero, zeros
            that it has more.
        dilation: for each axis from one pixel of the kernel to the next.
        groups: as in ``convolution``.

    Returns:
        Y (N, O, *size) with size (places - 1) s + d (k - 1) + 1 - p, and what the backward needs.

    Raises:
        ShapeError: if the channels do not fit, or Y would be empty.
        ConfigurationError: if groups do not divide the channels, or an option is not positive.
        DTypeError: if the dtypes differ.

    >>> import numpy as np
    >>> options = {"stride": (2,), "padding": ((1, 0),), "dilation": (1,), "groups": 1}
    >>> convolution_transpose_forward(np.ones((1, 1, 3)), np.ones((1, 1, 3)), **options)[0]
    array([[[1., 2., 1., 2., 1., 1.]]])
    """
    _check("convolution_transpose", X, W, b, groups, transposed=True)
    at = Geometry(tuple(stride), tuple(padding), tuple(dilation))
    size = reached(X.shape[2:], W.shape[2:], at)
    if any(n < 1 for n in size) or any(n < 1 for n in X.shape[2:]):
        raise ShapeError(
            f"convolution_transpose: an input of size {tuple(X.shape[2:])} and a kernel of size "
            f"{tuple(W.shape[2:])} make an output of size {size}, which has to be from 1 on"
        )
    places("convolution_transpose", size, W.shape[2:], at)
    Y = _with_bias(spread(X, W, at, groups), b)
    return Y, ConvolutionSaved(X, W, *at, groups)


def convolution_transpose_backward(
    dY: Any, saved: ConvolutionSaved, needs: tuple[bool, ...]
) -> tuple[Any, ...]:
    """Return dX, the convolution of dY; dW, X times the windows of dY; and db = Σ dY."""
    X, W, groups = saved.X, saved.W, saved.groups
    at = Geometry(saved.stride, saved.padding, saved.dilation)
    dX = correlated(dY, W, at, groups) if needs[0] else None
    dW = matched(dY, X, at, groups) if needs[1] else None
    return dX, dW, _channel_sums(dY) if needs[2] else None


CONVOLUTION_TRANSPOSE = formula(
    convolution_transpose_forward,
    convolution_transpose_backward,
    equation=r"Y_{n,o,j} = b_o + \sum_{c, \; s i + d k - p = j} W_{c,o,k} X_{n,c,i}",
    gradients={
        "X": r"\sum_{o,k} W_{c,o,k} \left(\frac{\partial L}{\partial Y}\right)_{n,o,s i + d k - p}",
        "W": r"\sum_{n,i} X_{n,c,i} \left(\frac{\partial L}{\partial Y}\right)_{n,o,s i + d k - p}",
        "b": r"\sum_{n,j} \left(\frac{\partial L}{\partial Y}\right)_{n,o,j}",
    },
    entries={"X": "n,c,i", "W": "c,o,k"},
    shapes="X (N, C, *places), W (C, O / groups, *kernel), b (O,) or None -> Y (N, O, *size)",
    source=f"Zeiler et al. 2010; {_CONVOLUTION}",
    flops=_transpose_flops,
    analytic=True,
    derivation=CONVOLUTION_TRANSPOSE_STEPS,
)


class ConvolutionWeightSaved(Saved):
    """What the backward of ``convolution_weight`` needs."""

    X: Any
    D: Any
    stride: Sizes
    padding: Padding
    dilation: Sizes
    groups: int


def convolution_weight_forward(
    X: Any, D: Any, *, stride: Sizes, padding: Padding, dilation: Sizes, groups: int
) -> tuple[Any, ConvolutionWeightSaved]:
    r"""Compute $Y_{o,c,k} = \sum_{n,i} X_{n,c,s i + d k - p}\, D_{n,o,i}$.

    It is the gradient of a convolution with respect to its weights, where D is that of its output.

    Args:
        X: images (N, C, *size).
        D: (N, O, *places).
        stride, padding, dilation, groups: as in ``convolution``, with the last window ending where
            the padding does.

    Returns:
        Y (O, C / groups, *kernel), and what the backward needs.

    Raises:
        ShapeError: if no kernel makes D of X.
        DTypeError: if the dtypes differ.
    """
    _check_dtypes("convolution_weight", X=X, D=D)
    at = Geometry(tuple(stride), tuple(padding), tuple(dilation))
    size, count = tuple(X.shape[2:]), tuple(D.shape[2:])
    kernel = kernel_size(count, size, at)
    if X.shape[0] != D.shape[0] or min(kernel) < 1 or reached(count, kernel, at) != size:
        raise ShapeError(
            f"convolution_weight: no kernel makes an output of shape {tuple(D.shape)} of an input "
            f"of shape {tuple(X.shape)} with stride {stride} and padding {padding}"
        )
    return matched(X, D, at, groups), ConvolutionWeightSaved(X, D, *at, groups)


def convolution_weight_backward(
    dY: Any, saved: ConvolutionWeightSaved, needs: tuple[bool, ...]
) -> tuple[Any, ...]:
    """Return dX, the transposed convolution of D with dY; and dD, the convolution of X with it."""
    X, D, groups = saved.X, saved.D, saved.groups
    at = Geometry(saved.stride, saved.padding, saved.dilation)
    dX = spread(D, dY, at, groups) if needs[0] else None
    return dX, correlated(X, dY, at, groups) if needs[1] else None


CONVOLUTION_WEIGHT = formula(
    convolution_weight_forward,
    convolution_weight_backward,
    equation=r"Y_{o,c,k} = \sum_{n,i} X_{n,c,s i + d k - p} D_{n,o,i}",
    gradients={
        "X": r"\sum_{o, \; s i + d k - p = j} D_{n,o,i} "
        r"\left(\frac{\partial L}{\partial Y}\right)_{o,c,k}",
        "D": r"\sum_{c,k} X_{n,c,s i + d k - p} \left(\frac{\partial L}{\partial Y}\right)_{o,c,k}",
    },
    entries={"X": "n,c,j", "D": "n,o,i"},
    shapes="X (N, C, *size), D (N, O, *places) -> Y (O, C / groups, *kernel)",
    source=_CONVOLUTION,
    flops=_weight_flops,
    analytic=True,
    derivation=CONVOLUTION_WEIGHT_STEPS,
)
