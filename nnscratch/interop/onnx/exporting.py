"""``export``: a model as an ONNX file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, helper

from nnscratch.errors import ConfigurationError
from nnscratch.graph import Graph, Node, Value, record
from nnscratch.graph.nested import leaves
from nnscratch.interop.onnx.types import ELEMENTS
from nnscratch.interop.onnx.writers.table import FormulaCall, writers
from nnscratch.interop.onnx.writing import GraphWriter
from nnscratch.nn import Module
from nnscratch.tensors import Tensor, as_tensor
from nnscratch.tensors.functions import cat
from nnscratch.tensors.grad_mode import no_grad
from nnscratch.train.files import FilePath, write_whole

OLDEST = 18


def export(
    model: Module | Callable[..., Any],
    sample: Any,
    path: FilePath,
    *,
    opset: int = 21,
    dynamic_batch: bool = True,
    input_names: list[str] | None = None,
    output_names: list[str] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> ModelProto:
    """Write a model as an ONNX file, and return what was written.

    It is run once with the sample, in evaluation mode and without gradients, and what its formulas
    computed is written; Python's branches are those of the sample. With a dynamic batch it is run
    once more with one row more, and every size that changed with it is computed in the graph.

    Args:
        model: a module, or a function of tensors: preprocessing and a module, say.
        sample: an input as the model takes it, with the batch in front, or a tuple of several.
        path: the file, written whole or not at all.
        opset: the version of ONNX's operators, from 18 up to the newest that the ``onnx`` package
            knows; other programs often know the newest only later.
        dynamic_batch: whether the size of the batch is left open.
        input_names, output_names: names for inputs and outputs; "input" and "output", with numbers
            where there are several, unless given.
        metadata: texts by name that go along.

    Raises:
        ConfigurationError: if the model computes what no operator stands for, named with its layer.
        RunError: if the file cannot be written; one that was there before is intact.

    >>> import tempfile
    >>> from nnscratch import nn, ones
    >>> from nnscratch.interop.onnx import load
    >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = export(model, ones(2, 4), f"{folder}/model.onnx")
    ...     again = load(f"{folder}/model.onnx")
    >>> [node.op_type for node in made.graph.node]
    ['Gemm', 'Relu']
    >>> [name for name, _ in again.named_parameters()], again(ones(5, 4)).shape
    (['0.weight', '0.bias'], (5, 3))
    """
    made = to_onnx(
        model, sample, opset=opset, dynamic_batch=dynamic_batch, input_names=input_names,
        output_names=output_names, metadata=metadata,
    )  # fmt: skip
    content = made.SerializeToString()
    write_whole(path, lambda stream: stream.write(content), follow=True)  # type: ignore[arg-type]
    return made


def to_onnx(
    model: Module | Callable[..., Any],
    sample: Any,
    *,
    opset: int = 21,
    dynamic_batch: bool = True,
    input_names: list[str] | None = None,
    output_names: list[str] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> ModelProto:
    """Return a model as an ONNX one, without a file; see ``export``.

    Raises:
        ConfigurationError: as ``export``.
    """
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST <= opset <= newest:
        raise ConfigurationError(f"export: opset is one from {OLDEST} to {newest}, got {opset}")
    inputs = [
        as_tensor(one) for one in (sample if isinstance(sample, (tuple, list)) else (sample,))
    ]
    if not inputs or (dynamic_batch and inputs[0].ndim == 0):
        raise ConfigurationError("export: the sample needs an input, with the batch in front")
    graph = _recorded(model, inputs)
    rows = inputs[0].shape[0] if inputs[0].ndim else 0
    twin, sizes = graph, (rows, rows)
    if dynamic_batch:
        more = [cat([one, one[:1]]) if one.ndim and one.shape[0] == rows else one for one in inputs]
        twin, sizes = _recorded(model, more), (rows, rows + 1)
    pairs = _paired(graph, twin)
    made = _written(graph, twin, pairs, sizes, opset, input_names, output_names)
    helper.set_model_props(made, dict(metadata or {}))
    return made


def _recorded(model: Any, inputs: list[Tensor]) -> Graph:
    """Return the graph of one run in evaluation mode; modes are as before afterwards."""
    modules = list(model.modules()) if isinstance(model, Module) else []
    trained = [one for one in modules if one.training]
    try:
        if modules:
            model.eval()
        with no_grad():
            return record(model, *inputs)
    finally:
        for one in trained:
            one.__dict__["training"] = True


def _paired(graph: Graph, twin: Graph) -> list[tuple[Node, Node]]:
    pairs = list(zip(graph.nodes, twin.nodes, strict=False))
    same = len(graph.nodes) == len(twin.nodes)
    if not same or any(a.formula is not b.formula for a, b in pairs):
        raise ConfigurationError(
            "export: the model computes something else with another batch size; export with "
            "dynamic_batch=False"
        )
    return pairs


def _written(
    graph: Graph,
    twin: Graph,
    pairs: list[tuple[Node, Node]],
    sizes: tuple[int, int],
    opset: int,
    input_names: list[str] | None,
    output_names: list[str] | None,
) -> ModelProto:
    writer = GraphWriter(opset, graph.names, sizes)
    table = writers()
    outputs = [one for one in leaves(graph.outputs) if isinstance(one, Value)]
    others = [one for one in leaves(twin.outputs) if isinstance(one, Value)]
    if not outputs:
        raise ConfigurationError("export: the model returns no tensor")
    names = _names("input", input_names, len(graph.inputs))
    infos = []
    for value, other, name in zip(graph.inputs, twin.inputs, names, strict=True):
        infos.append(_info(writer.input(value, name), value, other))
    needed = _needed(graph, outputs)
    lacking = sorted(
        {
            f"{node.formula.name}{f' (in {node.layer.label})' if node.layer else ''}"
            for node, _ in pairs
            if id(node) in needed
            and (
                node.formula.name not in table or not (_is_forward(node) or _is_whole(node, graph))
            )
        }
    )
    if lacking:
        raise ConfigurationError(
            f"export: no ONNX operator stands for {'; '.join(lacking[:6])}; there are operators "
            f"for {len(table)} formulas, see docs/onnx.md"
        )
    for node, second in pairs:
        if id(node) not in needed:
            continue
        try:
            found = table[node.formula.name](FormulaCall(writer, node, second))
        except ConfigurationError as error:
            where = f"export: in {node.layer.label}: " if node.layer else "export: "
            raise ConfigurationError(f"{where}{error}") from error
        made = [found] if isinstance(found, str) else list(found)
        for value, name in zip(node.outputs, made, strict=False):
            if isinstance(value, Value) and name:
                writer.bind(value, name)
    results = []
    for value, other, name in zip(
        outputs, others, _names("output", output_names, len(outputs)), strict=True
    ):
        name = writer.free(name)
        source = writer.name_of(value, other)
        writer.nodes.append(helper.make_node("Identity", [source], [name], name))
        results.append(_info(name, value, other))
    made_graph = helper.make_graph(writer.nodes, "nnscratch", infos, results, writer.constants)
    _tidy(made_graph)
    imports = [helper.make_opsetid("", opset)]
    model = helper.make_model(made_graph, producer_name="nnscratch", opset_imports=imports)
    model.ir_version = helper.find_min_ir_version_for(imports)
    onnx.checker.check_model(model)
    return model


def _is_forward(node: Node) -> bool:
    return node.direction == "forward"


def _is_whole(node: Node, graph: Graph) -> bool:
    """Say whether a change in place is one of a tensor that shares its memory with no other."""
    target = node.outputs[0]
    shared = target.alias is not None or target.kind == "captured"
    return not shared and all(
        one.alias is None or one.root() is not target for one in graph.values()
    )


def _names(usual: str, given: list[str] | None, count: int) -> list[str]:
    if given is not None:
        if len(given) != count or len(set(given)) != count:
            raise ConfigurationError(f"export: expected {count} different names, got {given}")
        return list(given)
    return [usual] if count == 1 else [f"{usual}_{i}" for i in range(count)]


def _info(name: str, value: Value, twin: Value) -> Any:
    shape: list[Any] = [
        n if n == m else "batch" if i == 0 else f"{name}_{i}"
        for i, (n, m) in enumerate(zip(value.shape, twin.shape, strict=True))
    ]
    return helper.make_tensor_value_info(name, ELEMENTS[np.dtype(value.dtype).name], shape)


def _needed(graph: Graph, outputs: list[Value]) -> set[int]:
    """Return the ids of the nodes whose results the outputs come from."""
    wanted = set(outputs)
    found: set[int] = set()
    for node in reversed(graph.nodes):
        if wanted.intersection(one for one in node.outputs if isinstance(one, Value)):
            found.add(id(node))
            wanted.update(one for one in node.inputs if isinstance(one, Value))
    return found


def _tidy(graph: onnx.GraphProto) -> None:
    """Leave out what nothing reads; let the last nodes write the outputs themselves."""
    readers: Counter[str] = Counter(one.name for one in graph.output)
    kept = []
    for node in reversed(graph.node):
        if any(readers[name] for name in node.output):
            kept.append(node)
            readers.update(node.input)
    made = {name: node for node in kept for name in node.output}
    for last in [one for one in kept if one.op_type == "Identity"]:
        source = made.get(last.input[0])
        if source is not None and readers[last.input[0]] == 1:
            source.output[list(source.output).index(last.input[0])] = last.output[0]
            kept.remove(last)
    nodes, constants = kept[::-1], [one for one in graph.initializer if readers[one.name]]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
