"""LaTeX to plain text, for terminals: as much of it as the formulas are written in."""

from __future__ import annotations

import re
from collections.abc import Callable

TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[{}^_&]|\s+|.", re.DOTALL)

SYMBOLS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "Delta": "Δ", "epsilon": "ε",
    "varepsilon": "ε", "eta": "η", "lambda": "λ", "mu": "μ", "pi": "π", "rho": "ρ", "sigma": "σ",
    "tau": "τ", "varphi": "φ", "Phi": "Φ", "sum": "Σ", "prod": "Π", "odot": "⊙", "cdot": "·",
    "le": "≤", "ge": "≥", "ne": "≠", "approx": "≈", "leftarrow": "←", "infty": "∞", "pm": "±",
    "neg": "¬", "partial": "∂", "top": "ᵀ", "ldots": "...", "quad": "\u2003", "left": "",
    "right": "", "in": "∈", "notin": "∉", "times": "×", "wedge": "∧", "vee": "∨", "oplus": "⊕",
    "ll": "≪", "gg": "≫", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "cdots": "⋯",
    "lVert": "‖", "rVert": "‖", "#": "#", "nabla": "∇", "to": "→", "ell": "ℓ", "psi": "ψ",
    "theta": "θ", "dots": "...", "mid": "|", "langle": "⟨", "rangle": "⟩", "qquad": "\u2003",
    "big": "", "Big": "", "textstyle": "", "mathrel": "", "!": "", ",": "", ";": " ", " ": " ",
    "{": "{", "}": "}", "|": "‖",
}  # fmt: skip
FRACTIONS = ("frac", "tfrac", "dfrac")
# Commands after which TeX's own space vanishes: they belong to what follows.
_PREFIXES = {"partial", "left", "right", "neg", "pm", "lfloor", "lceil", "lVert", "nabla", "langle"}
_PREFIXES |= {"big", "Big", "textstyle"}
_UP = dict(zip("0123456789+-nit", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿⁱᵗ", strict=True)) | {"ᵀ": "ᵀ", "′": "′"}
_DOWN = dict(zip("0123456789+-aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))


def to_text(latex: str) -> str:
    r"""Return an equation as one line of text.

    >>> to_text(r"\frac{\partial L}{\partial X} = \frac{2}{n} (Y - T)")
    '∂L/∂X = 2/n (Y - T)'
    >>> to_text(r"Y = \sigma(X) = \frac{1}{1 + e^{-X}}")
    'Y = σ(X) = 1/(1 + e^(-X))'
    """
    text, _ = _sequence(TOKEN.findall(latex), 0, "")
    text = re.sub(r" +", " ", text).replace("if else", "else")
    return re.sub(r" +([,;)⌋⌉])", r"\1", re.sub(r" *\u2003 *", "  ", text)).strip()


def _sequence(tokens: list[str], at: int, end: str) -> tuple[str, int]:
    """Read up to a token, and return the text and where it goes on."""
    parts: list[str] = []
    while at < len(tokens) and tokens[at] != end:
        before = parts[-1] if parts and tokens[at] in "^_" and tokens[at - 1] == "}" else ""
        if "/" in before and before[0] not in "^_":
            parts[-1] = f"({before})"
        part, at = _item(tokens, at)
        parts.append(part)
    return "".join(parts), at + 1


def _item(tokens: list[str], at: int) -> tuple[str, int]:
    token = tokens[at]
    if token == "{":
        return _sequence(tokens, at + 1, "}")
    if token in "^_":
        inner, at = _argument(tokens, at + 1)
        return _script(inner, token), at
    if token.startswith("\\"):
        return _command(tokens, at)
    if token == "&":
        return " if ", at + 1
    if token == "'":
        return "′", at + 1
    return (" " if token.isspace() else token), at + 1


def _argument(tokens: list[str], at: int) -> tuple[str, int]:
    while at < len(tokens) and tokens[at].isspace():
        at += 1
    if at == len(tokens):
        return "", at
    return _item(tokens, at)


def _command(tokens: list[str], at: int) -> tuple[str, int]:
    name, at = tokens[at][1:], at + 1
    if name in FRACTIONS:
        above, at = _argument(tokens, at)
        below, at = _argument(tokens, at)
        return f"{_held(above)}/{_held(below)}", at
    if name in _WRAPPED:
        inner, at = _argument(tokens, at)
        return _WRAPPED[name](inner), at
    if name in ("begin", "end"):
        _, at = _argument(tokens, at)
        return ("{ " if name == "begin" else " }"), at
    if name == "\\":
        return ";", at
    if name in _PREFIXES:
        while at < len(tokens) and tokens[at].isspace():
            at += 1
    return SYMBOLS.get(name, name), at


def _held(text: str) -> str:
    """Return text that can stand on one side of a fraction bar or under a root."""
    text = text.strip()
    whole = re.fullmatch(r"∂?\([^()]*\)(_\w+)?", text)
    return text if whole or not re.search(r"[ /+−-]", text) else f"({text})"


_WRAPPED: dict[str, Callable[[str], str]] = {
    "text": str,
    "mathrm": str,
    "operatorname": str,
    "sqrt": lambda inner: "√" + (inner if len(inner) == 1 else f"({inner})"),
    "bar": lambda inner: inner + "\u0304",
    "overline": lambda inner: inner + "\u0304",
    "hat": lambda inner: inner + "\u0302",
    "underbrace": str,
}


def _script(inner: str, kind: str) -> str:
    table = _UP if kind == "^" else _DOWN
    inner = inner.strip()
    if inner and all(char in table for char in inner):
        return "".join(table[char] for char in inner)
    simple = len(inner) == 1 or (kind == "_" and inner.isalnum())
    return f"{kind}{inner}" if simple else f"{kind}({inner})"
