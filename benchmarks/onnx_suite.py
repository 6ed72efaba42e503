"""How many of the `onnx` package's own tests pass, operator by operator, and why others do not.

python -m benchmarks.onnx_suite                         # print the counts
python -m benchmarks.onnx_suite docs/onnx_operators.md  # and write them into the page
"""

from __future__ import annotations

import argparse
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.backend.test.runner import Runner, _normalize_tensor

from nnscratch.interop.onnx import backend

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
BEGIN = "<!-- Written by `python -m benchmarks.onnx_suite docs/onnx_operators.md`. -->"
END = "<!-- The end of what is written. -->"


@dataclass
class Case:
    """One test: a model, what goes in and what comes out."""

    name: str
    kind: str
    operator: str
    model: ModelProto
    data: list[tuple[list[Any], list[Any]]]
    rtol: float = 1e-3
    atol: float = 1e-7
    operators: set[str] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    reason: str = ""

    def __post_init__(self) -> None:
        nodes = list(self.model.graph.node)
        self.operators = {node.op_type for node in nodes}
        for value in (*self.model.graph.input, *self.model.graph.output):
            self.types |= _types(value.type)
        for node in nodes:
            self.types |= {
                TensorProto.DataType.Name(one.i) for one in node.attribute if one.name == "to"
            }
        self.reason = next((why for why, holds in EXCLUDED.items() if holds(self)), "")

    def failure(self) -> str:
        """Return why the test fails, nothing if it passes."""
        try:
            prepared = backend.prepare(self.model)
            for inputs, outputs in self.data:
                Runner.assert_similar_outputs(
                    [_normalize_tensor(one) for one in outputs],
                    prepared.run([_normalize_tensor(one) for one in inputs]),
                    self.rtol,
                    self.atol,
                )
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return ""


def _types(proto: Any) -> set[str]:
    kind = proto.WhichOneof("value")
    if kind == "tensor_type":
        return {TensorProto.DataType.Name(proto.tensor_type.elem_type)}
    if kind == "sequence_type":
        return {"sequence", *_types(proto.sequence_type.elem_type)}
    if kind == "optional_type":
        return _types(proto.optional_type.elem_type)
    return {str(kind)}


SMALL = ("FLOAT8", "FLOAT4", "INT4", "UINT4", "INT2", "UINT2")
QUANTISED = {
    "ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv",
    "QLinearMatMul", "QuantizeLinear",
}  # fmt: skip
SEQUENCES = {
    "ConcatFromSequence", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase",
    "SequenceInsert", "SequenceLength", "SequenceMap", "SplitToSequence",
}  # fmt: skip
RANDOM = re.compile("test_bernoulli.*|test_training_dropout(_default)?(_mask)?")

# The one table of what is left out: the reason, and what it holds for.
EXCLUDED: dict[str, Callable[[Case], bool]] = {
    "operators of `ai.onnx.ml`, of trees and encoders of other kinds of models": lambda case: any(
        one.domain == "ai.onnx.ml" for one in case.model.opset_import
    ),
    "strings": lambda case: (
        "STRING" in case.types or bool({"StringNormalizer", "TfIdfVectorizer"} & case.operators)
    ),
    "sequences of tensors": lambda case: (
        "sequence" in case.types or bool(SEQUENCES & case.operators)
    ),
    "numbers of 8 bits and fewer that NumPy has not (float8, float4, int4, int2)": lambda case: any(
        one.startswith(SMALL) for one in case.types
    ),
    "quantised operators": lambda case: bool(QUANTISED & case.operators),
    "decoding of image files": lambda case: "ImageDecoder" in case.operators,
    "gradients as an operator, in a preview that was given up": lambda case: (
        "Gradient" in case.operators
    ),
    "random numbers: the expected ones are those of NumPy's generator": lambda case: (
        RANDOM.fullmatch(case.name) is not None
    ),
    "a float16 result in its last bit; ours is nearer to that of float64": lambda case: (
        case.name.startswith("test_attention_4d_causal_fp16")
    ),
}


@cache
def cases() -> tuple[Case, ...]:
    """Return all tests: of nodes, of whole models, and those that were converted from PyTorch."""
    return (*_node_cases(), *_stored_cases(), *_light_cases())


def _node_cases() -> Iterator[Case]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        found = collect_testcases(None)
    operators: dict[str, str] = {}
    for one in found:
        base = one.name.partition("_expanded")[0]
        # Of a definition by other operators, the operator that it defines.
        operators.setdefault(base, one.model.graph.node[-1].op_type)
        yield Case(one.name, "node", operators[base], one.model, one.data_sets, one.rtol, one.atol)


def _stored_cases() -> Iterator[Case]:
    for kind in ("pytorch-converted", "pytorch-operator", "simple"):
        for folder in sorted(path for path in (DATA / kind).iterdir() if path.is_dir()):
            data = [
                (_tensors(one, "input"), _tensors(one, "output"))
                for one in sorted(folder.glob("test_data_set_*"))
            ]
            model = onnx.load(folder / "model.onnx")
            yield Case(folder.name, kind, model.graph.node[-1].op_type, model, data)


def _light_cases() -> Iterator[Case]:
    for path in sorted((DATA / "light").glob("*.onnx")):
        model = onnx.load(path)
        own = {one.name for one in model.graph.initializer}
        inputs = [
            Runner.generate_dummy_data(one) for one in model.graph.input if one.name not in own
        ]
        expected = _tensor(path.with_name(f"{path.stem}_output_0.pb"))
        yield Case(path.stem, "real", path.stem, model, [(inputs, [expected])])


def differing(model: ModelProto, seed: int = 0) -> ModelProto:
    """Return one of the networks with weights that differ, without its softmax.

    The package's weights are 0.02 each: those of two layers, or of one turned round, are the same.
    """
    source = np.random.default_rng(seed)
    made = ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    held = {one.name: one for one in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type != "ConstantOfShape":
            nodes.append(node)
            continue
        shape = numpy_helper.to_array(held[node.input[0]]).tolist()
        if len(shape) == 1:  # biases, scales and statistics, variances among them
            values = source.uniform(0.1, 0.9, shape).astype(np.float32)
        else:
            values = source.standard_normal(shape, np.float32)
            values *= np.float32(np.sqrt(2 / np.prod(shape[1:])))
        graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
    if nodes[-1].op_type == "Softmax":
        graph.output[0].name = nodes.pop().input[0]
        graph.output[0].type.tensor_type.ClearField("shape")
    del graph.node[:]
    graph.node.extend(nodes)
    return made


def _tensors(folder: Path, what: str) -> list[Any]:
    count = len(list(folder.glob(f"{what}_*.pb")))
    return [_tensor(folder / f"{what}_{i}.pb") for i in range(count)]


def _tensor(path: Path) -> Any:
    try:
        return numpy_helper.to_array(TensorProto.FromString(path.read_bytes()))
    except (TypeError, ValueError):  # a sequence, of a test that is left out
        return np.zeros(0)


def text(failures: dict[str, str]) -> str:
    """Return the page's part that is written: counts by kind and by operator, what is left out."""
    taken = [case for case in cases() if not case.reason]
    lines = ["| tests of the suite | in all | left out | run | pass |", "|---|---|---|---|---|"]
    for kind, words in KINDS.items():
        of_kind = [case for case in cases() if case.kind == kind]
        run = [case for case in of_kind if not case.reason]
        passed = sum(case.name not in failures for case in run)
        rest = len(of_kind) - len(run)
        lines.append(f"| {words} | {len(of_kind)} | {rest} | {len(run)} | {passed} |")
    nodes = [case for case in taken if case.kind == "node"]
    names = sorted({case.operator for case in nodes})
    lines += ["", f"The tests of nodes are of {len(names)} operators:", ""]
    lines += ["| operator | run | pass |", "|---|---|---|"]
    for name in names:
        own = [case for case in nodes if case.operator == name]
        lines.append(f"| {name} | {len(own)} | {sum(one.name not in failures for one in own)} |")
    lines += ["", "Left out are:", ""]
    for why in EXCLUDED:
        out_names = sorted(
            case.name.removeprefix("test_") for case in cases() if case.reason == why
        )
        lines.append(f"- **{len(out_names)}** with {why}: {', '.join(out_names)}.")
    return "\n".join(lines)


KINDS = {
    "node": "nodes",
    "pytorch-converted": "converted from PyTorch's layers",
    "pytorch-operator": "converted from PyTorch's operators",
    "simple": "small graphs",
    "real": "networks (AlexNet to VGG-19)",
}


def run() -> dict[str, str]:
    """Run what is not left out, and return what failed with its reason."""
    failed: dict[str, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in cases():
            if not case.reason and (why := case.failure()):
                failed[case.name] = why
    return failed


def written(page: str, part: str) -> str:
    """Return a page with the part between its marks replaced."""
    before, found, rest = page.partition(BEGIN)
    behind = rest.partition(END)[2]
    if not found or END not in rest:
        raise SystemExit(f"the page has no marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{part}\n\n{END}{behind}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", nargs="?", type=Path, help="the page to write the counts into")
    page = parser.parse_args(arguments).page
    failures = run()
    part = text(failures)
    print(part.partition("\nLeft out are:")[0])
    for name, why in failures.items():
        print(f"{name}: {why}")
    if page is not None:
        page.write_text(written(page.read_text(encoding="utf-8"), part), encoding="utf-8")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
