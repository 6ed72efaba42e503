"""How much of PyTorch's own test databases passes here: its modules and its functions.

    python -m benchmarks.databases                     # everything, some minutes
    python -m benchmarks.databases modules             # the modules; "operators" for the functions
    python -m benchmarks.databases --only Conv -v      # names that hold this, with each first fault

PyTorch keeps, for its own tests, example calls of every module and function (`module_db`, `op_db`).
Each goes through PyTorch and through nnscratch: outputs, their dtypes and the gradients of all
inputs and parameters are compared. An entry **passes** if all its calls agree, is **absent** if
nnscratch has no such name, and **fails** otherwise, also where a call is refused that is legal in
PyTorch; one without a call that PyTorch itself can make is **not compared**. What is drawn at
random is compared by shape and dtype alone, and calls with complex numbers are judged apart, with
`--complex`.

Needs the packages of the tests (`expecttest` among them, which the databases import).
"""

from __future__ import annotations

import argparse
import inspect
import itertools
import json
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.common_modules import module_db

import nnscratch
from benchmarks.comparing import (
    Differs,
    forget_gradients,
    ours_of,
    same,
    same_gradient,
    same_gradients,
)
from nnscratch import nn
from nnscratch.errors import NNScratchError

PASSES, FAILS, ABSENT, UNCOMPARED = "passes", "fails", "absent", "not compared"

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
        absent: whether nnscratch has no such name.
        calls: how many calls were compared; those that PyTorch itself refuses are none.
        faults: of each call that went wrong, what it was and how.
    """

    name: str
    absent: bool = False
    calls: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        """Whether it "passes", "fails", is "absent" or was "not compared"."""
        if self.absent:
            return ABSENT
        return FAILS if self.faults else PASSES if self.calls else UNCOMPARED

    def judge(self, compare: Callable[[], None], said: str) -> None:
        """Compare one call, and note what went wrong."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                compare()
            except RefusedByPyTorch:
                return
            except Differs as error:
                self.faults.append(f"{said}: {error}")
            except NNScratchError as error:
                self.faults.append(f"{said}: refused: {error}")
            except Exception as error:
                self.faults.append(f"{said}: {type(error).__name__}: {error}")
        self.calls += 1


class RefusedByPyTorch(Exception):
    """A call of the database that PyTorch itself refuses here; nothing is compared."""


@contextmanager
def _stacks_unread() -> Iterator[None]:
    """Let nobody ask for the stack of calls, which PyTorch does at every call of its databases.

    It looks there for a test of its own, and writes the stack down at every seed of the random
    numbers, three times, for devices that may be used later. Under pytest, whose stack is deep,
    that took six times as long as the calls.
    """
    with patch.object(inspect, "stack", list), patch.object(traceback, "format_stack", list):
        yield


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


@_stacks_unread()
def judge_module(info: Any, most: int = 0) -> Outcome:
    """Return the outcome of a module.

    Args:
        info: its entry.
        most: how many calls of each dtype to compare at most, in both modes; 0 for all of them.
    """
    name = info.name.removeprefix("nn.")
    if not hasattr(nn, name):
        return Outcome(info.name, absent=True)
    outcome = Outcome(info.name)
    for dtype, training in itertools.product((torch.float64, torch.float32), (True, False)):
        if dtype not in info.dtypes:
            continue
        torch.manual_seed(0)
        given = info.module_inputs_func(
            info, device="cpu", dtype=dtype, requires_grad=True, training=training
        )
        for case in itertools.islice(given, most or None):
            said = f"{case.constructor_input.args} {case.constructor_input.kwargs} {dtype}"
            outcome.judge(partial(_compare_module, name, case, dtype, training), said)
    return outcome


@_stacks_unread()
def judge_operator(info: Any, most: int = 0, numbers: str = "real") -> Outcome:
    """Return the outcome of a function.

    Args:
        info: its entry.
        most: how many calls of each dtype to compare at most; 0 for all of them.
        numbers: "real" or "complex", which of the calls.
    """
    mine = _operator(info)
    if mine is None:
        return Outcome(info.full_name, absent=True)
    outcome = Outcome(info.full_name)
    for dtype in _DTYPES[numbers]:
        if not info.supports_dtype(dtype, "cpu"):
            continue
        continuous = dtype.is_floating_point or dtype.is_complex
        grad = info.supports_autograd and continuous and dtype in info.backward_dtypes
        torch.manual_seed(0)
        given = info.sample_inputs("cpu", dtype, requires_grad=grad)
        for sample in itertools.islice(given, most or None):
            said = f"{_shown((sample.input, *sample.args))} {sample.kwargs}"
            outcome.judge(partial(_compare_call, info, mine, sample), said)
    return outcome


def not_judged(name: str) -> str:
    """Return why an entry is left out, or nothing."""
    if name.startswith("__"):
        return ""
    if name.endswith("_copy") or name == "slice":
        return "private to PyTorch"
    return next((why for start, why in _NOT_JUDGED.items() if name.startswith(start)), "")


def _compare_module(name: str, case: Any, dtype: torch.dtype, training: bool) -> None:
    made, call = case.constructor_input, case.forward_input
    kind = getattr(torch.nn, name)
    takes = "dtype" in inspect.signature(kind).parameters and "dtype" not in made.kwargs
    factory = {"dtype": dtype} if takes else {}
    its = kind(*made.args, **made.kwargs, **factory).to(dtype).train(training)
    mine = getattr(nn, name)(*ours_of(made.args), **ours_of(made.kwargs | factory)).train(training)
    mine.to(str(dtype).removeprefix("torch."))
    state = its.state_dict()
    if list(mine.state_dict()) != list(state):
        raise Differs(f"state {list(mine.state_dict())}, PyTorch has {list(state)}")
    mine.load_state_dict({key: ours_of(value) for key, value in state.items()})
    # PyTorch's losses do not say their options, and one says dtypes of a kind of its own.
    if repr(its) not in (f"{name}()", repr(mine)):
        raise Differs(f"shown as {mine!r}, by PyTorch as {its!r}")
    given, ours = (call.args, call.kwargs), ours_of((call.args, call.kwargs))
    forget_gradients(given)
    torch.manual_seed(0)
    expected = _of_pytorch(its, *call.args, **call.kwargs)
    got = mine(*ours[0], **ours[1])
    values = name not in _RANDOM_MODULES
    same(got, expected, "output", values)
    if values:
        same_gradients(got, expected, ours, given)
        for (key, p), q in zip(mine.named_parameters(), its.parameters(), strict=True):
            same_gradient(p, q, f"gradient of {key}")
        for key, value in its.state_dict().items():
            same(mine.state_dict()[key], value, f"{key} afterwards")


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
    ours, named = ours_of((given, kwargs))
    forget_gradients((given, kwargs))
    expected = _of_pytorch(info.op, *given, **sample.kwargs)
    got = mine(*ours, **named)
    name = info.name.removeprefix("nn.functional.")
    values = name not in _AT_RANDOM and not _drops(name, sample)
    same(got, expected, "output", values)
    if values:
        same_gradients(got, expected, (ours, named), (given, kwargs))


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
                print(json.dumps({"state": outcome.state, **vars(outcome)}), flush=True)
            elif outcome.state == FAILS or asked.verbose:
                more = f" ({len(outcome.faults)} calls)" if len(outcome.faults) > 1 else ""
                text = " ".join("".join(outcome.faults[:1]).split())[:300]
                print(f"{outcome.state:7} {outcome.name}{more}  {text}", flush=True)
        found = Counter(outcome.state for outcome in outcomes)
        print(
            f"{which}: " + ", ".join(f"{found[s]} {s}" for s in (PASSES, FAILS, ABSENT, UNCOMPARED))
        )


if __name__ == "__main__":
    main()
