"""How many targets are the class that is largest: what an accuracy is made of."""

from __future__ import annotations

from typing import Any

from nnscratch.array import array_namespace
from nnscratch.errors import ShapeError
from nnscratch.formulas.case import Case, given, integers, normal
from nnscratch.formulas.formula import formula


def count_hits_update(C: Any, Z: Any, T: Any, *, ignore_index: int | None = None) -> tuple[Any]:
    r"""Return how many targets are $\mathrm{arg\,max}_k Z$, and how many targets there are.

    Args:
        C: (2,) floats, which the counts are for.
        Z: (N, K, ...) a value for each class.
        T: (N, ...) the classes.
        ignore_index: targets of this class are neither hit nor counted; None if there are none.

    Raises:
        ShapeError: if the targets are not one for each row of classes.

    >>> import numpy as np
    >>> Z = np.array([[1.0, 2.0], [3.0, 2.0], [0.0, 5.0]])
    >>> count_hits_update(np.zeros(2), Z, np.array([1, 1, -1]), ignore_index=-1)[0].tolist()
    [1.0, 2.0]
    """
    if Z.ndim < 2 or T.shape != (Z.shape[0], *Z.shape[2:]):
        raise ShapeError(
            f"count_hits: expected values (N, K, ...) and targets (N, ...), got {tuple(Z.shape)} "
            f"and {tuple(T.shape)}"
        )
    xp = array_namespace(C, Z, T)
    counted = T == T if ignore_index is None else T != ignore_index
    hits = (xp.argmax(Z, axis=1) == T) & counted
    counts = [xp.sum(xp.astype(one, xp.int64)) for one in (hits, counted)]
    return (xp.astype(xp.stack(counts), C.dtype),)


def count_hits_cases() -> list[Case]:
    """Return what every implementation must be right at."""
    none: dict[str, Any] = {"ignore_index": None}
    nan = float("nan")

    def rows(name: str, count: int, classes: int, *more: int, **options: Any) -> Case:
        labels = integers(0, classes, count, *more)
        return Case(name, (normal(2), normal(count, classes, *more), labels), options)

    ties = given([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 1.0, 1.0], [2.0, 1.0, 2.0]])
    gaps = given([[nan, 1.0], [1.0, nan], [nan, nan], [nan, nan], [nan, 2.0], [3.0, nan]])
    return [
        rows("two classes", 33, 2),
        rows("ten classes", 257, 10),
        rows("many classes", 5, 1025),
        rows("one class", 3, 1),
        rows("one row", 1, 7),
        rows("no rows", 0, 7),
        rows("pictures", 3, 5, 4, 7),
        rows("ignored", 257, 3, ignore_index=1),
        rows("pictures, ignored", 2, 3, 5, ignore_index=0),
        rows("all ignored", 9, 1, ignore_index=0),
        Case("equal values: the first", (normal(2), ties, given([0, 1, 2, 2])), none),
        Case("NaN is the largest", (normal(2), gaps, given([0, 1, 0, 1, 1, 0])), none),
        Case("no such class", (normal(2), normal(3, 2), given([-100, 2, 7])), none),
        Case("ignored, no such class", (normal(2), normal(2, 2), given([-100, 1])),
             {"ignore_index": -100}),
    ]  # fmt: skip


COUNT_HITS = formula(
    count_hits_update,
    equation=r"C \leftarrow \left(\sum_n [T_n \ne \text{ignored}] "
    r"\left[T_n = \mathrm{arg\,max}_k Z_{nk}\right], \; \sum_n [T_n \ne \text{ignored}]\right)",
    shapes="C (2), Z (N, K, ...), T (N, ...) -> C",
    source="the fraction of right predictions, as in scikit-learn's accuracy_score",
    updates=("C",),
    cases=count_hits_cases,
)
