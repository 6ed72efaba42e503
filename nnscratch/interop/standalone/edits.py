"""Changes to a text of Python at the places of its syntax tree, so that comments stay."""

from __future__ import annotations

import ast
import types
from typing import Any

from nnscratch.array import array_namespace, is_recorded

_SECTIONS = ("Args:", "Returns:", "Raises:", ">>>", "Attributes:")


class Edits:
    """Replacements of parts of a text, which are made all at once.

    >>> tree = ast.parse("a = b + c")
    >>> edits = Edits("a = b + c")
    >>> edits.put(tree.body[0].value.left, "2")
    >>> edits.text()
    'a = 2 + c'
    """

    def __init__(self, text: str) -> None:
        self._bytes = text.encode()
        self._starts = [0]
        for line in self._bytes.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._made: list[tuple[int, int, bytes]] = []

    def _span(self, node: Any) -> tuple[int, int]:
        start = self._starts[node.lineno - 1] + node.col_offset
        return start, self._starts[node.end_lineno - 1] + node.end_col_offset

    def _replace(self, start: int, end: int, text: str) -> None:
        self._made.append((start, end, text.encode()))

    def text(self) -> str:
        """Return the text with all changes; of two in one place the larger one counts."""
        made, at = [], 0
        for start, end, new in sorted(self._made, key=lambda one: (one[0], -one[1])):
            if start >= at:
                made += [self._bytes[at:start], new]
                at = end
        made.append(self._bytes[at:])
        lines = [line.rstrip() for line in b"".join(made).decode().strip("\n").split("\n")]
        kept = [line for n, line in enumerate(lines) if line or (n and lines[n - 1])]
        return "\n".join(kept)

    def gone(self, node: ast.AST) -> bool:
        """Say whether a node lies in a part that is replaced."""
        if not hasattr(node, "lineno"):
            return False
        start, end = self._span(node)
        return any(a <= start and end <= b and a < b for a, b, _ in self._made)

    def put(self, node: ast.AST, text: str) -> None:
        """Replace a node."""
        self._replace(*self._span(node), text)

    def only(self, node: ast.AST, inner: ast.AST) -> None:
        """Keep of a node one that it contains."""
        (start, end), (first, last) = self._span(node), self._span(inner)
        self._replace(start, first, "")
        self._replace(last, end, "")

    def lines_of(self, node: Any) -> tuple[int, int]:
        """Return where the whole lines of a statement begin and end."""
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        return self._starts[first - 1], self._starts[min(node.end_lineno, len(self._starts) - 1)]

    def without(self, statement: ast.stmt, instead: str = "") -> None:
        """Take out the lines of a statement."""
        start, end = self.lines_of(statement)
        line = f"{' ' * statement.col_offset}{instead}\n" if instead else ""
        self._replace(start, end, line)

    def dedented(self, body: list[ast.stmt]) -> None:
        """Move the lines of a block one level out."""
        for number in range(body[0].lineno, (body[-1].end_lineno or 0) + 1):
            start = self._starts[number - 1]
            if self._bytes[start : start + 4] == b"    ":
                self._replace(start, start + 4, "")

    def heading(self, statement: ast.If) -> None:
        """Take out the lines of an ``if`` before its block."""
        start = self.lines_of(statement)[0]
        self._replace(start, self._starts[statement.body[0].lineno - 1], "")

    def after(self, statement: ast.If) -> None:
        """Take out what stands behind the block of an ``if``: its ``else``."""
        end = self._starts[statement.body[-1].end_lineno or 0]
        self._replace(end, self.lines_of(statement)[1], "")

    def name(self, tree: ast.FunctionDef | ast.ClassDef, new: str) -> None:
        """Rename a function or a class."""
        start = self._span(tree)[0] + (4 if isinstance(tree, ast.FunctionDef) else 6)
        self._replace(start, start + len(tree.name.encode()), new)

    def docstring(self, tree: ast.FunctionDef | ast.ClassDef) -> None:
        """Leave of a docstring what stands before its sections."""
        first = tree.body[0]
        if not (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)):
            return
        start, end = self._span(first)
        written = self._bytes[start:end].decode()
        cut = min([at for one in _SECTIONS if (at := written.find(one)) > 0], default=len(written))
        if cut < len(written):
            kept = written[:cut].rstrip()
            close = f'\n{" " * first.col_offset}"""' if "\n" in kept else '"""'
            self._replace(start, end, kept + close)

    def without_annotations(self, tree: ast.FunctionDef) -> None:
        """Take out the types of arguments and of the result."""
        places = [*tree.args.posonlyargs, *tree.args.args]
        defaults: dict[ast.arg, Any] = dict(
            zip(places[len(places) - len(tree.args.defaults) :], tree.args.defaults, strict=True)
        )
        defaults |= dict(zip(tree.args.kwonlyargs, tree.args.kw_defaults, strict=True))
        for one in ast.walk(tree.args):
            if isinstance(one, ast.arg) and one.annotation is not None:
                start = self._span(one)[0] + len(one.arg.encode())
                self._replace(start, self._span(one.annotation)[1], "")
                if defaults.get(one) is not None:
                    # x: Any = 1 becomes x=1.
                    end = self._span(one.annotation)[1]
                    self._replace(end, self._span(defaults[one])[0], "=")
        if tree.returns is not None:
            start, end = self._span(tree.returns)
            arrow = self._bytes.rindex(b" -> ", 0, start)
            self._replace(arrow, end, "")
        for node in ast.walk(tree):
            if isinstance(node, ast.AnnAssign) and node.value is not None:
                self._replace(self._span(node.target)[1], self._span(node.annotation)[1], "")

    def without_device(self, call: ast.Call) -> None:
        """Take the argument ``device`` out of a call."""
        before: ast.AST = call.args[-1] if call.args else call.func
        for keyword in call.keywords:
            if keyword.arg == "device" and before is not call.func:
                self._replace(self._span(before)[1], self._span(keyword)[1], "")
            before = keyword


def pruned(tree: ast.FunctionDef, edits: Edits, scope: dict[str, Any], alone: bool) -> None:
    """Take out of a function what has no meaning for arrays of NumPy, and what only checks.

    Args:
        tree: the function; changed, too.
        edits: of its text.
        scope: the names of its module.
        alone: whether it returns a pair of which the first is kept.
    """
    edits.docstring(tree)
    edits.without_annotations(tree)
    _Pruner(edits, scope, alone).function(tree)


class _Pruner:
    def __init__(self, edits: Edits, scope: dict[str, Any], alone: bool) -> None:
        self.edits, self.scope, self.alone = edits, scope, alone
        self.spaces: set[str] = set()

    def function(self, tree: ast.FunctionDef) -> None:
        tree.body = self.block(tree.body)
        while self._unused(tree):
            pass
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id in self.spaces:
                self.edits.put(node, "np")
            elif isinstance(node, ast.Call) and self._calls(node, array_namespace):
                self.edits.put(node, "np")
            elif isinstance(node, ast.Call) and self._calls(node, is_recorded):
                self.edits.put(node, "False")
            elif isinstance(node, ast.IfExp) and (truth := self._truth(node.test)) is not None:
                self.edits.only(node, node.body if truth else node.orelse)

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        kept: list[ast.stmt] = []
        for place, statement in enumerate(body):
            if self._checks(statement) or self._finds_space(statement):
                self.edits.without(statement, "" if len(body) > 1 else "pass")
                continue
            truth = self._truth(statement.test) if isinstance(statement, ast.If) else None
            if isinstance(statement, ast.If) and truth is False and not statement.orelse:
                self.edits.without(statement, "" if len(body) > 1 else "pass")
            elif isinstance(statement, ast.If) and truth is True:
                self.edits.heading(statement)
                self.edits.after(statement)
                self.edits.dedented(statement.body)
                kept += self.block(statement.body)
                if isinstance(kept[-1], ast.Return):
                    for rest in body[place + 1 :]:
                        self.edits.without(rest)
                    return kept
            else:
                for name in ("body", "orelse", "finalbody"):
                    inner = getattr(statement, name, None)
                    if inner and not isinstance(statement, ast.FunctionDef):
                        setattr(statement, name, self.block(inner))
                if isinstance(statement, ast.Return) and self.alone:
                    self._first_of(statement)
                kept.append(statement)
        return kept

    def _first_of(self, statement: ast.Return) -> None:
        """Return of a pair, (output, what is saved), the output alone."""
        pair = statement.value
        assert pair is not None
        if isinstance(pair, ast.Tuple):
            self.edits.only(pair, pair.elts[0])
            statement.value = pair.elts[0]
        else:
            end = self.edits._span(pair)[1]
            self.edits._replace(end, end, "[0]")

    def _unused(self, tree: ast.FunctionDef) -> bool:
        """Take out one assignment whose result nobody reads; say whether there was one."""
        read = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and _loads(n)}
        for node in ast.walk(tree):
            for name in ("body", "orelse"):
                body = getattr(node, name, None)
                if not isinstance(body, list) or len(body) < 2:
                    continue
                for statement in body:
                    if isinstance(statement, ast.Assign) and all(
                        isinstance(one, ast.Name) and one.id not in read
                        for one in statement.targets
                    ):
                        self.edits.without(statement)
                        body.remove(statement)
                        return True
        return False

    def _checks(self, statement: ast.stmt) -> bool:
        """Say whether a statement calls a function and leaves its result: it only checks."""
        call = statement.value if isinstance(statement, ast.Expr) else None
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            return False
        return isinstance(self.scope.get(call.func.id), types.FunctionType)

    def _finds_space(self, statement: ast.stmt) -> bool:
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            return False
        target, value = statement.targets[0], statement.value
        if isinstance(target, ast.Name) and self._calls(value, array_namespace):
            self.spaces.add(target.id)
            return True
        return False

    def _calls(self, node: ast.AST, function: Any) -> bool:
        name = node.func if isinstance(node, ast.Call) else None
        return isinstance(name, ast.Name) and self.scope.get(name.id) is function

    def _truth(self, test: ast.AST) -> bool | None:
        """Return what a condition is for arrays of NumPy, None where it depends."""
        if self._calls(test, is_recorded):
            return False
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            inner = self._truth(test.operand)
            return None if inner is None else not inner
        if isinstance(test, ast.BoolOp):
            known = [self._truth(one) for one in test.values]
            settles = isinstance(test.op, ast.Or)
            return settles if settles in known else None
        return None


def _loads(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)
