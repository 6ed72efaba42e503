"""One word, one class: a class name that is used twice makes a reader look up the wrong one."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

# How many classes may have the name, and why it is the right name for each of them.
SHARED = {
    "Module": (2, "nn.Module, and a CUDA module as the driver API calls it"),
    "Parameter": (3, "nn.Parameter, and the parameters of a kernel's launch and of its source"),
    "Table": (3, "a table of data, a module's tensors by name, and a CPU program's instructions"),
    "Node": (3, "a node of the tape, of a recorded graph, and of a fused loop"),
    "Value": (2, "a value of a recorded graph, and an operand of an update"),
    "Builder": (3, "builds a plan, and the protocol of that for the CPU and for CUDA"),
    "EagerBuilder": (2, "the builder that computes at once, one for the CPU and one for CUDA"),
    "Handle": (2, "of a hook, and of the cuBLAS library as its API calls it"),
    "Place": (2, "a line of source code, and the layout of a loop's operand"),
    "Transformer": (2, "nn.Transformer, and GPT-2's blocks under the name that its weights have"),
    "autocast": (2, "amp.autocast, and cuda.amp.autocast, which says no device"),
    "GradScaler": (2, "amp.GradScaler, and cuda.amp.GradScaler, which says no device"),
    "Blas": (2, "the BLAS of the CPU and that of CUDA"),
}


def classes(path: Path) -> Iterator[str]:
    """Yield the names of the classes in a file that other files may import."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


def found() -> dict[str, list[str]]:
    """Return the files of all classes of the package, by the name of the class."""
    files: dict[str, list[str]] = defaultdict(list)
    for room in ("nnscratch", "kernels"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for name in classes(path):
                files[name].append(path.relative_to(ROOT).as_posix())
    return files


def test_no_two_classes_have_one_name() -> None:
    files = found()
    assert "Tensor" in files
    twice = {
        name: places for name, places in files.items() if len(places) > SHARED.get(name, (1, ""))[0]
    }
    assert not twice, f"give one of them a name that says what it is, or add it to SHARED: {twice}"


def test_a_second_class_of_a_name_is_found(tmp_path: Path) -> None:
    path = tmp_path / "twice.py"
    path.write_text("class Tensor: ...\nclass _Private: ...\n", encoding="utf-8")
    assert list(classes(path)) == ["Tensor"]
