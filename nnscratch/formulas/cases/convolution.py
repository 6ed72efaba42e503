"""Cases of convolutions, their derivatives, and of the windows that they are products with."""

from __future__ import annotations

import math
from typing import Any

from nnscratch.formulas.case import NONE, Build, Case, given, normal, spread
from nnscratch.formulas.windows import Geometry, exact, places

NAN = float("nan")


def _options(rank: int, **more: Any) -> dict[str, Any]:
    plain = {
        "stride": (1,) * rank, "padding": ((0, 0),) * rank, "dilation": (1,) * rank, "groups": 1,
    }  # fmt: skip
    return {**plain, **more}


_Shape = tuple[int, ...]
_SHAPES: dict[str, tuple[_Shape, _Shape, dict[str, Any]]] = {
    "one axis": ((2, 2, 5), (3, 2, 2), _options(1)),
    "two axes": ((1, 2, 3, 4), (2, 2, 2, 3), _options(2)),
    "three axes": ((1, 1, 2, 3, 3), (1, 1, 2, 2, 2), _options(3, padding=((0, 1), (1, 0), (1, 1)))),
    "a point": ((3, 2, 4), (3, 2, 1), _options(1)),
    "all options": (
        (2, 4, 7, 6), (4, 2, 2, 2),
        _options(2, stride=(2, 3), padding=((1, 1), (2, 0)), dilation=(2, 1), groups=2),
    ),
    "pixels unused": ((1, 1, 6), (1, 1, 3), _options(1, stride=(2,))),
    "stride beyond the kernel": ((1, 1, 9), (1, 1, 1), _options(1, stride=(3,), padding=((1, 1),))),
    "stride and dilation": ((1, 1, 11), (2, 1, 3), _options(1, stride=(4,), dilation=(3,))),
    "stride and dilation of one divisor": (
        (1, 1, 15), (2, 1, 3), _options(1, stride=(4,), dilation=(6,), padding=((0, 3),)),
    ),
    "pixels left out": ((1, 1, 8), (1, 1, 2), _options(1, padding=((-1, -2),))),
    "each channel by itself": ((2, 3, 6), (6, 1, 3), _options(1, groups=3, padding=((1, 1),))),
    "more padding than image": ((1, 1, 2), (1, 1, 3), _options(1, padding=((4, 5),))),
    "many channels": ((3, 33, 3, 3), (9, 33, 3, 3), _options(2, padding=((1, 1), (1, 1)))),
    "rows across blocks": (
        (2, 3, 9, 37), (17, 3, 3, 3), _options(2, padding=((1, 1), (1, 1)), stride=(1, 1)),
    ),
    "windows of four pixels": (
        (2, 17, 13, 12), (18, 17, 3, 3), _options(2, padding=((1, 1), (1, 1))),
    ),
    "large steps": (
        (1, 3, 27, 29), (10, 3, 5, 7), _options(2, stride=(4, 4), padding=((2, 2),) * 2),
    ),
    "each channel of an image": (
        (2, 5, 9, 11), (5, 1, 3, 3), _options(2, stride=(2, 2), padding=((1, 1),) * 2, groups=5),
    ),
    "some channels": ((2, 5, 4, 5), (3, 5, 2, 3), _options(2)),
    "no images": ((0, 2, 4), (3, 2, 2), _options(1)),
}  # fmt: skip
_LARGE = {"many channels", "rows across blocks", "windows of four pixels", "large steps"}


def _count(X: _Shape, W: _Shape, options: dict[str, Any]) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Return how many places the kernel has, and the options with the padding that ends there."""
    at = Geometry(options["stride"], options["padding"], options["dilation"])
    cut = exact(X[2:], W[2:], at)
    return places("cases", X[2:], W[2:], at), {**options, **cut._asdict()}


def _terms(X: _Shape, W: _Shape, count: tuple[int, ...]) -> int:
    return max(math.prod(W[1:]), W[0] * math.prod(W[2:]), X[0] * math.prod(count), 2)


def _cases(which: str) -> list[Case]:
    made = []
    for name, (X, W, options) in _SHAPES.items():
        if which == "convolution_weight" and not X[0]:
            continue  # PyTorch makes no graph of it
        count, cut = _count(X, W, options)
        Y = (X[0], W[0], *count)
        inputs: tuple[Build, ...]
        if which == "convolution":
            inputs = (normal(*X), normal(*W), normal(W[0]) if name != "one axis" else NONE)
        elif which == "convolution_transpose":
            inputs = (normal(*Y), normal(*W), normal(X[1]) if name != "one axis" else NONE)
            options = cut
        else:
            inputs, options = (normal(*X), normal(*Y)), cut
        smooth = name not in _LARGE
        made.append(Case(name, inputs, options, terms=_terms(X, W, count), smooth=smooth))
    row = given([[[NAN, 1.0, 2.0, 3.0, 4.0]]])
    last = () if which == "convolution_weight" else (NONE,)
    made.append(Case("NaN", (row, given([[[1.0, 0.0]]]), *last), _options(1), 5, smooth=False))
    large = (spread(2, 3, 17), normal(5, 3, 3), *last)
    if which == "convolution_transpose":
        large = (spread(2, 5, 17), normal(5, 3, 3), *last)
    elif which == "convolution_weight":
        large = (spread(2, 3, 17), normal(2, 5, 15))
    made.append(Case("up to 1e4", large, _options(1), terms=34, magnitude=1e4))
    return made


def _windows(fold: bool) -> list[Case]:
    made = []
    for name, (X, W, options) in _SHAPES.items():
        count, _ = _count(X, W, options)
        kept = {key: value for key, value in options.items() if key != "groups"}
        kept["kernel"] = W[2:]
        build = normal(*X)
        if fold:
            build = normal(X[0], X[1] * math.prod(W[2:]), math.prod(count))
            kept["size"] = X[2:]
        terms = 2 * math.prod(W[2:])
        made.append(Case(name, (build,), kept, terms=terms, smooth=name not in _LARGE))
    return made


CASES: dict[str, list[Case]] = {
    "convolution": _cases("convolution"),
    "convolution_transpose": _cases("convolution_transpose"),
    "convolution_weight": _cases("convolution_weight"),
    "unfold": _windows(fold=False),
    "fold": _windows(fold=True),
}
