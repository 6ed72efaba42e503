"""Cases of the optimizer updates and of gradient clipping; those of simple updates are derived."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnscratch.formulas.case import NONE, SIZES, Build, Case, given, normal, spread, uniform
from nnscratch.formulas.formula import Formula
from nnscratch.formulas.live import LiveFloat, LiveInt

NAN = float("nan")


def _state(positive: bool | None, *shape: int) -> Build:
    """Return a builder of a state buffer: None, of squares, or of any numbers."""
    if positive is None:
        return NONE
    return uniform(0.01, 2.0, *shape) if positive else normal(*shape)


def _updates(
    state: tuple[bool | None, ...],
    options: Mapping[str, Any],
    variants: Mapping[str, tuple[tuple[bool | None, ...], Mapping[str, Any]]],
    live: Mapping[str, Any],
) -> list[Case]:
    """Return the cases of an optimizer.

    Args:
        state: what each state buffer holds.
        options: options of the plain cases.
        variants: by name, other buffers and further options.
        live: options as live numbers.
    """

    def build(kind: tuple[bool | None, ...], *shape: int) -> tuple[Build, ...]:
        return (normal(*shape), normal(*shape), *(_state(one, *shape) for one in kind))

    made = [Case(f"{n} entries", build(state, n), options) for n in SIZES]
    made += [
        Case("a matrix", build(state, 5, 7), options),
        Case("a number", build(state), options),
        Case("live numbers", build(state, 33), {**options, **live}),
        Case("ascending", build(state, 33), {**options, "maximize": True}),
        Case("NaN", (normal(2), given([NAN, 1.0]), *(_state(one, 2) for one in state)), options),
        Case(
            "gradients of ±1e4",
            (normal(257), spread(257), *(_state(one, 257) for one in state)),
            options,
            magnitude=1e4,
        ),
    ]
    for name, (kind, more) in variants.items():
        made.append(Case(name, build(kind, 33), {**options, **more}))
        made.append(Case(f"{name}, a matrix", build(kind, 3, 11), {**options, **more}))
    return made


def of_update(made: Formula) -> list[Case]:
    """Return the cases of an optimizer that takes no more than a rate and a step: by its options.

    What it keeps holds squares in some optimizers, so all of it is positive here. A number that is
    0 unless told is tried as 0.1, a switch as it usually is not.
    """
    buffers = (True,) * (len(made.inputs) - 2)
    body = made.update_body
    assert body is not None
    known = {name: one.default for name, one in inspect.signature(body).parameters.items()}
    plain = {name: value for name, value in {"lr": 0.01, "step": 5}.items() if name in known}
    more = {name: 0.1 for name, value in known.items() if type(value) is float and value == 0.0}
    if "eps" in known:
        more["eps"] = 1e-3
    variants: dict[str, Any] = {"decay": (buffers, more)}
    if "step" in known:
        variants["first step"] = (buffers, {"step": 1})
    for name, value in known.items():
        if type(value) is bool and name != "maximize":
            variants[name] = (buffers, {**more, name: not value})
    live = {name: number for name, number in _STEPPED.items() if name in known}
    found = _updates(buffers, plain, variants, live)
    return [case for case in found if case.options.keys() <= known.keys()]  # not all can ascend


_RATE = {"lr": LiveFloat(0.02, 0, "lr")}
_STEPPED = {**_RATE, "step": LiveInt(4, 1, "step")}
_HEAVY = {"momentum": 0.9}
_ADAM = {"lr": 0.01, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.0}


def _sgd() -> list[Case]:
    return _updates(
        (None,),
        {"lr": 0.1, "step": 3},
        {
            "decay": ((None,), {"weight_decay": 0.1}),
            "momentum": ((False,), _HEAVY),
            "momentum, first step": ((False,), {**_HEAVY, "step": 1}),
            "dampening": ((False,), {**_HEAVY, "dampening": 0.3}),
            "dampening, first step": ((False,), {**_HEAVY, "dampening": 0.3, "step": 1}),
            "Nesterov": ((False,), {**_HEAVY, "nesterov": True}),
            "Nesterov, first step": ((False,), {**_HEAVY, "nesterov": True, "step": 1}),
            "everything": ((False,), {**_HEAVY, "weight_decay": 0.1, "maximize": True}),
            "live momentum": ((False,), {"momentum": LiveFloat(0.8, 0, "momentum")}),
        },
        _STEPPED,
    )


def _adam() -> list[Case]:
    plain: dict[str, Any] = {**_ADAM, "decoupled": False, "maximize": False, "step": 5}
    return _updates(
        (False, True, None),
        plain,
        {
            "first step": ((False, True, None), {"step": 1}),
            "step 1000": ((False, True, None), {"step": 1000}),
            "decay": ((False, True, None), {"weight_decay": 0.1}),
            "AdamW": ((False, True, None), {"weight_decay": 0.1, "decoupled": True}),
            "AMSGrad": ((False, True, True), {}),
            "AMSGrad, AdamW": ((False, True, True), {"weight_decay": 0.1, "decoupled": True}),
            "a large eps": ((False, True, None), {"eps": 1e-2}),
            "live betas": ((False, True, None), {"beta1": LiveFloat(0.8, 0, "beta1")}),
        },
        _STEPPED,
    )


def _rmsprop() -> list[Case]:
    return _updates(
        (True, None, None),
        {"lr": 0.01},
        {
            "decay": ((True, None, None), {"weight_decay": 0.1}),
            "momentum": ((True, False, None), _HEAVY),
            "other alpha": ((True, None, None), {"alpha": 0.9, "eps": 1e-3}),
        },
        _RATE,
    ) + [
        Case(
            f"centered{words}",
            (normal(33), normal(33), uniform(2.0, 3.0, 33), buffer, normal(33, scale=0.5)),
            {"lr": 0.01, "centered": True, **more},
        )
        for words, buffer, more in (("", NONE, {}), (" with momentum", normal(33), _HEAVY))
    ]


def _nadam() -> list[Case]:
    plain = {**_ADAM, "momentum_decay": 4e-3, "mu_product": 0.1, "step": 5}
    return _updates(
        (False, True),
        plain,
        {
            "first step": ((False, True), {"step": 1, "mu_product": 0.45}),
            "decay": ((False, True), {"weight_decay": 0.1}),
            "decoupled": ((False, True), {"weight_decay": 0.1, "decoupled": True}),
        },
        {**_STEPPED, "mu_product": LiveFloat(0.2, 0, "mu_product")},
    )


def _radam() -> list[Case]:
    plain = {**_ADAM, "rectified": 0.3, "plain": 0.0, "step": 9}
    first = {"rectified": 0.0, "plain": 1.0, "step": 1}
    return _updates(
        (False, True),
        plain,
        {
            "first step": ((False, True), first),
            "decay": ((False, True), {"weight_decay": 0.1}),
            "decoupled": ((False, True), {"weight_decay": 0.1, "decoupled": True}),
        },
        {**_STEPPED, "rectified": LiveFloat(0.4, 0, "rectified")},
    )


def _matrices() -> list[Case]:
    """Return the cases of Muon, whose steps are of whole matrices."""
    shapes = {"wide": (3, 5), "tall": (7, 3), "square": (4, 4), "one entry": (1, 1)}
    made = [
        Case(name, (normal(*shape), normal(*shape), normal(*shape)), {"lr": 0.02}, 20)
        for name, shape in shapes.items()
    ]
    more = {"lr": 0.02, "nesterov": False, "scale": 2.0, "weight_decay": 0.0, "ns_steps": 3}
    live = {"lr": LiveFloat(0.03, 0, "lr"), "eps": 0.5}
    three = (normal(3, 4), normal(3, 4), normal(3, 4))
    return [*made, Case("options", three, more, 12), Case("live", three, live, 12)]


def _rows() -> list[Case]:
    """Return the cases of SparseAdam, some rows of which have no gradient."""

    def some(*shape: int) -> Build:
        def build(rng: np.random.Generator) -> Any:
            G = rng.standard_normal(shape)
            G[:: 2 if shape[0] > 1 else 1] *= 0.0
            return G

        return build

    options = {"lr": 0.01, "step": 5}
    made = []
    for name, shape in {"a vector": (7,), "rows": (6, 5), "blocks": (4, 3, 2)}.items():
        build = (normal(*shape), some(*shape), normal(*shape), uniform(0.1, 1.0, *shape))
        made.append(Case(name, build, options))
        made.append(Case(f"{name}, ascending", build, {**options, "maximize": True}))
        made.append(Case(f"{name}, live", build, {**options, **_STEPPED}))
    return made


def _factored() -> list[Case]:
    """Return the cases of Adafactor."""
    made = []
    options: dict[str, Any] = {"lr": 0.05, "step": 3}
    more: dict[str, dict[str, Any]] = {
        "decay": {"weight_decay": 0.1},
        "ascending": {"maximize": True},
        "clipped": {"eps1": 0.1},
    }
    for shape in ((3, 5), (2, 4, 3)):
        *outer, rows, columns = shape
        build = (
            normal(*shape),
            normal(*shape),
            uniform(0.1, 1.0, *outer, rows, 1),
            uniform(0.1, 1.0, *outer, 1, columns),
            NONE,
        )
        made.append(Case(f"{shape}", build, options, 15))
        for name, extra in more.items():
            made.append(Case(f"{shape}, {name}", build, {**options, **extra}, 15))
    vector = (normal(7), normal(7), NONE, NONE, uniform(0.1, 1.0, 7))
    number = (normal(), normal(), NONE, NONE, uniform(0.1, 1.0))
    return [
        *made,
        Case("a vector", vector, options, 7),
        Case("live", vector, {**options, **_STEPPED}, 7),
        Case("a number", number, options),
    ]  # fmt: skip


def _by_norm() -> list[Case]:
    made = [Case(f"{n} entries", (normal(n), uniform(2.0, 3.0)), {"max_norm": 1.0}) for n in SIZES]
    return [
        *made,
        Case("small enough", (normal(33), uniform(0.1, 0.5)), {"max_norm": 1.0}),
        Case("no norm", (normal(33), given(np.asarray(0.0))), {"max_norm": 1.0}),
        Case("live", (normal(33), uniform(2.0, 3.0)), {"max_norm": LiveFloat(0.5, 0, "m")}),
        Case("±1e4", (spread(257), uniform(1e4, 2e4)), {"max_norm": 1.0}),
    ]


CASES: dict[str, list[Case]] = {
    "sgd": _sgd(),
    "adam": _adam(),
    "rmsprop": _rmsprop(),
    "nadam": _nadam(),
    "radam": _radam(),
    "rprop": _updates(
        (False, True),
        {},
        {"bounds": ((False, True), {"least": 0.3, "most": 0.9, "less": 0.4, "more": 1.3})},
        {"most": LiveFloat(1.1, 0, "most")},
    ),
    "asgd": _updates(
        (False,),
        {"eta": 0.1, "mu": 1.0},
        {"a mean": ((False,), {"mu": 0.25, "lambd": 0.1, "weight_decay": 0.1})},
        {"eta": LiveFloat(0.2, 0, "eta"), "mu": LiveFloat(0.5, 0, "mu")},
    ),
    "muon": _matrices(),
    "sparse_adam": _rows(),
    "adafactor": _factored(),
    "clip_by_value": [
        *(Case(f"{n} entries", (normal(n),), {"limit": 0.5}) for n in SIZES),
        Case("NaN", (given([NAN, 2.0, -2.0, 0.5]),), {"limit": LiveFloat(0.5, 0, "limit")}),
        Case("±1e4", (spread(33, 7),), {"limit": 10.0}),
    ],
    "scale_by_norm": _by_norm(),
    "squared_norm": [
        *(Case(f"{n} entries", (normal(n),), {}, max(n, 1)) for n in SIZES),
        Case("a matrix", (normal(33, 7),), {}, 231),
        Case("a number", (normal(),)),
        Case("±1e4", (spread(257),), {}, 257, 1e8),
        Case("NaN", (given([NAN, 1.0]),)),
    ],
}
