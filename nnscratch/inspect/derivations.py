"""The derivation of a formula's gradient in numbered steps, from its forward to what the code has.

A formula may bring steps of its own (``Formula.derivation``). Those of the other elementwise
formulas are read from the text of their forward (``chain_rule``).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence

from nnscratch.formulas import Formula
from nnscratch.formulas.slopes import SLOPES, WORDS
from nnscratch.inspect.chain_rule import LineByLine, Operation, chain
from nnscratch.inspect.latex import SYMBOLS
from nnscratch.inspect.locate import gradients_of, symbol

LAST = "This is what stands in the code:"
NONE = (
    "No derivation is written for this formula yet: its source is named above, and the check below "
    "compares the gradient with differences of the forward."
)
_WRITTEN = {"add": "+", "sub": "-", "mult": r"\cdot", "div": "/"}
_SIGNS = {"<=": r"\le", ">=": r"\ge", "==": "=", "!=": r"\ne", "&": r"\wedge", "|": r"\vee"}
_GREEK = {"lambd": "lambda"}


def derivation(formula: Formula) -> list[str]:
    r"""Return the steps in Markdown, equations in LaTeX; the last one has the gradients themselves.

    Empty for a formula without a derivative that brings no steps of its own.

    >>> from nnscratch.formulas import EXP
    >>> print(derivation(EXP)[0])
    The slope of the function:
    $$\frac{\partial Y}{\partial A} = Y$$
    """
    if formula.backward is None:
        return list(formula.derivation)
    steps = list(formula.derivation)
    if not steps:
        apart = chain(formula)
        steps = [] if apart is None else _by_chain_rule(apart)
    return [*steps, block(LAST, gradients_of(formula).values())] if steps else []


def block(words: str, equations: Iterable[str]) -> str:
    """Return a step: a sentence and its equations, each on a line."""
    return f"{words}\n$$" + r" \\ ".join(equations) + "$$"


def numbered(steps: Sequence[str]) -> str:
    """Return the steps as a list in Markdown, with their equations displayed.

    >>> print(numbered(["First: $$a = b$$"]))
    1. First:
    <BLANKLINE>
       $$
       a = b
       $$
    """
    made = []
    for number, step in enumerate(steps, 1):
        margin = " " * len(f"{number}. ")
        parts = [one.strip() for one in step.split("$$")]
        for place in range(1, len(parts), 2):
            parts[place] = f"$$\n{parts[place]}\n$$"
        text = "\n\n".join(one for one in parts if one)
        made.append(f"{number}. " + text.replace("\n", f"\n{margin}").replace(f"{margin}\n", "\n"))
    return "\n\n".join(made)


def _by_chain_rule(apart: LineByLine) -> list[str]:
    lines = [line for line in apart.lines if line.word != "condition"]
    conditions = {one.name: str(one.operands[0]) for one in apart.lines if one not in lines}
    slopes = [
        rf"\frac{{\partial {_name(line.name)}}}{{\partial {_name(str(operand))}}} = "
        + _slope(slope, line, conditions)
        for line in lines
        for operand, slope in dict(zip(line.operands, SLOPES[line.word], strict=False)).items()
        if operand in (apart.reached() if len(lines) > 1 else apart.inputs) and slope
    ]
    if len(lines) == 1:
        which = "The slope of the function" + (" by each input" if len(slopes) > 1 else "")
        return [
            block(f"{which}:", slopes),
            "Each entry of Y depends on the entry in the same place alone, so that the chain rule "
            "multiplies the gradient of Y by this slope, entry by entry.",
        ]
    made = [_line(line, conditions) for line in lines]
    back = [
        rf"{_gradient(name)} = "
        + " + ".join(
            _product(_gradient(line.name), _slope(slope, line, conditions))
            for line, slope in apart.uses(name)
            if line.name in apart.reached()
        )
        for name in apart.reached()[1:]
    ]
    return [
        block("Take the forward apart, one operation a line:", made),
        block(
            "The slope of each line by what it is made of; [c] is 1 where c holds and else 0:",
            slopes,
        ),
        block(
            "The chain rule, from the last line to the first: the gradient of a name is the sum, "
            "over the lines that use it, of the gradient of the line times its slope:",
            back,
        ),
        "What is left is algebra: the names are put in, and equal terms are put together.",
    ]


def _gradient(name: str) -> str:
    return rf"\frac{{\partial L}}{{\partial {_name(name)}}}"


def _product(gradient: str, slope: str) -> str:
    if slope in ("1", "-1"):
        return gradient if slope == "1" else f"\\left(-{gradient}\\right)"
    plain = re.fullmatch(r"[^ ]+|\[.*\]|\\frac\{[^{}]*\}\{[^{}]*\}", slope)
    return rf"{gradient} \odot {slope if plain else f'({slope})'}"


def _name(name: str) -> str:
    name = _GREEK.get(name, name)
    if name in SYMBOLS and len(name) > 2:
        return rf"\{name}"
    return rf"\text{{{name.replace('_', ' ')}}}" if "_" in name else symbol(name)


def _number(value: float) -> str:
    text = f"{value:.6g}"
    return f"({text})" if value < 0 else text


def _operand(one: str | float) -> str:
    return _name(one) if isinstance(one, str) else _number(one)


def _line(line: Operation, conditions: dict[str, str]) -> str:
    """Return a line of the forward as an equation."""
    operands = [_operand(one) for one in line.operands]
    left = f"{_name(line.name)} = "
    if line.word == "where":
        condition = _condition(conditions.get(str(line.operands[0]), str(line.operands[0])))
        return (
            rf"{left}\begin{{cases}} {operands[1]} & {condition} \\ "
            rf"{operands[2]} & \text{{else}} \end{{cases}}"
        )
    if line.word == "div":
        return rf"{left}\frac{{{operands[0]}}}{{{operands[1]}}}"
    if line.word in _WRITTEN:
        return left + f" {_WRITTEN[line.word]} ".join(operands)
    if line.word == "usub":
        return f"{left}-{operands[0]}"
    return left + _call(line.word, operands)


def _call(word: str, operands: Sequence[str]) -> str:
    """Return a function of some operands in LaTeX."""
    if word == "absolute":
        return f"|{operands[0]}|"
    if word == "sqrt":
        return rf"\sqrt{{{operands[0]}}}"
    if word in ("exp", "exp2"):
        return f"{'e' if word == 'exp' else '2'}^{{{operands[0]}}}"
    if word == "expm1":
        return f"e^{{{operands[0]}}} - 1"
    if word == "log1p":
        return rf"\log(1 + {operands[0]})"
    if word in ("log2", "log10"):
        return rf"\log_{{{word[3:]}}} {operands[0]}"
    if word == "power":
        base = operands[0] if re.fullmatch(r"\w|\\\w+", operands[0]) else f"({operands[0]})"
        return f"{base}^{{{operands[1]}}}"
    if word == "floor":
        return rf"\lfloor {operands[0]} \rfloor"
    if word == "tanh_softplus":
        return rf"\tanh(\log(1 + e^{{{operands[0]}}}))"
    name = WORDS.get(word, rf"\mathrm{{{word.replace('_', ' ')}}}")
    return f"{name}({', '.join(operands)})"


def _condition(text: str) -> str:
    """Return a comparison, which ``chain_rule`` has as text, in LaTeX."""
    if text.count("(") == 1:
        text = text.strip("()")
    words = (_SIGNS.get(word, word) for word in re.findall(r"[<>=!]=|[\w.]+|\S", text))
    return " ".join(_name(word) if re.fullmatch(r"[A-Za-z]\w*", word) else word for word in words)


def _slope(text: str, line: Operation, conditions: dict[str, str]) -> str:
    """Return a slope of ``SLOPES`` in LaTeX, with the names of a line."""
    if text in ("holds(a)", "fails(a)"):
        first = str(line.operands[0])
        condition = _condition(conditions.get(first, first))
        return f"[{condition}]" if text == "holds(a)" else rf"[\text{{not }} {condition}]"
    names = {"y": _name(line.name), "pi": r"\pi"}
    names |= dict(zip("ab", map(_operand, line.operands), strict=False))
    return _expression(ast.parse(text, mode="eval").body, names, 0)


def _expression(node: ast.expr, names: dict[str, str], bound: int) -> str:
    """Return an expression in LaTeX; ``bound`` is how tightly its surroundings bind."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Name):
        return names[node.id]
    if isinstance(node, ast.UnaryOp):
        inner = _expression(node.operand, names, 2)
        return f"(-{inner})" if bound > 1 else f"-{inner}"
    if isinstance(node, ast.Compare):
        sides = [_expression(one, names, 0) for one in (node.left, node.comparators[0])]
        sign = "<" if isinstance(node.ops[0], ast.Lt) else ">"
        return f"[{sides[0]} {sign} {sides[1]}]"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _call(node.func.id, [_expression(one, names, 0) for one in node.args])
    assert isinstance(node, ast.BinOp)
    if isinstance(node.op, ast.Div):
        above, below = (_expression(one, names, 0) for one in (node.left, node.right))
        return rf"\frac{{{above}}}{{{below}}}"
    tight = 2 if isinstance(node.op, ast.Mult) else 1
    left, right = _expression(node.left, names, tight), _expression(node.right, names, tight + 1)
    sign = {ast.Mult: r"\cdot", ast.Add: "+"}.get(type(node.op), "-")
    text = f"{left} {sign} {right}"
    return f"({text})" if bound > tight else text
