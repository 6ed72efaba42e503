"""Derivations can be read and end in the gradients; the texts of kernels are those of the files."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnscratch import optim  # noqa: F401 - its formulas have pages too
from nnscratch.formulas import FORMULAS, Formula
from nnscratch.inspect.derivations import derivation, numbered
from nnscratch.inspect.equations import families
from nnscratch.inspect.formula_page import formula_page
from nnscratch.inspect.kernel_texts import cuda_texts, numba_texts
from nnscratch.inspect.locate import gradients_of
from nnscratch.inspect.mathml import unread

ROOT = Path(__file__).parents[2]
OWN = [formula for family in families().values() for formula in family]
UPDATES = """
adam sgd adadelta adafactor adagrad adamax asgd muon nadam radam rmsprop rprop sparse_adam
clip_by_value squared_norm scale_by_norm embedding_renorm running_statistics
"""
AT_KINKS = [
    ("hinge_embedding", ([0.5], [-1.0]), {"margin": 0.5}),
    ("margin_ranking", ([1.0], [0.5], [1.0]), {"margin": 0.5}),
    ("cosine_embedding", ([1.0, 0.0], [0.0, 1.0], -1.0), {"margin": 0.0}),
    ("multi_margin", ([1.0, 0.0], 0), {"margin": 1.0}),
    ("multilabel_margin", ([1.0, 0.0], [0, -1]), {}),
]
"""Losses, and inputs at which they have a kink."""


@pytest.mark.parametrize(
    "formula", [one for one in OWN if one.backward is not None], ids=lambda formula: formula.name
)
def test_every_gradient_is_derived(formula: Formula) -> None:
    steps = derivation(formula)
    assert len(steps) >= 2
    assert all(equation in steps[-1] for equation in gradients_of(formula).values())
    assert "The derivation\n\n1. " in formula_page(formula)


@pytest.mark.parametrize("name", UPDATES.split())
def test_where_an_update_comes_from_is_said(name: str) -> None:
    assert len(derivation(FORMULAS[name])) >= 2


@pytest.mark.parametrize("formula", OWN, ids=lambda formula: formula.name)
def test_every_step_can_be_read(formula: Formula) -> None:
    for step in derivation(formula):
        shown = step.split("$$")
        assert len(shown) % 2 == 1, step
        inline = [part.split("$") for part in shown[::2]]
        assert all(len(one) % 2 == 1 for one in inline), step
        equations = [*shown[1::2], *(one for parts in inline for one in parts[1::2])]
        assert all(one.strip() for one in equations), step
        assert [unread(one) for one in equations] == [[]] * len(equations), step
        assert all(one.count("{") == one.count("}") for one in equations), step
        assert not any("\\" in part for parts in inline for part in parts[::2]), step


@pytest.mark.parametrize(("name", "inputs", "options"), AT_KINKS)
def test_an_equation_says_which_side_of_a_kink_the_code_takes(
    name: str, inputs: tuple[Any, ...], options: dict[str, float]
) -> None:
    formula = FORMULAS[name]
    arrays = [np.asarray(one) for one in inputs]
    _, saved = formula.forward(*arrays, **options)
    needs = (True, *[False] * (len(formula.inputs) - 1))
    dX = formula.backward(np.ones(()), saved, needs)[0]
    said = formula.gradients[formula.inputs[0]]
    assert bool(re.search(r"\\[lg]e\b", said)) == bool(np.any(dX != 0))


def test_where_there_is_no_derivation_the_page_says_so() -> None:
    bare = replace(FORMULAS["svd"], derivation=())
    assert "No derivation is written" in formula_page(bare)
    assert "The derivation" not in formula_page(FORMULAS["argmax"])


def test_a_function_without_a_slope_has_the_slope_0() -> None:
    steps = derivation(replace(FORMULAS["floor_divide"], derivation=()))
    slopes = [rf"\frac{{\partial Y}}{{\partial {name}}} = 0" for name in "AB"]
    assert all(slope in steps[0] for slope in slopes)


def test_steps_are_numbered_and_their_equations_stand_in_them() -> None:
    text = numbered(["So $x$: $$a \\\\ b$$ and more.", "Then."])
    assert text == "1. So $x$:\n\n   $$\n   a \\\\ b\n   $$\n\n   and more.\n\n2. Then."


@pytest.mark.parametrize("formula", OWN, ids=lambda formula: formula.name)
def test_the_lines_of_kernels_are_those_of_their_files(formula: Formula) -> None:
    for one in (*numba_texts(formula), *cuda_texts(formula)):
        assert one.file or one.text
        if one.file:
            lines = (ROOT / one.file).read_text(encoding="utf-8").splitlines(keepends=True)
            count = one.text.count("\n")
            assert "".join(lines[one.first - 1 : one.first - 1 + count]) == one.text


@pytest.mark.parametrize(
    ("name", "numba", "cuda"),
    [
        ("softmax", ["def softmax(", "def softmax_backward("], ["KERNEL softmax("]),
        ("linear", ["def bias_activation("], ["KERNEL "]),
        ("mse", ["def loss_backward("], ["DO(MSE, mse)", "KERNEL loss_backward_##NAME("]),
        ("adam", ["word_sqrt", "y0[j]"], ["KERNEL adam("]),
        ("silu", ["def nnscratch_formulas_sigmoids__silu_backward("], ["KERNEL silu_backward_X("]),
        ("erf", [], []),
    ],
)
def test_the_kernels_of_a_formula_are_found(name: str, numba: list[str], cuda: list[str]) -> None:
    for wanted, found in ((numba, numba_texts), (cuda, cuda_texts)):
        text = "\n".join(one.text for one in found(FORMULAS[name]))
        assert bool(text) == bool(wanted)
        assert all(one in text for one in wanted), text
    page = formula_page(FORMULAS[name])
    assert re.search(r"\{code-block\} python\n:lineno-start: \d+", page)


def test_an_index_stands_on_both_sides() -> None:
    """The gradient of an entry i is called that of the entry, and a whole array's has no index."""
    left = {
        name: gradients_of(FORMULAS[name])[key].split(" = ")[0].split("partial ")[-1]
        for name, key in {
            "softmax": "X", "log_softmax": "X", "logsumexp": "X", "max": "A", "convolution": "b",
            "rnn": "X", "tanh": "X", "linear": "b", "embedding_bag": "W",
        }.items()
    }  # fmt: skip
    assert left == {
        "softmax": "X_i}", "log_softmax": "X_i}", "logsumexp": "X_i}", "max": "A_i}",
        "convolution": "b_o}", "rnn": "X_t}", "tanh": "X}", "linear": "b}", "embedding_bag": "W_i}",
    }  # fmt: skip
