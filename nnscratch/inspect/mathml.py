"""LaTeX to MathML, which browsers draw: as much of it as the formulas are written in."""

from __future__ import annotations

import re
from html import escape

from nnscratch.inspect.latex import FRACTIONS, SYMBOLS, TOKEN, to_text

_PARTS = re.compile(r",?\s*\\q?quad\s*|\s*\\\\\s*")
_OVER = {"bar": "¯", "overline": "¯", "hat": "^"}
_NAMES = ("text", "mathrm", "operatorname")
# What stands below and above them is written there, not beside.
_LIMITS = ("∑", "∏", "max", "min")
_LARGE = {"sum": "∑", "prod": "∏", "top": "⊤"}
# Commands that are read as their own names.
_FUNCTIONS = re.compile("(arc)?(cos|sin|tan)|(cos|sin|tan)h|arg|det|exp|ln|log|max|min")
_COMMANDS = {*FRACTIONS, *_OVER, *_NAMES, *_LARGE, *SYMBOLS, "sqrt", "underbrace"}
_COMMANDS |= {"begin", "end", "\\"}


def unread(latex: str) -> list[str]:
    r"""Return the commands in an equation that are not read here, and would be drawn as names.

    >>> unread(r"\frac{a}{b} \foo")
    ['foo']
    """
    found = re.findall(r"\\([A-Za-z]+|.)", latex, re.DOTALL)
    return sorted({one for one in found if not (one in _COMMANDS or _FUNCTIONS.fullmatch(one))})


def to_mathml(latex: str, display: bool = True) -> list[str]:
    r"""Return an equation as MathML, an element for each part that may stand on a line of its own.

    Without ``display`` it is written as it stands within a line of text.

    >>> to_mathml(r"X^2")
    ['<math displaystyle="true" alttext="X²"><msup><mi>X</mi><mn>2</mn></msup></math>']
    >>> len(to_mathml(r"Y = P V, \quad P = \mathrm{softmax}(Q)"))
    2
    """
    # The lines of cases are no lines of the equation.
    cases: list[str] = []

    def put_aside(found: re.Match[str]) -> str:
        cases.append(found[0])
        return rf"\aside{{{len(cases) - 1}}}"

    whole = re.sub(r"\\begin\{cases\}.*?\\end\{cases\}", put_aside, latex, flags=re.DOTALL)
    parts = [
        re.sub(r"\\aside\{(\d+)\}", lambda found: cases[int(found[1])], part)
        for part in _PARTS.split(whole)
        if part
    ]
    return [_element(part, display) for part in parts]


def _element(latex: str, display: bool) -> str:
    inner = "".join(_Reader(latex).row())
    style = ' displaystyle="true"' if display else ""
    return f'<math{style} alttext="{escape(to_text(latex))}">{inner}</math>'


class _Reader:
    """Reads one equation from left to right."""

    def __init__(self, latex: str) -> None:
        self.tokens: list[str] = re.findall(rf"\d+(?:\.\d+)?|{TOKEN.pattern}", latex, re.DOTALL)
        self.at = 0

    def row(self, *ends: str) -> list[str]:
        """Read elements up to one of some tokens, which is left."""
        made: list[str] = []
        while self.at < len(self.tokens) and self.tokens[self.at] not in ends:
            if self.tokens[self.at] in "^_'" and made:
                made[-1] = self.scripts(made[-1])
            else:
                made.append(self.item())
        return [one for one in made if one]

    def scripts(self, base: str) -> str:
        """Read what stands below and above the element before."""
        found: dict[str, str] = {}
        while self.at < len(self.tokens) and self.tokens[self.at] in ("^", "_", "'"):
            kind = self.next()
            found["^" if kind == "'" else kind] = "<mo>′</mo>" if kind == "'" else self.argument()
        limits = re.sub("<.*?>", "", base) in _LIMITS or base.endswith("<mo>⏟</mo></munder>")
        kinds = {"_": "munder", "^": "mover", "_^": "munderover"}
        if not limits:
            kinds = {"_": "msub", "^": "msup", "_^": "msubsup"}
        tag = kinds["".join(sorted(found, reverse=True))]
        return f"<{tag}>{base}{found.get('_', '')}{found.get('^', '')}</{tag}>"

    def next(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1] if self.at <= len(self.tokens) else ""

    def argument(self) -> str:
        while self.at < len(self.tokens) and self.tokens[self.at].isspace():
            self.at += 1
        if self.at < len(self.tokens) and self.tokens[self.at].isdigit():
            # As in TeX, an argument without braces is one digit: ½ is \tfrac12.
            digits = self.tokens[self.at]
            self.tokens[self.at : self.at + 1] = [one for one in (digits[0], digits[1:]) if one]
        return self.item() or "<mrow></mrow>"

    def item(self) -> str:
        token = self.next()
        if token == "{":
            inner = self.row("}")
            self.next()
            return inner[0] if len(inner) == 1 else f"<mrow>{''.join(inner)}</mrow>"
        if token.startswith("\\"):
            return self.command(token[1:])
        if token.isspace() or not token:
            return ""
        if token[0].isdigit():
            return f"<mn>{token}</mn>"
        if token.isalpha():
            return f"<mi>{token}</mi>"
        if token in "()[]|":
            return f'<mo stretchy="false">{token}</mo>'
        return f"<mo>{'−' if token == '-' else escape(token)}</mo>"

    def command(self, name: str) -> str:
        if name in FRACTIONS:
            return f"<mfrac>{self.argument()}{self.argument()}</mfrac>"
        if name == "sqrt":
            return f"<msqrt>{self.argument()}</msqrt>"
        if name in _OVER:
            return f'<mover accent="true">{self.argument()}<mo>{_OVER[name]}</mo></mover>'
        if name in _NAMES:
            tag, text = "mtext" if name == "text" else "mi", self.name()
            # A name of several letters stands close to what follows, but for a space of its own.
            thin = "\u2009" if self.tokens[self.at : self.at + 1] == ["\\,"] else ""
            return f"<{tag}>{escape(text)}{thin}</{tag}>"
        if name == "underbrace":
            return f"<munder>{self.argument()}<mo>⏟</mo></munder>"
        if name == "left":
            opening, inner = self.delimiter(), self.row("\\right")
            self.next()
            return f"<mrow>{opening}{''.join(inner)}{self.delimiter()}</mrow>"
        if name == "begin":
            return self.cases()
        if name in _LARGE:
            return f"<mo>{_LARGE[name]}</mo>"
        sign = SYMBOLS.get(name, name).strip()
        if not sign:
            return ""
        tag = "mi" if sign.isalpha() or sign in "∂∞" else "mo"
        return f"<{tag}>{escape(sign)}</{tag}>"

    def delimiter(self) -> str:
        """Read what stands around something as high as it."""
        token = self.next()
        name = token.removeprefix("\\")
        # A bar by itself is one line, with a backslash it is two.
        sign = name if name == token else SYMBOLS.get(name, name)
        return "" if token == "." else f"<mo>{escape(sign)}</mo>"

    def name(self) -> str:
        """Read the text in braces."""
        self.next()
        start = self.at
        while self.next() not in ("}", ""):
            pass
        # A space at an end of an element vanishes, unless it may not break.
        return "".join(self.tokens[start : self.at - 1]).replace("\\", "").replace(" ", "\u00a0")

    def cases(self) -> str:
        self.name()
        rows: list[list[str]] = [[]]
        while self.at < len(self.tokens):
            rows[-1].append(f"<mtd>{''.join(self.row('&', chr(92) * 2, chr(92) + 'end'))}</mtd>")
            end = self.next()
            if end == "\\end":
                self.name()
                break
            if end == "\\\\":
                rows.append([])
        lines = "".join(f"<mtr>{''.join(cells)}</mtr>" for cells in rows)
        return f"<mrow><mo>{{</mo><mtable>{lines}</mtable></mrow>"
