"""What every implementation of every formula owes: the checks of the contract test.

They raise AssertionError, so that the planted faults can go through the very same ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import array_api_compat
import array_api_strict
import numpy as np
from tolerances import NUMERIC, assert_near

from nnscratch.array import array_namespace, device_of, dtype_name, is_array, to_numpy
from nnscratch.array.dtypes import dtype_of
from nnscratch.formulas import SUM_TO, Formula, choosing, registry
from nnscratch.formulas.cases import Case

COMPLEX = {"float32": "complex64", "float64": "complex128"}
LAYOUTS = ("C", "F", "sliced", "negative stride")
# Contiguous, but not aligned for vectors: all inputs and dY, or the first input alone.
SHIFTED = ("shifted", "first shifted")
# The backward of these may leave a gradient in the shape of the output: the tape un-broadcasts.
# So do the elementwise ones.
BROADCASTING = {"matmul", "broadcast_to"}


@dataclass(frozen=True)
class Backend:
    """An array library and a device of it."""

    name: str
    xp: Any
    device: Any = None

    def __str__(self) -> str:
        return self.name


NUMPY = Backend("numpy", array_api_compat.array_namespace(np.empty(0)))
STRICT = Backend("strict", array_api_strict)
STRICT_DEVICE = Backend("strict-device1", array_api_strict, array_api_strict.Device("device1"))
BACKENDS = (NUMPY, STRICT, STRICT_DEVICE)


def place(value: Any, dtype: str, backend: Backend = NUMPY, layout: str = "C") -> Any:
    """Return a case's input in a dtype and layout on a backend; what is no array as it is."""
    if not isinstance(value, np.ndarray):
        return value
    name = dtype if value.dtype.kind == "f" else value.dtype.name
    name = COMPLEX[dtype] if value.dtype.kind == "c" else name
    xp = backend.xp
    host = np.array(value, dtype=name, order="C")
    # NumPy makes a scalar of a 0-d array that is indexed.
    if layout == "C" or host.ndim == 0:
        return xp.asarray(host, device=backend.device)
    if layout == "shifted":
        room = np.empty(host.size + 1, host.dtype)[1:].reshape(host.shape)
        room[...] = host
        return xp.asarray(room, device=backend.device)
    if layout == "F":
        turned = np.ascontiguousarray(host.T)
        return xp.permute_dims(
            xp.asarray(turned, device=backend.device), tuple(reversed(range(host.ndim)))
        )
    if layout == "sliced":
        wide = np.full((*host.shape[:-1], 2 * host.shape[-1]), 77, dtype=host.dtype)
        wide[..., ::2] = host
        return xp.asarray(wide, device=backend.device)[..., ::2]
    turned = np.ascontiguousarray(host[..., ::-1])
    return xp.asarray(turned, device=backend.device)[..., ::-1]


def place_all(values: tuple[Any, ...], dtype: str, backend: Backend, layout: str) -> list[Any]:
    """Return a case's inputs in a dtype and layout on a backend."""
    if layout != "first shifted":
        return [place(value, dtype, backend, layout) for value in values]
    first, *others = values
    return [place(first, dtype, backend, "shifted"), *(place(v, dtype, backend) for v in others)]


def rounded(values: tuple[Any, ...], dtype: str) -> tuple[Any, ...]:
    """Return the inputs in float64, with the values that they have in a dtype."""
    wide = {"f": (dtype, "float64"), "c": (COMPLEX.get(dtype), "complex128")}

    def rounded_once(value: Any) -> Any:
        if not isinstance(value, np.ndarray) or value.dtype.kind not in wide:
            return value
        narrow, full = wide[value.dtype.kind]
        return value.astype(narrow).astype(full)

    return tuple(map(rounded_once, values))


def needs_of(formula: Formula, values: tuple[Any, ...]) -> tuple[bool, ...]:
    """Return which inputs of a case have a gradient."""
    if formula.backward is None:
        return (False,) * len(values)
    flags = formula.differentiable * (len(values) if formula.variadic else 1)
    return tuple(
        flag and isinstance(value, np.ndarray) and value.dtype.kind == "f"
        for flag, value in zip(flags, values, strict=False)
    )


def cotangent(shape: tuple[int, ...], seed: int = 1) -> Any:
    """Return random numbers to stand for the gradient of an output."""
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


class Always:
    """An implementation that is taken wherever it does not refuse, whether it pays or not."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def worthwhile(self, direction: str, inputs: tuple[Any, ...]) -> bool:
        """Say yes."""
        return True


@contextmanager
def only(name: str, implementation: Any) -> Iterator[None]:
    """Let only one implementation of a formula run, the reference if it is None."""
    before = dict(registry.entered())
    choosing._implementations.clear()
    if implementation is not None:
        choosing._implementations[name] = [Always(implementation)]
    try:
        with registry.use_kernels("auto"):
            yield
    finally:
        choosing._implementations.clear()
        choosing._implementations.update(before)


def _bits(array: Any) -> Any:
    return to_numpy(array).copy() if is_array(array) else array


def _unchanged(now: Any, before: Any, what: str) -> None:
    if is_array(now):
        same = to_numpy(now).tobytes() == before.tobytes()
        assert same, f"{what} was changed"


def _host(array: Any) -> Any:
    return getattr(array, "_array", array)


def _share(a: Any, b: Any) -> bool:
    if not (is_array(a) and is_array(b)):
        return False
    return bool(np.shares_memory(_host(a), _host(b)))


def _kept(array: Any, like: Any, truth: Any, dtype: str, options: Any, what: str) -> None:
    """Check the dtype and the device of a result."""
    wanted = dtype_name(truth.dtype)
    if wanted == "float64" and "dtype" not in options:
        wanted = dtype
    elif wanted == "complex128":
        wanted = COMPLEX[dtype]
    assert dtype_name(array.dtype) == wanted, f"{what} is {array.dtype}, expected {wanted}"
    if like is not None:
        assert device_of(array) == device_of(like), f"{what} is on {device_of(array)}"
        array_namespace(array, like)


def check_call(
    formula: Formula,
    case: Case,
    dtype: str,
    layout: str = "C",
    backend: Backend = NUMPY,
    implementation: Any = None,
) -> list[tuple[str, str, str]]:
    """Check a forward and its backward against the truth; return which implementations ran."""
    values = case.build()
    truth_inputs = rounded(values, dtype)
    truth, truth_saved = formula.forward(*truth_inputs, **case.options)
    truth = [np.asarray(one) for one in outputs_of(truth)]
    inputs = tuple(place_all(values, dtype, backend, layout))
    like = next((one for one in inputs if is_array(one)), None)
    before = [_bits(one) for one in inputs]
    log = registry.CallLog()
    with only(formula.name, implementation), registry.observing(log):
        expected = [_expected(implementation, "forward", inputs, case.options)]
        Y, saved = registry.forward(formula, *inputs, **case.options)
        assert isinstance(Y, tuple) == bool(formula.outputs), "several outputs are a tuple"
        for made, right in zip(outputs_of(Y), truth, strict=True):
            _kept(made, like, right, dtype, case.options, "the output")
            assert_near(to_numpy(made), right, dtype, case.terms, case.magnitude, "the output")
            for index, one in enumerate(inputs):
                _unchanged(one, before[index], f"input {index}")
                shared = _share(made, one)
                assert formula.aliases or not shared, f"the output shares memory with {index}"
        assert isinstance(saved, tuple), "saved is no tuple"
        needs = needs_of(formula, values)
        if any(needs):
            expected += _check_backward(
                formula, case, dtype, layout, backend, implementation, inputs, Y, saved,
                truth_inputs, truth, truth_saved, needs, before,
            )  # fmt: skip
    wanted = [(formula.name, direction, name) for direction, name in expected]
    assert log.ran == wanted, f"ran {log.ran}, expected {wanted}"
    return log.ran


def outputs_of(Y: Any) -> tuple[Any, ...]:
    """Return the outputs of a forward, of which a formula may have several."""
    return Y if isinstance(Y, tuple) else (Y,)


def cotangents(Y: Any, seed: int = 1) -> Any:
    """Return random numbers to stand for the gradient of an output, a tuple where it has several.

    They are arrays in float64.
    """
    made = [cotangent(np.shape(one), seed + 7 * i) for i, one in enumerate(outputs_of(Y))]
    return tuple(made) if isinstance(Y, tuple) else made[0]


def _expected(
    implementation: Any, direction: str, inputs: tuple[Any, ...], options: Any
) -> tuple[str, str]:
    if implementation is None or implementation.refuses(direction, inputs, options) is not None:
        return direction, registry.REFERENCE
    return direction, implementation.name


def _check_backward(
    formula: Formula,
    case: Case,
    dtype: str,
    layout: str,
    backend: Backend,
    implementation: Any,
    inputs: tuple[Any, ...],
    Y: Any,
    saved: Any,
    truth_inputs: tuple[Any, ...],
    truth: list[Any],
    truth_saved: Any,
    needs: tuple[bool, ...],
    before: list[Any],
) -> list[tuple[str, str]]:
    assert formula.backward is not None
    out_dtype = dtype_name(outputs_of(Y)[0].dtype)
    hosts = rounded(outputs_of(cotangents(tuple(truth))), out_dtype)
    own = "C" if layout == "first shifted" else layout
    placed = tuple(place(one, out_dtype, backend, own) for one in hosts)
    dY = placed if formula.outputs else placed[0]
    exact = formula.backward(hosts if formula.outputs else hosts[0], truth_saved, needs)
    asked = [needs]
    if sum(needs) > 1:
        asked += [tuple(i == j for j in range(len(needs))) for i, need in enumerate(needs) if need]
    held = [*inputs, *saved, *placed]
    held_before = [_bits(one) for one in held]
    ran = []
    for one in asked:
        ran.append(_expected(implementation, "backward", (*placed, *saved), {}))
        gradients = registry.backward(formula, dY, saved, one)
        assert len(gradients) == len(inputs), f"{len(gradients)} gradients of {len(inputs)} inputs"
        for index, (gradient, needed) in enumerate(zip(gradients, one, strict=True)):
            what = f"the gradient of input {index}"
            if not needed:
                assert gradient is None, f"{what} was not asked for"
                continue
            assert gradient is not None, f"{what} is missing"
            assert dtype_name(gradient.dtype) == dtype_name(inputs[index].dtype), (
                f"{what} is {gradient.dtype}, its input {inputs[index].dtype}"
            )
            assert device_of(gradient) == device_of(inputs[index]), f"{what} moved"
            wanted = unbroadcast(formula, exact[index], truth_inputs[index], what)
            got = unbroadcast(formula, to_numpy(gradient), truth_inputs[index], what)
            assert_near(got, wanted, dtype, case.terms, case.magnitude, what)
            if not formula.aliases:
                others = [*held, *(g for k, g in enumerate(gradients) if k != index)]
                assert not any(_share(gradient, other) for other in others), f"{what} is an alias"
        for index, (now, was) in enumerate(zip(held, held_before, strict=True)):
            _unchanged(now, was, f"array {index} of inputs, saved and dY")
    if len(placed) > 1:
        ran += _check_outputs_apart(formula, implementation, placed, saved, needs, case, dtype)
    return ran


def _check_outputs_apart(
    formula: Formula,
    implementation: Any,
    placed: tuple[Any, ...],
    saved: Any,
    needs: tuple[bool, ...],
    case: Case,
    dtype: str,
) -> list[tuple[str, str]]:
    """Check that a gradient is the sum of those for each output with None for the others."""
    ran = []
    sums: list[Any] = [0.0] * len(needs)
    for index in range(len(placed)):
        alone = tuple(one if i == index else None for i, one in enumerate(placed))
        ran.append(_expected(implementation, "backward", (*alone, *saved), {}))
        found = registry.backward(formula, alone, saved, needs)
        for i, gradient in enumerate(found):
            sums[i] = sums[i] if gradient is None else sums[i] + to_numpy(gradient)
    ran.append(_expected(implementation, "backward", (*placed, *saved), {}))
    together = registry.backward(formula, placed, saved, needs)
    for got, wanted in zip(together, sums, strict=True):
        if got is not None:
            what = "the gradient, against the sum over outputs"
            assert_near(to_numpy(got), wanted, dtype, case.terms, case.magnitude, what)
    return ran


def unbroadcast(formula: Formula, gradient: Any, value: Any, what: str) -> Any:
    """Return a gradient in the shape of its input, as the tape would make it."""
    if gradient.shape == value.shape:
        return gradient
    several = formula.pointwise is not None and len(formula.inputs) > 1
    broadcasts = formula.name in BROADCASTING or several
    assert broadcasts, f"{what} has shape {gradient.shape}, not {value.shape}"
    return np.asarray(SUM_TO.forward(np.asarray(gradient), shape=value.shape)[0])


def check_update(
    formula: Formula,
    case: Case,
    dtype: str,
    layout: str = "C",
    backend: Backend = NUMPY,
    implementation: Any = None,
) -> list[tuple[str, str, str]]:
    """Check a formula that updates state against the truth; return which implementations ran."""
    values = case.build()
    results = formula.forward(*rounded(values, dtype), **case.options)
    inputs = tuple(place_all(values, dtype, backend, layout))
    before = [_bits(one) for one in inputs]
    new = dict(zip(formula.updates, results, strict=True))
    log = registry.CallLog()
    with only(formula.name, implementation), registry.observing(log):
        expected = _expected(implementation, "update", inputs, case.options)
        # The reference must not write into its inputs itself: the registry does that.
        raw = formula.forward(*inputs, **case.options)
        for index, one in enumerate(inputs):
            _unchanged(one, before[index], f"input {index}")
            shared = any(_share(one, result) for result in raw)
            assert formula.aliases or not shared, f"a result shares memory with input {index}"
        registry.update(formula, *inputs, **case.options)
    for index, name in enumerate(formula.inputs):
        if index >= len(inputs) or inputs[index] is None:
            continue
        if name in new:
            got = to_numpy(inputs[index])
            assert_near(got, new[name], dtype, case.terms, case.magnitude, name)
        else:
            _unchanged(inputs[index], before[index], f"input {name}")
    direction, ran = expected
    assert log.ran == [(formula.name, direction, ran)], f"ran {log.ran}, expected {ran}"
    return log.ran


def check(
    formula: Formula,
    case: Case,
    dtype: str,
    layout: str = "C",
    backend: Backend = NUMPY,
    implementation: Any = None,
) -> list[tuple[str, str, str]]:
    """Check one call of one implementation on one case."""
    kind = check_update if formula.updates else check_call
    return kind(formula, case, dtype, layout, backend, implementation)


def check_gradients(formula: Formula, case: Case, directions: int = 2) -> int:
    """Compare the backward with numeric derivatives in float64; return how many were compared."""
    assert formula.backward is not None
    values = case.build()
    needs = needs_of(formula, values)
    Y, saved = formula.forward(*values, **case.options)
    C = cotangents(Y, seed=2)
    gradients = formula.backward(C, saved, needs)
    method = "complex" if formula.analytic else "five-point"
    compared = 0
    for index, needed in enumerate(needs):
        if not needed:
            assert gradients[index] is None, f"the gradient of input {index} was not asked for"
            continue
        what = f"the gradient of input {index}"
        gradient = unbroadcast(formula, np.asarray(gradients[index]), values[index], what)
        for seed in range(directions):
            V = cotangent(values[index].shape, seed=3 + seed)
            found, size = numeric(formula, case, values, index, V, C, method)
            promised = float(np.sum(gradient * V))
            size += float(np.sum(np.abs(gradient * V)))
            assert abs(promised - found) <= NUMERIC[method] * size, (
                f"{what} promises a slope of {promised!r}, the {method} derivative is {found!r}"
            )
            compared += 1
    return compared


def numeric(
    formula: Formula, case: Case, values: tuple[Any, ...], index: int, V: Any, C: Any, method: str
) -> tuple[float, float]:
    """Return the slope of Σ C Y along V, and the size of what was added up for it."""

    def at(step: complex) -> Any:
        shifted = np.asarray(values[index] + step * V)
        moved = [*values[:index], shifted, *values[index + 1 :]]
        return _flat(formula.forward(*moved, **case.options)[0])

    C = _flat(C)
    if method == "complex":
        parts = C * np.imag(at(1e-30j)) / 1e-30
        return float(np.sum(parts)), float(np.sum(np.abs(parts)))
    h = 1e-3
    inner, outer = at(h) - at(-h), at(2 * h) - at(-2 * h)
    parts = C * (8 * inner - outer) / (12 * h)
    return float(np.sum(parts)), float(np.sum(np.abs(parts)) + np.sum(np.abs(C * at(0.0))))


def _flat(outputs: Any) -> Any:
    """Return all entries of an output, or of several, in one row."""
    return np.concatenate([np.ravel(one) for one in outputs_of(outputs)])


def to_dtype(array: Any, dtype: str) -> Any:
    """Return an array in another dtype of its own library."""
    xp = array_namespace(array)
    return xp.astype(array, dtype_of(xp, dtype))
