"""``compare`` says equal of what it compared alone: outputs of all kinds, batches, logs, steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn as tnn

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import ConfigurationError
from nnscratch.interop.comparing import Comparison, StepLog, compare, record_steps
from nnscratch.interop.torch import from_torch

SOURCE = np.random.default_rng(0)
X, Y = SOURCE.normal(size=(6, 5)), SOURCE.integers(0, 4, 6)
THEIRS = tnn.Linear(5, 4)
OURS = from_torch(THEIRS)
Forward = Callable[..., Any]


class Ours(nn.Module):
    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.lin, self.function = OURS, forward

    def forward(self, *x: Any) -> Any:
        return self.function(self.lin, *x)


class Theirs(tnn.Module):
    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.lin, self.function = THEIRS, forward

    def forward(self, *x: Any) -> Any:
        return self.function(self.lin, *x)


def beside(mine: Forward, its: Forward | None = None, *x: Any, **options: Any) -> Comparison:
    return compare(Ours(mine), Theirs(its or mine), x or (X,), **options)


@dataclasses.dataclass
class Output:
    a: Any
    b: Any


EQUAL: dict[str, tuple[Forward, Forward | None]] = {
    "dictionaries in another order": (
        lambda lin, x: {"b": x * 1, "a": lin(x)}, lambda lin, x: {"a": lin(x), "b": x * 1}),
    "nested": (lambda lin, x: ({"a": [lin(x), (x * 2, None)]}, 3), None),
    "dataclasses": (lambda lin, x: Output(lin(x), 1.5), None),
    "whole numbers alone": (lambda lin, x: lin(x).argmax(1), None),
    "truths beside others": (lambda lin, x: (lin(x), lin(x) > 0), None),
    "no number": (lambda lin, x: lin(x) * float("nan"), None),
    "infinities": (lambda lin, x: lin(x) * float("inf"), None),
    "one number": (lambda lin, x: lin(x).sum(), None),
    "a number without a tensor": (lambda lin, x: lin(x).sum().item(), None),
}  # fmt: skip


@pytest.mark.parametrize("name", EQUAL)
def test_equal(name: str) -> None:
    made = beside(*EQUAL[name])
    assert made.same, str(made)
    assert not made.uncompared


APART: dict[str, tuple[Forward, Forward, str, str]] = {
    "a key": (lambda lin, x: {"b": lin(x)}, lambda lin, x: {"a": lin(x)},
              "the output.b of the whole model", "missing output"),
    "an output more there": (lambda lin, x: lin(x), lambda lin, x: (lin(x), x),
                             "the output1 of the whole model", "missing output"),
    "an output more here": (lambda lin, x: (lin(x), x), lambda lin, x: lin(x),
                            "the output1 of the whole model", "missing output"),
    "a number": (lambda lin, x: (lin(x), 3), lambda lin, x: (lin(x), 4),
                 "the output1 of the whole model", "unknown"),
    "whole numbers": (lambda lin, x: lin(x).argmax(1), lambda lin, x: lin(x).argmin(1),
                      "the output of the whole model", "unknown"),
    "truths": (lambda lin, x: lin(x) > 0, lambda lin, x: lin(x) <= 0,
               "the output of the whole model", "unknown"),
    "a dtype": (lambda lin, x: (lin(x), lin(x) > 0), lambda lin, x: (lin(x), (lin(x) > 0).double()),
                "the output1 of the whole model", "dtype"),
    "no number here": (lambda lin, x: lin(x) * float("nan"), lambda lin, x: lin(x),
                       "the output of the whole model", "not finite"),
    "infinity there": (lambda lin, x: lin(x), lambda lin, x: lin(x) / 0,
                       "the output of the whole model", "not finite"),
    "the second call": (lambda lin, x: lin(x) + 0 * lin(x * 2),
                        lambda lin, x: lin(x) + 0 * lin(x * 3),
                        "the input of lin[call 2]", "scale"),
}  # fmt: skip


@pytest.mark.parametrize("name", APART)
def test_apart(name: str) -> None:
    mine, its, place, kind = APART[name]
    made = beside(mine, its)
    assert made.first is not None, str(made)
    assert made.first.place == f"step 0, {place}"
    assert made.cause is not None
    assert made.cause.kind == kind, str(made)


def test_a_large_row_hides_nothing_of_another() -> None:
    x = X * np.asarray([[1e8], [1], [1], [1], [1], [1]])
    shift = np.zeros((6, 1))
    shift[1] = 1e-4
    made = beside(lambda lin, x: lin(x) + nnscratch.tensor(shift), lambda lin, x: lin(x), x)
    assert made.first is not None
    assert made.first.index == (1, 0)
    assert made.first.count == 4
    assert beside(lambda lin, x: lin(x), None, x).same


def raising(*_: Any) -> Any:
    raise KeyError("mine")


def test_what_raises_or_has_no_numbers_is_said() -> None:
    plain: Forward = lambda lin, x: lin(x)  # noqa: E731
    each = {"loss": nn.CrossEntropyLoss(reduction="none"), "other_loss": tnn.CrossEntropyLoss()}
    for call, said in (
        (lambda: beside(plain, raising), "the model of PyTorch raised KeyError in step 0: 'mine'"),
        (lambda: beside(raising, plain), "the model of nnscratch raised KeyError in step 0"),
        (lambda: beside(plain, lambda *_: None), "PyTorch's model returned a NoneType, in which"),
        (lambda: beside(lambda *_: "text"), "the output of PyTorch's model is a str"),
        (lambda: beside(plain, None, X[:0]), "the batch has no elements"),
        (lambda: compare(OURS, THEIRS, {"x": X}), "expected a batch .*, got a dict in it"),
        (lambda: beside(plain, None, X, Y, **each),
         r"the loss of nnscratch has the shape \(6,\); expected one number"),
    ):  # fmt: skip
        with pytest.raises(ConfigurationError, match=said):
            call()


def options(**changes: Any) -> dict[str, Any]:
    return {
        "loss": nn.CrossEntropyLoss(),
        "other_loss": tnn.CrossEntropyLoss(),
        "optimizer": optim.SGD(OURS.parameters(), lr=0.1),
        "other_optimizer": torch.optim.SGD(THEIRS.parameters(), lr=0.1),
        **changes,
    }


def test_no_steps_and_few_rates() -> None:
    for changes, said in (
        ({"steps": 0}, "expected 1 step or more, got steps=0"),
        ({"rates": [0.1]}, "there are 3 steps, and only 1 rates"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            compare(OURS, THEIRS, (X, Y), **options(**changes))


def test_parameters_that_an_optimizer_has_not() -> None:
    for side, lacking in (("here", "optimizer"), ("there", "other_optimizer")):
        kind, model = (optim, OURS) if side == "here" else (torch.optim, THEIRS)
        made = compare(
            OURS, THEIRS, (X, Y), **options(**{lacking: kind.SGD([model.weight], lr=0.1)})
        )
        assert made.cause is not None
        assert made.cause.said == f"bias is no parameter of the optimizer {side}"


def test_sixteen_bits_of_the_same_values(tmp_path: Path) -> None:
    """bfloat16 is no dtype of NumPy's; that it is another one is seen all the same."""
    theirs = tnn.Linear(5, 4).bfloat16()
    ours = nn.Linear(5, 4)
    ours.load_state_dict({k: v.float().numpy() for k, v in theirs.state_dict().items()})
    made = compare(ours, theirs, (X,))
    assert made.cause is not None
    assert made.cause.said == "it is float32 here and bfloat16 there"
    record_steps(theirs, (X,)).save(tmp_path / "log.safetensors")
    made = compare(ours, tmp_path / "log.safetensors", (X,))
    assert made.cause is not None
    assert made.cause.said == "it is float32 here and bfloat16 there"


def test_what_one_log_lacks_is_listed() -> None:
    log = StepLog("mine", {"0/gradient/lin.weight": np.ones((4, 5))})
    plain = Ours(lambda lin, x: lin(x))
    made = compare(plain, log, (X,))
    assert made.first is not None
    assert made.first.place == "step 0, the gradient of lin.weight"
    whole = record_steps(plain, (X,))
    less = StepLog("mine", {k: v for k, v in whole.arrays.items() if "weights" in k})
    less.arrays["1/loss"] = less.arrays["0/forward/other/output"] = np.zeros(())
    made = compare(plain, less, (X.astype("f4"),))
    assert made.same
    assert "0/forward/lin/output here" in made.uncompared
    assert {"0/forward/other/output there", "1/loss there"} == set(made.uncompared[-2:])
    assert "arrays that one side lacks: 0/forward/lin/input here" in str(made)
    more = StepLog("mine", {**whole.arrays, "0/forward/lin/output1": np.zeros(3)})
    made = compare(plain, more, (X,))
    assert made.first is not None
    assert made.first.place == "step 0, the output1 of lin"


def normed() -> Any:
    """A bias before a batch norm has a gradient of 0 but for rounding."""
    torch.manual_seed(0)
    return tnn.Sequential(tnn.Linear(5, 6), tnn.BatchNorm1d(6), tnn.GELU(), tnn.Linear(6, 4))


def steps_of(kind: str, theirs: Any, ours: Any = None, **more: Any) -> Comparison:
    ours = ours or from_torch(theirs)
    return compare(
        ours,
        theirs,
        (X, Y),
        loss=nn.CrossEntropyLoss(),
        other_loss=tnn.CrossEntropyLoss(),
        optimizer=getattr(optim, kind)(ours.parameters(), lr=0.05),
        other_optimizer=more.get("optimizer")
        or getattr(torch.optim, kind)(theirs.parameters(), lr=0.05),
    )


@pytest.mark.parametrize(
    "kind", ["SGD", "Adam", "RMSprop", "Adadelta", "RAdam", "NAdam", "ASGD", "Adagrad", "Rprop"]
)
def test_rounding_is_no_difference(kind: str) -> None:
    """Nor is the float32 in which PyTorch's optimizers keep numbers of their own."""
    made = steps_of(kind, normed())
    assert made.same, str(made)
    assert made.steps == 3


def test_steps_by_the_sign_of_rounding_are_named() -> None:
    """A log by hand has what an optimizer made of it."""
    theirs = normed()
    ours = from_torch(theirs)
    cross = nn.CrossEntropyLoss()
    log = record_steps(ours, (X, Y), cross, optim.SGD(ours.parameters(), lr=0.05), 1)
    log.arrays["0/update/0.bias"] = log.arrays["0/update/0.bias"] + 0.05
    log.arrays["0/gradient/0.bias"] = np.full(6, 1e-17)
    optimizer = optim.SGD(ours.parameters(), lr=0.05)
    made = compare(ours, log, (X, Y), loss=cross, optimizer=optimizer)
    assert made.first is not None
    assert made.first.place == "step 0, 0.bias after the step"
    assert made.cause is not None
    assert made.cause.kind == "rounding"


def test_hooks_of_parameters_are_a_part_of_both() -> None:
    theirs = normed()
    ours = from_torch(theirs)
    theirs[3].weight.register_hook(lambda g: g * 2)
    made = steps_of("SGD", theirs, ours)
    assert made.first is not None
    assert made.first.place == "step 0, the gradient of 3.weight"
    ours[3].weight.register_hook(lambda g: g * 2)
    assert steps_of("SGD", theirs, ours).same


class Clipping(torch.optim.SGD):
    """An optimizer of one's own, with an argument of its own."""

    def __init__(self, params: Any, most: float) -> None:
        super().__init__(params, lr=0.05)
        self.most = most

    def step(self, closure: Any = None) -> Any:
        parameters = [p for group in self.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, self.most)
        return super().step(closure)


def test_optimizers_of_ones_own_and_with_schedules() -> None:
    theirs = normed()
    assert steps_of("SGD", theirs, optimizer=Clipping(theirs.parameters(), 1e6)).same
    assert not steps_of("SGD", theirs, optimizer=Clipping(theirs.parameters(), 1e-3)).same
    scheduled = torch.optim.SGD(theirs.parameters(), lr=0.05)
    torch.optim.lr_scheduler.StepLR(scheduled, 5)
    before = [p.tolist() for p in theirs.parameters()]
    assert steps_of("SGD", theirs, optimizer=scheduled).same
    assert [p.tolist() for p in theirs.parameters()] == before
    taken = torch.optim.SGD(theirs.parameters(), lr=0.05, momentum=0.9)
    theirs(torch.ones(2, 5)).sum().backward()
    taken.step()
    ours = from_torch(theirs)
    made = compare(
        ours, theirs, (X, Y), loss=nn.CrossEntropyLoss(), other_loss=tnn.CrossEntropyLoss(),
        optimizer=optim.SGD(ours.parameters(), lr=0.05, momentum=0.9), other_optimizer=taken,
    )  # fmt: skip
    assert made.cause is not None
    assert made.cause.kind == "state of the optimizer"


def test_where_they_part_before_one_raises() -> None:
    theirs = tnn.Sequential(tnn.Conv2d(1, 2, 3, padding=1), tnn.Flatten(), tnn.Linear(32, 3))
    ours = from_torch(theirs)
    theirs[0].padding = (0, 0)
    said = (
        r"PyTorch raised RuntimeError .*; before, they part at step 0, the output of 0: the shape"
    )
    with pytest.raises(ConfigurationError, match=said):
        compare(ours, theirs, (np.ones((2, 1, 4, 4)),))


def test_layers_of_another_kind_and_settings_of_gradients_are_named() -> None:
    theirs = tnn.Sequential(tnn.MaxPool2d(2), tnn.Conv2d(1, 1, 1))
    ours = from_torch(theirs)
    theirs[0] = tnn.AvgPool2d(2)
    made = compare(ours, theirs, (SOURCE.normal(size=(2, 1, 4, 4)),))
    assert made.cause is not None
    assert made.cause.said == "it is a MaxPool2d here and a AvgPool2d there"
    table = tnn.Embedding(9, 3)
    ours = from_torch(table)
    table.padding_idx = 1
    made = compare(ours, table, (np.asarray([[1, 2]]),))
    assert made.cause is not None
    assert made.cause.said == "padding_idx is None here and 1 there"
