"""The derivations that are read from the forwards of elementwise formulas give their gradients."""

from __future__ import annotations

import numpy as np
import pytest

from nnscratch.formulas import FORMULAS, Formula
from nnscratch.formulas.cases.lessons import lesson
from nnscratch.inspect.chain_rule import chain

CHAINS = {name: made for name, one in FORMULAS.items() if (made := chain(one)) is not None}


@pytest.mark.parametrize("name", CHAINS)
def test_the_chain_rule_gives_what_the_backward_gives(name: str) -> None:
    formula: Formula = FORMULAS[name]
    case = lesson(formula)
    inputs = [np.asarray(one) for one in case.build()]
    options = {**formula.pointwise.options, **case.options}
    Y, saved = formula.forward(*inputs, **case.options)
    dY = np.random.default_rng(0).normal(size=Y.shape)
    wanted = formula.backward(dY, saved, formula.differentiable)
    values = dict(zip(formula.inputs, inputs, strict=True)) | options
    with np.errstate(all="ignore"):
        found = CHAINS[name].gradients(values, dY)
    for one, expected in zip(formula.inputs, wanted, strict=True):
        if expected is not None:
            np.testing.assert_allclose(found[one], expected, rtol=1e-12, atol=1e-13, err_msg=one)
