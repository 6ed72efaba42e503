"""Splitting rows into training, validation and test parts, reproducibly for a seed."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from nnscratch.array.integers import intp
from nnscratch.errors import ConfigurationError, DataError


class RareClassWarning(UserWarning):
    """Classes with so few rows that the training, the validation or the test has none of them."""


def train_test_split_indices(
    n: int,
    fractions: Sequence[float],
    seed: int,
    stratify: npt.ArrayLike | None = None,
    rare: Literal["refuse", "first"] = "refuse",
) -> tuple[npt.NDArray[np.int64], ...]:
    """Split the rows 0 to n - 1 at random into as many parts as there are fractions.

    Each part has its share of the rows, to within one row. With `stratify`, it has its share of
    every class as well. The rows are ordered by raw Philox numbers, which NumPy promises never to
    change, so that a seed names the same split on every machine and under every version.

    Args:
        n: the number of rows.
        fractions: the share of each part, such as `(0.8, 0.2)` or `(0.6, 0.2, 0.2)`; they add to 1.
        seed: a whole number, not negative.
        stratify: (n,) the class of each row; None to split without regard to classes.
        rare: what becomes of classes with too few rows for each part to have one: "refuse" raises
            an error, "first" puts their rows into the first part as far as that has room, one of
            each class before all others, and splits the other classes without them.

    Returns:
        For each part the indices of its rows, int64, ascending. Every row is in exactly one part.

    Raises:
        ConfigurationError: the fractions do not add to 1, or an argument makes no sense.
        DataError: too few rows, or (with `rare="refuse"`) too few of a class, for each part to
            have one.

    >>> train, test = train_test_split_indices(10, (0.7, 0.3), seed=0)
    >>> len(train), len(test), sorted([*train, *test]) == list(range(10))
    (7, 3, True)
    """
    shares = _check_fractions(fractions)
    if rare not in ("refuse", "first"):
        raise ConfigurationError(f"rare must be 'refuse' or 'first', got {rare!r}")
    for label, number in (("n", n), ("seed", seed)):
        if not _is_count(number):
            raise ConfigurationError(
                f"{label} must be a whole number and not negative, got {number!r}"
            )
    n = int(n)
    sizes = _sizes(n, shares)
    if 0 in sizes:
        raise DataError(
            f"{n} rows are too few for the parts {shares}: that gives {sizes} rows, and each part "
            "needs at least one"
        )
    keys = np.random.Philox(int(seed)).random_raw(n)
    order = np.argsort(keys, kind="stable").astype(np.int64)
    classes = None if stratify is None else _check_classes(stratify, n)
    if classes is not None:
        order = order[np.argsort(_class_position(classes[order]), kind="stable")]
    parts = np.split(order, np.cumsum(sizes)[:-1])
    if classes is not None:
        lacking = _lacking(classes, parts)
        if lacking is not None and rare == "refuse":
            raise DataError(lacking)
        if lacking is not None:
            order = _rare_first(order, classes, parts)
            parts = np.split(order, np.cumsum(sizes)[:-1])
    return tuple(np.sort(part) for part in parts)


def _is_count(value: object) -> bool:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return whole and int(value) >= 0  # type: ignore[call-overload]


def _check_fractions(fractions: Sequence[float]) -> tuple[float, ...]:
    try:
        shares = tuple(float(fraction) for fraction in fractions)
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"fractions must be numbers such as (0.8, 0.2), got {fractions!r}"
        ) from None
    if len(shares) < 2 or not all(0.0 < share < 1.0 for share in shares):
        raise ConfigurationError(
            f"fractions must be two or more numbers between 0 and 1, got {shares}"
        )
    if abs(math.fsum(shares) - 1.0) > 1e-9:
        raise ConfigurationError(f"fractions must add to 1, {shares} add to {math.fsum(shares):g}")
    return shares


def _check_classes(stratify: npt.ArrayLike, n: int) -> npt.NDArray[np.int64]:
    values = np.asarray(stratify)
    if values.shape != (n,):
        raise ConfigurationError(
            f"stratify must have one class for each of the {n} rows, shape ({n},); "
            f"got shape {values.shape}"
        )
    try:
        return np.unique(values, return_inverse=True)[1].astype(np.int64)
    except TypeError as error:
        raise ConfigurationError(f"stratify mixes types that have no order: {error}") from None


def _sizes(n: int, shares: tuple[float, ...]) -> list[int]:
    """Whole numbers that add to n, each within one of its share; largest remainders round up."""
    sizes = [math.floor(n * share) for share in shares]
    remainders = [n * share - size for share, size in zip(shares, sizes, strict=True)]
    for part in sorted(range(len(shares)), key=lambda part: (-remainders[part], part)):
        if sum(sizes) < n:
            sizes[part] += 1
    return sizes


def _class_position(classes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """How far down its own class each row comes, from 0 to 1.

    Rows sorted by this number run through all classes at the same pace, so wherever the list is
    cut, every class is cut at that place too.
    """
    counts = np.bincount(intp(classes))
    by_class = np.argsort(classes, kind="stable")
    starts = np.cumsum(counts) - counts
    rank = np.empty(len(classes), np.int64)
    rank[by_class] = np.arange(len(classes)) - np.repeat(starts, counts)
    position: npt.NDArray[np.float64] = (rank + 0.5) / counts[classes]
    return position


def _lacking(classes: npt.NDArray[np.int64], parts: Sequence[npt.NDArray[np.int64]]) -> str | None:
    """What to say of the first class that a part has no row of; None if each part has all."""
    counts = np.bincount(intp(classes))
    for number, part in enumerate(parts, start=1):
        present = np.bincount(intp(classes[part]), minlength=len(counts))
        if present.all():
            continue
        few = int(np.flatnonzero(present == 0)[0])
        row = int(np.flatnonzero(classes == few)[0])
        rows = "1 row" if counts[few] == 1 else f"{counts[few]} rows"
        return (
            f"the class of row {row} has {rows} in all, too few for part {number} of "
            f"{len(parts)} to have one: add rows, leave the class out, split without stratify, or "
            "give rare='first' to have its rows in part 1"
        )
    return None


def _rare_first(
    order: npt.NDArray[np.int64],
    classes: npt.NDArray[np.int64],
    parts: Sequence[npt.NDArray[np.int64]],
) -> npt.NDArray[np.int64]:
    """The rows in an order whose beginning has one row of each class, then the rare classes.

    The end of the stratified order, which the last part is cut from, only loses rows of rare
    classes: the part keeps all others that it had.
    """
    everywhere = np.ones(int(classes.max()) + 1, bool)
    for part in parts:
        everywhere &= np.bincount(intp(classes[part]), minlength=len(everywhere)) > 0
    of_order = classes[order]
    _, first = np.unique(of_order, return_index=True)
    rank = np.where(everywhere[of_order], 2, 1)
    rank[first] = 0
    return order[np.argsort(rank, kind="stable")]
