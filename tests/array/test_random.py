"""Philox against its authors' answers, one stream on every backend, and the statistics."""

from __future__ import annotations

import math
from typing import Any

import array_api_strict
import numpy as np
import pytest

from nnscratch.array import Generator, normal, permutation, randint, uniform
from nnscratch.array.device import namespace_on
from nnscratch.array.philox import blocks_needed, philox, rounds
from nnscratch.errors import ConfigurationError, DTypeError

XP = namespace_on("cpu")
ONES = 0xFFFFFFFF

# From Random123's kat_vectors, philox4x32 with 10 rounds: counter, key, answer.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN, ids=["zeros", "ones", "pi"])
def test_known_answers(counter: Any, key: Any, answer: Any) -> None:
    words = rounds(tuple(np.array([word], np.uint64) for word in counter), key)
    assert [int(word[0]) for word in words] == list(answer)


def test_the_counter_is_the_block_and_the_key_the_seed() -> None:
    block, seed = 0x0123456789ABCDEF, 0xFEDCBA9876543210
    words = philox(np.array([block], np.uint64), seed)
    counter = tuple(np.array([word], np.uint64) for word in (0x89ABCDEF, 0x01234567, 0, 0))
    assert [int(w[0]) for w in words] == [
        int(w[0]) for w in rounds(counter, (0x76543210, 0xFEDCBA98))
    ]


SHAPES = [(), (0,), (1,), (3,), (4,), (5,), (1025,), (3, 0, 2), (2, 3, 5)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("device", [None, "device1"])
def test_every_backend_has_the_same_numbers(shape: tuple[int, ...], device: Any) -> None:
    place = array_api_strict.Device(device) if device else None
    drawn: list[tuple[Any, dict[str, Any]]] = [
        (uniform, {"dtype": "float32"}),
        (uniform, {"dtype": "float64"}),
        (normal, {"dtype": "float32"}),
        (normal, {"dtype": "float64"}),
    ]
    for draw, options in drawn:
        ours = draw(XP, shape, seed=2**63 + 5, offset=2**33 + 1, **options)
        strict = draw(
            array_api_strict, shape, seed=2**63 + 5, offset=2**33 + 1, device=place, **options
        )
        assert strict.device == (place or array_api_strict.Device("CPU_DEVICE"))
        host = np.asarray(strict.to_device(array_api_strict.Device("CPU_DEVICE")))
        assert host.dtype == ours.dtype == options["dtype"]
        assert ours.shape == host.shape == shape
        np.testing.assert_array_equal(host, ours)
    ours = randint(XP, -3, 10, shape, seed=1, offset=7)
    strict = randint(array_api_strict, -3, 10, shape, seed=1, offset=7)
    np.testing.assert_array_equal(np.asarray(strict), ours)
    n = math.prod(shape)
    strict = permutation(array_api_strict, n, seed=1, offset=7)
    np.testing.assert_array_equal(np.asarray(strict), permutation(XP, n, seed=1, offset=7))


def test_a_number_does_not_depend_on_how_many_are_drawn() -> None:
    whole = uniform(XP, (1000,), seed=3, offset=10, dtype="float32")
    np.testing.assert_array_equal(uniform(XP, (7,), seed=3, offset=10, dtype="float32"), whole[:7])
    later = uniform(XP, (100,), seed=3, offset=11, dtype="float32")
    np.testing.assert_array_equal(later, whole[4:104])


@pytest.mark.parametrize("count", [0, 1, 8, 9, 1003])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_large_arrays_are_made_in_pieces(
    count: int, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Before the end of the counter, which goes on at 0.
    where: dict[str, Any] = {"seed": 2, "offset": 2**64 - 50, "dtype": dtype}
    whole = [make(np, (count,), **where) for make in (uniform, normal)]
    monkeypatch.setattr("nnscratch.array.philox.CHUNK", 8)
    for make, expected in zip((uniform, normal), whole, strict=True):
        found = make(np, (count,), **where)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


def test_a_generator_uses_up_what_it_drew() -> None:
    one = Generator(5)
    parts = [one.uniform((5,)), one.uniform((3,)), one.uniform((1,), "float64"), one.normal((3,))]
    assert one.state() == {"seed": 5, "offset": 2 + 1 + 1 + 2}
    other = Generator()
    other.set_state({"seed": 5, "offset": 2})
    np.testing.assert_array_equal(other.uniform((3,)), parts[1])
    assert other.manual_seed(5).state() == {"seed": 5, "offset": 0}
    np.testing.assert_array_equal(other.uniform((5,)), parts[0])
    for kind, count, dtype, blocks in (
        ("uniform", 5, "float32", 2),
        ("uniform", 5, "float64", 3),
        ("normal", 5, "float32", 3),
        ("randint", 4, "float32", 2),
        ("uniform", 0, "float32", 0),
    ):
        assert blocks_needed(kind, count, dtype) == blocks


def test_no_two_draws_overlap() -> None:
    one = Generator(9)
    values = np.concatenate([one.uniform((n,), "float64") for n in (1, 2, 3, 50, 7)])
    assert len(np.unique(values)) == values.size


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, "1", None])
def test_seeds_that_are_none(seed: Any) -> None:
    with pytest.raises(ConfigurationError, match="seed must be"):
        Generator(seed)


def test_ranges_and_dtypes_that_are_none() -> None:
    with pytest.raises(ConfigurationError, match="low < high"):
        randint(XP, 3, 3, (2,), seed=0, offset=0)
    with pytest.raises(DTypeError, match="floating"):
        uniform(XP, (2,), seed=0, offset=0, dtype="int32")


N = 1 << 17


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_uniform_numbers_are_uniform(dtype: str) -> None:
    U = uniform(XP, (N,), seed=11, offset=0, dtype=dtype).astype(float)
    assert U.min() >= 0
    assert U.max() < 1
    # Five standard deviations; the seed is fixed, so this never fails by chance.
    assert abs(U.mean() - 0.5) < 5 / math.sqrt(12 * N)
    assert abs(U.var() - 1 / 12) < 5 * math.sqrt(1 / 180 / N)
    counts = np.histogram(U, 64, (0, 1))[0]
    chi_squared = float(((counts - N / 64) ** 2 / (N / 64)).sum())
    assert abs(chi_squared - 63) < 5 * math.sqrt(2 * 63)
    # Neighbours, and those a block and two apart, know nothing of each other.
    for lag in (1, 2, 3, 4, 8):
        C = np.corrcoef(U[:-lag], U[lag:])[0, 1]
        assert abs(C) < 5 / math.sqrt(N)


def test_seeds_next_to_each_other_are_unrelated() -> None:
    U, V = (uniform(XP, (N,), seed=seed, offset=0, dtype="float64") for seed in (0, 1))
    assert abs(np.corrcoef(U, V)[0, 1]) < 5 / math.sqrt(N)


def test_normal_numbers_are_normal() -> None:
    Z = normal(XP, (N,), seed=12, offset=0, dtype="float64")
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((Z**power).mean() - moment) < 5 * math.sqrt(variance / N)
    below = [(Z < z).mean() for z in (-2, -1, 0, 1, 2)]
    exact = [0.5 * math.erfc(-z / math.sqrt(2)) for z in (-2, -1, 0, 1, 2)]
    np.testing.assert_allclose(below, exact, atol=5 * 0.5 / math.sqrt(N))
    assert abs(np.corrcoef(Z[::2], Z[1::2])[0, 1]) < 5 / math.sqrt(N / 2)
    assert np.isfinite(normal(XP, (N,), seed=0, offset=0, dtype="float32")).all()


def test_integers_and_permutations() -> None:
    I = randint(XP, -2, 5, (N,), seed=4, offset=0)
    counts = np.bincount(I + 2, minlength=7)
    assert (counts.size, I.dtype) == (7, np.dtype("int64"))
    assert abs(((counts - N / 7) ** 2 / (N / 7)).sum() - 6) < 5 * math.sqrt(12)
    P = permutation(XP, 1000, seed=4, offset=0)
    np.testing.assert_array_equal(np.sort(P), np.arange(1000))
    assert abs(np.corrcoef(P, np.arange(1000))[0, 1]) < 5 / math.sqrt(1000)
