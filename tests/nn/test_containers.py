"""Containers changed as lists and dictionaries are, copies, and errors that old code catches."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

import nnscratch
from nnscratch.errors import CheckpointError, DTypeError, NonFiniteError, ShapeError

Library = Any


def names(module: Any) -> list[tuple[str, str]]:
    return [(name, type(child).__name__) for name, child in module.named_children()]


def changed_list(nn: Library, kind: str) -> list[Any]:
    parts = [nn.Linear(2, 2), nn.ReLU(), nn.Tanh(), nn.Linear(2, 3)]
    made = getattr(nn, kind)(*([parts] if kind == "ModuleList" else parts))
    seen: list[Any] = [type(made.pop(1)).__name__, names(made)]
    made += nn.Sequential(nn.GELU()) if kind == "Sequential" else [nn.GELU()]
    seen += [names(made), names(made + type(made)()), names(made.extend(list(made)))]
    del made[-2:]
    seen.append(names(made))
    del made[0]
    return [*seen, names(made), sorted(made.state_dict())]


def changed_dictionary(nn: Library) -> list[Any]:
    made = nn.ModuleDict([("a", nn.ReLU()), ("b", nn.Linear(1, 1))])
    made.update(nn.ModuleDict({"c": nn.Tanh()}))
    made.update([("a", nn.GELU())])
    seen = [names(made), type(made.pop("a")).__name__, names(made)]
    made.clear()
    return [*seen, names(made), len(made)]


def changed_parameters(nn: Library) -> list[Any]:
    library = nnscratch if nn is nnscratch.nn else torch
    made = nn.ParameterList([library.ones(1)])
    made.extend([library.ones(2), nn.Parameter(library.ones(3))])
    made += [library.ones(4)]
    part = made[1:3]
    return [sorted(made.state_dict()), [tuple(p.shape) for p in part], type(part).__name__,
            part[1] is made[2]]  # fmt: skip


CHANGES: dict[str, Callable[[Library], list[Any]]] = {
    "a chain": lambda nn: changed_list(nn, "Sequential"),
    "a list": lambda nn: changed_list(nn, "ModuleList"),
    "a dictionary": changed_dictionary,
    "parameters": changed_parameters,
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_are_those_of_pytorch(name: str) -> None:
    assert CHANGES[name](nnscratch.nn) == CHANGES[name](torch.nn)


def test_a_copied_model_has_no_gradients_to_add_to() -> None:
    def see(library: Library) -> list[Any]:
        model = library.nn.Linear(2, 1)
        with library.no_grad():
            model.weight.fill_(0.5)
        model(library.ones(1, 2)).sum().backward()
        twin = copy.deepcopy(model)
        before = twin.weight.grad
        twin(library.ones(1, 2)).sum().backward()
        plain = library.ones(2, requires_grad=True)
        plain.sum().backward()
        return [before, twin.weight.grad.tolist(), copy.deepcopy(plain).grad.tolist()]

    assert see(nnscratch) == see(torch) == [None, [[1.0, 1.0]], [1.0, 1.0]]


def test_what_pytorch_raises_as_a_runtime_error_is_caught_as_one() -> None:
    def spoiled(lib: Library) -> Any:
        p = lib.ones(1, requires_grad=True)
        (p * float("nan")).backward()
        return lib.nn.utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)

    wrong: list[tuple[type[Exception], Callable[[Library], Any]]] = [
        (ShapeError, lambda lib: lib.nn.Linear(2, 3)(lib.ones(4, 5))),
        (ShapeError, lambda lib: lib.ones(2) + lib.ones(3)),
        (DTypeError, lambda lib: lib.ones(2, dtype=lib.int64).mean()),
        (CheckpointError, lambda lib: lib.nn.Linear(2, 1).load_state_dict({})),
        (NonFiniteError, spoiled),
    ]
    for kind, call in wrong:
        for library in (nnscratch, torch):
            with pytest.raises(RuntimeError) as caught:
                call(library)
            assert library is torch or type(caught.value) is kind
