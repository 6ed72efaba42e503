"""The bodies of elementwise formulas as CUDA C++, and the kernels that are made of them.

A formula is one text, compiled when it is first used. Each body is a device function; around it
stands a kernel for operands of the result's shape, in vectors of 16 bytes, and where there are
several inputs ``..._broadcast`` for operands that are repeated along some axes. An operand that may
be a number has a null pointer then, and the number behind the arrays.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from nnscratch.formulas import FORMULAS
from nnscratch.formulas.fused import FUSABLE
from nnscratch.formulas.pointwise import Pointwise, unchanged

from ..bodies import NotABodyError, Parsed, parsed

IDENTITY = "identity"
HEADER = "fused_activations.cuh"
_AXES = range(4)
_OPERATORS: dict[type[ast.AST], str] = {
    **{ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.BitAnd: "&&", ast.BitOr: "||"},
    **{ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="},
    **{ast.USub: "-", ast.UAdd: "+", ast.Invert: "!"},
}


def function(body: Parsed) -> str:
    """Return a body as a device function.

    >>> from nnscratch.formulas.sigmoids import tanh_backward
    >>> print(function(parsed(tanh_backward)))
    DEVICE auto nnscratch_formulas_sigmoids__tanh_backward(REAL dY, REAL Y) {
      return (dY * (REAL(1.0) - (Y * Y)));
    }
    """
    lines = [f"  {_statement(body, one)};" for one in body.statements]
    # Conditions are parameters as well; a number's type follows from what is given.
    parameters = ", ".join(
        f"{'bool' if name == 'C' else 'REAL'} {name}" for name in body.parameters
    )
    return "\n".join([f"DEVICE auto {body.name}({parameters}) {{", *lines, "}"])


def functions(bodies: Sequence[Parsed]) -> str:
    """Return bodies and those that they call as device functions, each once and before its use."""
    made: dict[str, str] = {}

    def add(body: Parsed) -> None:
        for used in body.uses.values():
            add(used)
        made.setdefault(body.name, function(body))

    for body in bodies:
        add(body)
    return "\n".join(made.values())


def _statement(body: Parsed, node: ast.stmt) -> str:
    if isinstance(node, ast.Return) and node.value is not None:
        return f"return {_expression(body, node.value)}"
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target, value = node.targets[0], _expression(body, node.value)
        if isinstance(target, ast.Name):
            return f"const auto {target.id} = {value}"
        if isinstance(target, ast.Tuple):
            names = ", ".join(ast.unparse(one) for one in target.elts)
            return f"const auto [{names}] = {value}"
    raise NotABodyError(f"{body.name}: CUDA has no {ast.unparse(node)!r}")


def _expression(body: Parsed, node: ast.expr) -> str:
    def inner(one: ast.expr) -> str:
        return _expression(body, one)

    if isinstance(node, ast.Constant):
        return f"REAL({node.value!r})"
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return f"({_OPERATORS[type(node.op)]}{inner(node.operand)})"
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return f"({inner(node.left)} {_OPERATORS[type(node.op)]} {inner(node.right)})"
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        sign = _OPERATORS[type(node.ops[0])]
        return f"({inner(node.left)} {sign} {inner(node.comparators[0])})"
    if isinstance(node, ast.Call):
        return f"{ast.unparse(node.func)}({', '.join(map(inner, node.args))})"
    raise NotABodyError(f"{body.name}: CUDA has no {ast.unparse(node)!r}")


@dataclass(frozen=True)
class KernelText:
    """A kernel made of a body.

    Attributes:
        name: of the kernel; ``..._broadcast`` is the other one.
        body: the body.
        arrays: the body's parameters that may be arrays, in order.
        numbers: those that may be numbers, likewise. A parameter may be both.
        result: the C type of what it writes.
        broadcasts: whether there is the other kernel, for which it takes several arrays.
    """

    name: str
    body: Parsed
    arrays: tuple[str, ...]
    numbers: tuple[str, ...]
    result: str
    broadcasts: bool

    def text(self) -> str:
        """Return the kernel, or both."""
        pointers = [f"const {_element(name)}* {name}" for name in self.arrays]
        pointers.append(f"{self.result}* out")
        late = [f"Number {name}_given" for name in self.numbers]
        fixed = [f"  const REAL {name}_value = REAL({name}_given());" for name in self.numbers]
        steps = [f"Index {name}_{axis}" for name in self.arrays for axis in _AXES]
        flat = ", ".join([*pointers, "Index n", *late])
        lying = ", ".join([*pointers, "Index n", "Index n0", "Index n1", "Index n2", *steps, *late])
        where = {
            name: f"{name}[place.in({', '.join(f'{name}_{axis}' for axis in _AXES)})]"
            for name in self.arrays
        }
        lines = [
            f"KERNEL {self.name}({flat}) {{",
            *fixed,
            *self._flat(),
            "}",
        ]
        if not self.broadcasts:
            return "\n".join(lines)
        lines += [
            f"KERNEL {self.name}_broadcast({lying}) {{",
            *fixed,
            "  for (Index i = first(); i < n; i += stride()) {",
            "    const Place place(i, n0, n1, n2);",
            f"    out[i] = {self._call(where)};",
            "  }",
            "}",
        ]
        return "\n".join(lines)

    def _flat(self) -> list[str]:
        one = self._call({name: f"{name}[i]" for name in self.arrays})
        if self.result != "REAL" or any(_element(name) != "REAL" for name in self.arrays):
            return [f"  for (Index i = first(); i < n; i += stride()) out[i] = {one};"]
        packs = {name: f"{name}_pack.v[k]" for name in self.arrays}
        loaded = [
            f"        const Pack {name}_pack = "
            + (f"{name} == nullptr ? spread({name}_value) : " if name in self.numbers else "")
            + f"load({name}, j);"
            for name in self.arrays
        ]
        return [
            "  sweep(",
            f"      n, {' && '.join(f'aligned({name})' for name in (*self.arrays, 'out'))},",
            "      [=](Index j) {",
            *loaded,
            "        Pack made;",
            f"        for (int k = 0; k < WIDTH; ++k) made.v[k] = {self._call(packs, False)};",
            "        store(out, j, made);",
            "      },",
            f"      [=](Index i) {{ out[i] = {one}; }});",
        ]

    def _call(self, found: dict[str, str], perhaps: bool = True) -> str:
        """Return the call of the body, its arrays' elements being found as the texts say."""
        values = []
        for name in self.body.parameters:
            value = found.get(name, f"{name}_value")
            if perhaps and name in self.arrays and name in self.numbers:
                value = f"({name} == nullptr ? {name}_value : {_as_number(name, value)})"
            values.append(value)
        return f"{self.body.name}({', '.join(values)})"


def _element(name: str) -> str:
    return "Mask" if name == "C" else "REAL"


def _as_number(name: str, value: str) -> str:
    return f"REAL({value})" if name == "C" else value


@cache
def kernels(name: str) -> dict[str, KernelText]:
    """Return the kernels of an elementwise formula: "" for the forward, else by the input."""
    words: Pointwise = FORMULAS[name].pointwise
    result = "Mask" if words.truth else "REAL"
    several = len(words.inputs) > 1
    made = {"": _kernel(f"{name}_forward", parsed(words.forward), words, several, result)}
    for one, body in words.backward.items():
        if body is not unchanged:
            made[one] = _kernel(f"{name}_backward_{one}", parsed(body), words, several, "REAL")
    return made


def _kernel(name: str, body: Parsed, words: Pointwise, several: bool, result: str) -> KernelText:
    arrays = tuple(one for one in body.parameters if one not in words.options)
    perhaps = {*words.options, *(words.inputs if several else ())}
    numbers = tuple(one for one in body.parameters if one in perhaps)
    return KernelText(name, body, arrays, numbers, result, several and len(arrays) > 1)


@cache
def formulas() -> tuple[str, ...]:
    """Return the names of the elementwise formulas, which are those of their texts."""
    return tuple(name for name, one in FORMULAS.items() if one.has_loops)


@cache
def formula_text(name: str) -> str:
    """Return the text of an elementwise formula, with its headers still to be included."""
    made = kernels(name).values()
    parts = [
        f"// The kernels of {name}, made of its bodies.",
        '#include "common.cuh"',
        '#include "words.cuh"',
        functions([kernel.body for kernel in made]),
        *(kernel.text() for kernel in made),
    ]
    return "\n".join(parts) + "\n"


@cache
def fused_activations() -> str:
    """Return the header of the activations that follow a linear layer in one kernel.

    ``Activation<CODE>`` has the value f(x), and the gradient dy f' from what the forward kept; p
    and q are the activation's options. ACTIVATIONS(DO) expands DO(code, name) for each.
    """
    bodies, structs, names = [], [], [IDENTITY, *FUSABLE]
    for code, name in enumerate(names):
        forward, backward = "x", "dy"
        if name != IDENTITY:
            words: Pointwise = FUSABLE[name][0].pointwise
            (of_x,) = words.backward.values()
            there, back = parsed(words.forward), parsed(of_x)
            bodies += [there, back]
            pq = dict(zip(words.options, "pq", strict=False))
            forward = _applied(there, {words.inputs[0]: "x", **pq})
            kept = dict.fromkeys((words.inputs[0], "Y"), "v")
            backward = _applied(back, {back.parameters[0]: "dy", **kept, **pq})
        structs.append(
            f"template <>\nstruct Activation<{code}> {{\n"
            "  static DEVICE REAL forward(REAL x, REAL p, REAL q) {\n"
            f"    (void)p, (void)q;\n    return {forward};\n  }}\n"
            "  static DEVICE REAL backward(REAL dy, REAL v, REAL p, REAL q) {\n"
            f"    (void)v, (void)p, (void)q;\n    return {backward};\n  }}\n}};"
        )
    listed = " ".join(f"DO({code}, {name})" for code, name in enumerate(names))
    parts = [
        "// The activations that follow a linear layer in one kernel, made of their bodies.",
        "#ifndef NN_FUSED_ACTIVATIONS\n#define NN_FUSED_ACTIVATIONS",
        f"#define ACTIVATIONS(DO) {listed}",
        functions(bodies),
        "template <int CODE>\nstruct Activation;",
        *structs,
        "#endif",
    ]
    return "\n".join(parts) + "\n"


def _applied(body: Parsed, values: dict[str, str]) -> str:
    return f"{body.name}({', '.join(values[name] for name in body.parameters)})"
