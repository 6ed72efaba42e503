"""Faults planted into CUDA text: each is one token that became another."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

# Operators stand between spaces in this text; pointers, templates and references do not.
TOKENS: dict[str, tuple[str, ...]] = {
    " + ": (" - ",), " - ": (" + ",), " * ": (" / ",), " / ": (" * ",), " % ": (" / ",),
    " += ": (" -= ", " = "), " -= ": (" += ",), " *= ": (" /= ",), " /= ": (" *= ",),
    " < ": (" <= ", " > "), " <= ": (" < ", " > "), " > ": (" >= ", " < "), " >= ": (" > ", " < "),
    " == ": (" != ",), " != ": (" == ",), " && ": (" || ",), " || ": (" && ",),
    " ^ ": (" | ",), " & ": (" | ",), " >> ": (" << ",), "++k": ("k += 2",),
    "__syncthreads();": (";",),
    "expm1(": ("exp(",), "log1p(": ("log(",), "exp(": ("expm1(",), "log(": ("log1p(",),
    "tanh(": ("sin(",), "sqrt(": ("(",), "fabs(": ("(",), "erfc(": ("erf(",),
}  # fmt: skip
PATTERN = re.compile("|".join(map(re.escape, sorted(TOKENS, key=len, reverse=True))))
NUMBER = re.compile(r"(?<![\w.\"])(\d+)(?![\w.])")
NEGATIVE = re.compile(r"(?<=[=(?:,*]) ?-(?=\w)|(?<=return) -(?=\w)")
CHOICE = re.compile(r"\? ([\w.()\[\]* -]+) : ([\w.()\[\]* -]+)(?=[;,)])")


@dataclass(frozen=True)
class Edit:
    """One planted fault: the text from ``start`` to ``end`` becomes ``new``."""

    name: str
    start: int
    end: int
    new: str

    def applied(self, text: str) -> str:
        """Return the text with the fault."""
        return text[: self.start] + self.new + text[self.end :]


def edits(text: str) -> Iterator[Edit]:
    """Yield every fault that can be planted into a text, comments and includes aside."""
    counted: Counter[str] = Counter()
    code = re.sub(r"//.*|#include.*", lambda match: " " * len(match[0]), text)
    for start, end, new in sorted(_found(code)):
        line = text[text.rfind("\n", 0, start) + 1 : text.find("\n", end)]
        before = " ".join(text[start:end].split()) or text[start:end]
        name = f"{' '.join(line.rstrip(chr(92)).split())}: {before} -> {' '.join(new.split())}"
        counted[name] += 1
        again = f" #{counted[name]}" if counted[name] > 1 else ""
        yield Edit(name + again, start, end, new)


def _found(code: str) -> Iterator[tuple[int, int, str]]:
    for match in PATTERN.finditer(code):
        for new in TOKENS[match[0]]:
            yield match.start(), match.end(), new
    for match in NUMBER.finditer(code):
        yield match.start(), match.end(), str(int(match[1]) + 1)
    for match in NEGATIVE.finditer(code):
        yield match.start(), match.end(), " "
    for match in CHOICE.finditer(code):
        yield match.start(), match.end(), f"? {match[2]} : {match[1]}"
