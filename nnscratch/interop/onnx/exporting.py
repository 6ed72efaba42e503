"""``export``: a model as an ONNX file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, helper

from nnscratch.data import TablePreprocessor
from nnscratch.errors import ConfigurationError
from nnscratch.graph import Graph, Node, Value
from nnscratch.interop.onnx.columns import ML, ML_VERSION, write_answers, write_columns_in
from nnscratch.interop.onnx.recordings import needed, outputs_of, recorded, twin_of
from nnscratch.interop.onnx.schemas import without_unread
from nnscratch.interop.onnx.types import ELEMENTS
from nnscratch.interop.onnx.writers.table import FormulaCall, writers
from nnscratch.interop.onnx.writing import GraphWriter
from nnscratch.nn import Module
from nnscratch.tensors import as_tensor
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
    preprocessing: TablePreprocessor | None = None,
) -> ModelProto:
    """Write a model as an ONNX file, and return what was written.

    It is run once with the sample, in evaluation mode and without gradients, and what its formulas
    computed is written; Python's branches are those of the sample. With a dynamic batch it is run
    twice more with other numbers of rows, every size that changed with them is computed in the
    graph, and a model of which anything else changed is refused.

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
        preprocessing: that of a table whose features the model takes. The file then takes the
            table's columns by their names, each (N, 1), and gives ``label`` (N,) and
            ``probabilities`` (N, K), or the ``value`` (N, 1) of a regression in its own units.

    Raises:
        ConfigurationError: if the model computes what no operator stands for, named with its layer,
            or numbers of the sample would be constants of the file: ``item()``, setting items.
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
        output_names=output_names, metadata=metadata, preprocessing=preprocessing,
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
    preprocessing: TablePreprocessor | None = None,
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
    if not inputs or (dynamic_batch and (inputs[0].ndim == 0 or inputs[0].shape[0] == 0)):
        raise ConfigurationError(
            "export: the sample needs an input with the batch in front, of at least one row"
        )
    # A tensor that is given twice is two inputs all the same.
    inputs = [
        one.clone() if any(one.array is other.array for other in inputs[:i]) else one
        for i, one in enumerate(inputs)
    ]
    graph = recorded(model, inputs)
    _need_writers(graph)
    rows = inputs[0].shape[0] if inputs[0].ndim else 0
    twin = twin_of(model, inputs, graph) if dynamic_batch else graph
    sizes = (rows, rows + 1) if dynamic_batch else (rows, rows)
    pairs = list(zip(graph.nodes, twin.nodes, strict=True))
    if preprocessing is not None:
        _check_table(preprocessing, graph, input_names)
    made = _written(graph, twin, pairs, sizes, opset, input_names, output_names, preprocessing)
    helper.set_model_props(made, dict(metadata or {}))
    return made


def _written(
    graph: Graph,
    twin: Graph,
    pairs: list[tuple[Node, Node]],
    sizes: tuple[int, int],
    opset: int,
    input_names: list[str] | None,
    output_names: list[str] | None,
    pre: TablePreprocessor | None,
) -> ModelProto:
    writer = GraphWriter(opset, graph.names, sizes)
    table = writers()
    outputs, others = outputs_of(graph), outputs_of(twin)
    far = ""
    if pre is None:
        names = _names("input", input_names, len(graph.inputs))
        results_names = _names("output", output_names, len(outputs))
    else:
        names = list(pre.encoder.column_names)
        usual = ["label", "probabilities"] if pre.task == "classification" else ["value"]
        if output_names is None:  # a column may have that name
            usual = [_other_than(names, name) for name in usual]
        results_names = _names("output", output_names or usual, len(usual))
    if set(names) & set(results_names):
        raise ConfigurationError(
            f"export: inputs {names} and outputs {results_names} need names of their own"
        )
    infos = []
    if pre is None:
        for value, other, name in zip(graph.inputs, twin.inputs, names, strict=True):
            infos.append(_info(writer.input(value, name), value, other, sizes))
    for name in results_names:  # before a weight takes it
        writer.free(name)
    if pre is not None:
        infos, features, far = write_columns_in(writer, pre.encoder, graph.inputs[0].dtype)
        writer.bind(graph.inputs[0], features)
    wanted = needed(graph, outputs)
    for node, second in pairs:
        if id(node) not in wanted:
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
    if pre is not None:
        scores = writer.name_of(outputs[0], others[0])
        results = write_answers(writer, pre.target, scores, far, results_names)
    else:
        for value, other, name in zip(outputs, others, results_names, strict=True):
            source = writer.name_of(value, other)
            writer.nodes.append(helper.make_node("Identity", [source], [name], name))
            results.append(_info(name, value, other, sizes))
    made_graph = helper.make_graph(writer.nodes, "nnscratch", infos, results, writer.constants)
    _tidy(made_graph, opset)
    imports = [helper.make_opsetid("", opset)]
    if pre is not None:
        imports.append(helper.make_opsetid(ML, ML_VERSION))
    model = helper.make_model(made_graph, producer_name="nnscratch", opset_imports=imports)
    model.ir_version = helper.find_min_ir_version_for(imports)
    _check(model, opset)
    return model


def _check_table(pre: TablePreprocessor, graph: Graph, input_names: list[str] | None) -> None:
    """Check that a model fits a table's features and target.

    Raises:
        ConfigurationError: if it does not.
    """
    if input_names is not None:
        raise ConfigurationError("export: the inputs of a table have the names of its columns")
    features, answers = pre.encoder.features, pre.target.outputs
    taken, given = [tuple(one.shape) for one in graph.inputs], outputs_of(graph)
    if len(taken) != 1 or len(taken[0]) != 2 or taken[0][1] != features:
        raise ConfigurationError(
            f"export: this preprocessing makes {features} features of a row, so that the sample "
            f"has the shape (N, {features}); got {taken}"
        )
    if len(given) != 1 or tuple(given[0].shape) != (taken[0][0], answers):
        raise ConfigurationError(
            f"export: for the target {pre.target_name!r} a model returns (N, {answers}), scores or "
            f"the standardised number; this one returns {[tuple(one.shape) for one in given]}"
        )


def _need_writers(graph: Graph) -> None:
    """Check that what the outputs come from can all be written.

    Raises:
        ConfigurationError: if not, with the formulas and their layers.
    """
    outputs, table = outputs_of(graph), writers()
    if not outputs:
        raise ConfigurationError("export: the model returns no tensor")
    wanted = needed(graph, outputs)
    lacking = {
        f"{node.formula.name}{f' (in {node.layer.label})' if node.layer else ''}"
        for node in graph.nodes
        if id(node) in wanted
        and not (node.formula.name in table and (_is_forward(node) or _is_whole(node, graph)))
    }
    if lacking:
        raise ConfigurationError(
            f"export: no ONNX operator stands for {'; '.join(sorted(lacking)[:6])}; there are "
            f"operators for {len(table)} formulas, see docs/onnx.md"
        )


def _check(model: ModelProto, opset: int) -> None:
    """Check names, and that every operator takes the dtypes and shapes that it is given.

    Raises:
        ConfigurationError: if one does not, in this version of the operator set.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ConfigurationError(
            f"export: ONNX's operators of opset {opset} do not take this: "
            f"{' '.join(str(error).split())}; convert it first, or export with a newer opset"
        ) from error


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
        if len(given) != count or len(set(given)) != count or not all(given):
            raise ConfigurationError(f"export: expected {count} different names, got {given}")
        return list(given)
    return [usual] if count == 1 else [f"{usual}_{i}" for i in range(count)]


def _other_than(taken: list[str], name: str) -> str:
    """Return a name that is not taken: the name itself, or with a number."""
    made, number = name, 1
    while made in taken:
        made, number = f"{name}_{number}", number + 1
    return made


def _info(name: str, value: Value, twin: Value, sizes: tuple[int, int]) -> Any:
    """Return what the file says of an input or output.

    Sizes with one name are equal to other programs: "batch" is what has as many rows, no multiple.
    """
    shape: list[Any] = [
        n if n == m else "batch" if (n, m) == sizes else f"{name}_{i}"
        for i, (n, m) in enumerate(zip(value.shape, twin.shape, strict=True))
    ]
    return helper.make_tensor_value_info(name, ELEMENTS[np.dtype(value.dtype).name], shape)


def _tidy(graph: onnx.GraphProto, opset: int) -> None:
    """Leave out what nothing reads; let the last nodes write the outputs themselves."""
    readers: Counter[str] = Counter(one.name for one in graph.output)
    kept = []
    for node in reversed(graph.node):
        if any(readers[name] for name in node.output):
            read = without_unread(node, {"": opset}, readers.__getitem__)
            del node.output[len(read) :]
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
