"""Which formula the code of a function or a layer computes with, found by reading its code."""

from __future__ import annotations

import inspect
from collections import deque
from types import CodeType, FunctionType
from typing import Any

from nnscratch.formulas import FORMULAS, Formula

_WITHIN = "nnscratch.nn"
# What layers do besides: they check and convert their inputs, and choose between two results.
_BESIDE = {"cast", "reshape", "transpose", "where", "getitem", "concatenate", "take", "dropout"}
_BESIDE |= {"batch_norm_inference"}  # of evaluation; training is what there is to explain


def formula_in(target: Any) -> Formula | None:
    """Return the first formula that a function, or the ``forward`` of a class, names.

    The functions and methods of ``nn`` that it calls are read too, those that it calls first being
    nearest. A layer that is made of layers, and a function that is made of tensor functions, has no
    formula of its own.

    >>> from nnscratch import nn
    >>> formula_in(nn.Conv2d), formula_in(nn.Transformer)
    (<formula convolution>, None)
    """
    start = getattr(target, "forward", None) if isinstance(target, type) else target
    owner = target if isinstance(target, type) else None
    waiting: deque[Any] = deque([start])
    seen: set[Any] = set()
    while waiting:
        function = inspect.unwrap(waiting.popleft())
        if not isinstance(function, FunctionType) or function in seen:
            continue
        seen.add(function)
        if not function.__module__.startswith(_WITHIN):
            continue
        for name in _names(function.__code__):
            made = FORMULAS.get(name.lower()) if name.isupper() else None
            if made is not None and made.name not in _BESIDE:
                return made
            called = function.__globals__.get(name, getattr(owner, name, None))
            if called is not None and not isinstance(called, type):
                waiting.append(called)
    return None


def _names(code: CodeType) -> list[str]:
    """Return the global names and attributes of a code, with those of the functions in it."""
    inner = [name for one in code.co_consts if isinstance(one, CodeType) for name in _names(one)]
    return [*code.co_names, *inner]
