"""Arithmetic, comparisons and activations."""

from __future__ import annotations

import math
from typing import Any

from nnscratch.interop.onnx.types import ELEMENTS
from nnscratch.interop.onnx.writers.table import FormulaCall, writes

# A formula that is one operator, with the same inputs and no options.
SAME = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "add": "Add", "asin": "Asin",
    "asinh": "Asinh", "atan": "Atan", "atanh": "Atanh", "cos": "Cos",
    "cosh": "Cosh", "divide": "Div", "equal": "Equal", "erf": "Erf", "exp": "Exp",
    "greater": "Greater", "greater_equal": "GreaterOrEqual", "less": "Less",
    "less_equal": "LessOrEqual", "log": "Log", "maximum": "Max", "minimum": "Min",
    "multiply": "Mul", "negative": "Neg", "power": "Pow", "relu": "Relu",
    "sigmoid": "Sigmoid", "sign": "Sign", "sin": "Sin", "sinh": "Sinh", "softsign": "Softsign",
    "sqrt": "Sqrt", "subtract": "Sub", "tan": "Tan", "tanh": "Tanh", "where": "Where",
    "matmul": "MatMul", "det": "Det",
}  # fmt: skip


def _same(op: str) -> Any:
    def write(call: FormulaCall) -> Any:
        return call.emit(op, call.inputs())

    return write


for _name, _op in SAME.items():
    writes(_name)(_same(_op))


def _rounded(op: str) -> Any:
    def write(call: FormulaCall) -> Any:
        # Whole numbers stay as they are; ONNX's operators take floats only.
        return call.emit(op if _floats(call) else "Identity", call.inputs())

    return write


for _name, _op in (("floor", "Floor"), ("ceil", "Ceil"), ("round", "Round")):
    writes(_name)(_rounded(_op))


@writes("not_equal")
def not_equal(call: FormulaCall) -> Any:
    return call.emit("Not", [call.emit("Equal", call.inputs())])


def _bits(logical: str, bitwise: str) -> Any:
    def write(call: FormulaCall) -> Any:
        flags = all(v is None or v.dtype == "bool" for v in (call.value(0), call.value(1)))
        return call.emit(logical if flags else bitwise, call.inputs())

    return write


for _name, _kind in (("and", "And"), ("or", "Or"), ("xor", "Xor")):
    writes(f"bitwise_{_name}")(_bits(_kind, f"Bitwise{_kind}"))


@writes("fmod")
def fmod(call: FormulaCall) -> Any:
    return call.emit("Mod", call.inputs(), fmod=1)


@writes("floor_divide")
def floor_divide(call: FormulaCall) -> Any:
    x, y = call.inputs()
    # (x - r) / y is a whole number, but for rounding; r is the remainder with the divisor's sign.
    quotient = call.emit("Div", [call.emit("Sub", [x, remainder(call)]), y])
    if not _floats(call):
        return quotient
    whole = call.emit("Floor", [quotient])
    above = call.emit("Greater", [call.emit("Sub", [quotient, whole]), call.number(0.5)])
    return call.emit("Add", [whole, call.emit("Cast", [above], to=ELEMENTS[call.out().dtype])])


def _floats(call: FormulaCall) -> bool:
    return bool(call.out().dtype.startswith(("float", "bfloat")))


@writes("remainder")
def remainder(call: FormulaCall) -> Any:
    if not _floats(call):
        return call.emit("Mod", call.inputs())
    # x - floor(x / y) y would be off by y where x / y is rounded up to a whole number.
    y = call.input(1)
    rest = call.emit("Mod", call.inputs(), fmod=1)
    other_sign = call.emit(
        "Less", [call.emit("Mul", [call.emit("Sign", [rest]), y]), call.number(0.0)]
    )
    return call.emit("Where", [other_sign, call.emit("Add", [rest, y]), rest])


@writes("trunc")
def trunc(call: FormulaCall) -> Any:
    x = call.input(0)
    if not _floats(call):
        return call.emit("Identity", [x])
    return call.emit("Mul", [call.emit("Sign", [x]), call.emit("Floor", [call.emit("Abs", [x])])])


@writes("cast")
def cast(call: FormulaCall) -> Any:
    return call.emit("Cast", [call.input(0)], to=ELEMENTS[call.out().dtype])


@writes("clip")
def clip(call: FormulaCall) -> Any:
    ends = [call.options.get(name) for name in ("min", "max")]
    names = ["" if end is None else call.number(end) for end in ends]
    return call.emit("Clip", [call.input(0), *names])


def _log_base(base: float) -> Any:
    def write(call: FormulaCall) -> Any:
        y = call.emit("Log", [call.input(0)])
        return call.emit("Mul", [y, call.number(1.0 / math.log(base))])

    return write


writes("log2")(_log_base(2.0))
writes("log10")(_log_base(10.0))


@writes("log1p")
def log1p(call: FormulaCall) -> Any:
    # Of u = 1 + x, rounded, log(u) x / (u - 1) loses no digits where x is small (Kahan).
    x, one = call.input(0), call.number(1.0)
    u = call.emit("Add", [x, one])
    away = call.emit("Sub", [u, one])
    y = call.emit("Mul", [call.emit("Log", [u]), call.emit("Div", [x, away])])
    small = call.emit("Equal", [away, call.number(0.0)])
    y = call.emit("Where", [small, x, y])
    # Of infinity it is infinity / infinity.
    return call.emit("Where", [call.emit("Equal", [u, x]), call.emit("Log", [u]), y])


@writes("expm1")
def expm1(call: FormulaCall) -> Any:
    # Of u = exp(x), rounded, (u - 1) x / log(u) loses no digits where x is small (Kahan).
    x, one = call.input(0), call.number(1.0)
    u = call.emit("Exp", [x])
    away = call.emit("Sub", [u, one])
    y = call.emit("Mul", [away, call.emit("Div", [x, call.emit("Log", [u])])])
    y = call.emit("Where", [call.emit("Equal", [away, call.number(0.0)]), x, y])
    # Where u is all of it, or nothing: infinity, and -1.
    far = call.emit("Greater", [call.emit("Abs", [x]), call.number(1.0)])
    return call.emit("Where", [far, away, y])


@writes("exp2")
def exp2(call: FormulaCall) -> Any:
    return call.emit("Pow", [call.number(2.0), call.input(0)])


@writes("erfc")
def erfc(call: FormulaCall) -> Any:
    return call.emit("Sub", [call.number(1.0), call.emit("Erf", [call.input(0)])])


@writes("leaky_relu")
def leaky_relu(call: FormulaCall) -> Any:
    return call.emit("LeakyRelu", [call.input(0)], alpha=float(call.options["negative_slope"]))


@writes("elu")
def elu(call: FormulaCall) -> Any:
    return call.emit("Elu", [call.input(0)], alpha=float(call.options["alpha"]))


@writes("celu")
def celu(call: FormulaCall) -> Any:
    if call.out().dtype == "float32":
        return call.emit("Celu", [call.input(0)], alpha=float(call.options["alpha"]))
    x, a = call.input(0), call.number(float(call.options["alpha"]))
    low = call.emit("Sub", [call.emit("Exp", [call.emit("Div", [x, a])]), call.number(1.0)])
    low = call.emit("Min", [call.emit("Mul", [low, a]), call.number(0.0)])
    return call.emit("Add", [call.emit("Max", [x, call.number(0.0)]), low])


@writes("selu")
def selu(call: FormulaCall) -> Any:
    return call.emit("Selu", [call.input(0)])


@writes("relu6")
def relu6(call: FormulaCall) -> Any:
    return call.emit("Clip", [call.input(0), call.number(0.0), call.number(6.0)])


@writes("hardtanh")
def hardtanh(call: FormulaCall) -> Any:
    low, high = (float(call.options[name]) for name in ("min_val", "max_val"))
    return call.emit("Clip", [call.input(0), call.number(low), call.number(high)])


@writes("hardsigmoid")
def hardsigmoid(call: FormulaCall) -> Any:
    return call.emit("HardSigmoid", [call.input(0)], alpha=1.0 / 6.0, beta=0.5)


@writes("hardswish")
def hardswish(call: FormulaCall) -> Any:
    return call.emit("HardSwish", [call.input(0)])


@writes("silu")
def silu(call: FormulaCall) -> Any:
    x = call.input(0)
    return call.emit("Mul", [x, call.emit("Sigmoid", [x])])


@writes("softplus")
def softplus(call: FormulaCall) -> Any:
    beta = float(call.options["beta"])
    if beta == 1.0:
        return call.emit("Softplus", [call.input(0)])
    y = call.emit("Softplus", [call.emit("Mul", [call.input(0), call.number(beta)])])
    return call.emit("Div", [y, call.number(beta)])


@writes("mish")
def mish(call: FormulaCall) -> Any:
    x = call.input(0)
    return call.emit("Mul", [x, call.emit("Tanh", [call.emit("Softplus", [x])])])


@writes("logsigmoid")
def logsigmoid(call: FormulaCall) -> Any:
    return call.emit("Neg", [call.emit("Softplus", [call.emit("Neg", [call.input(0)])])])


@writes("tanhshrink")
def tanhshrink(call: FormulaCall) -> Any:
    x = call.input(0)
    return call.emit("Sub", [x, call.emit("Tanh", [x])])


@writes("hardshrink")
def hardshrink(call: FormulaCall) -> Any:
    return call.emit("Shrink", [call.input(0)], lambd=float(call.options["lambd"]), bias=0.0)


@writes("softshrink")
def softshrink(call: FormulaCall) -> Any:
    size = float(call.options["lambd"])
    return call.emit("Shrink", [call.input(0)], lambd=size, bias=size)


@writes("threshold")
def threshold(call: FormulaCall) -> Any:
    x = call.input(0)
    # The other way round a NaN would become the value.
    low = call.emit("LessOrEqual", [x, call.number(float(call.options["threshold"]))])
    return call.emit("Where", [low, call.number(float(call.options["value"])), x])


@writes("gelu")
def gelu(call: FormulaCall) -> Any:
    x = call.input(0)
    if call.opset >= 20:
        return call.emit("Gelu", [x])
    part = call.emit("Erf", [call.emit("Mul", [x, call.number(1.0 / math.sqrt(2.0))])])
    half = call.emit("Mul", [x, call.number(0.5)])
    return call.emit("Mul", [half, call.emit("Add", [part, call.number(1.0)])])


@writes("gelu_tanh")
def gelu_tanh(call: FormulaCall) -> Any:
    x = call.input(0)
    if call.opset >= 20:
        return call.emit("Gelu", [x], approximate="tanh")
    cube = call.emit("Mul", [x, call.emit("Mul", [x, x])])
    inner = call.emit("Add", [x, call.emit("Mul", [cube, call.number(0.044715)])])
    bent = call.emit("Tanh", [call.emit("Mul", [inner, call.number(math.sqrt(2.0 / math.pi))])])
    half = call.emit("Mul", [x, call.number(0.5)])
    return call.emit("Mul", [half, call.emit("Add", [bent, call.number(1.0)])])


@writes("prelu")
def prelu(call: FormulaCall) -> Any:
    slope = call.input(1)
    behind = max(len(call.shape(0)) - 2, 0)
    if behind and len(call.shape(1)) == 1:
        size = call.shape(1)[0]
        slope = call.emit("Reshape", [slope, call.graph.ints([size, *(1,) * behind])])
    return call.emit("PRelu", [call.input(0), slope])


@writes("softmax")
def softmax(call: FormulaCall) -> Any:
    return call.emit("Softmax", [call.input(0)], axis=int(call.options["axis"]))


@writes("log_softmax")
def log_softmax(call: FormulaCall) -> Any:
    return call.emit("LogSoftmax", [call.input(0)], axis=int(call.options["axis"]))
