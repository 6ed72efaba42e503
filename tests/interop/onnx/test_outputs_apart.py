"""Whoever writes into an output changes no weight, no constant, no input and no other output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from interop.onnx.test_structure import BOOL, FLOAT, INT64, W, X, call, function, info, model, node
from onnx import NodeProto, helper, numpy_helper

from nnscratch.array import to_numpy
from nnscratch.interop.onnx import backend
from nnscratch.interop.onnx.loading import model_of
from nnscratch.tensors import Tensor
from nnscratch.tensors.grad_mode import no_grad

TABLE = np.arange(12, dtype=np.float32).reshape(4, 3)
HELD = {
    "w": W, "table": TABLE, "whole": np.arange(6), "shape": np.array([3, 2]),
    "from": np.array([1]), "to": np.array([3]), "first": np.array([0]), "second": np.array(1),
}  # fmt: skip


def chosen() -> NodeProto:
    """A branch whose result is a constant of its own."""
    kept = numpy_helper.from_array(np.arange(4))
    graphs = [
        helper.make_graph(
            [node("Constant", [], [name], value=kept)], name, [], [info(name, INT64, None)]
        )
        for name in ("one", "other")
    ]
    return node("If", ["flag"], ["y"], then_branch=graphs[0], else_branch=graphs[1])


ONE = numpy_helper.from_array(np.arange(3))
# What is computed, and the type of the output.
KINDS: dict[str, tuple[list[NodeProto], int]] = {
    "an input": ([node("Identity", ["x"], ["y"])], FLOAT),
    "an input in another shape": ([node("Reshape", ["x", "shape"], ["y"])], FLOAT),
    "a part of an input": ([node("Slice", ["x", "from", "to", "second"], ["y"])], FLOAT),
    "an input that nothing is dropped of": ([node("Dropout", ["x"], ["y"])], FLOAT),
    "a weight": ([node("Identity", ["w"], ["y"])], FLOAT),
    "a part of a weight": ([node("Slice", ["table", "from", "to"], ["y"])], FLOAT),
    "a row of a weight": ([node("Gather", ["table", "second"], ["y"])], FLOAT),
    "a turned weight": ([node("Transpose", ["table"], ["y"])], FLOAT),
    "a repeated weight": ([node("Expand", ["w", "to"], ["y"])], FLOAT),
    "whole numbers": ([node("Identity", ["whole"], ["y"])], INT64),
    "a part of whole numbers": ([node("Slice", ["whole", "from", "to"], ["y"])], INT64),
    "whole numbers in another shape": ([node("Reshape", ["whole", "shape"], ["y"])], INT64),
    "a constant": ([node("Constant", [], ["y"], value=ONE)], INT64),
    "a shape": ([node("Shape", ["x"], ["y"])], INT64),
    "a constant of a branch": ([chosen()], INT64),
    "a constant of a function": ([call()], INT64),
}


def made(kind: str, twice: bool = False) -> Any:
    nodes, dtype = KINDS[kind]
    outputs = [info("y", dtype, None), *([info("again", dtype, None)] if twice else [])]
    if twice:
        nodes = [*nodes, node("Identity", ["y"], ["again"])]
    mine = function([node("Constant", [], ["b"], value=ONE)], ["a"])
    inputs = [info("x", FLOAT, [2, 3]), info("flag", BOOL, [])]
    return model(nodes, inputs, outputs, HELD, [mine])


def overwritten(outputs: Any) -> None:
    for one in outputs:
        if one.flags.writeable:
            one[...] = 77


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_into_outputs_changes_nothing(kind: str) -> None:
    prepared, x, flag = backend.prepare(made(kind, twice=True)), X.copy(), np.array(True)
    weights = {name: to_numpy(w.array).copy() for name, w in prepared.model.named_parameters()}
    wanted = [one.copy() for one in prepared.run([x, flag])]
    for _ in range(2):
        found = prepared.run([x, flag])
        for one, want in zip(found, wanted, strict=True):
            assert np.array_equal(one, want)
            overwritten([one])
        assert np.array_equal(x, X)
    for name, w in prepared.model.named_parameters():
        assert np.array_equal(to_numpy(w.array), weights[name])


@pytest.mark.parametrize("kind", KINDS)
def test_so_it_is_with_the_tensors_of_a_module(kind: str) -> None:
    module, x, flag = model_of(made(kind)), X.copy(), np.array(True)
    with no_grad():
        wanted = np.array(_array(module(x, flag)))
        for _ in range(2):
            found = module(Tensor(x), Tensor(flag))
            assert np.array_equal(_array(found), wanted)
            overwritten([_array(found)])
    assert np.array_equal(x, X)


def test_the_gradient_of_a_weight_that_is_an_output_is_the_weights() -> None:
    module = model_of(made("a part of a weight"))
    module(X, np.array(True)).sum().backward()
    ((_, table),) = [one for one in module.named_parameters() if one[0] == "table"]
    assert table.grad is not None
    assert to_numpy(table.grad.array).sum(1).tolist() == [0.0, 3.0, 3.0, 0.0]


def _array(value: Any) -> np.ndarray:
    return to_numpy(value.array) if isinstance(value, Tensor) else value
