"""The words of elementwise bodies in mathematics: the slopes of each, and how it is written.

A derivation by the chain rule is made of these (``nnscratch.inspect.chain_rule``).
"""

from __future__ import annotations

SLOPES: dict[str, tuple[str, ...]] = {
    "add": ("1", "1"), "sub": ("1", "-1"), "mult": ("b", "a"),
    "div": ("1 / b", "-y / b"), "usub": ("-1",),
    "where": ("", "holds(a)", "fails(a)"),
    "maximum": ("a > b", "b > a"), "minimum": ("a < b", "b < a"),
    "absolute": ("sign(a)",), "exp": ("y",), "exp2": ("y * log(2)",), "expm1": ("y + 1",),
    "log": ("1 / a",), "log1p": ("1 / (1 + a)",), "log2": ("1 / (a * log(2))",),
    "log10": ("1 / (a * log(10))",), "sqrt": ("1 / (2 * y)",),
    "power": ("b * power(a, b - 1)", "y * log(a)"), "hypot": ("a / y", "b / y"),
    "sin": ("cos(a)",), "cos": ("-sin(a)",), "tan": ("1 + y * y",),
    "asin": ("1 / sqrt(1 - a * a)",), "acos": ("-1 / sqrt(1 - a * a)",),
    "atan": ("1 / (1 + a * a)",), "atan2": ("b / (a * a + b * b)", "-a / (a * a + b * b)"),
    "sinh": ("cosh(a)",), "cosh": ("sinh(a)",), "tanh": ("1 - y * y",),
    "asinh": ("1 / sqrt(a * a + 1)",), "acosh": ("1 / sqrt(a * a - 1)",),
    "atanh": ("1 / (1 - a * a)",), "erf": ("2 / sqrt(pi) * exp(-a * a)",),
    "erfc": ("-2 / sqrt(pi) * exp(-a * a)",), "erfinv": ("sqrt(pi) / 2 * exp(y * y)",),
    "logistic": ("y * (1 - y)",), "tanh_softplus": ("(1 - y * y) * logistic(a)",),
    "ceil": ("0",), "floor": ("0",), "round_half_even": ("0",), "sign": ("0",), "trunc": ("0",),
    "floor_divide": ("0", "0"), "remainder": ("1", "-floor(a / b)"),
}  # fmt: skip
"""For each operation its slope by each operand: a and b are the operands, y is the result.

A comparison is 1 where it holds and 0 elsewhere, and so are ``holds`` and, the other way round,
``fails``. Where two operands of a maximum are equal there is no slope.
"""

WORDS = {
    "logistic": r"\sigma", "asin": r"\arcsin", "acos": r"\arccos", "atan": r"\arctan",
    "maximum": r"\max", "minimum": r"\min", "log": r"\log", "sin": r"\sin", "cos": r"\cos",
    "tan": r"\tan", "sinh": r"\sinh", "cosh": r"\cosh", "tanh": r"\tanh",
}  # fmt: skip
"""LaTeX of the words that are written otherwise than by their own names."""
