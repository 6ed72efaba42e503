"""Why losses and optimizers' steps part: each guess is computed, steps from the first one on."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nnscratch import nn, optim
from nnscratch.errors import NNScratchError
from nnscratch.interop.comparing.differing import Difference, Matching, agree
from nnscratch.interop.comparing.guesses import KINDS, Cause, Guess, changed
from nnscratch.interop.comparing.noise import is_noise
from nnscratch.interop.comparing.steps import NO_OPTIMIZER, StepLog
from nnscratch.tensors import Tensor

_DECAYS = (0.0, 0.1, 0.05, 0.01, 5e-3, 1e-3, 5e-4, 1e-4, 1e-5)
_MOMENTA = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99)
_EPSILONS = (1e-3, 1e-5, 1e-6, 1e-7, 1e-8, 1e-10, 1e-12)


def loss_guesses(
    found: Difference, ours: StepLog, theirs: StepLog, a: np.ndarray, b: np.ndarray
) -> Iterator[Guess]:
    """Guess at another loss: by its settings, and by what smoothing would give this number."""
    mine, its = ours.settings.get("loss"), theirs.settings.get("loss")
    z = ours.get(found.step, "forward", "", "output")
    target = ours.get(found.step, "forward", "", "target")
    others = changed(mine, its)
    for name, one, other in others:
        kind = KINDS.get(name, name.replace("_", " "))
        said = f"{name} is {one!r} here and {other!r} there"
        yield kind, said, _loss_with(ours.loss, {name: other}, z, target)
    if len(others) > 1:
        said = ", ".join(
            f"{name} is {one!r} here and {other!r} there" for name, one, other in others
        )
        every = {name: other for name, _, other in others}
        yield "settings of the loss", said, _loss_with(ours.loss, every, z, target)
    if mine is None or mine.get("class") != "CrossEntropyLoss" or z is None or target is None:
        return
    reduction = str(mine.get("reduction", "mean"))

    def smoothed(by: float) -> float:
        loss = nn.CrossEntropyLoss(label_smoothing=by, reduction=reduction)
        return float(loss(Tensor(z), Tensor(target)).item())

    none, whole, here = smoothed(0.0), smoothed(1.0), float(mine.get("label_smoothing", 0.0))
    by = (float(b) - none) / (whole - none) if whole != none else math.nan
    if 0 <= by <= 1 and not math.isclose(by, here, abs_tol=1e-7):
        gradient = _gradient(z, target, by, reduction)
        its_gradient = theirs.get(found.step, "backward", found.other_path, "output")
        if its_gradient is None or agree(gradient, its_gradient, 100):
            said = f"label_smoothing is {here:g} here and {by:.4g} there"
            yield "label smoothing", said, b
    count = len(z)
    yield "reduction", "theirs is the sum, ours the mean", a * count
    yield "reduction", "theirs is the mean, ours the sum", a / count


def _loss_with(loss: Any, changes: dict[str, Any], z: Any, target: Any) -> Any:
    """Return the loss with other settings, None if it cannot be computed with them."""
    if not isinstance(loss, nn.Module) or z is None or target is None:
        return None
    made = copy.deepcopy(loss)
    try:
        for name, value in changes.items():
            setattr(made, name, value)
        return np.asarray(made(Tensor(z), Tensor(target)).detach())
    except (NNScratchError, TypeError, ValueError, AttributeError):
        return None


def _gradient(z: np.ndarray, target: np.ndarray, by: float, reduction: str) -> np.ndarray:
    given = Tensor(z, requires_grad=True)
    nn.CrossEntropyLoss(label_smoothing=by, reduction=reduction)(given, Tensor(target)).backward()
    return np.asarray(given.grad) if given.grad is not None else np.zeros(())


class _Steps:
    """The steps of one parameter: its first value, its gradients and the learning rates."""

    def __init__(self, found: Difference, ours: StepLog, rates: Sequence[float] | None) -> None:
        self.count = found.step + 1
        start = ours.get(0, "weights", found.path)
        grads = [ours.get(n, "gradient", found.path) for n in range(self.count)]
        self.whole = start is not None and all(one is not None for one in grads)
        dtype = found.arrays[0].dtype if found.arrays[0] is not None else np.dtype("float64")
        self.start = np.asarray(start, dtype) if start is not None else np.zeros(())
        self.gradients = [np.asarray(one, dtype) for one in grads if one is not None]
        self.rates = rates

    def replayed(self, kind: str, options: dict[str, Any]) -> Any:
        """Return the parameter after the steps of an optimizer of ours, None if it refuses."""
        made = getattr(optim, kind, None)
        if not isinstance(made, type) or not issubclass(made, optim.Optimizer) or not self.whole:
            return None
        parameter = nn.Parameter(Tensor(self.start.copy()))
        known = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
        try:
            optimizer = made([{**known, "params": [parameter]}], **_lr(known))
            for step, gradient in enumerate(self.gradients):
                if self.rates is not None:
                    optimizer.param_groups[0]["lr"] = self.rates[step]
                parameter.grad = Tensor(gradient.copy())
                optimizer.step()
        except (NNScratchError, TypeError, ValueError, KeyError, ArithmeticError):
            return None
        return np.asarray(parameter.detach())

    def rate(self, step: int, options: dict[str, Any]) -> float:
        """Return the learning rate of a step."""
        return float(self.rates[step] if self.rates is not None else options["lr"])


def _lr(options: dict[str, Any]) -> dict[str, Any]:
    return {"lr": options["lr"]} if "lr" in options else {}


def update_causes(
    found: Difference, ours: StepLog, theirs: StepLog, match: Matching
) -> Cause | None:
    """Return why a parameter or a buffer is another one after a step."""
    a, b = found.arrays
    if a is None or b is None or a.shape != b.shape:
        return None
    path = found.path.rpartition(".")[0]
    mine, its = _group_of(ours, found.path), _group_of(theirs, found.other_path)
    lacks = [group is not None and group.get("class") == NO_OPTIMIZER for group in (mine, its)]
    if lacks[0] is not lacks[1]:
        side = "here" if lacks[0] else "there"
        said = f"{found.path} is no parameter of the optimizer {side}"
        return Cause("parameters of the optimizer", said)
    noise = is_noise(ours, theirs, found.step, found.path, found.other_path, a.shape)
    if noise is not None and found.index is not None and noise[found.index]:
        said = "its gradient is 0 but for rounding, and the optimizer makes steps of its sign"
        return Cause("rounding", said)
    if ours.get(found.step, "gradient", found.path) is None:
        return _statistics(found, ours, theirs, match, path, a, b)
    if mine is None:
        return None
    options = {k: v for k, v in mine.items() if k != "class"}
    steps = _Steps(found, ours, mine.get("rates"))
    for kind, said, made in itertools.chain(
        _by_settings(mine, its, steps),
        _other_decay(str(mine["class"]), options, steps),
        _other_momentum(str(mine["class"]), options, steps),
        _other_numbers(str(mine["class"]), options, steps, b),
    ):
        if made is not None and agree(made, b, 10) and _moves(made, a, b):
            return Cause(kind, said)
    for name, one, other in changed(mine, its):
        if name in KINDS:
            return Cause(KINDS[name], f"{name} is {one!r} here and {other!r} there", False)
    held = [log.settings.get("optimizer state", {}).get("parameters") for log in (ours, theirs)]
    if None not in held and held[0] != held[1]:
        said = f"it has taken steps before, with {held[0]} parameters here and {held[1]} there"
        return Cause("state of the optimizer", said, False)
    return None


def _group_of(log: StepLog, path: str) -> dict[str, Any] | None:
    """Return the optimizer's settings for a parameter."""
    return log.settings.get(f"optimizer/{path}", log.settings.get("optimizer"))


def _moves(made: np.ndarray, a: np.ndarray, b: np.ndarray) -> bool:
    """Say whether a guess explains the difference, which may be far smaller than the numbers."""
    return float(np.abs(made - b).max()) < 0.05 * float(np.abs(a - b).max())


def _by_settings(
    mine: dict[str, Any], its: dict[str, Any] | None, steps: _Steps
) -> Iterator[Guess]:
    if its is None:
        return
    known = {k: v for k, v in its.items() if k in mine and k != "class"}
    other = {**{k: v for k, v in mine.items() if k != "class"}, **known}
    made = steps.replayed(str(its.get("class")), other)
    if its.get("class") != mine["class"]:
        both = {str(mine["class"]), str(its.get("class"))}
        decay = both == {"Adam", "AdamW"}
        said = f"the optimizer is {mine['class']} here and {its.get('class')} there"
        if decay:
            said += ", which decays weights outside of the gradient"
        yield "weight decay" if decay else "optimizer", said, made
    for name, one, value in changed(mine, its):
        options = {k: v for k, v in mine.items() if k != "class"} | {name: value}
        said = f"{name} is {one!r} here and {value!r} there"
        yield KINDS.get(name, name), said, steps.replayed(str(mine["class"]), options)
    differing = [(name, one, value) for name, one, value in changed(mine, its) if name in KINDS]
    if differing:
        name = differing[0][0]
        said = ", ".join(f"{k} is {v!r} here and {w!r} there" for k, v, w in differing)
        yield KINDS[name], said, made


def _other_decay(kind: str, options: dict[str, Any], steps: _Steps) -> Iterator[Guess]:
    if "weight_decay" not in options:
        return
    here = options["weight_decay"]
    others = {"Adam": "AdamW", "AdamW": "Adam"}.get(kind)
    for decay in dict.fromkeys((here, *_DECAYS)):
        changed_options = {**options, "weight_decay": decay}
        changed_options.pop("decoupled_weight_decay", None)
        if decay != here:
            said = f"weight_decay is {here:g} here and {decay:g} there"
            yield "weight decay", said, steps.replayed(kind, changed_options)
        if others is not None and (decay or here):
            where = "outside of the gradient" if others == "AdamW" else "as a part of the gradient"
            said = f"weights decay by {here:g} here, and there by {decay:g} {where}"
            yield "weight decay", said, steps.replayed(others, changed_options)
        elif kind == "SGD" and decay:
            said = f"weights decay by {here:g} here, and there by {decay:g} outside of the gradient"
            yield "weight decay", said, _sgd(steps, options, decoupled=decay)


def _other_momentum(kind: str, options: dict[str, Any], steps: _Steps) -> Iterator[Guess]:
    if kind == "SGD":
        here = options["momentum"]
        said = (
            "the learning rate is outside of the momentum here, and inside of it there, as in Keras"
        )
        text = f"nesterov is {options['nesterov']} here and {not options['nesterov']} there"
        made = steps.replayed(kind, {**options, "nesterov": not options["nesterov"]})
        yield "momentum form", text, made
        for momentum in dict.fromkeys((here, *_MOMENTA)):
            if momentum != here:
                text = f"momentum is {here:g} here and {momentum:g} there"
                made = steps.replayed(kind, {**options, "momentum": momentum})
                yield "momentum form", text, made
            for nesterov in (False, True):
                yield "momentum form", said, _sgd(steps, options, momentum, nesterov, inside=True)
        for dampening in (here, 0.0, 0.1, 0.5, 0.9):
            if dampening != options["dampening"]:
                text = f"dampening is {options['dampening']:g} here and {dampening:g} there"
                made = steps.replayed(kind, {**options, "dampening": dampening})
                yield "momentum form", text, made
        yield (
            "momentum form",
            "the first step has dampening there",
            _sgd(steps, options, damped_first=True),
        )


def _sgd(
    steps: _Steps,
    options: dict[str, Any],
    momentum: float | None = None,
    nesterov: bool | None = None,
    *,
    inside: bool = False,
    decoupled: float | None = None,
    damped_first: bool = False,
) -> Any:
    """Return the parameter after steps of SGD in a form that ours has not."""
    if not steps.whole:
        return None
    mu = options["momentum"] if momentum is None else momentum
    ahead = options["nesterov"] if nesterov is None else nesterov
    damping = options["dampening"] or (mu if damped_first else 0.0)
    p, v = steps.start.copy(), np.zeros_like(steps.start)
    for step, gradient in enumerate(steps.gradients):
        rate = steps.rate(step, options)
        decay = options["weight_decay"] if decoupled is None else 0.0
        g = gradient + decay * p
        p = p * (1 - rate * (decoupled or 0.0))
        if inside:
            v = mu * v - rate * g
            p = p + (mu * v - rate * g if ahead else v)
            continue
        first = step == 0 and not damped_first
        v = g if first else mu * v + (1 - damping) * g
        p = p - rate * (g + mu * v if ahead else v if mu else g)
    return p


def _other_numbers(
    kind: str, options: dict[str, Any], steps: _Steps, b: np.ndarray
) -> Iterator[Guess]:
    if "eps" in options:
        for eps in _EPSILONS:
            if eps != options["eps"]:
                said = f"eps of the optimizer is {options['eps']:g} here and {eps:g} there"
                yield "epsilon", said, steps.replayed(kind, {**options, "eps": eps})
        if kind == "Adam":
            for eps in dict.fromkeys((options["eps"], *_EPSILONS)):
                said = f"theirs adds eps={eps:g} to √v before the bias is corrected, as Keras does"
                yield "epsilon", said, _keras_adam(steps, options, eps)
    before = steps.start
    moved = steps.replayed(kind, options)
    if moved is not None and steps.count == 1:
        mine, its = moved - before, b - before
        place = np.unravel_index(int(np.abs(mine).argmax()), mine.shape) if mine.ndim else ()
        ratio = float(its[place] / mine[place]) if mine[place] else math.nan
        if math.isfinite(ratio) and not math.isclose(ratio, 1.0, rel_tol=1e-6):
            lr = steps.rate(0, options)
            said = f"the learning rate is {lr:g} here and {lr * ratio:.4g} there"
            yield "learning rate", said, before + ratio * mine


def _keras_adam(steps: _Steps, options: dict[str, Any], eps: float) -> Any:
    if not steps.whole:
        return None
    first, second = options["betas"]
    p = steps.start.copy()
    m, v = np.zeros_like(p), np.zeros_like(p)
    for step, gradient in enumerate(steps.gradients, 1):
        g = gradient + options["weight_decay"] * p
        m, v = first * m + (1 - first) * g, second * v + (1 - second) * g * g
        rate = steps.rate(step - 1, options) * math.sqrt(1 - second**step) / (1 - first**step)
        p = p - rate * m / (np.sqrt(v) + eps)
    return p


def _statistics(
    found: Difference,
    ours: StepLog,
    theirs: StepLog,
    match: Matching,
    path: str,
    a: np.ndarray,
    b: np.ndarray,
) -> Cause | None:
    """Return why running statistics are others: their momentum, or the biased variance."""
    settings = ours.settings.get(path, {})
    momentum = settings.get("momentum")
    start = ours.get(0, "weights", found.path)
    if found.step or start is None or not momentum or a.dtype.kind != "f":
        return None
    new = (a - (1 - momentum) * start) / momentum
    x = ours.get(0, "forward", path, "input")
    guesses: list[Guess] = []
    apart = np.abs(new - start)
    place = np.unravel_index(int(apart.argmax()), a.shape) if a.ndim else ()
    if apart[place]:
        other = float((b[place] - start[place]) / (new[place] - start[place]))
        said = f"momentum of the running statistics is {momentum:g} here and {other:.4g} there"
        guesses.append(("momentum form", said, start + other * (new - start)))
    if x is not None and x.ndim > 1 and found.path.endswith("running_var"):
        count = x.size // x.shape[1]
        biased = start + momentum * (new * (count - 1) / count - start)
        said = "theirs follows the biased variance, as Keras does, ours the unbiased one"
        guesses.insert(0, ("biased variance", said, biased))
    for kind, said, made in guesses:
        if agree(made, b, 10):
            return Cause(kind, said)
    return None
