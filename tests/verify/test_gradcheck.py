"""The gradient checker: right gradients pass, planted faults are found and named."""

from __future__ import annotations

import json
from typing import Any

import array_api_strict
import numpy as np
import pytest
from verify.planted import FAULTS, RIGHT, W, X

import nnscratch
from nnscratch import nn
from nnscratch.errors import ConfigurationError, GradientError
from nnscratch.formulas import FORMULAS
from nnscratch.formulas.cases import cases
from nnscratch.verify.gradients.checking import GradcheckError, assert_gradients, gradcheck
from nnscratch.verify.gradients.elements import Verdict

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_right_gradients_are_right(name: str, dtype: str) -> None:
    pair, inputs = RIGHT[name]
    if name != "float16":
        inputs = [x.astype(dtype) for x in inputs]
    assert_gradients(pair, inputs)


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_planted_faults_are_found_and_named(name: str, dtype: str) -> None:
    pair, inputs, words = FAULTS[name]
    if name == "other dtype":
        dtype = "float64"
    report = gradcheck(pair, [np.asarray(x, dtype=dtype) for x in inputs])
    assert report.verdict is Verdict.WRONG, report
    assert words in " | ".join(report.faults), report


def formula_cases() -> list[Any]:
    found = []
    for name, formula in FORMULAS.items():
        if formula.backward is None:
            continue
        smooth = [c for c in cases(name) if c.smooth]
        small = [c for c in smooth if 0 < max(map(np.size, c.build()), default=0) <= 40]
        found += [pytest.param(name, c, id=f"{name}-{c.name}") for c in (small or smooth)[-3:]]
    return found


@pytest.mark.parametrize(("name", "case"), formula_cases())
def test_every_formula(name: str, case: Any) -> None:
    for dtype in ("float64", "float32"):
        values = [
            v.astype(dtype) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v
            for v in case.build()
        ]
        if not any(isinstance(v, np.ndarray) and v.dtype.kind == "f" for v in values):
            return
        if any(isinstance(v, np.ndarray) and np.isnan(v).any() for v in values):
            return
        assert_gradients(name, values, options=dict(case.options))


def sparse(dY: Any, x: Any) -> Any:
    gradient = 2 * x * dY / x.size
    gradient[123, 45] *= 1.1
    return gradient


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_one_fault_among_many_elements_is_found_by_bisection(dtype: str) -> None:
    big = RNG.normal(size=(200, 150)).astype(dtype)
    report = gradcheck((lambda x: np.mean(x**2), sparse), [big])
    tensor = report.tensors[0]
    assert report.verdict is Verdict.WRONG
    assert [e.index for e in tensor.wrong] == [(123, 45)]
    assert tensor.probes
    assert tensor.block is not None
    assert tensor.block[0] <= 123 * 150 + 45 <= tensor.block[1]
    right = (lambda x: np.mean(x**2), lambda d, x: 2 * x * d / x.size)
    assert gradcheck(right, [big])


def test_kinks_are_told_apart_from_faults() -> None:
    report = gradcheck("relu", [np.array([-1.0, 0.0, 2.0])])
    assert report
    (kink,) = report.tensors[0].kinks
    assert kink.index == (1,)
    assert sorted(abs(s) for s in kink.sides or ())[0] < 1e-9
    assert "kink at [1]" in report.text()


def test_a_forward_that_changes_cannot_be_judged() -> None:
    rng = np.random.default_rng(0)
    report = gradcheck((lambda x: x * rng.normal(), lambda d, x: d * 1.0), [X])
    assert report.verdict is Verdict.CANNOT_TELL
    assert "not deterministic" in [f.kind for f in report.findings]


def test_a_lost_precision_cannot_be_judged() -> None:
    """Of the inputs only three digits are left: no derivative can be measured."""
    report = gradcheck((lambda x: (x + 1e13) - 1e13, lambda d, x: d * 1.0), [X])
    assert report.verdict is Verdict.CANNOT_TELL


def test_a_rounding_inside_is_told_from_a_fault() -> None:
    """The function rounds to float32: the steps adapt, and the fault is still seen."""

    def forward(x: Any) -> Any:
        return np.sin(x.astype(np.float32)).astype(np.float64)

    assert gradcheck((forward, lambda d, x: d * np.cos(x)), [X], resolution=1e-2)
    wrong = gradcheck((forward, lambda d, x: d * np.cos(x) * 1.2), [X], resolution=1e-2)
    assert wrong.verdict is Verdict.WRONG


@pytest.mark.parametrize("method", ["complex", "five-point", "central"])
def test_methods_agree(method: str) -> None:
    report = assert_gradients("tanh", [X], method=method)
    assert report.tensors[0].method == method


def test_a_complex_step_that_is_dropped_is_noticed() -> None:
    report = gradcheck((np.abs, lambda d, x: d * np.sign(x)), [X], method="complex")
    assert report
    assert report.tensors[0].method == "five-point"
    assert "no complex step" in [f.kind for f in report.findings]


def test_functions_of_tensors() -> None:
    assert_gradients(lambda x, w: ((x @ w).tanh() * x).sum(), [X, W])
    assert_gradients(lambda x: (x.exp(), [x.relu()], {"a": x.mean()}), [X.astype(np.float32)])
    cut = gradcheck(lambda x: x.detach() * x, [X])
    assert cut.verdict is Verdict.WRONG
    assert "factor 1/2" in cut.faults[0]


def test_parameters_that_a_function_reaches_by_itself() -> None:
    w = nnscratch.tensor(W, requires_grad=True)
    report = assert_gradients(lambda x: x @ w, [X], parameters={"w": w})
    assert [t.name for t in report.tensors] == ["input", "w"]
    assert w.grad is None


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(6, 5)
        self.fc2 = nn.Linear(5, 3)

    def forward(self, x: Any) -> Any:
        x = self.fc1(x).tanh()
        return self.fc2(x * 2 if self.training else x)


def test_modules_in_both_modes_with_inputs_and_parameters() -> None:
    net = Net()
    before = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    report = assert_gradients(net, X.astype(np.float32))
    names = {(t.name, t.mode) for t in report.tensors}
    assert ("fc1.weight", "train") in names
    assert ("fc1.weight", "eval") in names
    assert ("input", "train") in names
    assert net.training
    assert all(p.grad is None for p in net.parameters())
    assert all((before[k] == v.numpy()).all() for k, v in net.state_dict().items())
    assert all(v.dtype == np.float32 for v in net.state_dict().values())


def test_a_model_with_its_loss() -> None:
    target = RNG.normal(size=(6, 3)).astype(np.float32)

    def loss(y: Any, t: Any) -> Any:
        return ((y - t) ** 2).mean()

    assert_gradients((Net(), loss), [X.astype(np.float32), target])
    report = gradcheck(Net(), [X.astype(np.float32), target], loss=loss, check=["fc2.bias"])
    assert [t.name for t in report.tensors] == ["fc2.bias", "fc2.bias"]


def test_wrong_input_gradient_beside_right_parameter_gradients() -> None:
    class Cut(Net):
        def forward(self, x: Any) -> Any:
            return super().forward(0.5 * x + 0.5 * x.detach())

    report = gradcheck(Cut(), [X], modes=["eval"])
    assert report.tensor("input").verdict is Verdict.WRONG
    assert report.tensor("fc1.weight").verdict is Verdict.RIGHT


def test_a_parameter_that_is_not_used_is_no_fault() -> None:
    class Spare(Net):
        def __init__(self) -> None:
            super().__init__()
            self.spare = nn.Linear(2, 2)

    report = assert_gradients(Spare(), X, modes=["eval"])
    assert "does not depend on it" in report.text()


def test_what_cannot_be_checked_is_said() -> None:
    with pytest.raises(ConfigurationError, match="no formula is named"):
        gradcheck("rellu", [X])
    with pytest.raises(ConfigurationError, match="method must be"):
        gradcheck("relu", [X], method="magic")
    with pytest.raises(ConfigurationError, match="got int"):
        gradcheck(3, [X])
    with pytest.raises(ConfigurationError, match="nothing to check"):
        gradcheck("relu", [X], check=["Z"])
    with pytest.raises(ConfigurationError, match="modes are"):
        gradcheck(Net(), [X], modes=["test"])
    with pytest.raises(GradientError, match="nothing to check"):
        gradcheck(lambda x: x.detach(), [X])


def test_the_report_as_text_json_html_and_picture() -> None:
    pair, inputs, _ = FAULTS["one element"]
    with pytest.raises(GradcheckError) as caught:
        assert_gradients(pair, inputs)
    report = caught.value.report
    assert isinstance(caught.value, AssertionError)
    assert "one element is off: [2, 3]" in str(caught.value)
    read = json.loads(report.json())
    worst = read["tensors"][0]["worst"][0]
    assert worst["index"] == [2, 3]
    assert worst["relative_error"] == pytest.approx(0.01 / 1.01, rel=1e-6)
    page = report.html()
    assert "one element is off" in page
    assert "data:image/png;base64," in page
    figure = report.plot()
    assert len(figure.axes) == 3
    errors = figure.axes[0].images[0].get_array()
    assert np.unravel_index(np.argmax(errors), errors.shape) == (2, 3)
    steps, gaps = figure.axes[1].lines[0].get_data()
    assert len(steps) > 5
    assert gaps.min() > 0


def test_the_state_of_the_generator_is_kept() -> None:
    nnscratch.manual_seed(5)
    first = nnscratch.rand(3).numpy()
    nnscratch.manual_seed(5)
    gradcheck(lambda x: x * nnscratch.rand(6, 6, dtype="float32"), [X.astype(np.float32)])
    assert (nnscratch.rand(3).numpy() == first).all()


def test_another_library_and_device() -> None:
    """The numeric side runs on the CPU in NumPy wherever the analytic side runs."""
    there = array_api_strict.Device("device1")
    x = array_api_strict.asarray(X.astype(np.float32), device=there)
    assert_gradients("tanh", [x])
    assert_gradients("softmax", [x])

    def moved(dY: Any, saved: Any) -> Any:
        return array_api_strict.asarray(2 * dY * saved[0]).to_device(
            array_api_strict.Device("CPU_DEVICE")
        )

    report = gradcheck((lambda x: (x * x, (x,)), moved), [x])
    assert [f.kind for f in report.findings] == ["wrong device"]

    def changed(dY: Any, saved: Any) -> Any:
        saved[0][0, 0] = 7.0
        return 2 * dY * saved[0]

    report = gradcheck((lambda x: (x * x, (x,)), changed), [x])
    assert "changed in place" in [f.kind for f in report.findings]
