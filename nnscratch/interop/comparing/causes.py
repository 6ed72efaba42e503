"""Why two logs part: guesses, each tried by computing what it would give, and kept if that is so.

A cause that was tried and gives the other's numbers is certain. Where nothing gives them, settings
that differ are named as likely.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nnscratch import nn
from nnscratch.errors import NNScratchError
from nnscratch.interop.comparing.causes_of_steps import loss_guesses, update_causes
from nnscratch.interop.comparing.differing import Difference, Matching, agree
from nnscratch.interop.comparing.guesses import KINDS, Cause, Guess, changed
from nnscratch.interop.comparing.noise import reach
from nnscratch.interop.comparing.recording import values_of
from nnscratch.interop.comparing.steps import StepLog
from nnscratch.nn import functional as F
from nnscratch.nn.hooks import Hooks
from nnscratch.tensors import Tensor, no_grad

_EPSILONS = (1e-3, 1e-5, 1e-6, 1e-7, 1e-8, 1e-12, 1e-4, 1e-2)
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda x: x,
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu by tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
    "elu": F.elu,
    "selu": F.selu,
    "leaky_relu with 0.01": F.leaky_relu,
    "leaky_relu with 0.2": lambda x: F.leaky_relu(x, 0.2),
    "leaky_relu with 0.3": lambda x: F.leaky_relu(x, 0.3),
    "softplus": F.softplus,
    "softmax": lambda x: F.softmax(x, -1),
    "log_softmax": lambda x: F.log_softmax(x, -1),
}


def cause_of(found: Difference, ours: StepLog, theirs: StepLog, match: Matching) -> Cause:
    """Return the cause of a difference, of the kind "unknown" if none is found."""
    if found.phase == "weights":
        return _weights(found) or _unknown()
    if found.phase == "update":
        return update_causes(found, ours, theirs, match) or _unknown()
    a, b = found.arrays
    if a is None or b is None:
        side = "here" if a is None else "there"
        if found.phase == "forward":
            return Cause("missing output", f"there is no such output {side}")
        said = f"{found.path} has none {side}: it is frozen, detached or not used"
        return Cause("no gradient", said)
    if a.shape == b.shape and found.index is None:
        return Cause("dtype", f"it is {found.ours} here and {found.theirs} there")
    if found.phase == "forward":
        guesses = _forward(found, ours, theirs, match, a, b)
    elif found.phase == "loss":
        guesses = loss_guesses(found, ours, theirs, a, b)
    else:
        guesses = _gradients(found, ours, theirs, a, b)
    for kind, said, made in itertools.chain(guesses, _relations(a, b)):
        if made is not None and agree(made, b, 10):
            return Cause(kind, said)
    return _likely(found, ours, theirs, match) or _not_finite(a, b) or _unknown()


def _not_finite(a: np.ndarray, b: np.ndarray) -> Cause | None:
    """Say on which side alone numbers are infinite or none."""
    if {a.dtype.kind, b.dtype.kind} - set("fc"):
        return None
    mine, its = (bool(np.isfinite(one).all()) for one in (a, b))
    if mine is its:
        return None
    side = "there" if mine else "here"
    return Cause("not finite", f"infinity or NaN comes up {side} alone", False)


def _unknown() -> Cause:
    return Cause("unknown", "none of the usual causes gives these numbers", False)


# Weights.


def _weights(found: Difference) -> Cause | None:
    a, b = found.arrays
    if a is None or b is None:
        name = found.path.rpartition(".")[2]
        side = "here" if a is None else "there"
        kind = "missing bias" if name == "bias" else "missing parameter"
        return Cause(kind, f"{found.path} is missing {side}")
    if a.shape == b.shape and found.index is None:
        return Cause("dtype", f"it is {found.ours} here and {found.theirs} there")
    for axes in itertools.permutations(range(a.ndim)) if 2 <= a.ndim <= 5 else ():
        if b.shape == tuple(a.shape[n] for n in axes) and np.array_equal(a.transpose(axes), b):
            if a.ndim == 2:
                return Cause("transposed weight", "the one is the other transposed, (in, out)")
            return Cause("layout", f"theirs is ours with its axes in the order {axes}")
    if a.shape != b.shape:
        if a.size == b.size and np.array_equal(np.sort(a, None), np.sort(b, None)):
            return Cause("layout", "the same numbers in another shape and order")
        return Cause("shape", f"it is {a.shape} here and {b.shape} there")
    if b.dtype.kind == "f":
        for name, made in _rounded(a):
            if np.array_equal(made, b):
                return Cause("dtype", f"theirs is ours rounded to {name}")
        for name, made in _rounded(b):
            if np.array_equal(made, a):
                return Cause("dtype", f"ours is theirs rounded to {name}")
        if np.array_equal(np.sort(a, None), np.sort(b, None)):
            return Cause("layout", "the same numbers in another order")
    return Cause("other weights", "the weights are others from the beginning; load the same")


def _rounded(a: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    if a.dtype.kind != "f":
        return
    with np.errstate(over="ignore"):
        bits = a.astype(np.float32).view(np.uint32)
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
        yield "bfloat16", bits.astype(np.uint32).view(np.float32).astype(a.dtype)
        yield "float16", a.astype(np.float16).astype(a.dtype)
        yield "float32", a.astype(np.float32).astype(a.dtype)


# Layers.


def _forward(
    found: Difference,
    ours: StepLog,
    theirs: StepLog,
    match: Matching,
    a: np.ndarray,
    b: np.ndarray,
) -> Iterator[Guess]:
    if a.shape != b.shape:
        return
    x = ours.get(found.step, "forward", found.path, "input")
    module = ours.modules.get(found.path.partition("[")[0])
    inner: Any = getattr(module, "inner", module)
    if found.what == "input" or inner is None or x is None or any(True for _ in inner.children()):
        yield from _between(found, ours, a, b)
        return
    layer = _Layer(module, x, found.path.partition("[")[0], found.step, ours)
    yield from _changed_settings(found, ours, theirs, match, layer)
    yield from _other_forms(layer, b)
    if layer.named("Dropout"):
        yield from _dropped(inner, x, a, b)
    for name, function in _FUNCTIONS.items():
        yield "activation", f"theirs is {name} of the input", _called(function, x)
        yield "activation", f"theirs has {name} behind it", _called(function, a)


class _Layer:
    """A layer of ours that is run with changes, and never changed itself."""

    def __init__(self, whole: Any, x: np.ndarray, path: str, step: int, log: StepLog) -> None:
        self._whole, self._x = copy.deepcopy(whole), x
        self._whole._hooks = Hooks()
        self.module = getattr(self._whole, "inner", self._whole)
        # The layer has taken all steps since: back to what it had at this one.
        for name, tensor in (*self.module.named_parameters(), *self.module.named_buffers()):
            full = f"{path}.{name}" if path else name
            then = log.get(step - 1, "update", full) if step else log.get(0, "weights", full)
            if then is not None:
                tensor.detach().copy_(Tensor(then.astype(tensor.array.dtype)))

    def named(self, part: str) -> bool:
        return part in type(self.module).__name__

    def run(self, **changes: Any) -> Any:
        """Return what it gives with other settings, None if it cannot be run with them."""
        whole = copy.deepcopy(self._whole)
        made = getattr(whole, "inner", whole)
        try:
            for name, value in changes.items():
                if name == "training":
                    whole.train(value)
                elif isinstance(value, np.ndarray):
                    getattr(made, name).detach().copy_(Tensor(np.ascontiguousarray(value)))
                else:
                    setattr(made, name, tuple(value) if isinstance(value, list) else value)
            with no_grad():
                output = whole(Tensor(self._x))
            return values_of(output[0] if isinstance(output, tuple) else output)
        except (NNScratchError, TypeError, ValueError, AttributeError):
            return None


def _called(function: Callable[[Any], Any], x: np.ndarray) -> Any:
    try:
        with no_grad():
            return values_of(function(Tensor(x)))
    except (NNScratchError, TypeError, ValueError):
        return None


def _changed_settings(
    found: Difference, ours: StepLog, theirs: StepLog, match: Matching, layer: _Layer
) -> Iterator[Guess]:
    path = found.path.partition("[")[0]
    for name, mine, its in changed(ours.settings.get(path), theirs.settings.get(match.layer(path))):
        said = f"{name} is {mine!r} here and {its!r} there"
        yield KINDS.get(name, f"setting {name}"), said, layer.run(**{name: its})


def _other_forms(layer: _Layer, b: np.ndarray) -> Iterator[Guess]:
    module = layer.module
    mode = {True: "training", False: "evaluation"}
    said = f"ours is in {mode[module.training]}, theirs in {mode[not module.training]} mode"
    yield "mode", said, layer.run(training=not module.training)
    if isinstance(getattr(module, "eps", None), float):
        for eps in (*_EPSILONS, _fitted(layer, b)):
            yield "epsilon", f"eps is {module.eps:g} here and {eps:.3g} there", layer.run(eps=eps)
    if layer.named("GELU"):
        other = "tanh" if module.approximate == "none" else "none"
        names = {"tanh": "by tanh", "none": "exact"}
        said = f"GELU is {names[module.approximate]} here and {names[other]} there"
        yield "GELU form", said, layer.run(approximate=other)
    bias, weight = getattr(module, "bias", None), getattr(module, "weight", None)
    if isinstance(bias, nn.Parameter):
        zeros = np.zeros(tuple(bias.shape), values_of(bias).dtype)
        yield "missing bias", "theirs has no bias, or adds none", layer.run(bias=zeros)
    if isinstance(weight, nn.Parameter) and weight.ndim == 2 and weight.shape[0] == weight.shape[1]:
        yield (
            "transposed weight",
            "theirs takes the weight as (in, out)",
            layer.run(weight=values_of(weight).T),
        )


def _fitted(layer: _Layer, b: np.ndarray) -> float:
    """Return the eps that comes nearest to the other's numbers: a search by thirds."""
    low, high = math.log(1e-14), math.log(1.0)

    def error(at: float) -> float:
        made = layer.run(eps=math.exp(at))
        return math.inf if made is None else float(np.abs(made - b).sum())

    for _ in range(50):
        third = (high - low) / 3
        if error(low + third) < error(high - third):
            high -= third
        else:
            low += third
    return math.exp((low + high) / 2)


def _dropped(module: Any, x: np.ndarray, a: np.ndarray, b: np.ndarray) -> Iterator[Guess]:
    p = float(module.p)
    kept = 1.0 if p == 1 else 1 / (1 - p)
    for one, other, said in (
        (a, b, "theirs drops features and ours does not"),
        (b, a, "ours drops features and theirs does not"),
    ):
        whole = np.array_equal(one, x)
        if whole and bool(((other == 0) | np.isclose(other, x * kept)).all()):
            yield "mode", f"{said}: one of them is in training mode", b
    if bool(((a == 0) | (b == 0) | (a == b)).all()) and (a == 0).any() and (b == 0).any():
        yield "random", "both drop features, and not the same; call eval() on both", b


def _between(found: Difference, ours: StepLog, a: np.ndarray, b: np.ndarray) -> Iterator[Guess]:
    """Guess at what is computed between layers: functions of what an earlier layer returned."""
    prefix = f"{found.step}/forward/"
    own = f"{prefix}{found.path}/{found.what}"
    earlier = list(itertools.takewhile(lambda name: name != own, ours.arrays))
    for name in reversed(earlier):
        z = ours.arrays[name]
        if not name.startswith(prefix) or z.shape != a.shape:
            continue
        made = {key: _called(function, z) for key, function in _FUNCTIONS.items()}
        mine = next((key for key, one in made.items() if one is not None and agree(one, a)), None)
        if mine is None:
            continue
        for key, one in made.items():
            if one is not None and key != mine:
                both = "gelu" in mine and "gelu" in key
                kind = "GELU form" if both else "activation"
                yield kind, f"{mine} here and {key} there of {name.removeprefix(prefix)}", one


def _relations(a: np.ndarray, b: np.ndarray) -> Iterator[Guess]:
    """Guess at what makes the one array of the other."""
    if a.shape == b.shape and a.dtype.kind == "f":
        for name, made in _rounded(a):
            if not np.array_equal(made, a) and _near(made, b, name):
                yield "dtype", f"theirs is computed in {name}", b
        for name, made in _rounded(b):
            if not np.array_equal(made, b) and _near(made, a, name):
                yield "dtype", f"ours is computed in {name}", b
    if a.ndim > 1 and a.size == b.size:
        for axes in itertools.permutations(range(1, a.ndim)) if a.ndim < 6 else ():
            turned = a.transpose(0, *axes)
            if axes != tuple(range(1, a.ndim)) and turned.shape == b.shape:
                yield "layout", f"theirs has the axes of ours in the order {(0, *axes)}", turned
        rows = [np.sort(one.reshape(len(one), -1), axis=1) for one in (a, b) if len(one)]
        if len(rows) == 2 and rows[0].shape == rows[1].shape and agree(rows[0], rows[1]):
            said = "the same numbers in another order: channels first here and last there, or so"
            yield "layout", said, b
    if a.shape == b.shape and a.size > 1:
        place = np.unravel_index(int(np.abs(a).argmax()), a.shape)
        ratio = float(b[place]) / float(a[place]) if a[place] else math.nan
        if math.isfinite(ratio) and ratio not in (0.0, 1.0):
            yield "scale", f"theirs is ours times {ratio:.6g}", a * ratio


def _near(made: np.ndarray, b: np.ndarray, name: str) -> bool:
    """Say whether two arrays differ by no more than some roundings to a dtype."""
    unit = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-22}[name]
    gap = np.abs(made - b)
    # An array that was rounded holds numbers of that dtype; one computed in it is as near.
    exact = any(np.array_equal(one, b) for key, one in _rounded(b) if key == name)
    return exact and bool((gap <= 16 * unit * max(reach(made, b), 1e-30)).all())


# Gradients.


def _gradients(
    found: Difference, ours: StepLog, theirs: StepLog, a: np.ndarray, b: np.ndarray
) -> Iterator[Guess]:
    if a.shape != b.shape:
        return
    if found.step:
        other = theirs.get(found.step - 1, found.phase, found.other_path, found.what)
        if other is not None and other.shape == a.shape:
            yield "gradients added up", "theirs are not cleared before the step", a + other
        mine = ours.get(found.step - 1, found.phase, found.path, found.what)
        if mine is not None and mine.shape == a.shape:
            yield "gradients added up", "ours are not cleared before the step", a - mine
    if a.ndim and len(a):
        yield "reduction", "theirs is summed where ours is averaged", a * len(a)
        yield "reduction", "theirs is averaged where ours is summed", a / len(a)


def _likely(found: Difference, ours: StepLog, theirs: StepLog, match: Matching) -> Cause | None:
    """Name settings that differ, though computing with them did not give the other's numbers."""
    path = found.path.partition("[")[0]
    if found.phase == "gradient":
        path = path.rpartition(".")[0]
    pairs = [(ours.settings.get(path), theirs.settings.get(match.layer(path)))]
    if found.phase in ("loss", "backward"):
        pairs.insert(0, (ours.settings.get("loss"), theirs.settings.get("loss")))
    for mine, its in pairs:
        for name, one, other in changed(mine, its):
            kind = KINDS.get(name, name.replace("_", " "))
            return Cause(kind, f"{name} is {one!r} here and {other!r} there", False)
    names = [(one or {}).get("class") for one in pairs[-1]]
    known = all(isinstance(name, str) and hasattr(nn, name) for name in names)
    if found.phase == "forward" and found.what != "input" and known and names[0] != names[1]:
        return Cause("other layer", f"it is a {names[0]} here and a {names[1]} there", False)
    return None
