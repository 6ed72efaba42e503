"""Splitting rows: a partition of the right sizes, the same for a seed for ever."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nnscratch.data import load_digits, train_test_split_indices
from nnscratch.errors import ConfigurationError, DataError


def lists(*args: Any, **kwargs: Any) -> list[list[int]]:
    return [part.tolist() for part in train_test_split_indices(*args, **kwargs)]


GOLDEN = [[0, 1, 3, 5, 7, 8, 9], [2, 4, 6]]
GOLDEN_STRATIFIED = [[1, 3, 4, 5, 6, 8], [2, 9], [0, 7]]


def test_a_seed_names_the_same_split_for_ever() -> None:
    assert lists(10, (0.7, 0.3), 0) == GOLDEN
    classes = [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]
    assert lists(10, (0.6, 0.2, 0.2), 7, classes) == GOLDEN_STRATIFIED


@given(
    st.integers(2, 400),
    st.lists(st.integers(1, 20), min_size=2, max_size=5),
    st.integers(0, 2**130),
    st.booleans(),
)
def test_partition(n: int, weights: list[int], seed: int, stratified: bool) -> None:
    fractions = [weight / sum(weights) for weight in weights]
    assume(all(n * fraction >= 1 for fraction in fractions))
    classes = np.zeros(n, int) if stratified else None
    parts = train_test_split_indices(n, fractions, seed, classes)
    assert all(part.dtype == np.int64 for part in parts)
    assert all((np.diff(part) > 0).all() for part in parts)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(n))
    for part, fraction in zip(parts, fractions, strict=True):
        assert abs(len(part) - n * fraction) < 1.0 + 1e-6
    again = train_test_split_indices(n, fractions, seed, classes)
    assert all(np.array_equal(one, other) for one, other in zip(parts, again, strict=True))


@given(st.lists(st.integers(10, 60), min_size=2, max_size=6), st.integers(0, 1000))
def test_every_part_has_its_share_of_every_class(counts: list[int], seed: int) -> None:
    classes = np.repeat(np.arange(len(counts)), counts)
    classes = classes[np.random.Generator(np.random.PCG64(seed)).permutation(len(classes))]
    fractions = (0.6, 0.2, 0.2)
    for part, fraction in zip(
        train_test_split_indices(len(classes), fractions, seed, classes), fractions, strict=True
    ):
        shares = np.bincount(classes[part], minlength=len(counts))
        assert (np.abs(shares - fraction * np.array(counts)) <= 2.0).all()


def test_another_seed_is_another_split() -> None:
    assert lists(100, (0.5, 0.5), 1) != lists(100, (0.5, 0.5), 2)


def test_every_row_is_as_likely_as_any_other() -> None:
    counts = np.zeros(20)
    for seed in range(2000):
        counts[train_test_split_indices(20, (0.75, 0.25), seed)[1]] += 1
    # 500 expected; six standard deviations of a binomial are 116.
    assert np.abs(counts - 500).max() < 116


def test_digits() -> None:
    digits = load_digits()
    train, test = train_test_split_indices(1797, (0.8, 0.2), 0, digits.labels)
    assert (len(train), len(test)) == (1438, 359)
    assert np.bincount(digits.labels[test]).min() >= 34


def test_classes_may_be_text() -> None:
    assert lists(4, (0.5, 0.5), 3, ["a", "b", "a", "b"]) == lists(4, (0.5, 0.5), 3, [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((10, (0.5, 0.6), 0), r"fractions must add to 1, \(0.5, 0.6\) add to 1.1"),
        ((10, (1.0,), 0), "two or more numbers between 0 and 1"),
        ((10, (1.5, -0.5), 0), "two or more numbers between 0 and 1"),
        ((10, (float("nan"), 0.5), 0), "two or more numbers between 0 and 1"),
        ((10, 0.8, 0), r"fractions must be numbers such as \(0.8, 0.2\), got 0.8"),
        ((10, ("a", "b"), 0), "fractions must be numbers"),
        ((-1, (0.5, 0.5), 0), "n must be a whole number and not negative, got -1"),
        ((2.5, (0.5, 0.5), 0), "n must be a whole number and not negative, got 2.5"),
        ((10, (0.5, 0.5), -3), "seed must be a whole number and not negative, got -3"),
        ((10, (0.5, 0.5), True), "seed must be a whole number and not negative, got True"),
        ((10, (0.5, 0.5), None), "seed must be a whole number and not negative, got None"),
        ((10, (0.5, 0.5), 0, [1, 2]), r"stratify must have one class .* shape \(10,\); .* \(2,\)"),
        ((2, (0.5, 0.5), 0, np.array([1, "a"], object)), "stratify mixes types"),
    ],
)
def test_arguments_that_make_no_sense(args: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        train_test_split_indices(*args)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_rows(n: int) -> None:
    with pytest.raises(DataError, match=rf"{n} rows are too few for the parts \(0.8, 0.2\): that"):
        train_test_split_indices(n, (0.8, 0.2), 0)


def test_a_class_of_three_rows_reaches_both_parts() -> None:
    for seed in range(20):
        _, test = train_test_split_indices(15, (0.8, 0.2), seed, [1, 1, 1] + [0] * 12)
        assert len({0, 1, 2} & set(test.tolist())) == 1


def test_too_few_rows_of_a_class() -> None:
    message = "the class of row 3 has 1 row in all, too few for part 2 of 2 to have one: add rows"
    with pytest.raises(DataError, match=message):
        train_test_split_indices(6, (0.5, 0.5), 0, [0, 0, 0, 1, 0, 0])


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=12),
    st.sampled_from([(0.8, 0.2), (0.5, 0.5), (0.1, 0.9), (0.6, 0.2, 0.2)]),
    st.integers(0, 1000),
)
def test_rare_classes_are_in_the_first_part(
    counts: list[int], fractions: tuple[float, ...], seed: int
) -> None:
    classes = np.repeat(np.arange(len(counts)), counts)
    n = len(classes)
    assume(all(n * fraction >= 1 for fraction in fractions))
    parts = train_test_split_indices(n, fractions, seed, classes, "first")
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(n))
    for part, fraction in zip(parts, fractions, strict=True):
        assert abs(len(part) - n * fraction) < 1.0 + 1e-6
    learned = set(classes[parts[0]].tolist())
    assert len(learned) == min(len(counts), len(parts[0]))
    try:
        plain = train_test_split_indices(n, fractions, seed, classes)
    except DataError:
        return
    assert all(np.array_equal(one, other) for one, other in zip(parts, plain, strict=True))


def test_classes_that_are_not_rare_stay_in_the_last_part() -> None:
    classes = np.array([0] * 50 + [1] * 40 + [2] * 2 + [3])
    train, test = train_test_split_indices(len(classes), (0.8, 0.2), 0, classes, "first")
    assert np.bincount(classes[train]).tolist()[2:] == [2, 1]
    assert np.abs(np.bincount(classes[test]) - [10, 8]).max() <= 1
    with pytest.raises(ConfigurationError, match="rare must be 'refuse' or 'first', got 'last'"):
        train_test_split_indices(10, (0.5, 0.5), 0, rare="last")  # type: ignore[arg-type]
