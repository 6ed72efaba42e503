"""Equations that fit a page of any width: pieces of MathML between which a line may break.

MathML has no line breaks of its own. So an equation is cut where a person would break it: at signs
of relation, else at plus and minus, and only where a piece is still wide at products and inside of
brackets. The pieces stand beside one another as words do, and what does not fit goes on in the next
line, below the right side of the first sign of relation.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html import escape

from nnscratch.inspect.latex import to_text
from nnscratch.inspect.mathml import to_mathml

RELATIONS = frozenset("=←≈≤≥<>∈→")
PLUS = frozenset("+−")
_BINARY = RELATIONS | PLUS | frozenset("⊙·×∧")
_OPENING, _CLOSING = frozenset("([{⌊⌈"), frozenset(")]}⌋⌉")
_PRODUCTS = frozenset("⊙·∑∏∧×")
_FACTORS = _PRODUCTS | _OPENING
_FINER = [(_FACTORS, 0), (PLUS, 1), (_FACTORS, 1), (PLUS, 2), (_FACTORS, 2), (PLUS | _FACTORS, 9)]
Piece = list[tuple[ET.Element, int]]
"""Elements, each with how many brackets it stands in."""
WIDE = 26.0
"""How many letters wide a piece may be before it is cut further: a phone has room for 34."""


def html_equation(latex: str) -> str:
    r"""Return a displayed equation as HTML, each of its parts on lines of its own.

    >>> html_equation("a = b + c").count("<math")
    3
    """
    lines = "".join(map(_part, to_mathml(latex)))
    return f'<div class="equation" role="math" aria-label="{escape(to_text(latex))}">{lines}</div>'


def html_inline(latex: str) -> str:
    """Return an equation within a line of text; a wide one may break as a displayed one does.

    >>> html_inline("a = b")
    '<math><mi>a</mi><mo>=</mo><mi>b</mi></math>'
    """
    made = []
    for part in to_mathml(latex, display=False):
        row = list(ET.fromstring(part))
        pieces = [row] if width(row) <= WIDE else _pieces(row)
        made.append("<wbr>".join(_math(piece, display=False) for piece in pieces))
    return "<wbr>".join(made)


def _part(mathml: str) -> str:
    """Return one part as a row: its left side, and the pieces of its right side."""
    pieces = _pieces(list(ET.fromstring(mathml)))
    left: list[list[ET.Element]] = []
    if len(pieces) > 1 and _sign(pieces[1][0]) in RELATIONS and width(pieces[0]) < WIDE / 2:
        left, pieces = pieces[:1], pieces[1:]
    head = f"<span>{_math(left[0])}</span>" if left else ""
    return f"<div>{head}<span>{'<wbr>'.join(map(_math, pieces))}</span></div>"


def _math(piece: list[ET.Element], display: bool = True) -> str:
    style = ' displaystyle="true"' if display else ""
    inner = "".join(ET.tostring(one, encoding="unicode") for one in piece)
    return f"<math{style}>{inner}</math>"


def _pieces(row: list[ET.Element]) -> list[list[ET.Element]]:
    """Return the pieces of a row, cut as seldom as keeps them narrow."""
    opened = [one for each in row for one in _opened(each)]
    depths, depth = [], 0
    for one in opened:
        depth -= _sign(one) in _CLOSING
        depths.append(depth)
        depth += _sign(one) in _OPENING
    found = _cut([*zip(opened, depths, strict=True)], RELATIONS | PLUS, 0)
    for signs, inside in _FINER:
        cut = (_cut(one, signs, inside) if width(_bare(one)) > WIDE else [one] for one in found)
        found = [piece for pieces in cut for piece in pieces]
    return [_bare(piece) for piece in found]


def _bare(piece: Piece) -> list[ET.Element]:
    return [one for one, _ in piece]


def _cut(row: Piece, signs: frozenset[str], inside: int) -> list[Piece]:
    """Cut a row before some signs, inside of so many brackets at most, and behind commas."""
    pieces: list[Piece] = [[]]
    before = ""
    for one, depth in row:
        sign = _sign(one)
        binary = bool(pieces[-1]) and before not in RELATIONS | PLUS | _OPENING | {","}
        # A bracket belongs to the name before it: f(x) is cut nowhere.
        bracket = sign in _OPENING or _bracketed(one)
        called = bracket and _names(pieces[-1][-1:])
        behind_comma = before == "," and depth == 0
        # Two brackets, or a bracket and what it is multiplied by.
        factor = _OPENING <= signs and before in _CLOSING and one.tag != "mo" and not sign
        wanted = sign in signs or (bracket and _OPENING <= signs)
        cut = (wanted and binary and not called) or factor
        if depth <= inside and (cut or behind_comma):
            pieces.append([])
            if one.tag == "mo" and sign in _BINARY:
                one.set("form", "infix")  # at the beginning of a row it would be read as a prefix
        pieces[-1].append((one, depth))
        before = sign
    return [piece for piece in pieces if piece]


def _opened(one: ET.Element) -> list[ET.Element]:
    """Return a wide bracketed row as its elements, each bracket as tall as what is beside it."""
    children = list(one)
    if one.tag != "mrow" or width([one]) <= WIDE or not children:
        return [one]
    if _sign(children[0]) in _OPENING and any(child.tag == "mtable" for child in children):
        return [one]  # cases
    return [child for each in children for child in _opened(each)]


def _bracketed(one: ET.Element) -> bool:
    """Say whether an element is a row in brackets as tall as it, perhaps with a power."""
    while one.tag in ("msub", "msup", "msubsup") and len(one):
        one = one[0]
    return one.tag == "mrow" and len(one) > 0 and (one[0].text or "") in _OPENING


def _sign(one: ET.Element) -> str:
    """Return the operator that an element is, or that its limits stand at; "" for another."""
    while one.tag in ("munder", "munderover", "mover", "msub", "msup", "msubsup") and len(one):
        one = one[0]
    if one.tag == "mrow" and len(one):
        first = _sign(one[0])
        return first if first in _PRODUCTS else ""
    return (one.text or "") if one.tag == "mo" else ""


def _names(last: Piece) -> bool:
    """Say whether the element before a bracket is the name of a function."""
    if not last:
        return False
    one = last[0][0]
    while one.tag in ("msub", "msup", "munder", "msubsup") and len(one):
        one = one[0]
    text = one.text or ""
    return one.tag == "mi" and (len(text) > 1 or text in "σφΦψfp")


def width(row: list[ET.Element]) -> float:
    """Return about how wide elements are drawn, in letters.

    >>> width(list(ET.fromstring("<math><mi>x</mi><mo>=</mo><mn>12</mn></math>")))
    4.6
    """
    return round(sum(map(_width, row)), 1)


def _width(one: ET.Element) -> float:
    children = list(one)
    if one.tag in ("mfrac", "munder", "mover", "munderover"):
        return max(map(_width, children)) + 0.3
    if one.tag in ("msub", "msup"):
        return _width(children[0]) + 0.7 * _width(children[1])
    if one.tag == "msubsup":
        return _width(children[0]) + 0.7 * max(map(_width, children[1:]))
    if one.tag == "mtable":
        cells = [[_width(cell) for cell in line] for line in one]
        return sum(max(column, default=0.0) for column in zip(*cells, strict=False)) + 1.5
    if children:
        return sum(map(_width, children)) + (one.tag == "msqrt")
    text = one.text or ""
    if one.tag == "mo":
        return 1.6 if re.fullmatch(r"[=←≈≤≥<>∈→+−⊙]", text) else 0.8
    return len(text) * (0.8 if one.tag == "mtext" else 1.0)
