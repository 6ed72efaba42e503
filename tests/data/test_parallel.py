"""Work shared by threads, and reading a file whose size is known."""

from __future__ import annotations

import io

import numpy as np
import pytest

from nnscratch.data import _parallel, load_digits
from nnscratch.data._io import read_at_most


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_every_row_is_worked_on_once(
    threads: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_parallel, "limit", lambda: threads)
    done = np.zeros(count, np.int64)

    def work(part: slice) -> None:
        done[part] += 1

    _parallel.over_rows(work, count, _parallel.PARALLEL)
    assert (done == 1).all()


def test_an_error_in_a_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_parallel, "limit", lambda: 2)

    def work(part: slice) -> None:
        raise MemoryError(f"no room for {part}")

    with pytest.raises(MemoryError, match="no room"):
        _parallel.over_rows(work, 100, _parallel.PARALLEL)


def test_features_are_the_same_by_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = load_digits().features()
    monkeypatch.setattr(_parallel, "PARALLEL", 0)
    monkeypatch.setattr(_parallel, "limit", lambda: 3)
    np.testing.assert_array_equal(load_digits().features(), alone)


class Trickle(io.BytesIO):
    """A file that gives two bytes at a time."""

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return super().readinto(buffer[:2])


@pytest.mark.parametrize("present", [0, 3, 5, 9])
@pytest.mark.parametrize("kind", [io.BytesIO, Trickle])
def test_reading_at_most(kind: type[io.BytesIO], present: int) -> None:
    for content in (b"", b"abc", b"abcde", b"abcdefg"):
        stream = kind(content)
        read = read_at_most(stream, 5, present)
        assert bytes(read) == content[:5]
        assert stream.read() == content[5:]
    assert np.frombuffer(read, np.uint8).flags.writeable
