"""How often nnscratch.gradcheck is wrong: right gradients called wrong, and faults that it misses.

    python -m benchmarks.gradcheck_rates [--seed 0] [--write]

Right gradients: every differentiable formula at its own cases, as they are and with inputs larger
and smaller by up to a thousand; every activation at random scales, every loss with confident and
with random predictions, and whole networks before and after training. Each in float32 and float64.
Faults: the same formulas with something planted into one gradient. ``--write`` puts the table into
results/gradcheck_rates.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import NNScratchError
from nnscratch.formulas import FORMULAS, Formula
from nnscratch.formulas.cases import cases
from nnscratch.nn import functional as F

PAGE = Path(__file__).parent / "results" / "gradcheck_rates.md"
DTYPES = ("float32", "float64")
MOST = 600  # elements of a case that is checked
Check = tuple[str, Any, list[Any], dict[str, Any]]
RANDOM = ("dropout",)
# Inputs that have a range of their own cannot simply be scaled.
FIXED = ("bce", "kl_div", "nll", "cross_entropy_probabilities")

# Cases whose gradient is by PyTorch's definition another number than the derivative: a row whose
# gradient is 0, sums divided by how often they occur, an entry that another one replaced, a
# variance that is held up and lets the gradient through.
DEFINED = {
    "embedding": ("a padding", "by frequency"),
    "embedding_bag": ("by frequency",),
    "max_unpool": ("one number twice",),
    "gaussian_nll": ("a large eps, mean", "a large eps, none"),
}


def placed(value: Any, dtype: str, scale: float = 1.0) -> Any:
    """Return an input in a dtype, scaled if it holds floats."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return np.asarray(value * scale, dtype)
    return value


def formula_checks(dtype: str, rng: np.random.Generator) -> Iterator[Check]:
    """Every differentiable formula at its cases."""
    for name, formula in FORMULAS.items():
        if formula.backward is None or name in RANDOM:
            continue
        for case in cases(name):
            if case.name in DEFINED.get(name, ()):
                continue
            values = case.build()
            arrays = [v for v in values if isinstance(v, np.ndarray) and v.dtype.kind == "f"]
            if not arrays or not all(np.isfinite(a).all() and 0 < a.size <= MOST for a in arrays):
                continue
            scales = [1.0] if name in FIXED else [1.0, float(10.0 ** rng.uniform(-3, 3))]
            for scale in scales:
                inputs = [placed(value, dtype, scale) for value in values]
                label = f"{name}: {case.name}, x {scale:.2g}"
                yield label, formula, inputs, {"options": dict(case.options)}


def activation_checks(dtype: str, rng: np.random.Generator) -> Iterator[Check]:
    """Every activation module at random scales, some of them far into saturation."""
    names = ["ReLU", "LeakyReLU", "ELU", "SELU", "GELU", "SiLU", "Sigmoid", "Tanh", "Softplus"]
    names += ["Softsign", "Hardtanh", "Softmax", "LogSoftmax"]
    for name in names:
        options = {"dim": -1} if "oftmax" in name else {}
        for _ in range(20):
            x = rng.normal(size=(3, 4)) * 10.0 ** rng.uniform(-4, 2)
            yield f"nn.{name}", getattr(nn, name)(**options), [x.astype(dtype)], {}


def loss_checks(dtype: str, rng: np.random.Generator) -> Iterator[Check]:
    """Every loss with predictions that are random, right and sure, or wrong and sure."""
    for round_ in range(20):
        labels = rng.integers(0, 4, 6)
        sure = np.eye(4)[labels] * 10.0 ** rng.uniform(0, 1.6) * (1 if round_ % 3 else -1)
        logits = (sure + rng.normal(size=(6, 4))).astype(dtype)
        near = rng.normal(size=(6, 4))
        for scale in (1.0, float(10.0 ** rng.uniform(-4, 3))):
            y, t = (near * scale).astype(dtype), (rng.normal(size=(6, 4)) * scale).astype(dtype)
            for loss in (F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss):
                yield loss.__name__, loss, [y, t], {}
        target = nnscratch.tensor(labels)
        weight = nnscratch.tensor(rng.uniform(0.1, 3, 4).astype(dtype))
        yield "cross_entropy", _with(F.cross_entropy, target), [logits], {}
        yield (
            "cross_entropy, smoothed",
            _with(F.cross_entropy, target, label_smoothing=0.1),
            [logits],
            {},
        )
        yield "cross_entropy, weighted", _with(F.cross_entropy, target, weight=weight), [logits], {}
        bits = (rng.uniform(size=(6, 4)) < 0.5).astype(dtype)
        yield (
            "bce_with_logits",
            _with(F.binary_cross_entropy_with_logits, nnscratch.tensor(bits)),
            [logits],
            {},
        )
        shares = 1 / (1 + np.exp(-np.clip(logits.astype(float), -12, 12)))
        yield (
            "bce",
            _with(F.binary_cross_entropy, nnscratch.tensor(bits)),
            [shares.astype(dtype)],
            {},
        )


def _with(loss: Callable[..., Any], target: Any, **options: Any) -> Callable[[Any], Any]:
    def call(x: Any) -> Any:
        given = {k: v.to(x.dtype) for k, v in options.items() if isinstance(v, nnscratch.Tensor)}
        goal = target.to(x.dtype) if target.is_floating_point() else target
        return loss(x, goal, **{**options, **given})

    return call


def model_checks(dtype: str, rng: np.random.Generator) -> Iterator[Check]:
    """Whole networks of one to five layers, as they start and after they have learned."""
    kinds = [nn.ReLU, nn.Tanh, nn.GELU, nn.SiLU, nn.Sigmoid, nn.ELU]
    for number in range(30):
        nnscratch.manual_seed(number)
        widths = [int(n) for n in rng.integers(3, 9, rng.integers(2, 6))]
        layers: list[Any] = []
        for a, b in itertools.pairwise(widths):
            layers += [nn.Linear(a, b), kinds[int(rng.integers(len(kinds)))]()]
        model = nn.Sequential(*layers[:-1]).to(dtype=dtype)
        x = rng.normal(size=(8, widths[0])).astype(dtype)
        labels = rng.integers(0, widths[-1], 8)
        loss = nn.CrossEntropyLoss()
        for steps in (0, 300):
            optimizer = optim.Adam(model.parameters(), lr=0.03)
            for _ in range(steps):
                optimizer.zero_grad()
                loss(model(nnscratch.tensor(x)), nnscratch.tensor(labels)).backward()
                optimizer.step()
            yield f"a network of {len(widths) - 1} layers, {steps} steps", (model, loss), [
                x, labels
            ], {}  # fmt: skip


RIGHT: dict[str, Callable[[str, np.random.Generator], Iterator[Check]]] = {
    "formulas": formula_checks,
    "activations": activation_checks,
    "losses": loss_checks,
    "networks": model_checks,
}


def _scaled(factor: float) -> Callable[[Any], Any]:
    return lambda g: g * g.dtype.type(factor)


def _one_off(g: Any) -> Any:
    changed = np.array(g)
    place = np.unravel_index(int(np.argmax(np.abs(changed))), changed.shape)
    changed[place] *= 1.5
    return changed


FAULTS: dict[str, Callable[[Any], Any]] = {
    "the wrong sign": _scaled(-1.0),
    "twice": _scaled(2.0),
    "half": _scaled(0.5),
    "a tenth too large": _scaled(1.1),
    "zero": _scaled(0.0),
    "one element half too large": _one_off,
    "rows exchanged": lambda g: np.roll(g, 1, axis=0),
    "the mean instead of each": lambda g: np.full_like(g, g.mean()),
}


def planted(formula: Formula, place: int, change: Callable[[Any], Any]) -> Formula:
    """Return a formula whose gradient number ``place`` is changed."""
    original = formula.backward
    assert original is not None

    def backward(dY: Any, saved: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        found = list(original(dY, saved, needs))
        if found[place] is not None:
            found[place] = change(np.asarray(found[place]))
        return tuple(found)

    return dataclasses.replace(formula, backward=backward)


def fault_checks(dtype: str, rng: np.random.Generator) -> Iterator[Check]:
    """Formulas with a fault that changes their gradient by a tenth or more somewhere."""
    for label, formula, inputs, options in formula_checks(dtype, rng):
        if "x 1" not in label or formula.variadic:
            continue
        place = next((i for i, can in enumerate(formula.differentiable) if can), None)
        if place is None or not isinstance(inputs[place], np.ndarray):
            continue
        right = gradient_of(formula, inputs, options["options"], place)
        if right is None or not right.size or not np.abs(right).max() > 1e-6:
            continue
        for name, change in FAULTS.items():
            if np.abs(change(right) - right).max() >= 0.09 * np.abs(right).max():
                yield f"{label}: {name}", planted(formula, place, change), inputs, options


def gradient_of(formula: Formula, inputs: list[Any], options: Any, place: int) -> Any:
    """Return one gradient of a formula, None where it has none."""
    assert formula.backward is not None
    try:
        Y, saved = formula.forward(*inputs, **options)
        needs = tuple(i == place for i in range(len(inputs)))
        dY = np.random.default_rng(1).uniform(0.5, 1.5, np.shape(Y)).astype(np.asarray(Y).dtype)
        found = formula.backward(dY, saved, needs)[place]
    except Exception:
        return None
    return None if found is None or np.ndim(found) == 0 else np.asarray(found)


def rates(checks: Iterator[Check], wanted: str) -> tuple[Counter[str], list[str]]:
    """Count the verdicts, and name the cases whose verdict is not the one that is wanted."""
    counts: Counter[str] = Counter()
    others = []
    for label, target, inputs, options in checks:
        try:
            verdict = str(nnscratch.gradcheck(target, inputs, **options).verdict)
        except NNScratchError:
            continue  # no gradient at this place, or another dtype than the formula takes
        counts[verdict] += 1
        if verdict != wanted:
            others.append(f"{label}: {verdict}")
    return counts, others


def main(arguments: list[str] | None = None) -> int:
    """Count, print, and with ``--write`` keep the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="name what is not right")
    options = parser.parse_args(arguments)
    lines = [
        "<!-- Written by `python -m benchmarks.gradcheck_rates --write`. -->",
        "",
        "# How often gradcheck is wrong",
        "",
        "| what is checked | dtype | checks | right | cannot tell | wrong |",
        "|---|---|---|---|---|---|",
    ]
    began, alarms = time.perf_counter(), 0
    groups: list[tuple[str, Any, str]] = [(n, make, "right") for n, make in RIGHT.items()]
    groups.append(("formulas with a fault", fault_checks, "wrong"))
    for name, make, wanted in groups:
        for dtype in DTYPES:
            rng = np.random.default_rng(options.seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                counts, others = rates(make(dtype, rng), wanted)
            cells = [str(counts[key]) for key in ("right", "cannot tell", "wrong")]
            row = f"| {name} | {dtype} | {counts.total()} | {' | '.join(cells)} |"
            lines.append(row)
            print(row, flush=True)
            if wanted == "right":
                alarms += counts["wrong"]
            shown = others if options.verbose else [o for o in others if "wrong" in o]
            for other in shown if wanted == "right" or options.verbose else []:
                print(f"  {other}")
    lines += [
        "",
        f"False alarms: {alarms}. Seed {options.seed}, NumPy {np.__version__}. In float32 a fault",
        "of a tenth shows only where rounding leaves a hundredth of the gradient; what it does not",
        "leave is answered with *cannot tell*, and counts as missed above.",
    ]
    print(f"{time.perf_counter() - began:.0f} s")
    if options.write:
        PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return int(alarms > 0)


if __name__ == "__main__":
    sys.exit(main())
