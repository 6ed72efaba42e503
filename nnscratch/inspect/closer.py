"""A closer look at a call: one window of a convolution, the weights of an attention."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from nnscratch.array import to_numpy
from nnscratch.formulas.attention import SCALED_DOT_PRODUCT_ATTENTION, scores
from nnscratch.formulas.convolution import CONVOLUTION
from nnscratch.formulas.observing import Call
from nnscratch.inspect.numbers import SIDE, ArrayFacts, heat_map, numbers


def closer_look(call: Call) -> tuple[ArrayFacts, ...]:
    r"""Return what explains a forward beyond its inputs and outputs; nothing of most formulas.

    >>> import numpy as np
    >>> from nnscratch.formulas import CONVOLUTION
    >>> X, W = np.array([[[1.0, 2.0, 4.0]]]), np.array([[[1.0, 10.0]]])
    >>> line = {"stride": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 1}
    >>> Y, saved = CONVOLUTION.forward(X, W, **line)
    >>> call = Call(CONVOLUTION, "forward", "reference", (X, W), line, (Y,), saved)
    >>> print(*closer_look(call), sep="\n")
    the window of X for Y[0, 0, 1] (1, 2) = [[2, 4]]
    W[0] times it (1, 2) = [[2, 40]]
    the sum, and b (1,) = [42]
    """
    windows = call.formula is CONVOLUTION
    if call.direction != "forward" or not (windows or call.formula is SCALED_DOT_PRODUCT_ATTENTION):
        return ()
    given = dict(zip(call.formula.inputs, call.inputs, strict=False)) | call.options
    return tuple(_window(given, call.outputs[0]) if windows else _weights(given))


def _window(given: Mapping[str, Any], Y: Any) -> list[ArrayFacts]:
    """Return the window of the middle output of the first channel, and how it becomes a number."""
    X, W = to_numpy(given["X"]), to_numpy(given["W"])
    if not (X.size and W.size and math.prod(Y.shape)):
        return []
    place = tuple(n // 2 for n in Y.shape[2:])
    along, inside = [], []
    for i, size, kernel, stride, (before, _), dilation in zip(
        place, X.shape[2:], W.shape[2:], given["stride"], given["padding"], given["dilation"],
        strict=True,
    ):  # fmt: skip
        at = stride * i + dilation * np.arange(kernel) - before
        along.append(at)
        inside.append((0 <= at) & (at < size))
    clipped = [np.clip(at, 0, n - 1) for at, n in zip(along, X.shape[2:], strict=True)]
    channels = np.arange(W.shape[1])
    # Padding is 0, also where what is clipped to the edge is no finite number.
    window = np.where(reduce(np.multiply.outer, inside), X[0][np.ix_(channels, *clipped)], 0)
    name = f"Y[{', '.join(map(str, (0, 0, *place)))}]"
    found = [
        numbers(f"the window of X for {name}", window),
        numbers("W[0] times it", W[0] * window),
        numbers("the sum, and b", to_numpy(Y)[(0, 0, *place)].reshape(1)),
    ]
    if X.ndim == 4 and all(len(at) <= SIDE and at[-1] - at[0] < SIDE for at in along):
        found.insert(0, _framed(X[0, 0], along))
    return found


def _framed(image: Any, along: list[Any]) -> ArrayFacts:
    """Return a part of an image around a window, with a frame."""
    starts = [
        max(0, min(int((at[0] + at[-1] - SIDE) // 2) + 1, size - SIDE))
        for at, size in zip(along, image.shape, strict=True)
    ]
    part = image[tuple(slice(start, start + SIDE) for start in starts)]
    ends = [
        (max(int(at[0]) - start, 0), min(int(at[-1]) - start + 1, size))
        for at, start, size in zip(along, starts, part.shape, strict=True)
    ]
    (top, bottom), (left, right) = ends
    facts = numbers("where it lies in X[0, 0]", part)
    frame = (top, left, bottom - top, right - left)
    return replace(facts, values=(), heat=heat_map(part), frame=frame)


def _weights(given: Mapping[str, Any]) -> list[ArrayFacts]:
    """Return the weights P = softmax(S) of the first head of the first sample."""
    Q, K, M = (None if (A := given.get(name)) is None else to_numpy(A) for name in "QKM")
    if Q is None or K is None or not (Q.size and K.size):
        return []
    whole = (*Q.shape[:-1], K.shape[-2])
    first = (0,) * (Q.ndim - 2)
    mask = None if M is None else np.broadcast_to(M, whole)[first]
    scale = given.get("scale")
    scale = 1 / math.sqrt(Q.shape[-1]) if scale is None else scale
    S = scores(Q[first], K[first], mask, bool(given.get("is_causal", False)), scale)
    largest = S.max(axis=-1, keepdims=True)
    E = np.exp(S - np.where(np.isfinite(largest), largest, 0))
    P = E / np.maximum(E.sum(axis=-1, keepdims=True), np.finfo(E.dtype).tiny)
    index = f"[{', '.join(map(str, first))}]" if first else ""
    facts = numbers(f"the weights P{index}, a row for each query", P)
    return [replace(facts, heat=heat_map(P))]
