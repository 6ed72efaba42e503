"""The texts of formulas as functions that need NumPy alone.

A formula's forward is written in the array API standard, which NumPy implements. What makes its
text part of this package is taken out here: the search for the array library, annotations, what is
saved for the backward, branches for recorded tensors, and statements that only check. Functions,
classes and constants that it names follow, each once. Comments and equations stay as they are.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
import textwrap
import types
from collections.abc import Callable
from typing import Any

from nnscratch.errors import ConfigurationError
from nnscratch.formulas import Formula
from nnscratch.formulas.saved import Saved
from nnscratch.interop.standalone.edits import Edits, pruned
from nnscratch.interop.standalone.words import CLASSES, LEFT_OUT, PASSED, REPLACED, WORDS

_OURS = ("nnscratch",)
_OF_THE_PROGRAM = (
    *("forward", "weights", "predict", "scores", "continued", "main", "base64", "io", "sys"),
    *("CLASSES", "COLUMNS", "CHARACTERS", "BLOCK", "_loaded", "_NAMES", "_WEIGHTS"),
)
"""What a program has names for itself."""
_IMPORTABLE = ("csv", "functools", "itertools", "math", "operator", "re")
TAKEN = frozenset({"np", *_IMPORTABLE, *_OF_THE_PROGRAM})
"""Names that no formula, and no input of a program, may have."""


class Texts:
    """Collects the texts of formulas, and of all that they need.

    >>> from nnscratch.formulas import SILU
    >>> texts = Texts()
    >>> texts.formula(SILU)
    'silu'
    >>> list(texts.found)
    ['silu', 'logistic']
    """

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        """The text of each function by its name, callers first."""
        self.first: dict[str, str] = {}
        """The texts of constants and classes, in an order in which they can be made."""
        self.imports: set[str] = set()
        """The modules of Python's library that they need."""
        self._names: dict[Any, str] = {}
        self._taken: set[str] = {*TAKEN, *dir(builtins)}

    def formula(self, formula: Formula) -> str:
        """Add a formula's forward, which returns its output alone, and return its name.

        Raises:
            ConfigurationError: if its text needs something that cannot be written down.
        """
        forward = inspect.unwrap(formula.forward)
        return self._function(forward, formula.name, formula.pointwise is None)

    def function(self, function: Callable[..., Any]) -> str:
        """Add a function that needs NumPy alone, and return its name."""
        return self._function(function, function.__name__, False)

    def of_class(self, kind: type) -> str:
        """Add a class and return its name."""
        return self._class(kind)

    def _named(self, key: Any, wanted: str, module: str) -> str:
        family = module.rpartition(".")[2]
        for name in (wanted, f"{wanted.rstrip('_')}_of_{family}", f"{wanted}_{len(self._names)}"):
            if name not in self._taken:
                self._taken.add(name)
                self._names[key] = name
                return name
        raise AssertionError(wanted)  # the last name has a number that no other has

    def _function(self, function: Callable[..., Any], wanted: str, alone: bool) -> str:
        """Add a function; ``alone`` where it is a forward that leaves out what it saves."""
        key = (function, alone)
        if key in self._names:
            return self._names[key]
        replaced = REPLACED.get(function)
        name = self._named(key, wanted, function.__module__)
        self.found[name] = ""  # its place, before what it needs
        if replaced is not None:
            self.found[name] = replaced.replace(f"def {function.__name__}(", f"def {name}(")
            return name
        text = textwrap.dedent(inspect.getsource(function))
        tree = ast.parse(text).body[0]
        assert isinstance(tree, ast.FunctionDef)
        edits = Edits(text)
        edits.name(tree, name)
        self._edit(tree, edits, function.__globals__, alone)
        self.found[name] = edits.text()
        return name

    def _class(self, kind: type) -> str:
        if kind in self._names:
            return self._names[kind]
        name = self._named(kind, kind.__name__, kind.__module__)
        text = textwrap.dedent(inspect.getsource(kind))
        tree = ast.parse(text).body[0]
        assert isinstance(tree, ast.ClassDef)
        scope = vars(sys.modules[kind.__module__])
        edits = Edits(text)
        edits.name(tree, name)
        edits.docstring(tree)
        for place in (*tree.bases, *tree.decorator_list):
            self._refer(place, edits, scope, frozenset())
        for statement in tree.body:
            if isinstance(statement, ast.FunctionDef):
                if statement.name in LEFT_OUT:
                    edits.without(statement)
                    continue
                for decorator in statement.decorator_list:
                    self._refer(decorator, edits, scope, frozenset())
                self._edit(statement, edits, scope, False)
            elif isinstance(statement, ast.AnnAssign):
                edits.put(statement.annotation, "object")
        self.first[name] = edits.text()
        return name

    def _constant(self, module: str, wanted: str) -> str:
        """Add the statement of a module that gives a name its value."""
        key = (module, wanted)
        if key in self._names:
            return self._names[key]
        source = inspect.getsource(sys.modules[module])
        for statement in ast.parse(source).body:
            if not isinstance(statement, (ast.Assign, ast.AnnAssign)):
                continue
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            listed = [n.id for one in targets for n in ast.walk(one) if isinstance(n, ast.Name)]
            if wanted in listed and statement.value is not None:
                # Of several that are set at once each has its value: few, and numbers.
                name = self._named(key, wanted, module)
                if len(listed) > 1:
                    self.first[name] = f"{name} = {vars(sys.modules[module])[wanted]!r}"
                    return name
                text = ast.get_source_segment(source, statement.value) or ""
                edits = Edits(text)
                tree = ast.parse(text, mode="eval").body
                self._refer(tree, edits, vars(sys.modules[module]), frozenset())
                self.first[name] = f"{name} = {edits.text()}"
                return name
        raise ConfigurationError(f"{module}: {wanted} is no constant that can be written down")

    def _edit(
        self, tree: ast.FunctionDef, edits: Edits, scope: dict[str, Any], alone: bool
    ) -> None:
        pruned(tree, edits, scope, alone)
        known = {a.arg for a in ast.walk(tree.args) if isinstance(a, ast.arg)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                known.add(node.id)
            elif isinstance(node, (ast.FunctionDef, ast.Lambda)) and node is not tree:
                known |= {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)}
        for default in (*tree.args.defaults, *tree.args.kw_defaults):
            if default is not None:
                self._refer(default, edits, scope, frozenset())
        for statement in tree.body:
            self._refer(statement, edits, scope, frozenset(known))

    def _refer(
        self, node: ast.AST, edits: Edits, scope: dict[str, Any], known: frozenset[str]
    ) -> None:
        """Replace what a text names by what it is called here, and add it."""
        if edits.gone(node):
            return
        if isinstance(node, ast.Call):
            passed = PASSED.get(_resolved(node.func, scope, known))
            if passed is not None:
                edits.only(node, node.args[passed])
                self._refer(node.args[passed], edits, scope, known)
                return
            edits.without_device(node)
        found = _resolved(node, scope, known)
        if found is not None and isinstance(node, (ast.Name, ast.Attribute)):
            new = self._called(found, node, scope)
            if new is not None:
                edits.put(node, new)
                return
        for child in ast.iter_child_nodes(node):
            self._refer(child, edits, scope, known)

    def _called(self, found: Any, node: ast.Name | ast.Attribute, scope: dict[str, Any]) -> Any:
        """Return what something is called in the file; None for what keeps its name."""
        try:
            if found in WORDS:
                return WORDS[found]
        except TypeError:
            pass
        module = str(getattr(found, "__module__", ""))
        if isinstance(found, types.ModuleType):
            if found.__name__ in _IMPORTABLE:
                self.imports.add(f"import {found.__name__}")
            return None
        if found is Saved:
            # Python's own kind of such tuples, which is the same to use.
            self.imports.add("from typing import NamedTuple")
            return "NamedTuple"
        if isinstance(found, type):
            for kind, name in CLASSES.items():
                if issubclass(found, kind):
                    return name
            return self._class(found) if module.startswith(_OURS) else self._library(found)
        if isinstance(found, types.FunctionType):
            function = inspect.unwrap(found)
            if module.startswith(_OURS):
                return self._function(function, function.__name__, False)
            return self._library(found)
        if isinstance(found, Formula):
            raise ConfigurationError(f"{found!r} is called inside of another formula's text")
        if isinstance(node, ast.Name) and hasattr(builtins, node.id):
            return None
        if isinstance(node, ast.Attribute):
            return None
        owner = _owner(scope, node.id)
        return self._constant(owner, node.id)

    def _library(self, found: Any) -> str | None:
        module, name = str(found.__module__), str(found.__name__)
        if module in ("typing", "dataclasses", *_IMPORTABLE):
            self.imports.add(f"from {module} import {name}")
        return None


def _resolved(node: ast.AST, scope: dict[str, Any], known: frozenset[str]) -> Any:
    """Return what a name, or a name in a module, stands for; None for all that is computed."""
    if isinstance(node, ast.Name):
        return None if node.id in known else scope.get(node.id)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        owner = None if node.value.id in known else scope.get(node.value.id)
        if isinstance(owner, types.ModuleType) and owner.__name__.startswith(_OURS):
            return getattr(owner, node.attr)
    return None


def _owner(scope: dict[str, Any], name: str) -> str:
    """Return the module in which a constant is written, which may be another one's."""
    own = str(scope["__name__"])
    for statement in ast.parse(inspect.getsource(sys.modules[own])).body:
        if not isinstance(statement, ast.ImportFrom) or not statement.module:
            continue
        if any((one.asname or one.name) == name for one in statement.names):
            return _owner(vars(sys.modules[statement.module]), name)
    return own
