"""How much of PyTorch's own test databases passes here: its modules and its functions.

    python -m benchmarks.databases                     # everything, some minutes
    python -m benchmarks.databases modules             # the modules; "operators" for the functions
    python -m benchmarks.databases --only Conv -v      # names that hold this, with each first fault

PyTorch keeps, for its own tests, example calls of every module and function (`module_db`, `op_db`).
Each goes through PyTorch and through nnscratch: outputs, their dtypes and the gradients of all
inputs and parameters are compared. An entry **passes** if all its calls agree, is **absent** if
nnscratch has no such name, and **fails** otherwise, also where a call is refused that is legal in
PyTorch. What is drawn at random is compared by shape and dtype alone, and calls with complex
numbers are judged apart, with `--complex`.

Needs the packages of the tests (`expecttest` among them, which the databases import).
"""

from __future__ import annotations

import argparse
import inspect
import itertools
import json
import warnings
from collections import Counter
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.common_modules import module_db

import nnscratch
from nnscratch import nn
from nnscratch.errors import NNScratchError

PASSES, FAILS, ABSENT = "passes", "fails", "absent"

# Entries that say nothing about a library that computes on dense arrays, with the reason.
_NOT_JUDGED = {
    "_": "private to PyTorch",
    "torch.": "private to PyTorch",
    "native_": "private to PyTorch",
    "jiterator": "compiles CUDA text",
    "sparse": "sparse tensors",
    "to_sparse": "sparse tensors",
    "bmm.triton": "for Triton",
    "bfloat16": "a dtype that NumPy lacks",
    "chalf": "a dtype that NumPy lacks",
    "hash_tensor": "private to PyTorch",
}
_AT_RANDOM = (
    *("bernoulli", "cauchy", "exponential", "geometric", "log_normal", "multinomial", "normal"),
    *("rand_like", "randint", "randint_like", "randn", "randn_like", "uniform", "rrelu"),
    *("dropout", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"),
    *("empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided"),
    *("fractional_max_pool2d", "fractional_max_pool3d", "resize_", "resize_as_"),
)
_DTYPES = {
    "real": (torch.float64, torch.float32, torch.int64, torch.bool),
    "complex": (torch.complex128, torch.complex64),
}
_RANDOM_MODULES = ("FractionalMaxPool2d", "FractionalMaxPool3d")


@dataclass
class Outcome:
    """What became of one entry.

    Attributes:
        name: PyTorch's name of it.
        state: "passes", "fails" or "absent".
        fault: the first call that went wrong, and how; empty otherwise.
        calls: how many calls were compared.
    """

    name: str
    state: str
    fault: str = ""
    calls: int = 0


class Differs(Exception):
    """A result that is not PyTorch's."""


class RefusedByPyTorch(Exception):
    """A call of the database that PyTorch itself refuses here; nothing is compared."""


def modules(only: str = "") -> list[Any]:
    """Return PyTorch's entries of modules whose names hold ``only``."""
    return [info for info in module_db if only.lower() in info.name.lower()]


def operators(only: str = "") -> list[Any]:
    """Return PyTorch's entries of functions whose names hold ``only``, that are judged."""
    return [
        info
        for info in op_db
        if only.lower() in info.full_name.lower() and not not_judged(info.full_name)
    ]


def judge_module(info: Any, most: int = 0) -> Outcome:
    """Return the outcome of a module.

    Args:
        info: its entry.
        most: how many calls of each dtype to compare at most, in both modes; 0 for all of them.
    """
    name = info.name.removeprefix("nn.")
    if not hasattr(nn, name):
        return Outcome(info.name, ABSENT)
    outcome = Outcome(info.name, PASSES)
    for dtype, training in itertools.product((torch.float64, torch.float32), (True, False)):
        if dtype not in info.dtypes:
            continue
        torch.manual_seed(0)
        given = info.module_inputs_func(
            info, device="cpu", dtype=dtype, requires_grad=True, training=training
        )
        for case in itertools.islice(given, most or None):
            said = f"{case.constructor_input.args} {case.constructor_input.kwargs} {dtype}"
            fault = _fault(partial(_compare_module, name, case, dtype, training))
            outcome.calls += 1
            if fault and not outcome.fault:
                outcome.state, outcome.fault = FAILS, f"{said}: {fault}"
    return outcome


def judge_operator(info: Any, most: int = 0, numbers: str = "real") -> Outcome:
    """Return the outcome of a function.

    Args:
        info: its entry.
        most: how many calls of each dtype to compare at most; 0 for all of them.
        numbers: "real" or "complex", which of the calls.
    """
    mine = _operator(info)
    if mine is None:
        return Outcome(info.full_name, ABSENT)
    outcome = Outcome(info.full_name, PASSES)
    for dtype in _DTYPES[numbers]:
        if not info.supports_dtype(dtype, "cpu"):
            continue
        continuous = dtype.is_floating_point or dtype.is_complex
        grad = info.supports_autograd and continuous and dtype in info.backward_dtypes
        torch.manual_seed(0)
        given = info.sample_inputs("cpu", dtype, requires_grad=grad)
        for sample in itertools.islice(given, most or None):
            fault = _fault(partial(_compare_call, info, mine, sample))
            outcome.calls += 1
            if fault and not outcome.fault:
                shown = _shown((sample.input, *sample.args))
                outcome.state = FAILS
                outcome.fault = f"{shown} {sample.kwargs}: {fault}"
    return outcome


def not_judged(name: str) -> str:
    """Return why an entry is left out, or nothing."""
    if name.startswith("__"):
        return ""
    if name.endswith("_copy") or name == "slice":
        return "private to PyTorch"
    return next((why for start, why in _NOT_JUDGED.items() if name.startswith(start)), "")


def _fault(call: Any) -> str:
    """Return what went wrong, or nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            call()
        except RefusedByPyTorch:
            return ""
        except Differs as error:
            return str(error)
        except NNScratchError as error:
            return f"refused: {error}"
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return ""


def _compare_module(name: str, case: Any, dtype: torch.dtype, training: bool) -> None:
    made, call = case.constructor_input, case.forward_input
    kind = getattr(torch.nn, name)
    takes = "dtype" in inspect.signature(kind).parameters and "dtype" not in made.kwargs
    factory = {"dtype": dtype} if takes else {}
    its = kind(*made.args, **made.kwargs, **factory).to(dtype).train(training)
    mine = getattr(nn, name)(*_ours(made.args), **_ours(made.kwargs | factory)).train(training)
    mine.to(str(dtype).removeprefix("torch."))
    state = its.state_dict()
    if list(mine.state_dict()) != list(state):
        raise Differs(f"state {list(mine.state_dict())}, PyTorch has {list(state)}")
    mine.load_state_dict({key: _ours(value) for key, value in state.items()})
    # PyTorch's losses do not say their options, and one says dtypes of a kind of its own.
    if repr(its) not in (f"{name}()", repr(mine)):
        raise Differs(f"shown as {mine!r}, by PyTorch as {its!r}")
    given, ours = (call.args, call.kwargs), _ours((call.args, call.kwargs))
    _forget_gradients(given)
    torch.manual_seed(0)
    expected = _of_pytorch(its, *call.args, **call.kwargs)
    got = mine(*ours[0], **ours[1])
    values = name not in _RANDOM_MODULES
    _same(got, expected, "output", values)
    if values:
        _same_gradients(got, expected, ours, given)
        for (key, p), q in zip(mine.named_parameters(), its.parameters(), strict=True):
            _same_gradient(p, q, f"gradient of {key}")
        for key, value in its.state_dict().items():
            _same(mine.state_dict()[key], value, f"{key} afterwards")


def _of_pytorch(call: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return call(*args, **kwargs)
    except Exception as error:
        raise RefusedByPyTorch from error


def _operator(info: Any) -> Any:
    """Return ours of an entry: a function by its path, a method of tensors, or None.

    Where PyTorch calls a function with its arguments in another order, it is the method's.
    """
    method = getattr(nnscratch.Tensor, info.name, None)
    if isinstance(method, property):
        return lambda x: getattr(x, info.name)
    if info.name == "zero_":
        return lambda x: x.clone().zero_()
    if info.name in ("where", "index_put", "item"):
        return method
    if info.full_name == "normal.in_place":
        return nnscratch.Tensor.normal_
    if info.name == "einsum":
        return lambda operands, equation: nnscratch.einsum(equation, *operands)
    if info.name == "nn.functional.embedding":  # the database has the weight first
        return lambda weight, index, **more: nn.functional.embedding(index, weight, **more)
    found: Any = nnscratch
    for part in info.name.split("."):
        found = getattr(found, part, None) if found is not nnscratch or part != "nn" else nn
        if found is None:
            break
    if callable(found) and not isinstance(found, type):
        return found
    return method


def _drops(name: str, sample: Any) -> bool:
    """Say whether a call of an attention drops some of its weights."""
    several = name == "multi_head_attention_forward" and sample.kwargs["training"]
    return bool(several or sample.kwargs.get("dropout_p"))


def _compare_call(info: Any, mine: Any, sample: Any) -> None:
    given = (sample.input, *sample.args)
    kwargs = {k: v for k, v in sample.kwargs.items() if k not in ("device", "layout", "pin_memory")}
    ours, named = _ours((given, kwargs))
    _forget_gradients((given, kwargs))
    expected = _of_pytorch(info.op, *given, **sample.kwargs)
    got = mine(*ours, **named)
    name = info.name.removeprefix("nn.functional.")
    values = name not in _AT_RANDOM and not _drops(name, sample)
    _same(got, expected, "output", values)
    if values:
        _same_gradients(got, expected, (ours, named), (given, kwargs))


def _same(got: Any, expected: Any, what: str, values: bool = True) -> None:
    """Raise unless a result is PyTorch's: structure, shapes, dtypes and, if asked, values."""
    if isinstance(expected, torch.Tensor):
        if not isinstance(got, nnscratch.Tensor):
            raise Differs(f"{what}: {type(got).__name__}, PyTorch has a tensor")
        a, b = _array(got), _array(expected)
        if a.shape != b.shape:
            raise Differs(f"{what}: shape {a.shape}, PyTorch has {b.shape}")
        if a.dtype != b.dtype:
            raise Differs(f"{what}: {a.dtype}, PyTorch has {b.dtype}")
        if values:
            _close(a, b, what)
    elif isinstance(expected, torch.nn.utils.rnn.PackedSequence):
        _same(tuple(got), tuple(expected), what, values)
    elif isinstance(expected, (list, tuple)):
        if not isinstance(got, (list, tuple)) or len(got) != len(expected):
            raise Differs(f"{what}: {type(got).__name__}, PyTorch has {type(expected).__name__}")
        for index, (one, other) in enumerate(zip(got, expected, strict=True)):
            _same(one, other, f"{what} {index}", values)
    elif isinstance(expected, (bool, int, float, complex)) and values:
        _close(np.asarray(got), np.asarray(expected), what)


def _close(a: Any, b: Any, what: str) -> None:
    if b.dtype.kind in "fc":
        single = b.dtype.itemsize <= (8 if b.dtype.kind == "c" else 4)
        rtol, atol = (2e-4, 1e-5) if single else (1e-7, 1e-8)
        # Sums of large numbers cancel to small ones, which have the error of the large ones.
        atol *= max(1.0, float(np.max(np.abs(b), where=np.isfinite(b), initial=0.0)))
        if not np.allclose(a, b, rtol, atol, equal_nan=True):
            with np.errstate(all="ignore"):
                raise Differs(f"{what}: values differ by up to {np.nanmax(np.abs(a - b)):.3g}")
    elif not np.array_equal(a, b):
        raise Differs(f"{what}: other values")


def _same_gradients(got: Any, expected: Any, ours: Any, given: Any) -> None:
    """Compare the gradients of all inputs for one random cotangent of every floating output."""
    rng = np.random.default_rng(0)
    theirs = [t for t in _tensors(expected) if t.requires_grad]
    mine = [t for t in _tensors(got) if isinstance(t, nnscratch.Tensor)]
    mine = [m for m, t in zip(mine, _tensors(expected), strict=True) if t.requires_grad]
    if not theirs:
        return
    cotangents = [np.asarray(rng.normal(size=tuple(t.shape))) for t in theirs]
    leaves = [t for t in _tensors(given) if t.requires_grad]
    held = [m for m, t in zip(_tensors(ours), _tensors(given), strict=True) if t.requires_grad]
    torch.autograd.backward(
        theirs, [torch.tensor(c).to(t.dtype) for c, t in zip(cotangents, theirs, strict=True)]
    )
    for m in mine:
        if not m.requires_grad:
            raise Differs("output: without a gradient, PyTorch has one")
    nnscratch.autograd.backward(
        mine,
        [
            nnscratch.tensor(c.astype(_array(m).dtype))
            for c, m in zip(cotangents, mine, strict=True)
        ],
    )
    for index, (m, t) in enumerate(zip(held, leaves, strict=True)):
        _same_gradient(m, t, f"gradient of input {index}")


def _forget_gradients(given: Any) -> None:
    for one in _tensors(given):
        one.grad = None  # the same tensor may be in several calls
        if one.requires_grad and not one.is_leaf:
            one.retain_grad()


def _same_gradient(m: Any, t: Any, what: str) -> None:
    if t.grad is None:
        if m.grad is not None and _array(m.grad).any():
            raise Differs(f"{what}: there is one, PyTorch has none")
    elif m.grad is None:
        if _array(t.grad).any():
            raise Differs(f"{what}: none, PyTorch has one")
    else:
        _same(m.grad, t.grad, what)


def _tensors(item: Any) -> list[Any]:
    """Return the tensors of either library inside lists, tuples and dictionaries, in order."""
    if isinstance(item, (torch.Tensor, nnscratch.Tensor)):
        return [item]
    if isinstance(item, dict):
        return [t for one in item.values() for t in _tensors(one)]
    if isinstance(item, (list, tuple)):
        return [t for one in item for t in _tensors(one)]
    return []


def _array(item: Any) -> Any:
    return (
        item.detach().resolve_conj().resolve_neg().numpy(force=True)
        if isinstance(item, torch.Tensor)
        else np.asarray(item.detach())
    )


def _ours(item: Any, made: dict[int, Any] | None = None) -> Any:
    """Return what stands for an argument of PyTorch's here; one tensor given twice stays one."""
    made = {} if made is None else made
    if isinstance(item, torch.nn.Parameter):
        return made.setdefault(id(item), nn.Parameter(nnscratch.tensor(_array(item).copy())))
    if isinstance(item, torch.Tensor):
        tensor = nnscratch.tensor(_array(item).copy(), requires_grad=item.requires_grad)
        return made.setdefault(id(item), tensor)
    if isinstance(item, torch.dtype):
        return getattr(nnscratch, str(item).removeprefix("torch."))
    if isinstance(item, torch.memory_format):
        return getattr(nnscratch, str(item).removeprefix("torch."))
    if isinstance(item, torch.Size):
        return tuple(item)
    if is_dataclass(item) and not isinstance(item, type):
        options = {field.name: getattr(item, field.name) for field in fields(item)}
        return getattr(nn, type(item).__name__)(**options)
    if isinstance(item, torch.nn.TransformerEncoderLayer):
        sizes = (item.linear1.in_features, item.self_attn.num_heads, item.linear1.out_features)
        options = {"batch_first": item.self_attn.batch_first, "norm_first": item.norm_first}
        options["bias"] = item.linear1.bias is not None
        shape = _ours(item.activation)
        return nn.TransformerEncoderLayer(*sizes, item.dropout.p, shape, **options)
    if isinstance(item, torch.nn.Module):
        return getattr(nn, type(item).__name__)()
    if isinstance(item, dict):
        return {key: _ours(value, made) for key, value in item.items()}
    if isinstance(item, (list, tuple)):
        return type(item)(_ours(one, made) for one in item)
    if callable(item) and str(getattr(item, "__module__", "")).startswith("torch"):
        return getattr(nn.functional, item.__name__, None) or getattr(nnscratch, item.__name__)
    return item


def _shown(item: Any) -> str:
    """Return a call's arguments in a line, tensors by their dtypes and shapes."""
    if isinstance(item, torch.Tensor):
        return f"{str(item.dtype).removeprefix('torch.')}{tuple(item.shape)}"
    if isinstance(item, (list, tuple)):
        return f"({', '.join(map(_shown, item))})"
    return repr(item)


def main() -> None:
    """Print the outcome of the databases."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("which", nargs="?", choices=("modules", "operators"))
    parser.add_argument("--only", default="", metavar="PART", help="names that hold this part")
    parser.add_argument("--most", type=int, default=0, metavar="N", help="calls of each kind")
    parser.add_argument("--complex", action="store_true", help="the calls with complex numbers")
    parser.add_argument("--json", action="store_true", help="one JSON object an entry")
    parser.add_argument("-v", "--verbose", action="store_true", help="the names of all entries too")
    asked = parser.parse_args()
    numbers = "complex" if asked.complex else "real"
    judges = {
        "modules": (modules, judge_module),
        "operators": (operators, partial(judge_operator, numbers=numbers)),
    }
    for which, (entries, judge) in judges.items():
        if asked.which not in (None, which):
            continue
        outcomes = []
        for info in entries(asked.only):
            outcome = judge(info, asked.most)
            outcomes.append(outcome)
            if asked.json:
                print(json.dumps(vars(outcome)), flush=True)
            elif outcome.state == FAILS or asked.verbose:
                text = " ".join(outcome.fault.split())[:300]
                print(f"{outcome.state:7} {outcome.name}  {text}", flush=True)
        found = Counter(outcome.state for outcome in outcomes)
        print(f"{which}: " + ", ".join(f"{found[s]} {s}" for s in (PASSES, FAILS, ABSENT)))


if __name__ == "__main__":
    main()
