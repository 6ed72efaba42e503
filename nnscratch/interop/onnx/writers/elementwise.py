"""Arithmetic, comparisons and activations."""

from __future__ import annotations

import math
from typing import Any

from nnscratch.interop.onnx.types import ELEMENTS
from nnscratch.interop.onnx.writers.table import FormulaCall, writes

# A formula that is one operator, with the same inputs and no options.
SAME = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "add": "Add", "asin": "Asin",
    "asinh": "Asinh", "atan": "Atan", "atanh": "Atanh", "ceil": "Ceil", "cos": "Cos",
    "cosh": "Cosh", "divide": "Div", "equal": "Equal", "erf": "Erf", "exp": "Exp",
    "floor": "Floor", "greater": "Greater", "greater_equal": "GreaterOrEqual", "less": "Less",
    "less_equal": "LessOrEqual", "log": "Log", "maximum": "Max", "minimum": "Min",
    "multiply": "Mul", "negative": "Neg", "power": "Pow", "relu": "Relu", "round": "Round",
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
    if call.out().dtype.startswith(("float", "bfloat")):
        return call.emit("Floor", [call.emit("Div", call.inputs())])
    # Div of integers cuts towards zero; the remainder with the divisor's sign goes first.
    rest = call.emit("Mod", call.inputs())
    return call.emit("Div", [call.emit("Sub", [call.input(0), rest]), call.input(1)])


@writes("remainder")
def remainder(call: FormulaCall) -> Any:
    if not call.out().dtype.startswith(("float", "bfloat")):
        return call.emit("Mod", call.inputs())
    whole = call.emit("Floor", [call.emit("Div", call.inputs())])
    return call.emit("Sub", [call.input(0), call.emit("Mul", [whole, call.input(1)])])


@writes("trunc")
def trunc(call: FormulaCall) -> Any:
    x = call.input(0)
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
    return call.emit("Log", [call.emit("Add", [call.input(0), call.number(1.0)])])


@writes("expm1")
def expm1(call: FormulaCall) -> Any:
    return call.emit("Sub", [call.emit("Exp", [call.input(0)]), call.number(1.0)])


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
    above = call.emit("Greater", [x, call.number(float(call.options["threshold"]))])
    return call.emit("Where", [above, x, call.number(float(call.options["value"]))])


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
