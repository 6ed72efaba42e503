"""One file is all that an activation, a loss, an optimizer or a layer of your own needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]

ACTIVATION = '''
"""An activation of somebody's own."""

from nnscratch.array.maths import tanh, where
from nnscratch.formulas.pointwise import activation


def mish2_forward(X, *, slope: float = 0.25):
    """Compute X tanh X above 0, and ``slope`` times X below.

    Args:
        X: any shape, floating.
        slope: the slope below 0.
    """
    return where(X > 0, X * tanh(X), slope * X)


def mish2_backward(dY, X, *, slope):
    """Return dX = dY (tanh X + X (1 - tanh² X)) above 0, else slope · dY."""
    T = tanh(X)
    return where(X > 0, dY * (T + X * (1.0 - T * T)), slope * dY)


MISH2 = activation(
    mish2_forward,
    mish2_backward,
    module="Mish2",
    inplace=True,
    torch="nn.functional.mish",
    variants={"steep": {"slope": 2.0}},
    equation=r"Y = X \\tanh X [X > 0] + a X [X \\le 0]",
    slope=r"(\\tanh X + X (1 - \\tanh^2 X)) [X > 0] + a [X \\le 0]",
    source="nobody",
    kinks=(0.0,),
)
'''

FOUND = """
import copy
import inspect
import pickle

import formulas.contract as contract
import numpy as np
import own_mish
import parity
import pytest
import torch
from mutation.mutants import affected, mutants, plant
from mutation.operators import changes

import nnscratch
from nnscratch import nn, optim
from nnscratch.cli.settings import TrainingSettings
from nnscratch.formulas import FORMULAS, LINEAR_ACTIVATION, MISH2, registry
from nnscratch.formulas.cases import cases
from nnscratch.formulas.fused import FUSABLE
from nnscratch.inspect.equations import section
from nnscratch.train.mlp import ACTIVATIONS, MLP

# The function and the module.
x = nnscratch.tensor([-1.0, 0.5])
assert nn.functional.mish2(x, 2.0).tolist()[0] == -2.0
assert list(inspect.signature(nn.functional.mish2).parameters) == ["input", "slope", "inplace"]
assert repr(nn.Mish2(slope=0.5, inplace=True)) == "Mish2(slope=0.5, inplace=True)"
assert "slope below 0, 0.25 unless given" in nn.Mish2.__doc__
assert nn.Mish2 is type(pickle.loads(pickle.dumps(copy.deepcopy(nn.Mish2()))))
assert "Mish2" in dir(nn) and "mish2" in dir(nn.functional)
with pytest.raises(AttributeError, match="has no attribute 'Mish3'"):
    nn.Mish3

# Cases, and the contract of its own kernel and of the one joined with a linear layer.
assert {"steep", "a live slope", "on the kinks"} <= {case.name for case in cases("mish2")}
kernel = next(one for one in registry.implementations("mish2") if one.name == "numba")
for case in cases("mish2"):
    for dtype in ("float32", "float64"):
        contract.check(MISH2, case, dtype)
        contract.check(MISH2, case, dtype, implementation=kernel)
    if case.smooth and case.build()[0].size:
        contract.check_gradients(MISH2, case)
assert FUSABLE["mish2"] == (MISH2, ("slope",))
fused = [case for case in cases("linear_activation") if case.options["activation"] == "mish2"]
assert {case.options.get("alpha") for case in fused} == {None, 2.0}
(joined,) = [one for one in registry.implementations("linear_activation") if one.library == "numpy"]
for case in fused:
    contract.check(LINEAR_ACTIVATION, case, "float32", implementation=joined)

# A compiled step, the gradient checker, PyTorch's counterpart.
def trained(compiled):
    nnscratch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Mish2(), nn.Linear(4, 1))
    adam = optim.Adam(model.parameters())
    def step(X):
        adam.zero_grad()
        loss = model(X).square().mean()
        loss.backward()
        adam.step()
        return loss
    run = nnscratch.compile(step) if compiled else step
    return [run(nnscratch.ones(8, 3) * k).item() for k in range(1, 6)]
with registry.use_kernels("require"):
    assert trained(True) == trained(False)
assert nnscratch.gradcheck(nn.Mish2(), nnscratch.randn(4, 3, dtype="float64"))
assert parity.torch_functions()["mish2"] is torch.nn.functional.mish

# The command line's choice, the page of equations, the faults that can be planted.
assert ACTIVATIONS["mish2"] == "Mish2"
assert TrainingSettings(activation="mish2").activation == "mish2"
assert isinstance(MLP(2, (3,), 1, "mish2").build()[1], nn.Mish2)
assert "X tanh X above 0" in section(MISH2)
found = [one for one in mutants("own_mish") if one.backward]
assert len(found) > 10 and affected("own_mish") == ("mish2",)
planted = next(one for one in found if one.text.startswith("T + X"))
plant(planted)
case = next(case for case in cases("mish2") if case.name == "33 entries")
with registry.use_kernels("off"), pytest.raises(AssertionError):
    contract.check_gradients(MISH2, case)
print("found everywhere")
"""


LOSS = '''
"""A loss of somebody's own."""

from nnscratch.array.maths import exp, log1p
from nnscratch.formulas.loss_reduction import loss


def logistic2_forward(X, T, *, scale: float = 1.0):
    """Compute log(1 + e^(-T X)) times a scale.

    Args:
        X: scores.
        T: 1 or -1.
        scale: what it is multiplied by.
    """
    return scale * log1p(exp(-T * X))


def logistic2_backward(dL, X, T, scale):
    """Return dX = -T / (1 + e^(T X)), times the scale."""
    return dL * (-scale * T / (1.0 + exp(T * X)))


LOGISTIC2 = loss(
    logistic2_forward,
    {"X": logistic2_backward},
    module="Logistic2Loss",
    arguments=("input", "target", "scale", "size_average", "reduce", "reduction"),
    torch="nn.functional.soft_margin_loss",
    task="regression",
    variants={"larger": {"scale": 2.0}},
    domains={"T": "signs"},
    equation=r"s \\log(1 + e^{-T_i X_i})",
    gradients={"X": r"\\frac{-s T}{1 + e^{T X}}"},
    source="nobody",
)
'''

LOST = """
import copy
import inspect
import pickle

import formulas.contract as contract
import own_logistic
import parity
import pytest
import torch
from mutation.mutants import affected, mutants

import nnscratch
from nnscratch import nn
from nnscratch.cli.settings import TrainingSettings, task_losses
from nnscratch.formulas import LOGISTIC2
from nnscratch.formulas.cases import cases
from nnscratch.inspect.equations import section
from nnscratch.inspect.explaining import formula_of
from nnscratch.train.choices import LOSSES, make_loss
from nnscratch.verify.checkups.data_checks import names_of_losses

# The function and the module.
x, t = nnscratch.tensor([-1.0, 0.5]), nnscratch.tensor([1.0, -1.0])
one = nn.functional.logistic2_loss(x, t, 2.0, reduction="none")
assert one.tolist() == (2.0 * nn.functional.logistic2_loss(x, t, reduction="none")).tolist()
assert list(inspect.signature(nn.Logistic2Loss).parameters) == [
    "scale", "size_average", "reduce", "reduction"
]
assert repr(nn.Logistic2Loss(2.0, reduction="sum")) == "Logistic2Loss(scale=2.0, reduction='sum')"
assert "what it is multiplied by, 1.0 unless given" in nn.Logistic2Loss.__doc__
assert nn.Logistic2Loss is type(pickle.loads(pickle.dumps(copy.deepcopy(nn.Logistic2Loss()))))
assert "Logistic2Loss" in dir(nn) and "logistic2_loss" in dir(nn.functional)
with pytest.warns(UserWarning, match="write reduction='sum'"):
    assert nn.Logistic2Loss(size_average=False).reduction == "sum"
with pytest.raises(nnscratch.errors.ShapeError, match="by accident; reshape the target"):
    nn.Logistic2Loss()(x.reshape(2, 1), t)

# Cases, the contract, the gradient checker, PyTorch's counterpart.
assert {"larger, none", "a live scale, mean", "33 entries"} <= {c.name for c in cases("logistic2")}
for case in cases("logistic2"):
    contract.check(LOGISTIC2, case, "float32")
    if case.smooth:
        contract.check_gradients(LOGISTIC2, case)
assert parity.torch_functions()["logistic2"] is torch.nn.functional.soft_margin_loss
parity.check(nn.Logistic2Loss(), torch.nn.SoftMarginLoss(), [x.numpy(), t.numpy()], [True, False])

# The choices by name, the page of equations, the faults that can be planted.
assert LOSSES["logistic2"] == "Logistic2Loss" and "logistic2" in task_losses("regression")
assert isinstance(make_loss("logistic2"), nn.Logistic2Loss)
assert TrainingSettings(loss="logistic2").loss == "logistic2"
assert "logistic2_loss" in names_of_losses("regression")
assert formula_of(nn.Logistic2Loss) is formula_of(nn.functional.logistic2_loss) is LOGISTIC2
assert "times a scale" in section(LOGISTIC2)
assert len(list(mutants("own_logistic"))) > 10 and affected("own_logistic") == ("logistic2",)
print("found everywhere")
"""


OPTIMIZER = '''
"""An optimizer of somebody's own."""

from nnscratch.array.maths import sign
from nnscratch.formulas import formula
from nnscratch.optim import Optimizer


def lion_update(P, G, M, *, lr, beta1=0.9, beta2=0.99, weight_decay=0.0):
    """Return P and M after a step along the sign of a mean of the gradients."""
    S = sign(beta1 * M + (1.0 - beta1) * G)
    return P * (1.0 - lr * weight_decay) - lr * S, beta2 * M + (1.0 - beta2) * G


class Lion(Optimizer):
    """Steps by the sign of a mean of the gradients (Chen and others 2023)."""

    formula = formula(
        lion_update,
        equation=r"P \\leftarrow P - \\eta \\, \\mathrm{sign}(\\beta_1 M + (1 - \\beta_1) G)",
        shapes="P, G and M (any, the same) -> P, M",
        source="Chen and others 2023, arXiv:2302.06675",
        updates=("P", "M"),
        elementwise=True,
    )

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    def state_names(self, group):
        return ("exp_avg",)
'''

STEPPED = """
import own_lion
import pytest
from formulas import contract
from mutation.mutants import mutants

import nnscratch
from nnscratch import nn, optim
from nnscratch.cli.settings import TrainingSettings
from nnscratch.errors import ConfigurationError
from nnscratch.formulas import LION
from nnscratch.formulas.cases import cases
from nnscratch.inspect.equations import section
from nnscratch.kernels.cpu import IMPLEMENTATIONS
from nnscratch.train.choices import OPTIMIZERS, make_optimizer

assert optim.Lion is own_lion.Lion is OPTIMIZERS["lion"] and "Lion" in dir(optim)
assert TrainingSettings(optimizer="lion").optimizer == "lion"
assert make_optimizer("lion", nn.Linear(2, 1), lr=0.5).param_groups[0]["lr"] == 0.5
with pytest.raises(ConfigurationError, match="betas must be at least 0 and below 1"):
    optim.Lion([nnscratch.ones(2, requires_grad=True)], betas=(0.9, 1.5))
assert "along the sign" in section(LION) and len(list(mutants("own_lion"))) > 10
assert [case.options for case in cases("lion") if case.name == "decay"] == [
    {"lr": 0.01, "weight_decay": 0.1}
]
for case in cases("lion"):
    ran = contract.check(LION, case, "float32", "C", contract.NUMPY, IMPLEMENTATIONS["lion"])
    assert "numba" in [who for _, _, who in ran] or case.name.startswith("0 "), case.name

def trained(compiled, state=None):
    w = nnscratch.tensor([1.0, -2.0, 3.0], requires_grad=True)
    lion = optim.Lion([w], lr=0.1, weight_decay=0.1)
    if state:
        lion.load_state_dict(state)
    def step(x):
        lion.zero_grad()
        loss = (w * x).square().sum()
        loss.backward()
        lion.step()
        return loss
    run = nnscratch.compile(step) if compiled else step
    losses = [run(nnscratch.ones(3) * k).item() for k in range(1, 6)]
    return losses, w.tolist(), lion.state_dict()

eager, compiled = trained(False), trained(True)
assert eager[:2] == compiled[:2] and eager[0][0] > 0
assert list(eager[2]["state"][0]) == ["step", "exp_avg"]
again = [trained(way, eager[2])[2]["state"][0] for way in (False, True)]
assert again[0]["step"] == again[1]["step"] == 10
assert again[0]["exp_avg"].tolist() == again[1]["exp_avg"].tolist()
print("found everywhere")
"""


LAYER = '''
"""A layer of somebody's own: its formula, its cases and its module."""

from typing import Any

import nnscratch
from nnscratch import nn
from nnscratch.array import array_namespace
from nnscratch.formulas.case import Case, normal
from nnscratch.formulas.formula import formula
from nnscratch.formulas.saved import Saved


class ParabolaSaved(Saved):
    """What the backward needs."""

    X: Any
    W: Any


def parabola_forward(X, W, *, shift: float = 0.0):
    """Compute W X² and a shift, W for each of the last axis of X."""
    return W * X * X + shift, ParabolaSaved(X, W)


def parabola_backward(dY, saved, needs):
    """Return dX = 2 W X dY and dW = Σ X² dY."""
    X, W = saved
    xp = array_namespace(X)
    dX = 2.0 * W * X * dY if needs[0] else None
    return dX, xp.sum(X * X * dY, axis=tuple(range(X.ndim - 1))) if needs[1] else None


def parabola_cases():
    """Return what every implementation must be right at."""
    return [
        Case("a lesson", (normal(4, 3), normal(3)), {"shift": 1.0}, terms=4),
        Case("a picture", (normal(2, 3, 5), normal(5)), terms=6),
    ]


PARABOLA = formula(
    parabola_forward,
    parabola_backward,
    equation=r"Y = W X^2 + s",
    gradients={
        "X": r"2 W X \\frac{\\partial L}{\\partial Y}",
        "W": r"\\sum X^2 \\frac{\\partial L}{\\partial Y}",
    },
    shapes="X (..., n), W (n) -> Y (as X)",
    floats=("X", "W"),
    source="nobody",
    cases=parabola_cases,
)


class Parabola(nn.Module):
    """Computes w x² for weights w of the last axis."""

    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(nnscratch.ones(size))

    def forward(self, x):
        return nnscratch.tensors.apply(PARABOLA, x, self.weight)
'''

LAYERED = """
import formulas.contract as contract
import own_parabola
import pytest
from mutation.mutants import affected, mutants

import nnscratch
from nnscratch import nn, optim
from nnscratch.formulas import PARABOLA, registry
from nnscratch.formulas.case import Case
from nnscratch.formulas.cases import all_cases, cases
from nnscratch.formulas.cases.lessons import lesson
from nnscratch.inspect.equations import section

assert [case.name for case in cases("parabola")] == ["a lesson", "a picture"]
for case in cases("parabola"):
    for dtype in ("float32", "float64"):
        contract.check(PARABOLA, case, dtype)
    contract.check_gradients(PARABOLA, case)
assert lesson(PARABOLA).options == {"shift": 1.0}
assert "for each of the last axis" in section(PARABOLA)
assert len(list(mutants("own_parabola"))) > 5 and affected("own_parabola") == ("parabola",)

def trained(compiled):
    nnscratch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), own_parabola.Parabola(4), nn.Linear(4, 1))
    adam = optim.Adam(model.parameters())
    def step(X):
        adam.zero_grad()
        loss = model(X).square().mean()
        loss.backward()
        adam.step()
        return loss
    run = nnscratch.compile(step) if compiled else step
    return [run(nnscratch.ones(8, 3) * k).item() for k in range(1, 6)]
assert trained(True) == pytest.approx(trained(False), rel=1e-5)
layer = own_parabola.Parabola(3)
assert "parabola" in str(nnscratch.explain(layer, nnscratch.ones(2, 3)))
assert nnscratch.gradcheck(layer.double(), nnscratch.randn(4, 3, dtype="float64"))

twice = [*own_parabola.parabola_cases(), Case("a picture", ())]
object.__setattr__(PARABOLA, "cases", lambda: twice)
registry.FORMULAS["another"] = PARABOLA
with pytest.raises(ValueError, match="the cases of parabola are given twice: .'a picture'"):
    all_cases()
print("found everywhere")
"""


def looked(folder: Path, file: str, text: str, look: str) -> str:
    """Write one file, look for what it defines in another process, and return what that says."""
    (folder / file).write_text(text, encoding="utf-8")
    (folder / "look.py").write_text(look, encoding="utf-8")
    path = os.pathsep.join([str(folder), str(TESTS), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-W", "error", "look.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_an_activation_in_one_file_is_found_everywhere(tmp_path: Path) -> None:
    said = looked(tmp_path, "own_mish.py", ACTIVATION, FOUND)
    assert said == "found everywhere\n", said


def test_a_loss_in_one_file_is_found_everywhere(tmp_path: Path) -> None:
    said = looked(tmp_path, "own_logistic.py", LOSS, LOST)
    assert said == "found everywhere\n", said


def test_an_optimizer_in_one_file_is_found_everywhere(tmp_path: Path) -> None:
    said = looked(tmp_path, "own_lion.py", OPTIMIZER, STEPPED)
    assert said == "found everywhere\n", said


def test_a_layer_in_one_file_is_found_everywhere(tmp_path: Path) -> None:
    said = looked(tmp_path, "own_parabola.py", LAYER, LAYERED)
    assert said == "found everywhere\n", said
