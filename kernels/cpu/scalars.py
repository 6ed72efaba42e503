"""Bodies of elementwise formulas as functions on one number, for use in compiled code.

This file needs no Numba before one is made.
"""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from nnscratch.formulas import FORMULAS

from ..bodies import Parsed, parsed

_scalars: dict[tuple[str, str], Any] = {}


def scalar(body: Parsed, dtype: str) -> Any:
    """Return a body as a function on one number of a dtype, for use in compiled code."""
    key = (body.text(), dtype)
    if key not in _scalars:
        _scalars[key] = _made(body, dtype)
    return _scalars[key]


def activation_of(name: str, dtype: str) -> tuple[Any, Any]:
    """Return f(x, p, q) and dY · f'(v) of an activation, for use in compiled code.

    v is what the formula saves, p and q are its options; "identity" is the lack of an activation.
    """
    from numba import njit

    from .runtime.intrinsics import INLINE

    if name == "identity":
        return njit(**INLINE)(_identity), njit(**INLINE)(_identity_backward)
    words = FORMULAS[name].pointwise
    pq = ["p", "q"][: len(words.options)]
    (body,) = words.backward.values()
    names = dict(zip(words.options, pq, strict=False))
    behind = [names.get(one, "v") for one in parsed(body).parameters[1:]]
    scope = {
        "__name__": __name__,
        "f": scalar(parsed(words.forward), dtype),
        "b": scalar(parsed(body), dtype),
    }
    text = f"def forward(x, p, q): return f({', '.join(['x', *pq])})\n"
    text += f"def backward(dy, v, p, q): return b({', '.join(['dy', *behind])})\n"
    exec(compile(text, __file__, "exec"), scope)
    return njit(**INLINE)(scope["forward"]), njit(**INLINE)(scope["backward"])


def _identity(x, p, q):
    return x


def _identity_backward(dy, v, p, q):
    return dy


def _made(body: Parsed, dtype: str) -> Any:
    from numba import njit

    from .runtime.intrinsics import INLINE
    from .words import WORDS as SCALAR_WORDS

    scope: dict[str, Any] = {
        "__name__": __name__,
        **SCALAR_WORDS,
        **{name: scalar(used, dtype) for name, used in body.uses.items()},
        "K": getattr(np, dtype),
    }
    arguments = ast.arguments(
        [], [ast.arg(name) for name in body.parameters], None, [], [], None, []
    )
    statements = [_Typed().visit(_copied(one)) for one in body.statements]
    function = ast.FunctionDef(body.name, arguments, statements, [], None)
    module = ast.fix_missing_locations(ast.Module([function], []))
    exec(compile(ast.unparse(module), __file__, "exec"), scope)
    return njit(**INLINE)(scope[body.name])


def _copied(node: ast.stmt) -> ast.stmt:
    return ast.parse(ast.unparse(node)).body[0]


class _Typed(ast.NodeTransformer):
    """Gives numbers the dtype of the loop: a float64 among float32 would widen all of it."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Call(ast.Name("K", ast.Load()), [node], [])
