"""What formulas refuse, and what they say: expected, got, where, and the mend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from formulas.contract import STRICT, STRICT_DEVICE, place

from nnscratch.errors import (
    ConfigurationError,
    DataError,
    DeviceError,
    DTypeError,
    NNScratchError,
    ShapeError,
)
from nnscratch.formulas import FORMULAS, registry
from nnscratch.formulas.cases import cases
from nnscratch.formulas.checks import need_floats
from nnscratch.nn.derived_losses import losses

F32, I64 = np.float32, np.int64


def x(*shape: int, dtype: Any = F32) -> Any:
    return np.ones(shape, dtype)


ERRORS: dict[str, tuple[str, tuple[Any, ...], dict[str, Any], type[Exception], str]] = {
    "(N, 1) against (N,)": (
        "mse",
        (x(4, 1), x(4)),
        {},
        ShapeError,
        r"mse: expected a target of shape \(4, 1\) like the input, got \(4,\); they would "
        r"broadcast by accident; reshape the target: target.reshape\(4, 1\)",
    ),
    "(N,) against (N, 1)": ("l1", (x(4), x(4, 1)), {}, ShapeError, r"target.reshape\(4,\)"),
    "entries that do not fit": (
        "place",
        (x(3),),
        {"shape": (5,), "index": (slice(0, 4, 2),)},
        ShapeError,
        r"place: an array of shape \(3,\) does not fit the \(2,\) entries",
    ),
    "as many rows as indices": (
        "add_rows",
        (x(3, 2), x(2, dtype=I64)),
        {"count": 2},
        ShapeError,
        r"add_rows: expected rows \(n, columns\) .* got \(3, 2\) and \(2,\)",
    ),
    "rows and columns": (
        "add_rows",
        (x(3), x(3, dtype=I64)),
        {"count": 2},
        ShapeError,
        r"add_rows: expected rows",
    ),
    "integers to expm1": ("expm1", (x(3, dtype=I64),), {}, DTypeError, r"expm1: expected .*float"),
    "integers to log1p": ("log1p", (x(3, dtype=I64),), {}, DTypeError, r"log1p: expected .*float"),
    "(N, 2) against (N,)": ("huber", (x(4, 2), x(4)), {}, ShapeError, r"the shape \(4, 2\)"),
    "smooth_l1 shapes": ("smooth_l1", (x(4), x(1)), {}, ShapeError, "expected a target"),
    "kl_div shapes": ("kl_div", (x(4, 2), x(2, 4)), {}, ShapeError, "reshape the target"),
    "bce shapes": ("bce", (x(4, 1), x(4)), {}, ShapeError, "reshape the target"),
    "bce_with_logits shapes": ("bce_with_logits", (x(4, 1), x(4)), {}, ShapeError, "reshape"),
    "a bce weight of another shape": ("bce", (x(4), x(4), x(3)), {}, ShapeError, "weight"),
    "a bce weight that is larger": ("bce", (x(4), x(4), x(2, 4)), {}, ShapeError, "weight"),
    "hinge shapes": ("hinge_embedding", (x(4), x(4, 1)), {}, ShapeError, "expected a target"),
    "cosine shapes": ("cosine_embedding", (x(4, 2), x(4, 2), x(4, 1)), {}, ShapeError, "got"),
    "integers as targets of mse": (
        "mse",
        (x(4), x(4, dtype=I64)),
        {},
        DTypeError,
        r"mse: expected floating-point numbers for the target, got int64; .*\.float\(\)",
    ),
    "two dtypes": (
        "mse",
        (x(4), x(4, dtype=np.float64)),
        {},
        DTypeError,
        "the input is float32 but the target is float64",
    ),
    "a label that is too large": (
        "cross_entropy",
        (x(4, 3), np.array([0, 1, 3, 7])),
        {},
        DataError,
        r"cross_entropy: expected class indices from 0 to 2 \(or -100, ignored\), got 3 at "
        r"position 2 \(2 such values in all\)",
    ),
    "a negative label of an image": (
        "nll",
        (x(1, 3, 2, 2), np.array([[[0, 1], [-1, 2]]])),
        {},
        DataError,
        r"nll: .*got -1 at position \(0, 1, 0\)",
    ),
    "labels as a column": (
        "cross_entropy",
        (x(4, 3), x(4, 1, dtype=I64)),
        {},
        ShapeError,
        r"expected class indices of shape \(4,\).*got \(4, 1\); reshape them: target.reshape\(4,\)",
    ),
    "one-hot labels": (
        "cross_entropy",
        (x(4, 3), x(4, 3, dtype=I64)),
        {},
        ShapeError,
        r"target.argmax\(1\)",
    ),
    "float labels": (
        "cross_entropy",
        (x(4, 3), x(4)),
        {},
        DTypeError,
        r"expected integers as class indices, got float32; .*\.long\(\)",
    ),
    "class weights of another number": (
        "cross_entropy",
        (x(4, 3), x(4, dtype=I64), x(2)),
        {},
        ShapeError,
        "one weight for each of 3 classes",
    ),
    "scores without an axis": (
        "cross_entropy",
        (x(), x(dtype=I64)),
        {},
        ShapeError,
        "got a number",
    ),
    "smoothing above 1": (
        "cross_entropy",
        (x(4, 3), x(4, dtype=I64)),
        {"label_smoothing": 1.5},
        ConfigurationError,
        "label_smoothing must be from 0 to 1, got 1.5",
    ),
    "smoothing a little above 1": (
        "cross_entropy",
        (x(2, 3), np.array([0, 1])),
        {"label_smoothing": 1.05},
        ConfigurationError,
        "from 0 to 1, got 1.05",
    ),
    "an unknown reduction": (
        "mse",
        (x(4), x(4)),
        {"reduction": "average"},
        ConfigurationError,
        "mse: reduction is one of mean, sum, none, got 'average'",
    ),
    "an unknown reduction of classes": (
        "cross_entropy_probabilities",
        (x(4, 3), x(4, 3)),
        {"reduction": "average"},
        ConfigurationError,
        "reduction is one of",
    ),
    "probabilities above 1": (
        "bce",
        (np.array([0.5, 1.5]), np.ones(2)),
        {},
        DataError,
        r"bce: expected probabilities from 0 to 1 .*got 1\.5 at position 1",
    ),
    "a negative beta": (
        "smooth_l1",
        (x(2), x(2)),
        {"beta": -1.0},
        ConfigurationError,
        "must not be negative",
    ),
    "bounds exchanged": (
        "hardtanh",
        (x(2),),
        {"min_val": 1.0, "max_val": -1.0},
        ConfigurationError,
        "min_val must not be above max_val, got 1.0 and -1.0",
    ),
    "a negative lambd": (
        "softshrink",
        (x(2),),
        {"lambd": -1.0},
        ConfigurationError,
        "must be at least 0, got -1.0",
    ),
    "alpha zero": ("celu", (x(2),), {"alpha": 0.0}, ConfigurationError, "an alpha other than 0"),
    "delta zero": ("huber", (x(2), x(2)), {"delta": 0.0}, ConfigurationError, "must be positive"),
    "integers in a float layer": (
        "linear",
        (x(4, 3, dtype=I64), x(2, 3), x(2)),
        {},
        DTypeError,
        r"linear: expected floating-point numbers for X, got int64; .*\.float\(\)",
    ),
    "a transposed input": (
        "linear",
        (x(3, 4), x(2, 3)),
        {},
        ShapeError,
        r"expected an input of shape \(\.\.\., 3\).*looks transposed",
    ),
    "an image in a linear layer": (
        "linear",
        (x(5, 8, 8), x(2, 64)),
        {},
        ShapeError,
        r"flatten the input first",
    ),
    "a bias of another size": ("linear", (x(5, 3), x(2, 3), x(3)), {}, ShapeError, "a bias of"),
    "weights without an axis": ("linear", (x(5, 3), x(3)), {}, ShapeError, "weights of shape"),
    "integers in an activation": ("sigmoid", (x(3, dtype=I64),), {}, DTypeError, "sigmoid: "),
    "slopes for a row": ("prelu", (x(2), x(2)), {}, ShapeError, r"shape \(1,\) or \(1,\)"),
    "no slopes": ("prelu", (x(3), x(0)), {}, ShapeError, r"slopes of shape \(1,\)"),
    "slopes of another number": ("prelu", (x(2, 3), x(2)), {}, ShapeError, r"\(1,\) or \(3,\)"),
    "no such axis": (
        "softmax",
        (x(2, 3),),
        {"axis": 2},
        ShapeError,
        r"softmax: there is no axis 2 in an array of shape \(2, 3\); expected -2 to 1",
    ),
    "an axis twice": ("sum", (x(2, 3),), {"axis": (0, -2)}, ShapeError, "named twice"),
    "the largest of nothing": ("max", (x(0, 3),), {"axis": 0}, ShapeError, "has no max"),
    "the index of nothing": ("argmax", (x(0),), {}, ShapeError, "is empty"),
    "a mean of integers": ("mean", (x(3, dtype=I64),), {}, DTypeError, r"\.float\(\)"),
    "shapes that do not broadcast": (
        "add",
        (x(3, 4), x(3)),
        {},
        ShapeError,
        r"add: shapes \(3, 4\) and \(3,\) do not broadcast: 4 against 3",
    ),
    "integers divided": ("divide", (x(3, dtype=I64), x(3)), {}, DTypeError, r"\.float\(\)"),
    "an integer root of integers": ("power", (x(3, dtype=I64), 0.5), {}, DTypeError, r"\.float"),
    "a condition of numbers": ("where", (x(3), x(3), x(3)), {}, DTypeError, "bool, got float32"),
    "inner dimensions": (
        "matmul",
        (x(2, 3), x(4, 3)),
        {},
        ShapeError,
        r"inner dimensions differ, \(2, 3\) @ \(4, 3\); the second looks transposed, try B.T",
    ),
    "a number in matmul": ("matmul", (x(), x(3)), {}, ShapeError, r"use \*"),
    "two dtypes in matmul": (
        "matmul",
        (x(2, 2), x(2, 2, dtype=np.float64)),
        {},
        DTypeError,
        "A is float32 but B is float64",
    ),
    "a shape that does not fit": ("reshape", (x(6),), {"shape": (4, -1)}, ShapeError, "do not fit"),
    "two holes": ("reshape", (x(6),), {"shape": (-1, -1)}, ShapeError, "do not fit"),
    "axes left out": ("transpose", (x(2, 3),), {"axes": (0,)}, ShapeError, "leave out"),
    "not a broadcast": ("broadcast_to", (x(3),), {"shape": (2,)}, ShapeError, "broadcast"),
    "not a broadcast back": ("sum_to", (x(3),), {"shape": (2,)}, ShapeError, "broadcast"),
    "nothing to join": ("concatenate", (), {"axis": 0}, ShapeError, "at least one array"),
    "pieces that do not fit": (
        "concatenate",
        (x(2, 3), x(2, 4)),
        {"axis": 0},
        ShapeError,
        "array 1 of shape",
    ),
    "nothing to stack": ("stack", (), {"axis": 0}, ShapeError, "at least one array"),
    "labels of another number": (
        "nll",
        (x(4, 3), x(5, dtype=I64)),
        {},
        ShapeError,
        r"shape \(4,\) for scores of shape \(4, 3\), got \(5,\)$",
    ),
    "inner dimensions of a vector": ("matmul", (x(2, 3), x(4)), {}, ShapeError, r"\(4,\)$"),
    "an input of another size": ("linear", (x(4, 5), x(2, 3)), {}, ShapeError, r"\(4, 5\)$"),
    "stacked shapes": ("stack", (x(2), x(3)), {"axis": 0}, ShapeError, "array 1 has shape"),
    "an index out of range": (
        "getitem",
        (x(3),),
        {"index": 3},
        IndexError,
        r"index 3 is out of range for axis 0 of shape \(3,\)",
    ),
    "too many indices": ("getitem", (x(3),), {"index": (0, 0)}, IndexError, "too many"),
    "an index that is none": ("getitem", (x(3),), {"index": 1.5}, IndexError, r"got 1\.5"),
    "an array index out of range": (
        "take",
        (x(3), np.array([0, 5])),
        {"axis": 0},
        DataError,
        "expected indices from -3 to 2, got 5 at position 1$",
    ),
    "an index below": (
        "take",
        (x(3), np.array([0, -4])),
        {"axis": 0},
        DataError,
        r"from -3 to 2",
    ),
    "float indices": ("take", (x(3), x(2)), {"axis": 0}, DTypeError, r"\.long\(\)"),
    "a class out of range": (
        "one_hot",
        (np.array([[0, 4]]),),
        {"num_classes": 3},
        DataError,
        r"classes from 0 to 2, got 4 at position \(0, 1\)",
    ),
    "float classes": ("one_hot", (x(2),), {"num_classes": 3}, DTypeError, r"\.long\(\)"),
    "bounds exchanged behind a linear layer": (
        "linear_activation",
        (x(600, 30), x(40, 30)),
        {"activation": "hardtanh", "alpha": 1.5},
        ConfigurationError,
        "min_val must not be above max_val, got 1.5 and 1.0",
    ),
    "an unknown activation": (
        "linear_activation",
        (x(2, 3), x(4, 3)),
        {"activation": "softmax"},
        ConfigurationError,
        "expected one of relu",
    ),
}


@pytest.mark.parametrize("label", ERRORS)
def test_message(label: str) -> None:
    name, inputs, options, error, message = ERRORS[label]
    with pytest.raises(error, match=message) as raised:
        registry.forward(FORMULAS[name], *inputs, **options)
    assert isinstance(raised.value, (NNScratchError, IndexError))
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("name", ["copy_into", "accumulate"])
def test_a_source_that_does_not_fit(name: str) -> None:
    with pytest.raises(ShapeError, match=r"does not fit|do not broadcast"):
        registry.update(FORMULAS[name], x(3), x(2, 3))


def test_arrays_of_two_devices_are_refused() -> None:
    A, B = place(np.ones(3), "float32", STRICT), place(np.ones(3), "float32", STRICT_DEVICE)
    with pytest.raises(
        DeviceError, match=r"add: A is on cpu but B is on device1\. .*B\.to\('cpu'\)"
    ):
        registry.forward(FORMULAS["add"], A, B)


def test_arrays_of_two_libraries_are_refused() -> None:
    with pytest.raises(DeviceError, match="arrays of two libraries"):
        registry.forward(FORMULAS["add"], np.ones(3), place(np.ones(3), "float32", STRICT))


def compares_numbers(name: str) -> bool:
    """Whether a loss takes two arrays of one shape, neither of them classes, and needs no more."""
    first, second, *more = cases(name)[0].build()
    same = np.shape(first) == np.shape(second) and np.asarray(second).dtype.kind == "f"
    return same and all(one is None for one in more)


PAIRS = [made.name for made, _ in losses() if compares_numbers(made.name)]


def test_most_losses_compare_numbers() -> None:
    assert {"mse", "l1", "huber", "bce", "bce_with_logits", "kl_div", "soft_margin"} < set(PAIRS)


@pytest.mark.parametrize("name", PAIRS)
def test_the_mean_over_an_empty_batch_is_nan_and_quiet(name: str) -> None:
    L, saved = registry.forward(FORMULAS[name], x(0, 3), x(0, 3))
    assert np.isnan(L)
    gradients = registry.backward(
        FORMULAS[name],
        np.asarray(1.0, F32),
        saved,
        (True,) + (False,) * (len(FORMULAS[name].inputs) - 1),
    )
    assert gradients[0].shape == (0, 3)


def test_cross_entropy_of_an_empty_batch_is_nan_and_quiet() -> None:
    assert np.isnan(registry.forward(FORMULAS["cross_entropy"], x(0, 3), x(0, dtype=I64))[0])


def test_overflow_is_infinite_and_quiet() -> None:
    big = np.asarray([1e38, -1e38], F32)
    assert np.isinf(registry.forward(FORMULAS["multiply"], big, big)[0]).all()
    assert np.isinf(registry.forward(FORMULAS["exp"], big)[0][0])
    assert np.isinf(registry.forward(FORMULAS["divide"], big, 0.0)[0]).all()
    assert np.isnan(registry.forward(FORMULAS["log"], big)[0][1])


def test_small_label_types_are_taken() -> None:
    Z = np.random.default_rng(0).standard_normal((4, 3))
    wanted = registry.forward(FORMULAS["cross_entropy"], Z, np.array([0, 1, 2, 1]))[0]
    for dtype in (np.int8, np.int16, np.int32, np.uint8):
        got = registry.forward(FORMULAS["cross_entropy"], Z, np.array([0, 1, 2, 1], dtype))[0]
        assert got == wanted


def test_complex_numbers_may_stand_beside_floats_in_either_order() -> None:
    complex_, real = np.ones(2, np.complex128), np.ones(2, np.float64)
    need_floats("here", A=complex_, B=real)
    need_floats("here", A=real, B=complex_)


def test_a_flat_batch_is_not_told_to_be_flattened() -> None:
    with pytest.raises(ShapeError) as caught:
        registry.forward(FORMULAS["linear"], x(2, 3), x(4, 6))
    assert "flatten" not in str(caught.value)
    with pytest.raises(ShapeError, match="flatten the input"):
        registry.forward(FORMULAS["linear"], x(5, 2, 3), x(4, 6))
