"""Files that somebody made to do harm, and damaged ones: refused with a reason, nothing done."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from interop.onnx.onnx_models import mlp, model
from onnx import ModelProto, NodeProto, TensorProto, helper

from nnscratch import tensor
from nnscratch.errors import CheckpointError, ConfigurationError, DTypeError, NNScratchError
from nnscratch.interop.onnx import load
from nnscratch.interop.onnx.loading import model_of

node = helper.make_node


def value(name: str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)


def linear_depth() -> ModelProto:
    made = helper.make_graph([node("Identity", ["x"], ["b0"])], "leaf", [], [value("b0")])
    other = helper.make_graph([node("Identity", ["x"], ["e"])], "other", [], [value("e")])
    for depth in range(1, 20):
        branch = node("If", ["c"], [f"b{depth}"], then_branch=made, else_branch=other)
        made = helper.make_graph([branch], f"g{depth}", [], [value(f"b{depth}")])
    return model([*made.node, node("Identity", ["b19"], ["y"])], {"c": np.array(True)})


def with_function(*calls: str) -> ModelProto:
    made = model([node("f", ["x"], ["y"], domain="mine")])
    made.opset_import.append(helper.make_opsetid("mine", 1))
    body = [node(op, ["a"], ["b"], domain="" if op == "Relu" else "mine") for op in calls]
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("mine", 1)]
    made.functions.append(helper.make_function("mine", "f", ["a"], ["b"], body, imports))
    return made


def with_body(body: list[NodeProto]) -> ModelProto:
    """A model that calls a function of its own, of an input a and an output b."""
    made = with_function("Relu")
    del made.functions[0].node[:]
    made.functions[0].node.extend(body)
    return made


def quantised(source: str, target: str) -> NodeProto:
    return node("DynamicQuantizeLinear", [source], [target, "scale", "zero"], "quant")


def branch_of(*nodes: NodeProto) -> Any:
    """A graph of nodes, the last of which computes t."""
    return helper.make_graph(list(nodes), "branch", [], [value("t")])


def branching(nodes: list[NodeProto]) -> ModelProto:
    """A model with nodes inside of a branch."""
    other = branch_of(node("Neg", ["x"], ["t"]))
    made = node("If", ["c"], ["y"], then_branch=branch_of(*nodes), else_branch=other)
    return model([made], {"c": np.array(True)})


def initializer(**fields: Any) -> ModelProto:
    made = model([node("Add", ["x", "w"], ["y"])], {"w": np.zeros(2, np.float32)})
    own = made.graph.initializer[0]
    for name, given in fields.items():
        if name == "dims":
            own.ClearField("dims")
            own.dims.extend(given)
        elif name == "segment":
            own.segment.CopyFrom(given)
        else:
            setattr(own, name, given)
    return made


def twice(what: str) -> ModelProto:
    made = mlp()
    part = getattr(made.graph, what) if what != "opset_import" else made.opset_import
    part.append(part[0])
    return made


REFUSED: dict[str, tuple[Callable[[], ModelProto], str]] = {
    "an unknown operator": (
        lambda: model([node("Sofmax", ["x"], ["y"], "n1")]),
        "Sofmax.*'n1'.*Softmax",
    ),
    "an operator of another domain": (
        lambda: model([node("FusedMatMul", ["x"], ["y"], "n", domain="com.microsoft")]),
        "com.microsoft:FusedMatMul",
    ),
    "a circle": (
        lambda: model(
            [
                node("Relu", ["b"], ["a"], "one"),
                node("Relu", ["a"], ["b"], "two"),
                node("Relu", ["a"], ["y"]),
            ]
        ),
        "'one'.*'b'.*circle",
    ),
    "a node that feeds itself": (lambda: model([node("Add", ["x", "y"], ["y"])]), "circle"),
    "a name that nothing computes": (
        lambda: model([node("Relu", ["z"], ["y"])]),
        "'z'.*nothing computes",
    ),
    "an output that nothing computes": (lambda: model([node("Relu", ["x"], ["z"])]), "output 'y'"),
    "a name that stands for two values": (
        lambda: model([node("Relu", ["x"], ["y"]), node("Tanh", ["x"], ["y"])]),
        "'y'.*already",
    ),
    "a node that computes its input": (lambda: model([node("Relu", ["x"], ["x"])]), "'x'.*already"),
    "two initializers with one name": (lambda: twice("initializer"), "two initializers"),
    "two inputs with one name": (lambda: twice("input"), "two inputs"),
    "an operator set twice": (lambda: twice("opset_import"), "twice"),
    "a shape of 2^40": (lambda: initializer(dims=[1 << 40]), "4.40 TB"),
    "a shape that overflows": (lambda: initializer(dims=[1 << 62, 1 << 62]), "would take"),
    "a size of 0 before one of 2^62": (lambda: initializer(dims=[0, 1 << 62]), "would take"),
    "a negative size": (lambda: initializer(dims=[-2]), "at least 0"),
    "too few values": (lambda: initializer(raw_data=b"1234"), "4 bytes"),
    "no values": (lambda: initializer(raw_data=b""), "0 bytes"),
    "segments": (lambda: initializer(segment=TensorProto.Segment(begin=0, end=1)), "segments"),
    "another element type": (
        lambda: initializer(data_type=TensorProto.FLOAT8E4M3FN),
        "FLOAT8E4M3FN",
    ),
    "no element type at all": (lambda: initializer(data_type=77), "element type 77"),
    "data that lies elsewhere": (
        lambda: initializer(data_location=TensorProto.EXTERNAL),
        "by its path",
    ),
    "control flow too deep": (linear_depth, "16 levels"),
    "no outputs": (lambda: ModelProto(ir_version=8), "no graph"),
    "an opset of the future": (
        lambda: model([node("Relu", ["x"], ["y"])], opset=10_000),
        "10000.*pip",
    ),
    "an opset of no time": (lambda: model([node("Relu", ["x"], ["y"])], opset=-3), "-3"),
    "an operator inside a function": (lambda: with_function("Sofmax"), "Sofmax"),
    "an operator that ONNX defines by others that there are not": (
        lambda: model([quantised("x", "y")]),
        "DynamicQuantizeLinear.*'quant'.*by QuantizeLinear",
    ),
    "such an operator inside a branch": (
        lambda: branching([quantised("x", "q"), node("Cast", ["q"], ["t"], to=1)]),
        "DynamicQuantizeLinear.*'quant'.*by QuantizeLinear",
    ),
    "such an operator inside a function": (
        lambda: with_body([quantised("a", "q"), node("Cast", ["q"], ["b"], to=1)]),
        "DynamicQuantizeLinear.*'quant'.*by QuantizeLinear",
    ),
    "an operator of other domains inside a branch": (
        lambda: branching([node("Foo", ["x"], ["t"], "foo", domain="mine")]),
        "mine:Foo.*'foo'",
    ),
    "an operator that is newer than the opset": (
        lambda: model([node("Gelu", ["x"], ["y"])], opset=13),
        "Gelu.*not in opset 13",
    ),
    "an operator of sequences by others": (
        lambda: model(
            [node("SequenceMap", ["x"], ["y"], body=branch_of(node("Neg", ["x"], ["t"])))]
        ),
        "SequenceMap.*sequences",
    ),
    "an attribute that is missing": (lambda: model([node("Cast", ["x"], ["y"])]), "'to'"),
    "control flow with a branch only": (
        lambda: model(
            [node("If", ["c"], ["y"], then_branch=branch_of(node("Neg", ["x"], ["t"])))],
            {"c": np.array(True)},
        ),
        "'else_branch'",
    ),
    "an attribute of another type": (
        lambda: model([node("Softmax", ["x"], ["y"], axis="last")]),
        "Softmax.*'axis'.*INT",
    ),
    "an attribute that there is not": (
        lambda: model([node("Relu", ["x"], ["y"], slope=2)]),
        "slope",
    ),
    "a function without its output": (
        lambda: with_body([node("Relu", ["a"], ["c"])]),
        "nothing computes its output 'b'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_is_refused_with_its_reason(name: str, tmp_path: Path) -> None:
    make, reason = REFUSED[name]
    made = make()
    path = tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises((CheckpointError, ConfigurationError, DTypeError), match=reason) as caught:
        load(path) if name != "data that lies elsewhere" else model_of(made)
    assert "\n" not in str(caught.value)


RUN: dict[str, tuple[Callable[[], ModelProto], str]] = {
    "a function that calls itself": (lambda: with_function("f"), "16 levels"),
    "a shape of 2^40": (
        lambda: model(
            [node("ConstantOfShape", ["s"], ["c"], "big"), node("Add", ["x", "c"], ["y"])],
            {"s": np.array([1 << 40], np.int64)},
        ),
        "'?big.*4.40 TB",
    ),
    "an expansion to 2^40": (
        lambda: model([node("Expand", ["x", "s"], ["y"])], {"s": np.array([1 << 38, 2], np.int64)}),
        "Expand.*TB",
    ),
    "a padding of 2^40": (
        lambda: model([node("Pad", ["x", "p"], ["y"])], {"p": np.array([0, 1 << 40], np.int64)}),
        "Pad.*TB",
    ),
    "a range of 2^40": (
        lambda: model(
            [
                node("Range", ["a", "b", "c"], ["r"]),
                node("Cast", ["r"], ["f"], to=1),
                node("Add", ["f", "x"], ["y"]),
            ],
            {"a": np.array(0), "b": np.array(1 << 40), "c": np.array(1)},
        ),
        "Range.*TB",
    ),
    "an index out of range": (
        lambda: model([node("Gather", ["x", "i"], ["y"])], {"i": np.array([7])}),
        "Gather",
    ),
    "too few inputs": (lambda: model([node("MatMul", ["x"], ["y"])]), "first 2 inputs"),
    "too many inputs": (lambda: model([node("Relu", ["x", "x"], ["y"])]), "takes 1 inputs"),
    "shapes that do not fit": (
        lambda: model(
            [node("MatMul", ["x", "w"], ["y"], "product")], {"w": np.ones((7, 2), np.float32)}
        ),
        "product",
    ),
}


@pytest.mark.parametrize("name", RUN)
def test_a_graph_that_cannot_be_computed_names_its_node(name: str) -> None:
    make, reason = RUN[name]
    with pytest.raises(NNScratchError, match=reason):
        model_of(make())(tensor([1.0, 2.0]))


def external(path: Path, **entries: str) -> Path:
    made = mlp()
    own = made.graph.initializer[0]
    own.ClearField("raw_data")
    own.data_location = TensorProto.EXTERNAL
    for key, entry in entries.items():
        own.external_data.add(key=key, value=entry)
    path.write_bytes(made.SerializeToString())
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "model"
    (inside / "below").mkdir(parents=True)
    content = np.arange(20, dtype=np.float32).tobytes()
    for path in (inside / "data.bin", inside / "below" / "data.bin", tmp_path / "outside.bin"):
        path.write_bytes(b"12345678" + content)
    return inside


@pytest.mark.parametrize("location", ["data.bin", "below/data.bin"])
def test_external_data_beside_the_model_is_read(folder: Path, location: str) -> None:
    loaded = load(external(folder / "a.onnx", location=location, offset="8", length="80"))
    assert np.array_equal(loaded.fc1.weight.detach().numpy().reshape(-1), np.arange(20))
    assert loaded(np.ones((2, 4), np.float32)).shape == (2, 3)


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"location": "../outside.bin"}, "without '..'"),
        ({"location": "below/../../outside.bin"}, "without '..'"),
        ({"location": "/etc/passwd"}, "relative"),
        ({"location": "C:\\data.bin"}, "relative"),
        ({"location": ""}, "relative"),
        ({"location": "a\nb\x1b[2J"}, "cannot be read"),
        ({"location": "missing.bin"}, "cannot be read"),
        ({"location": "below"}, "cannot be read|no regular file"),
        ({"location": "symbolic.bin"}, "symbolic link"),
        ({"location": "linked/data.bin"}, "symbolic link"),
        ({"location": "hard.bin"}, "hard link"),
        ({"location": "pipe"}, "no regular file"),
        ({"location": "data.bin", "offset": "9"}, "which has 88"),
        ({"location": "data.bin", "offset": "-1"}, "which has 88"),
        ({"location": "data.bin", "offset": str(1 << 70)}, "which has 88"),
        ({"location": "data.bin", "length": "79"}, "79 bytes"),
        ({"location": "data.bin", "offset": "one"}, "no numbers|are no numbers"),
    ],
)
def test_external_data_elsewhere_is_refused(
    folder: Path, entries: dict[str, str], reason: str
) -> None:
    os.symlink(folder.parent / "outside.bin", folder / "symbolic.bin")
    os.symlink(folder.parent / "model" / "below", folder / "linked")
    os.link(folder.parent / "outside.bin", folder / "hard.bin")
    os.mkfifo(folder / "pipe")
    before = sorted(folder.rglob("*"))
    with pytest.raises(CheckpointError, match=reason) as caught:
        load(external(folder / "a.onnx", **entries))
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert sorted(folder.rglob("*")) == sorted([*before, folder / "a.onnx"])


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        load(tmp_path / "none.onnx")
    path = tmp_path / "a.onnx"
    for content in (b"", b"\x08", b"PK\x03\x04 no model", bytes(range(256)) * 9):
        path.write_bytes(content)
        with pytest.raises(CheckpointError):
            load(path)


def test_damaged_graphs_are_refused_or_run() -> None:
    """Bytes changed in a sound model: an error of ours that names the cause, or numbers."""
    sound = mlp().SerializeToString()
    source = np.random.default_rng(0)
    x = np.ones((2, 4), np.float32)
    refused = read = several = 0
    for _ in range(600):
        content = bytearray(sound)
        for place in source.integers(0, len(content), source.integers(1, 5)):
            content[place] = source.integers(0, 256)
        try:
            damaged = ModelProto.FromString(bytes(content))
        except DecodeError:
            continue
        try:
            model_of(damaged)(x)
            read += 1
        except NNScratchError as error:
            several += "\n" in str(error)
            refused += 1
    assert refused > 50
    assert read > 50
    assert not several
