"""``export``: the text of a model, checked by running it before it is written."""

from __future__ import annotations

import base64
import inspect
import io
import re
import sys
import textwrap
import types
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnscratch.array import asarray, to_numpy
from nnscratch.errors import ConfigurationError, NNScratchError
from nnscratch.formulas import FORMULAS
from nnscratch.graph import Graph, record
from nnscratch.graph.nested import mapped
from nnscratch.interop.standalone.program import Lines, docstring, quoted
from nnscratch.interop.standalone.texts import TAKEN, Texts
from nnscratch.nn import Module
from nnscratch.tensors import Tensor
from nnscratch.train.evaluation import evaluating
from nnscratch.train.files import FilePath, write_text

_SIZES = (2, 5)
_MOST_BYTES = 400 << 20
_OURS = re.compile(r"[nw]|h\d+|_.*|[a-z]+_\d+|.*_of_[a-z]+|slice|complex|tuple")
"""Names that the lines of a program have for themselves, besides those of formulas."""
_RULE = "# " + "-" * 78


@dataclass(frozen=True)
class Exported:
    """The parts of a program.

    Attributes:
        model: the function ``forward``.
        constants: statements that have to stand before it.
        texts: the functions that it calls, and what these need; more may be added.
        arrays: the weights and constants that it reads, by name.
        inputs: what ``forward`` takes.
        fixed: whether it takes inputs of the sample's shape alone.
    """

    model: str
    constants: tuple[str, ...]
    texts: Texts
    arrays: dict[str, Any]
    inputs: tuple[str, ...]
    fixed: bool

    def text(
        self, title: str, before: str = "", after: str = "", imports: tuple[str, ...] = ()
    ) -> str:
        """Return the whole file.

        Args:
            title: its docstring.
            before: Python between the imports and the model, such as a preprocessing.
            after: Python at the end.
            imports: lines that these need.
        """
        lines = {*self.texts.imports, *imports, "import base64", "import io"}
        if "math." in self.model + "".join(self.constants):
            lines.add("import math")
        listed = sorted(one for one in lines if one.startswith("import "))
        listed += sorted(one for one in lines if one.startswith("from "))
        head = "from __future__ import annotations\n\n" + "\n".join(listed)
        formulas = [*self.texts.first.values(), *self.constants, *self.texts.found.values()]
        parts = [
            f"{docstring(title + chr(10))}\n\n{head}\n\nimport numpy as np",
            before,
            f"{_RULE}\n# The model: a line for each formula\n{_RULE}\n\n\n{self.model}",
            f"{_RULE}\n# What it calls\n{_RULE}",
            *formulas,
            f"{_RULE}\n# The weights: an .npz file in base64\n{_RULE}\n\n{_weights(self.arrays)}",
            after,
        ]
        return "\n\n\n".join(one for one in parts if one) + "\n"


def exported(model: Module, sample: Any, *, fixed: bool = False) -> Exported:
    """Return a model as a program, its parts apart; ``export`` writes it.

    The numbers are compared with the model's own before.

    Args:
        model: computes in evaluation mode, whatever mode it is in.
        sample: an input, or a tuple of them: arrays or tensors whose first axis is the batch.
        fixed: whether the program is for inputs of the sample's shape alone, where the first axis
            is no batch.

    Raises:
        ConfigurationError: if the model draws random numbers, computes a loss, has weights of 16
            bits or so many that no file of Python should hold them, or does something that is in
            no formula.
    """
    given = sample if isinstance(sample, (tuple, list)) else (sample,)
    arrays = [one.array if isinstance(one, Tensor) else asarray(one) for one in given]
    arrays = [to_numpy(one) for one in arrays]
    batched = not fixed and all(one.ndim and len(one) for one in arrays)
    _check_size(model)
    if batched:
        first, second = (_graph(model, [_of_size(one, n) for one in arrays]) for n in _SIZES)
        lines = Lines((first, second), _SIZES, _input_names(model, len(arrays)))
    else:
        first = _graph(model, arrays)
        lines = Lines((first, first), None, _input_names(model, len(arrays)))
    body = lines.written()
    names = tuple(_input_names(model, len(arrays)))
    # By IEEE 754: an overflow is an infinity, 0/0 is NaN, and neither warns.
    head = ['@np.errstate(all="ignore")', f"def forward({', '.join(names)}):"]
    shapes = ", ".join(
        f"{name} {('N', *one.shape[1:]) if batched else one.shape} {one.dtype}".replace("'", "")
        for name, one in zip(names, arrays, strict=True)
    )
    head.append(f'    """Return what the model computes of {shapes}."""')
    head.append("    w = weights()")
    if lines.batched:
        head.append(f"    n = {names[0]}.shape[0]")
    text = "\n".join([*head, *(f"    {line}" for line in body)])
    constants = tuple(lines.constants.values())
    made = Exported(text, constants, lines.texts, lines.arrays, names, not batched)
    _compare(model, made, [_of_size(one, 3) for one in arrays] if batched else arrays)
    return made


def export(
    model: Module, sample: Any, path: FilePath, *, title: str = "", fixed: bool = False
) -> None:
    """Write a model as one file of Python that needs NumPy alone, from 2.1 on.

    The file has a function ``forward`` with a line for each formula that the model calls, the
    texts of these formulas, and the weights. It gives the numbers that NumPy computes here, to the
    last bit; compiled kernels may differ from both in the last digits.

    Args:
        model: computes in evaluation mode, whatever mode it is in.
        sample: an input, or a tuple of them: arrays or tensors whose first axis is the batch.
        path: the file; it is replaced if there is one.
        title: the docstring of the file.
        fixed: as in ``exported``.

    Raises:
        ConfigurationError: as ``exported``.
        RunError: if the file cannot be written.

    >>> import runpy, tempfile
    >>> from nnscratch import nn, ones
    >>> model = nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export(model, ones(1, 2), f"{folder}/model.py")
    ...     forward = runpy.run_path(f"{folder}/model.py")["forward"]
    >>> forward(np.ones((3, 2), np.float32)).shape
    (3, 1)
    """
    made = exported(model, sample, fixed=fixed)
    write_text(path, made.text(title or f"A {type(model).__name__} that needs NumPy alone."))


def _check_size(model: Module) -> None:
    size = sum(one.array.nbytes for one in (*model.parameters(), *model.buffers()))
    if size > _MOST_BYTES:
        raise ConfigurationError(
            f"the model's weights are {size / 1e6:,.0f} MB, and a file of Python should not hold "
            f"more than {_MOST_BYTES / 1e6:,.0f} MB; export it as safetensors or ONNX"
        )


def _graph(model: Module, arrays: list[Any]) -> Graph:
    with evaluating(model):
        return record(model, *(Tensor(one) for one in arrays))


def _of_size(array: Any, count: int) -> Any:
    return np.resize(array, (count, *array.shape[1:]))


def _input_names(model: Module, count: int) -> list[str]:
    try:
        listed = list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError):
        listed = []
    names = [p.name for p in listed if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    # The name of what the lines call would hide it.
    reserved = any(name in {*FORMULAS, *TAKEN} or _OURS.fullmatch(name) for name in names)
    if len(names) < count or reserved or not all(map(str.isascii, names)):
        return ["x"] if count == 1 else [f"x{place}" for place in range(count)]
    return names[:count]


def _weights(arrays: dict[str, Any]) -> str:
    buffer = io.BytesIO()
    # By their numbers: a name may be one of no file.
    np.savez(buffer, *arrays.values())
    names = "".join(f"    {quoted(name)},\n" for name in arrays)
    listed = f"[\n{names}]" if names else "[]"
    lines = textwrap.wrap(base64.b64encode(buffer.getvalue()).decode(), 96)
    held = "\n".join(lines)
    return f'''_loaded = {{}}


def weights():
    """Return the weights and constants by name; they are decoded once."""
    if not _loaded:
        content = base64.b64decode(_WEIGHTS)
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            _loaded.update((name, file[f"arr_{{n}}"]) for n, name in enumerate(_NAMES))
    return _loaded


_NAMES = {listed}
_WEIGHTS = """
{held}
"""'''


def _compare(model: Module, made: Exported, arrays: list[Any]) -> None:
    """Run the program and compare its numbers with the model's.

    Raises:
        ConfigurationError: if they differ, which is a mistake of this package.
    """
    name = "nnscratch_exported"
    module = types.ModuleType(name)
    held = sys.modules.get(name)
    sys.modules[name] = module  # classes look their module up
    try:
        empty = replace(made, arrays={})
        exec(compile(empty.text(""), "<exported>", "exec"), vars(module))
        module._loaded = made.arrays or {"": None}  # type: ignore[attr-defined]
        with np.errstate(all="ignore"):
            found = module.forward(*arrays)
        with evaluating(model):
            wanted = mapped(_on_host, model(*(Tensor(one) for one in arrays)))
        _same(found, wanted)
    except NNScratchError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"the exported program does not compute what the model does ({error}); the model may "
            "do something in Python that is no formula"
        ) from error
    finally:
        if held is None:
            del sys.modules[name]
        else:
            sys.modules[name] = held


def _on_host(item: Any) -> Any:
    return to_numpy(item.array) if isinstance(item, Tensor) else item


def _same(found: Any, wanted: Any) -> None:
    if isinstance(wanted, dict):
        wanted, found = list(wanted.values()), list(found.values())
    if isinstance(wanted, (tuple, list)):
        for one, other in zip(found, wanted, strict=True):
            _same(one, other)
    elif isinstance(wanted, np.ndarray):
        size = float(np.max(np.abs(wanted[np.isfinite(wanted)]), initial=1.0))
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4 * size)
