"""Streams of random numbers, whose whole state is two integers, and whom they are drawn for.

The numbers themselves are made by ``nnscratch.array.philox``, equal on every backend.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnscratch.array.device import Device, as_device, current, namespace_on
from nnscratch.array.dtypes import dtype_name
from nnscratch.array.philox import blocks_needed, normal, permutation, randint, uniform
from nnscratch.array.wholes import as_index
from nnscratch.errors import ConfigurationError


class Generator:
    """A stream of random numbers whose whole state is its seed and its offset in the stream.

    Two generators in the same state give the same numbers on every backend.

    Attributes:
        seed: the key of the stream.
        offset: the next counter block; drawing numbers advances it.

    >>> a, b = Generator(7), Generator(7)
    >>> bool((a.uniform((4,)) == b.uniform((4,))).all())
    True
    >>> a.state()
    {'seed': 7, 'offset': 1}
    """

    def __init__(self, seed: Any = 0, device: Any = None) -> None:
        """Start the stream of a seed from 0 to 2**64 - 1 at its beginning.

        A device may stand in the place of the seed, or be named, as in PyTorch; the numbers are the
        same on every device.

        Raises:
            ConfigurationError: if the seed is no such integer.
            DeviceError: if the device has another name.
        """
        if isinstance(seed, Device) or (isinstance(seed, str) and seed.startswith(("cpu", "cuda"))):
            seed, device = 0, seed
        if device is not None:
            as_device(device)
        self.seed = self._checked(seed, "seed")
        self.offset = 0

    @staticmethod
    def _checked(value: Any, name: str) -> int:
        number = None if isinstance(value, bool) else as_index(value)
        if number is None:
            raise ConfigurationError(f"{name} must be an integer, got {value!r}")
        if not 0 <= number < 2**64:
            raise ConfigurationError(f"{name} must be from 0 to 2**64 - 1, got {number}")
        return number

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of another seed, and return the generator itself."""
        self.seed, self.offset = self._checked(seed, "seed"), 0
        return self

    def initial_seed(self) -> int:
        """Return the seed of the stream."""
        return self.state()["seed"]

    def get_state(self) -> np.ndarray:
        """Return the state as 16 bytes, a vector of uint8."""
        state = self.state()
        return np.asarray([state["seed"], state["offset"]], "<u8").view(np.uint8)

    def state(self) -> dict[str, int]:
        """Return the state as a dictionary of two integers."""
        return {"seed": self.seed, "offset": self.offset}

    def set_state(self, state: Any) -> None:
        """Restore a state that ``state()`` or ``get_state()`` returned.

        Raises:
            ConfigurationError: if the seed or offset is not an integer from 0 to 2**64 - 1, or it
                is no state of either, such as one of PyTorch's generator.
        """
        state = _read_state(state)
        seed, offset = state["seed"], state["offset"]
        self.seed, self.offset = self._checked(seed, "seed"), self._checked(offset, "offset")

    def reserve(
        self, kind: str, count: int, dtype: Any = "float32", rows: int | None = None
    ) -> tuple[int, int]:
        """Advance the stream by ``count`` numbers, and return the seed and offset that make them.

        The numbers themselves are made by the function ``kind``, now or later, here or on a GPU.

        Args:
            kind: as for ``blocks_needed``.
            count: how many numbers.
            dtype: their dtype.
            rows: the first dimension of what they are for, None without dimensions: it may be the
                rows of a part of a batch that several processes share (``row_scope``).
        """
        offset, name = self.offset, dtype_name(dtype)
        scope = _thread.scope
        if scope is not None and scope.draws(self, rows, count):
            each = count // scope.rows
            self.offset = offset + blocks_needed(kind, each * scope.total, name)
            return self.seed, offset + blocks_needed(kind, each * scope.start, name)
        self.offset = offset + blocks_needed(kind, count, name)
        return self.seed, offset

    def uniform(
        self, shape: tuple[int, ...], dtype: Any = "float32", device: Device | str = "cpu"
    ) -> Any:
        """Return an array of numbers uniform in [0, 1)."""
        seed, offset = self.reserve("uniform", math.prod(shape), dtype, _rows(shape))
        xp = namespace_on(device)
        with current(device):
            return uniform(xp, shape, seed=seed, offset=offset, dtype=dtype)

    def normal(
        self, shape: tuple[int, ...], dtype: Any = "float32", device: Device | str = "cpu"
    ) -> Any:
        """Return an array of standard normal numbers."""
        seed, offset = self.reserve("normal", math.prod(shape), dtype, _rows(shape))
        xp = namespace_on(device)
        with current(device):
            return normal(xp, shape, seed=seed, offset=offset, dtype=dtype)

    def randint(
        self, low: int, high: int, shape: tuple[int, ...], device: Device | str = "cpu"
    ) -> Any:
        """Return an int64 array of numbers uniform from ``low`` to ``high - 1``."""
        seed, offset = self.reserve("randint", math.prod(shape), rows=_rows(shape))
        xp = namespace_on(device)
        with current(device):
            return randint(xp, low, high, shape, seed=seed, offset=offset)

    def permutation(self, n: int, device: Device | str = "cpu") -> Any:
        """Return the numbers 0 to n - 1 in random order, as an int64 array."""
        seed, offset = self.reserve("permutation", n)
        with current(device):
            return permutation(namespace_on(device), n, seed=seed, offset=offset)


def _rows(shape: tuple[int, ...]) -> int | None:
    return shape[0] if shape else None


def _read_state(state: Any) -> Mapping[str, int]:
    """Return a state as a dictionary."""
    if isinstance(state, Mapping):
        return state
    array = np.asarray(state)
    if array.dtype != np.uint8 or array.shape != (16,):
        raise ConfigurationError(
            "expected the state of a generator of nnscratch, 16 bytes in uint8, got "
            f"{array.dtype} of shape {array.shape}"
        )
    seed, offset = np.frombuffer(array.tobytes(), "<u8").tolist()
    return {"seed": seed, "offset": offset}


class row_scope:
    """A context in which numbers for the rows of a part are those that the whole batch would get.

    The rows of a batch are divided into parts, and each part draws as if the whole batch were
    there: it takes its own numbers out of the batch's, and the stream advances by those of all.
    For that its first row has to begin with a block of numbers, as it does at every multiple of
    ``ROWS_TOGETHER``; where it begins within one, it takes the numbers from the next block on.

    Args:
        start: the first row of the part.
        rows: how many rows it has.
        total: how many rows the whole batch has.
        of_rows: for each draw in the order in which they come, whether it is for rows; without,
            or beyond, what has as many rows as the part is taken for them.

    Attributes:
        drawn: the first dimension and the count of each draw.

    >>> whole = Generator(7).uniform((8, 3))
    >>> generator = Generator(7)
    >>> with row_scope(4, 4, 8):
    ...     seed, offset = generator.reserve("uniform", 12, rows=4)
    >>> part = uniform(np, (4, 3), seed=seed, offset=offset, dtype="float32")
    >>> bool((part == whole[4:]).all()), generator.offset
    (True, 6)
    """

    def __init__(
        self, start: int, rows: int, total: int, of_rows: Sequence[bool] | None = None
    ) -> None:
        self.start, self.rows, self.total = start, rows, total
        self.drawn: list[tuple[int | None, int]] = []
        self._of_rows = of_rows or ()
        self._offsets: dict[int, tuple[Generator, int]] = {}

    def draws(self, generator: Generator, rows: int | None, count: int) -> bool:
        """Note a draw, and where its generator was before the first one; say if it is for rows."""
        self._offsets.setdefault(id(generator), (generator, generator.offset))
        number = len(self.drawn)
        self.drawn.append((rows, count))
        if rows is None or not self.rows:
            return False
        if number < len(self._of_rows):
            # Rows may be folded: (N, heads, ...) is drawn as (N heads, ...).
            return self._of_rows[number] and rows % self.rows == 0
        return rows == self.rows

    def rewind(self) -> None:
        """Set all generators back that drew, for the next part of the same batch."""
        for generator, offset in self._offsets.values():
            generator.offset = offset

    def __enter__(self) -> row_scope:
        self._before, _thread.scope = _thread.scope, self
        return self

    def __exit__(self, *error: object) -> None:
        _thread.scope = self._before


ROWS_TOGETHER = 4
"""So many rows fill whole blocks, whatever each draws: a block has at most four numbers."""


class _Thread(threading.local):
    stream: Generator | None = None
    scope: row_scope | None = None


_thread = _Thread()


class own_stream:
    """A context in which the default generator of this thread draws from another stream.

    Threads that share one stream get numbers that depend on which thread draws first; a stream
    for each thread makes them repeatable.

    >>> with own_stream(Generator(7)) as stream:
    ...     _ = default_generator.uniform((4,))
    >>> stream.state()
    {'seed': 7, 'offset': 1}
    """

    def __init__(self, stream: Generator) -> None:
        self._stream = stream

    def __enter__(self) -> Generator:
        self._before, _thread.stream = _thread.stream, self._stream
        return self._stream

    def __exit__(self, *error: object) -> None:
        _thread.stream = self._before


class _Default(Generator):
    """The generator that is used if none is passed; ``own_stream`` replaces it for one thread."""

    def manual_seed(self, seed: int) -> Generator:
        if _thread.stream is None:
            return super().manual_seed(seed)
        _thread.stream.manual_seed(seed)
        return self

    def state(self) -> dict[str, int]:
        return super().state() if _thread.stream is None else _thread.stream.state()

    def set_state(self, state: Any) -> None:
        if _thread.stream is None:
            super().set_state(state)
        else:
            _thread.stream.set_state(state)

    def reserve(
        self, kind: str, count: int, dtype: Any = "float32", rows: int | None = None
    ) -> tuple[int, int]:
        own = _thread.stream
        if own is not None:
            return own.reserve(kind, count, dtype, rows)
        return super().reserve(kind, count, dtype, rows)


default_generator: Generator = _Default(0)
