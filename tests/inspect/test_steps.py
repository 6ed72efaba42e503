"""`explain` of a training step: its numbers are PyTorch's, and its page stands by itself."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nnscratch
from nnscratch import nn
from nnscratch.errors import ConfigurationError
from nnscratch.inspect.explanations import Explanation
from nnscratch.inspect.numbers import TINY, ArrayFacts, numbers
from nnscratch.inspect.step_page import LIMIT, step_page
from nnscratch.inspect.steps import Step, TrainingStep

RNG = np.random.default_rng(3)


def _mlp(kit: Any) -> Any:
    return kit.Sequential(kit.Linear(2, 3), kit.Tanh(), kit.Linear(3, 1), kit.Sigmoid())


def _cnn(kit: Any) -> Any:
    return kit.Sequential(
        kit.Conv2d(1, 4, 3, padding=1),
        kit.BatchNorm2d(4),
        kit.ReLU(),
        kit.MaxPool2d(2),
        kit.Flatten(),
        kit.Linear(64, 10),
    )


# Names that browsers know SVG and MathML by, which they never ask for.
NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML"}
CASES = {
    "mlp": (_mlp, "MSELoss", RNG.normal(size=(4, 2)), RNG.normal(size=(4, 1))),
    "cnn": (_cnn, "CrossEntropyLoss", RNG.normal(size=(5, 1, 8, 8)), np.arange(5)),
}


def _explained(name: str) -> tuple[Explanation, Any, Any, Any, Any]:
    """Explain a step in float64, and take the same one in PyTorch."""
    make, loss, x, y = CASES[name]
    model, torch_model = make(nn).to(dtype=nnscratch.float64), make(torch.nn).double()
    model.load_state_dict({k: v.numpy() for k, v in torch_model.state_dict().items()})
    found = nnscratch.explain(model, x, loss=getattr(nn, loss)(), target=y)
    kept: dict[str, Any] = {}
    for path, module in torch_model.named_children():
        module.register_forward_hook(lambda _m, _i, out, path=path: kept.update({path: out}))
    output = torch_model(torch.tensor(x))
    for one in kept.values():
        one.retain_grad()
    value = getattr(torch.nn, loss)()(output, torch.tensor(y))
    value.backward()
    return found, model, torch_model, kept, value


def _same(shown: ArrayFacts, right: torch.Tensor) -> None:
    values = right.detach().numpy()
    assert shown.shape == values.shape
    assert bool(shown.values) == (values.size <= TINY)
    if shown.values:
        np.testing.assert_allclose(shown.values, values.reshape(-1), rtol=1e-6, atol=1e-9)
    of_it = values.min(), values.mean(), values.max()
    np.testing.assert_allclose((shown.low, shown.mean, shown.high), of_it, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_every_number_is_that_of_pytorch(name: str) -> None:
    found, _, torch_model, kept, value = _explained(name)
    assert found.step is not None
    assert found.step.loss == pytest.approx(value.item(), rel=1e-6)
    layers = dict(torch_model.named_children())
    forward = {one.layer: one for one in found.steps if one.direction == "forward"}
    backward = {one.layer: one for one in found.steps if one.direction == "backward"}
    assert list(forward) == [*layers, ""]
    assert list(backward) == ["", *reversed(layers)]
    for path, layer in layers.items():
        _same(forward[path].outputs[0], kept[path])
        _same(backward[path].inputs[0], kept[path].grad)
        gradients = {one.name: one for one in backward[path].outputs}
        for own, parameter in (("dW", "weight"), ("db", "bias")):
            if hasattr(layer, parameter):
                _same(gradients[own], getattr(layer, parameter).grad)


@pytest.mark.parametrize("name", CASES)
def test_the_model_is_left_as_it_was(name: str) -> None:
    make, loss, x, y = CASES[name]
    model = make(nn).to(dtype=nnscratch.float64)
    for parameter in model.parameters():
        parameter.grad = nnscratch.ones_like(parameter)
    before = {k: v.numpy().copy() for k, v in model.state_dict().items()}
    state = nnscratch.get_rng_state().numpy().copy()
    nnscratch.explain(model, x, loss=getattr(nn, loss)(), target=y)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key])
    assert all((p.grad == 1).all() for p in model.parameters())
    np.testing.assert_array_equal(nnscratch.get_rng_state().numpy(), state)


class _Counting(nn.Module):
    """Has buffers of which it changes one in place and replaces another, and makes a third."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("changed", nnscratch.zeros(1))
        self.register_buffer("replaced", nnscratch.zeros(1))
        self.scale = nn.Buffer(nnscratch.ones(3, requires_grad=True))

    def forward(self, x: Any) -> Any:
        self.changed.add_(1)
        self.replaced = self.replaced + 1
        self.register_buffer("made", self.replaced)
        return self.norm(x) * self.scale


@pytest.mark.parametrize("how", ["costs", "step"])
def test_buffers_and_graphs_are_left_as_they_were(how: str) -> None:
    model, x = _Counting().eval(), nnscratch.randn(5, 3, requires_grad=True)
    output = model.norm(x) * model.scale  # what an earlier forward made is differentiated later
    held = dict(model.named_buffers())
    if how == "costs":
        nnscratch.explain(model, (5, 3))
    else:
        nnscratch.explain(model, x.detach(), loss=lambda y: y.sum())
    assert [*model.named_buffers()] == [*held.items()]
    assert (model.changed.item(), model.replaced.item()) == (0.0, 0.0)
    assert model.scale.grad is None
    output.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.ones((5, 3)), rtol=1e-4)


def test_nothing_keeps_a_gradient() -> None:
    """Neither an input, nor a target, nor what a loss learns; earlier gradients are kept."""

    class Loss(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(nnscratch.ones(3))

        def forward(self, output: Any, target: Any) -> Any:
            return ((output - target) * self.scale).square().mean()

    model, loss = nn.Linear(2, 3), Loss()
    x = nnscratch.ones(4, 2, requires_grad=True)
    y = nnscratch.zeros(4, 3, requires_grad=True)
    x.grad = nnscratch.full((4, 2), 7.0)
    nnscratch.explain(model, x, loss=loss, target=y)
    assert x.grad.tolist() == [[7.0, 7.0]] * 4
    for one in (y, loss.scale, model.weight):
        assert one.grad is None


def test_the_results_are_called_as_in_their_equations() -> None:
    found, *_ = _explained("mlp")
    linear, *_, mse, last, _, _, _, first = found.steps
    assert [one.name for one in linear.outputs] == ["Z"]
    assert [one.name for one in mse.outputs] == ["L"]
    assert [one.name for one in last.inputs] == ["dL", "Y", "T"]
    assert [one.name for one in last.outputs] == ["dY"]
    assert [one.name for one in first.inputs] == ["dZ", "X", "W"]
    assert [one.name for one in first.outputs] == ["dW", "db"]
    assert last.where == "MSELoss"
    assert first.where == "0 (Linear)"


def test_a_comparison_within_an_equation_names_no_result() -> None:
    x = nnscratch.ones(2, requires_grad=True)
    found = nnscratch.explain(nn.Identity(), x, loss=lambda y: (y * (y == 1).float()).sum())
    (one,) = [step for step in found.steps if step.formula.name == "equal"]
    assert [array.name for array in one.outputs] == ["Y"]


class _Doubled(nn.Module):
    """Uses a result twice, and a row for each row of another."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 3)
        self.row = nn.Parameter(nnscratch.ones(3))

    def forward(self, x: Any) -> Any:
        y = self.inner(x)
        return y * y + self.row


def _steps_of_doubled() -> tuple[Step, ...]:
    return nnscratch.explain(_Doubled(), nnscratch.ones(4, 2), loss=lambda y: y.mean()).steps


def test_what_the_chain_rule_adds_is_part_of_the_backward() -> None:
    """The gradients of two uses are added, those of a row that was repeated are summed."""
    steps = _steps_of_doubled()
    ways = [one.direction for one in steps]
    assert ways == sorted(ways, reverse=True)  # first all of the forward
    added = [one for one in steps if (one.direction, one.ran) == ("backward", "forward")]
    assert sorted(one.formula.name for one in added) == ["add", "sum_to"]
    assert {one.where for one in added} == {"chain rule"}
    summed = next(one for one in added if one.formula.name == "sum_to")
    np.testing.assert_allclose(summed.outputs[0].values, [1 / 3] * 3, rtol=1e-6)
    page = _data(step_page("Doubled", TrainingStep(1.0, steps)))
    assert {row[1] for row in page["steps"] if row[0] == "sum_to"} == {3}


def test_a_step_leads_to_those_that_made_its_inputs() -> None:
    steps = _steps_of_doubled()
    names = [one.formula.name for one in steps]
    assert names[:4] == ["linear", "multiply", "add", "mean"]
    assert [one.sources for one in steps[:4]] == [(None,) * 3, (0, 0), (1, None), (2,)]
    backward = {one.of: one for one in steps if one.ran == "backward"}
    assert sorted(backward) == [0, 1, 2, 3]  # type: ignore[type-var]
    for number, one in backward.items():
        assert one.formula is steps[number].formula  # type: ignore[index]
    through = backward[0]
    assert through.sources[0] is not None
    assert steps[through.sources[0]].where == "chain rule"


@pytest.mark.parametrize("name", CASES)
def test_the_graph_of_a_step_is_whole(name: str) -> None:
    """Each call has what the one before made, and its backward; the data of the page say so."""
    found, *_ = _explained(name)
    forward = [one for one in found.steps if one.direction == "forward"]
    assert [one.sources[0] for one in forward] == [None, *range(len(forward) - 1)]
    backward = [one.of for one in found.steps if one.direction == "backward"]
    assert backward == [*reversed(range(len(forward)))]
    data = _data(found.html)
    assert data["links"] == [[one.of, [*one.sources]] for one in found.steps]
    assert [fact["of"] for fact in json.loads(found.json)["steps"]] == [s.of for s in found.steps]


def test_text_html_and_json_say_the_same(tmp_path: Path) -> None:
    found, *_ = _explained("cnn")
    assert str(found) == repr(found) == found.text
    assert "One training step, loss" in found.text
    facts = json.loads(found.json)
    assert len(facts["steps"]) == len(found.steps)
    assert facts["loss"] == found.step.loss  # type: ignore[union-attr]
    assert facts["layers"][0]["layer"] == "(the model)"
    drawn = _data(found.html)
    assert [(s[0], bool(s[1]), s[2]) for s in drawn["steps"]] == [
        (one.formula.name, one.direction == "backward", one.where) for one in found.steps
    ]
    shape, _, values, (_, mean, _), odd, bins, heat, _ = drawn["arrays"][drawn["steps"][0][5][0][1]]
    first = found.steps[0].outputs[0]
    assert (tuple(shape), values, odd) == (first.shape, [], 0)
    assert mean == pytest.approx(first.mean, rel=1e-5)
    assert sum(bins) == 5 * 4 * 8 * 8
    assert heat.split("/") == list(first.heat)
    for ending, text in ((".html", found.html), (".json", found.json), (".txt", found.text)):
        path = found.save(tmp_path / f"step{ending}")
        assert path.read_text(encoding="utf-8") == text
    with pytest.raises(ConfigurationError, match=r"saved as .html, .htm, .json, .txt, got '.pdf'"):
        found.save(tmp_path / "step.pdf")


def _data(page: str) -> Any:
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert text is not None
    return json.loads(text[1])


def test_the_page_asks_for_nothing_from_elsewhere() -> None:
    page = _explained("cnn")[0].html
    outside = set(re.findall(r"https?://[^\s'\"]+", page)) - NAMESPACES
    assert not outside
    assert not re.search(r"\b(src|href|@import|url\()", page)


class _Named(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.add_module(name, nn.Linear(2, 1))
        self.name = name

    def forward(self, x: Any) -> Any:
        return getattr(self, self.name)(x)


def test_a_name_cannot_end_the_script() -> None:
    model = _Named("</script><b>")
    found = nnscratch.explain(model, nnscratch.ones(3, 2), loss=lambda output: output.sum())
    assert "</script><b>" not in found.html
    assert _data(found.html)["steps"][0][2] == "</script><b> (Linear)"
    assert "<b>" not in found._repr_html_()


@pytest.mark.parametrize(
    ("copies", "left_out"),
    [
        (1, ""),
        (42, "heat maps are"),
        (50, "heat maps and histograms are"),
        (60, "pictures and the entries of small arrays are"),
        (120, "all numbers are"),
        (300, "calls in the middle are"),
    ],
)
def test_the_page_of_a_deep_model_stays_small(copies: int, left_out: str) -> None:
    step = _explained("cnn")[0].step
    assert step is not None
    steps = tuple(_other(one, copy) for copy in range(copies) for one in step.steps)
    page = step_page("Deep", replace(step, steps=steps))
    assert len(page.encode()) <= LIMIT
    assert f"{left_out} left out" in page if left_out else "left out" not in page
    shown = _data(page)["steps"]
    assert len(shown) == len(steps) or "calls in the middle" in left_out
    assert [shown[0][2], shown[-1][2]] == [steps[0].where, steps[-1].where]


def _other(step: Step, copy: int) -> Step:
    """Return the same step with numbers that no other copy has."""

    def other(arrays: tuple[ArrayFacts, ...]) -> tuple[ArrayFacts, ...]:
        return tuple(replace(one, high=one.high + copy) for one in arrays)

    return replace(step, inputs=other(step.inputs), outputs=other(step.outputs))


def test_numbers_of_odd_arrays() -> None:
    assert numbers("A", np.array([1.0, np.nan, np.inf])).odd == 2
    assert str(numbers("A", np.full(100, np.nan))).endswith("100 not finite")
    assert numbers("A", np.array([3 + 4j])).high == 5
    assert str(numbers("A", np.array(True))) == "A () = 1"
    assert numbers("A", np.ones((0, 3))).values == ()
    same = numbers("A", np.full((20, 20), 2.0))
    assert same.bins == ()
    assert set("".join(same.heat)) == {"Y"}
    signs = numbers("A", np.where(np.arange(100).reshape(10, 10) % 2, -1.0, 0.5))
    assert set("".join(signs.heat)) == {"A", "S"}


def test_what_is_no_training_step_is_said() -> None:
    model, x = nn.Linear(2, 3), nnscratch.ones(4, 2)
    for arguments, given, words in (
        (("tanh",), {"loss": "mse"}, "needs a module and its inputs"),
        ((model, (4, 2)), {"loss": "mse", "target": x}, "tensors or arrays, got tuple"),
        ((model, x), {"loss": "mse"}, "needs a target"),
        ((model, x), {"loss": lambda output: output}, r"one number, got shape \(4, 3\)"),
        ((model, x), {"loss": lambda output: x.sum()}, "asks for a gradient"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            nnscratch.explain(*arguments, **given)
