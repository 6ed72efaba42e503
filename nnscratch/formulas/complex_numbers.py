"""Complex numbers as pairs of real ones, and Fourier transforms of such pairs.

A pair is the last axis, of size 2: the real and the imaginary part. Whatever is computed of complex
numbers and has a derivative is a formula of pairs, so that it is real mathematics. The two views
between pairs and complex dtypes have no derivative of their own: the tape turns gradients the same
way as values.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nnscratch.array import array_namespace, is_recorded
from nnscratch.array.dtypes import PARTS, dtype_name, dtype_of, is_complex
from nnscratch.errors import ConfigurationError, DTypeError, GradientError, ShapeError
from nnscratch.formulas.checks import NOTHING, NothingSaved, need_axes
from nnscratch.formulas.formula import Formula, formula
from nnscratch.formulas.saved import Saved
from nnscratch.formulas.unary import ABS, CAST

_COMPLEX = {"float32": "complex64", "float64": "complex128"}


def _joined(P: Any) -> Any:
    """Return pairs as complex numbers, of NumPy and CuPy a view."""
    xp = array_namespace(P)
    name = _COMPLEX[dtype_name(P.dtype)]
    if hasattr(P, "view"):
        if P.strides[-1] != P.itemsize or any(one % (2 * P.itemsize) for one in P.strides[:-1]):
            P = xp.asarray(P, copy=True, order="C") if isinstance(P, np.ndarray) else P.copy()
        return P.view(name)[..., 0]
    kind = dtype_of(xp, name)
    return xp.astype(P[..., 0], kind) + xp.astype(P[..., 1], kind) * 1j


def _parted(Z: Any) -> Any:
    """Return complex numbers as pairs, of NumPy and CuPy a view."""
    if hasattr(Z, "view"):
        name = PARTS[dtype_name(Z.dtype)]
        return Z[..., None].view(name)
    xp = array_namespace(Z)
    return xp.stack([xp.real(Z), xp.imag(Z)], axis=-1)


def view_as_complex_forward(P: Any) -> tuple[Any, NothingSaved]:
    """Compute the complex numbers of pairs; a view where the pairs lie side by side.

    Args:
        P: (..., 2), float32 or float64.

    Raises:
        ShapeError: if the last axis has not two entries.
        DTypeError: for another dtype.

    >>> import numpy as np
    >>> view_as_complex_forward(np.array([[1.0, 2.0]]))[0]
    array([1.+2.j])
    """
    if P.ndim < 1 or P.shape[-1] != 2:
        raise ShapeError(f"view_as_complex needs pairs (..., 2), got shape {tuple(P.shape)}")
    if dtype_name(P.dtype) not in _COMPLEX:
        raise DTypeError(f"view_as_complex needs float32 or float64, got {dtype_name(P.dtype)}")
    return _joined(P), NOTHING


def view_as_real_forward(Z: Any) -> tuple[Any, NothingSaved]:
    """Compute the real and imaginary parts of complex numbers, (..., 2); a view.

    Raises:
        DTypeError: if Z is not complex.

    >>> import numpy as np
    >>> view_as_real_forward(np.array([1.0 + 2.0j]))[0]
    array([[1., 2.]])
    """
    if not is_complex(Z):
        raise DTypeError(f"view_as_real needs complex numbers, got {dtype_name(Z.dtype)}")
    return _parted(Z), NOTHING


VIEW_AS_COMPLEX = formula(
    view_as_complex_forward,
    equation=r"Y = P_0 + \mathrm{i} P_1",
    shapes="P (..., 2) -> Y (..., complex)",
    source="Hamilton 1837",
    aliases=True,
)
VIEW_AS_REAL = formula(
    view_as_real_forward,
    complexes=True,
    equation=r"Y = (\mathrm{Re} Z, \mathrm{Im} Z)",
    shapes="Z (..., complex) -> Y (..., 2)",
    source="Hamilton 1837",
    aliases=True,
)


def conjugate_forward(Z: Any) -> tuple[Any, NothingSaved]:
    """Compute the complex conjugates; real numbers stay as they are.

    >>> import numpy as np
    >>> conjugate_forward(np.array([1.0 + 2.0j]))[0]
    array([1.-2.j])
    """
    xp = array_namespace(Z)
    return xp.conj(Z) if is_complex(Z) else xp.asarray(Z, copy=True), NOTHING


def conjugate_backward(dY: Any, saved: NothingSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dZ, the conjugate of dY."""
    xp = array_namespace(dY)
    return (xp.conj(dY) if is_complex(dY) else xp.asarray(dY, copy=True),)


CONJUGATE = formula(
    conjugate_forward,
    conjugate_backward,
    complexes=True,
    equation=r"Y = \bar Z",
    gradients={"Z": r"\overline{\frac{\partial L}{\partial Y}}"},
    shapes="Z (any) -> Y (same)",
    source="Hamilton 1837",
    derivation=(
        "A complex number is two real ones, and the conjugate turns the sign of one: "
        r"$$\mathrm{Re} \, Y = \mathrm{Re} \, Z \\ \mathrm{Im} \, Y = -\mathrm{Im} \, Z$$",
        r"The chain rule for each of the two: $$\frac{\partial L}{\partial \mathrm{Re} \, Z} = "
        r"\frac{\partial L}{\partial \mathrm{Re} \, Y} \\ \frac{\partial L}{\partial \mathrm{Im} "
        r"\, Z} = -\frac{\partial L}{\partial \mathrm{Im} \, Y}$$",
        r"The gradient of a complex number is written as one too, $\frac{\partial L}{\partial "
        r"\mathrm{Re} \, Z} + \mathrm{i} \frac{\partial L}{\partial \mathrm{Im} \, Z}$. So its "
        "imaginary part turns its sign as well. Real numbers have none, and their gradient stays "
        "as it is.",
    ),
)


def for_complex(made: Formula) -> Formula:
    """Return a formula whose backward is right for complex numbers.

    The gradient of a complex number is ∂L/∂Re + i ∂L/∂Im. With it a complex-differentiable function
    has dA = conj(f') dY, which is the conjugate of what its backward makes of the conjugate of dY.

    Raises:
        GradientError: if the formula is not complex-differentiable.
    """
    if made in _FOR_BOTH:
        return made
    if made.name not in _conjugated:
        if not made.analytic:
            raise GradientError(
                f"{made.name} has no derivative for complex numbers; compute with their real and "
                "imaginary parts"
            )
        _conjugated[made.name] = replace(made, backward=_between_conjugates(made.backward))
    return _conjugated[made.name]


def _between_conjugates(backward: Any) -> Any:
    def turned(X: Any) -> Any:
        if type(X) is tuple:
            return tuple(map(turned, X))
        return array_namespace(X).conj(X) if X is not None and is_complex(X) else X

    def complex_backward(dY: Any, saved: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        return tuple(map(turned, backward(turned(dY), saved, needs)))

    return complex_backward


_FOR_BOTH = frozenset({ABS, CAST, CONJUGATE})
_conjugated: dict[str, Formula] = {}


class FourierSaved(Saved):
    """What the backward of ``fourier`` needs: the options of the forward."""

    axes: tuple[int, ...]
    inverse: bool
    norm: str


_TURNED = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def transformed(P: Any, axes: tuple[int, ...], inverse: bool, norm: str) -> Any:
    """Return the Fourier transform of pairs."""
    xp = array_namespace(P)
    if is_recorded(P):
        return xp.fourier(P, axes, inverse, norm)
    compute = xp.fft.ifftn if inverse else xp.fft.fftn
    Z = compute(_joined(P), axes=axes, norm=norm)
    return xp.asarray(_parted(Z), dtype=P.dtype)


def fourier_forward(
    P: Any, *, axes: tuple[int, ...], inverse: bool = False, norm: str = "backward"
) -> tuple[Any, FourierSaved]:
    """Compute the discrete Fourier transform of complex numbers given as pairs.

    Args:
        P: (..., 2), the real and imaginary parts.
        axes: the axes to transform, of those before the last.
        inverse: whether the exponent is positive.
        norm: which of the two directions is divided by the number of entries n: "backward" (the
            inverse one), "forward", or "ortho", both by the root of n.

    Raises:
        ShapeError: if the last axis has not two entries, or there are no such axes.
        ConfigurationError: for another norm.
        DTypeError: if P holds integers.

    >>> import numpy as np
    >>> fourier_forward(np.array([[1.0, 0.0], [0.0, 0.0]]), axes=(0,))[0]
    array([[1., 0.],
           [1., 0.]])
    """
    if P.ndim < 2 or P.shape[-1] != 2:
        raise ShapeError(f"fourier needs pairs (..., n, 2), got shape {tuple(P.shape)}")
    if norm not in _TURNED:
        raise ConfigurationError(f"norm is 'backward', 'ortho' or 'forward', got {norm!r}")
    chosen = need_axes("fourier", P.shape[:-1], tuple(axes))
    return transformed(P, chosen, inverse, norm), FourierSaved(chosen, inverse, norm)


def fourier_backward(dY: Any, saved: FourierSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dP, the transform of dY in the other direction, which is the adjoint."""
    axes, inverse, norm = saved
    return (transformed(dY, axes, not inverse, _TURNED[norm]),)


FOURIER = formula(
    fourier_forward,
    fourier_backward,
    equation=r"Y_k = \sum_j P_j e^{-2 \pi \mathrm{i} j k / n}",
    gradients={"P": r"\sum_k \frac{\partial L}{\partial Y_k} e^{2 \pi \mathrm{i} j k / n}"},
    shapes="P (..., 2) -> Y (same)",
    floats=("P",),
    source="Cooley and Tukey 1965",
    derivation=(
        r"Write $\theta = 2 \pi j k / n$. In real and imaginary parts, which are the pair of a "
        r"number, each term turns $P_j$ by the angle $-\theta$: $$\mathrm{Re} \, Y_k = \sum_j "
        r"(\mathrm{Re} \, P_j \cos \theta + \mathrm{Im} \, P_j \sin \theta) \\ \mathrm{Im} \, Y_k "
        r"= \sum_j (\mathrm{Im} \, P_j \cos \theta - \mathrm{Re} \, P_j \sin \theta)$$",
        "Every $P_j$ acts on both parts of all $Y_k$. With G and H for the gradients of the real "
        r"and the imaginary part of $Y_k$, the chain rule adds up: $$\frac{\partial L}{\partial "
        r"\mathrm{Re} \, P_j} = \sum_k (G_k \cos \theta - H_k \sin \theta) \\ \frac{\partial "
        r"L}{\partial \mathrm{Im} \, P_j} = \sum_k (G_k \sin \theta + H_k \cos \theta)$$",
        r"These are the two parts of a product of complex numbers: $$(G_k + \mathrm{i} H_k) (\cos "
        r"\theta + \mathrm{i} \sin \theta) = (G_k + \mathrm{i} H_k) \, e^{\mathrm{i} \theta}$$ As "
        "a pair, the gradient is turned back by the angle by which the forward turned.",
        r"With `inverse` both signs change. A factor 1/n or $1 / \sqrt{n}$, which `norm` puts "
        "before the forward, stays before the gradient. Several axes are transformed one after "
        "the other, and so is the gradient along them.",
    ),
)
