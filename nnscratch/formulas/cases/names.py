"""The names of a formula's arrays: those of its equations, whether it saves them or not."""

from __future__ import annotations

import collections
import inspect
import re
from functools import cached_property
from typing import Any

import numpy as np

from nnscratch.array import is_array
from nnscratch.formulas.cases.lessons import lesson
from nnscratch.formulas.formula import Formula


class Names:
    """The names that a learner's backward of a formula may use.

    Attributes:
        formula: the formula.
        outputs: the names of its outputs.
        upstream: the names of their gradients; that of a single output is ``dY`` too.
        others: inputs, outputs, options and what the formula saves.
    """

    def __init__(self, formula: Formula) -> None:
        self.formula = formula
        self.outputs = formula.outputs or (output_symbol(formula),)
        self.upstream = tuple(f"d{name}" for name in self.outputs)
        # What is saved of an output in another shape is not what the page calls so.
        self._fields = {field: f"saved_{field}" if other else field
                        for field, other in self._saved_fields().items()}  # fmt: skip
        plain = [name for name in self._fields.values() if not name.startswith("saved_")]
        known = [*formula.inputs, *self.outputs, *plain, *formula.options]
        self.others = tuple(dict.fromkeys(known))
        hidden = [name for name in self._fields.values() if name not in plain]
        parameters = inspect.signature(formula.forward).parameters
        self._defaults = {name: parameters[name].default for name in formula.options}
        make: Any = collections.namedtuple
        self._kept = make("Kept", ("saved_as", *self.others, *hidden))

    def _saved_fields(self) -> dict[str, bool]:
        """Return what the formula saves, and of what it is an output in another shape."""
        case = lesson(self.formula)
        Y, saved = self.formula.forward(*case.build(), **case.options)
        made = dict(zip(self.outputs, Y if self.formula.outputs else (Y,), strict=False))
        return {
            field: field in made and np.shape(made[field]) != np.shape(getattr(saved, field))
            for field in getattr(saved, "_fields", ())
        }

    @property
    def known(self) -> tuple[str, ...]:
        """Every name, in the order in which the page shows them."""
        return tuple(dict.fromkeys([*self.upstream, *self.others]))

    def forward(self, *inputs: Any, **options: Any) -> tuple[Any, Any]:
        """Run the formula's forward, and save all that has a name."""
        Y, saved = self.formula.forward(*inputs, **options)
        several = len(self.outputs) > 1
        named = {**self._defaults, **options}
        named |= {self.formula.inputs[0]: inputs} if self.formula.variadic else {}
        if not self.formula.variadic:
            none = [None] * (len(self.formula.inputs) - len(inputs))
            named |= dict(zip(self.formula.inputs, [*inputs, *none], strict=True))
        named |= dict(zip(self.outputs, Y, strict=True)) if several else {self.outputs[0]: Y}
        named |= {name: getattr(saved, field) for field, name in self._fields.items()}
        return Y, self._kept(saved_as=type(saved), **named)

    def own(self, kept: Any) -> Any:
        """Return what the formula itself saved."""
        rebuild = getattr(kept.saved_as, "_make", tuple)
        return rebuild(getattr(kept, name) for name in self._fields.values())

    def gradients(self, dY: Any, kept: Any) -> dict[str, Any]:
        """Return the gradients of the outputs by their names, 0 where nobody gave one."""
        if not self.formula.outputs:
            return dict.fromkeys(self.upstream, dY)
        if len(self.outputs) == 1:
            return {self.upstream[0]: dY}
        return {
            name: np.zeros_like(Y) if one is None and is_array(Y) and Y.dtype.kind == "f" else one
            for name, one, Y in zip(
                self.upstream, dY, [getattr(kept, name) for name in self.outputs], strict=True
            )
        }

    @cached_property
    def words(self) -> str:
        """The names in words."""
        return ", ".join(self.known)


def output_symbol(formula: Formula) -> str:
    """Return the letter of a formula's only output in its equation.

    >>> from nnscratch.formulas import LINEAR, TANH
    >>> output_symbol(LINEAR), output_symbol(TANH)
    ('Z', 'Y')
    """
    for letter in ("Y", "L", "Z"):
        if re.search(rf"(?<![\\A-Za-z]){letter}(_\w|_\{{.*?\}}|\[i\])? =", formula.equation):
            return letter
    return "Y"
