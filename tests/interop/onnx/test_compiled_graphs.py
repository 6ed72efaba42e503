"""A loaded graph in a compiled step: what is known in it costs nothing at a replay."""

from __future__ import annotations

import numpy as np
import pytest
from interop.onnx.onnx_comparisons import run_elsewhere
from interop.onnx.onnx_models import model
from onnx import ModelProto, TensorProto, helper

import nnscratch
from nnscratch.errors import DTypeError, PlanError
from nnscratch.interop.onnx.loading import model_of

node = helper.make_node
X = np.random.default_rng(3).standard_normal((6, 4)).astype(np.float32)


def branching() -> ModelProto:
    """y = x + 1 where the whole number ``rate`` is 16000, x - 1 elsewhere."""
    info = helper.make_tensor_value_info
    branches = {}
    for name, operator in (("then_branch", "Add"), ("else_branch", "Sub")):
        out = info(name, TensorProto.FLOAT, None)
        branches[name] = helper.make_graph([node(operator, ["x", "one"], [name])], name, [], [out])
    made = model(
        [node("Equal", ["rate", "known"], ["high"]), node("If", ["high"], ["y"], **branches)],
        {"known": np.array(16000, np.int64), "one": np.array([1.0], np.float32)},
    )
    made.graph.input.append(info("rate", TensorProto.INT64, ()))
    return made


def test_a_number_of_python_decides_about_a_branch_of_a_compiled_step() -> None:
    loaded = model_of(branching())
    step = nnscratch.compile(lambda x, rate: loaded(x, rate))
    with nnscratch.no_grad():
        for rate, one in ((16000, 1.0), (8000, -1.0), (16000, 1.0), (8000, -1.0)):
            x = nnscratch.tensor(X)
            for _ in range(3):
                np.testing.assert_array_equal(step(x, rate).numpy(), X + np.float32(one))
        assert sum(plan.replays for plan in step.plans) > 0
        assert [plan.python for plan in step.plans] == [0, 0]
        with pytest.raises(PlanError, match="a condition in an ONNX model"):
            nnscratch.compile(lambda x, rate: loaded(x, rate))(
                nnscratch.tensor(X), nnscratch.tensor(16000)
            )


@pytest.mark.parametrize("rate", [2**70, True])
def test_a_number_that_is_none_of_the_files_dtype(rate: int) -> None:
    loaded = model_of(branching())
    if rate is True:  # as NumPy and PyTorch take it, 1
        np.testing.assert_array_equal(loaded(nnscratch.tensor(X), rate).detach().numpy(), X - 1)
        return
    with pytest.raises(DTypeError, match="is no int64"):
        loaded(nnscratch.tensor(X), rate)


@pytest.mark.parametrize("mode", ["reflect", "wrap", "edge"])
@pytest.mark.parametrize("pads", [(0, 0, 0, 2), (2, 1, 3, 3), (1, 0, 0, 7), (5, -1, 2, 3)])
def test_padding_by_entries_of_its_own(mode: str, pads: tuple[int, ...]) -> None:
    proto = model([node("Pad", ["x", "pads"], ["y"], mode=mode)], {"pads": np.array(pads)})
    loaded = model_of(proto)
    top, left, bottom, right = pads  # a negative number takes away, before anything is added
    sides = ((top, bottom), (max(left, 0), right))
    truth = np.pad(X[:, max(-left, 0) :], sides, mode)  # type: ignore[call-overload]
    np.testing.assert_array_equal(loaded(X).detach().numpy(), truth)


@pytest.mark.parametrize("index", [2, -1, [0], [-3], [1, 3, 1]])
@pytest.mark.parametrize("axis", [0, 1])
def test_entries_in_known_places(index: int | list[int], axis: int) -> None:
    proto = model([node("Gather", ["x", "i"], ["y"], axis=axis)], {"i": np.array(index, np.int64)})
    loaded = model_of(proto)
    x = nnscratch.tensor(X, requires_grad=True)
    found = loaded(x)
    np.testing.assert_array_equal(found.detach().numpy(), run_elsewhere(proto, X)[0])
    (found * found).sum().backward()
    counts = np.zeros(X.shape, np.float32)
    np.add.at(counts, (index, slice(None)) if axis == 0 else (slice(None), index), 1.0)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), 2 * X * counts, rtol=1e-6)


def test_slices_are_loops_of_one_segment() -> None:
    nodes = [
        node("Slice", ["x", "from", "to", "last"], ["left"]),
        node("Slice", ["x", "to", "end", "last"], ["right"]),
        node("Concat", ["right", "left"], ["turned"], axis=-1),
        node("Shape", ["turned"], ["sizes"]),
        node("Gather", ["sizes", "first"], ["rows"]),
        node("Concat", ["rows", "rest"], ["shape"], axis=0),
        node("Reshape", ["turned", "shape"], ["y"]),
    ]
    numbers = {"from": [0], "to": [2], "end": [4], "last": [-1], "first": [0], "rest": [2, 2]}
    proto = model(nodes, {name: np.array(one, np.int64) for name, one in numbers.items()})
    loaded = model_of(proto)
    step = nnscratch.compile(lambda x: loaded(x))
    with nnscratch.no_grad():
        for _ in range(3):
            found = step(nnscratch.tensor(X))
    np.testing.assert_array_equal(found.numpy(), run_elsewhere(proto, X)[0])
    (plan,) = step.plans
    assert plan.python == 0
