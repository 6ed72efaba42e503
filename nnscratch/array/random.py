"""Counter-based random numbers: equal on every backend, with two integers as their state.

Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011)
turns a 128-bit counter and a 64-bit key into 128 random bits. Here the key is the seed and the
counter is a block number, so number *i* of a stream can be computed anywhere, in any order, by any
number of threads.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nnscratch.array.backend import array_namespace
from nnscratch.array.device import Device, as_device, current, namespace_on
from nnscratch.array.dtypes import HALVES, dtype_name, dtype_of
from nnscratch.array.wholes import as_index
from nnscratch.errors import ConfigurationError, DTypeError

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_LOW = 0xFFFFFFFF
CHUNK = 1 << 17
"""How many numbers are made at once; a multiple of the numbers in a block."""


def philox(blocks: Any, seed: int) -> tuple[Any, Any, Any, Any]:
    r"""Return four words of 32 random bits for each block number.

    One round, with $M_0, M_1$ the multipliers and hi, lo the halves of a 64-bit product:

    $$(c_0, c_1, c_2, c_3) \leftarrow (\mathrm{hi}(M_1 c_2) \oplus c_1 \oplus k_0,\;
      \mathrm{lo}(M_1 c_2),\; \mathrm{hi}(M_0 c_0) \oplus c_3 \oplus k_1,\; \mathrm{lo}(M_0 c_0))$$

    Args:
        blocks: uint64 array of any shape (n,), the low half of the counter.
        seed: the key, from 0 to 2**64 - 1.

    Returns:
        Four uint64 arrays of that shape, each value below 2**32.
    """
    zeros = array_namespace(blocks).zeros_like(blocks)
    counter = (blocks & _LOW, blocks >> 32, zeros, zeros)
    return rounds(counter, (seed & _LOW, seed >> 32))


def rounds(counter: tuple[Any, Any, Any, Any], key: tuple[int, int]) -> tuple[Any, Any, Any, Any]:
    """Return the four output words of Philox, given the counter's four words and the key's two."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & _LOW, (p0 >> 32) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + KEY_STEPS[0]) & _LOW, (k1 + KEY_STEPS[1]) & _LOW
    return c0, c1, c2, c3


def _words(xp: Any, count: int, per_block: int, seed: int, offset: int, device: Any) -> list[Any]:
    blocks = -(-count // per_block)
    counter = xp.arange(blocks, dtype=xp.uint64, device=device) + offset % 2**64
    return list(philox(counter, seed))


def _interleave(xp: Any, columns: list[Any], count: int) -> Any:
    return xp.reshape(xp.stack(columns, axis=1), (-1,))[:count]


def _filled(
    xp: Any, shape: tuple[int, ...], dtype: str, device: Any, make: Callable[[int, int], Any],
    per_block: int,
) -> Any:  # fmt: skip
    """Return an array of a shape, filled chunk by chunk by ``make(count, first block)``.

    The 64-bit words from which a number is made take eight times its memory. Chunks bound that
    overhead for large arrays.
    """
    count = math.prod(shape)
    kind = dtype_of(xp, dtype)
    if count <= CHUNK:
        return xp.reshape(xp.astype(make(count, 0), kind, copy=False), shape)
    made = xp.empty((count,), dtype=kind, device=device)
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        made[start:stop] = xp.astype(make(stop - start, start // per_block), kind, copy=False)
    return xp.reshape(made, shape)


def _doubles(xp: Any, high: Any, low: Any) -> Any:
    bits = ((high >> 5) << 26) + (low >> 6)
    return xp.astype(bits, xp.float64) * 2.0**-53


def blocks_needed(kind: str, count: int, dtype: str = "float32") -> int:
    """Return how many counter blocks it takes to make ``count`` numbers.

    Args:
        kind: "uniform", "normal", "randint" or "permutation".
        count: how many numbers.
        dtype: their dtype. A block of 128 bits makes four uniform numbers of 32 bits or less, and
            two of anything else.

    >>> blocks_needed("uniform", 5), blocks_needed("normal", 5)
    (2, 3)
    """
    four_a_block = kind == "uniform" and dtype != "float64"
    return -(-count // (4 if four_a_block else 2))


def uniform(
    xp: Any, shape: tuple[int, ...], *, seed: int, offset: int, dtype: Any, device: Any = None
) -> Any:
    """Return numbers uniform in [0, 1), of 8 random bits in bfloat16, 11, 24 or 53 in others.

    Args:
        xp: the array namespace of the result.
        shape: its shape.
        seed: the key of the stream, from 0 to 2**64 - 1.
        offset: the first counter block, from which numbers are taken in order.
        dtype: float16, float32 or float64.
        device: the library's own device object; None for its current one.

    Raises:
        DTypeError: if the dtype is not a floating one.

    >>> import numpy as np
    >>> uniform(np, (3,), seed=0, offset=0, dtype="float32").round(3)
    array([0.399, 0.881, 0.736], dtype=float32)
    """
    name = dtype_name(dtype)
    if name == "float64":

        def doubles(count: int, first: int) -> Any:
            w0, w1, w2, w3 = _words(xp, count, 2, seed, offset + first, device)
            return _interleave(xp, [_doubles(xp, w0, w1), _doubles(xp, w2, w3)], count)

        return _filled(xp, shape, name, device, doubles, 2)
    if name not in ("float32", *HALVES):
        raise DTypeError(f"random numbers need a floating dtype, got {name}")
    bits = {"float32": 24, "float16": 11, "bfloat16": 8}[name]

    def floats(count: int, first: int) -> Any:
        words = _words(xp, count, 4, seed, offset + first, device)
        columns = [xp.astype(word >> (32 - bits), xp.float32) * 2.0**-bits for word in words]
        return _interleave(xp, columns, count)

    return _filled(xp, shape, name, device, floats, 4)


def normal(
    xp: Any, shape: tuple[int, ...], *, seed: int, offset: int, dtype: Any, device: Any = None
) -> Any:
    r"""Return standard normal numbers by the Box-Muller transform.

    $n_0 = \sqrt{-2 \ln(1 - u_0)} \cos 2\pi u_1$, and $n_1$ with the sine. The transform is
    computed in float64 and rounded once, so that libraries whose log and cos differ in the last
    bit agree in float32. The arguments are those of ``uniform``.
    """

    def pairs(count: int, first: int) -> Any:
        w0, w1, w2, w3 = _words(xp, count, 2, seed, offset + first, device)
        radius = xp.sqrt(-2.0 * xp.log(1.0 - _doubles(xp, w0, w1)))
        angle = (2.0 * math.pi) * _doubles(xp, w2, w3)
        return _interleave(xp, [radius * xp.cos(angle), radius * xp.sin(angle)], count)

    return _filled(xp, shape, dtype_name(dtype), device, pairs, 2)


def _integers(xp: Any, count: int, seed: int, offset: int, device: Any) -> Any:
    w0, w1, w2, w3 = _words(xp, count, 2, seed, offset, device)
    return _interleave(xp, [(w0 << 32) + w1, (w2 << 32) + w3], count)


def randint(
    xp: Any,
    low: int,
    high: int,
    shape: tuple[int, ...],
    *,
    seed: int,
    offset: int,
    device: Any = None,
) -> Any:
    """Return int64 numbers uniform from ``low`` to ``high - 1``.

    They are 64 random bits modulo the size of the range, so no number's probability is off by
    more than 2**-64. The other arguments are those of ``uniform``.

    Raises:
        ConfigurationError: if the range is empty.
    """
    if high <= low:
        raise ConfigurationError(f"randint needs low < high, got low={low} and high={high}")
    bits = _integers(xp, math.prod(shape), seed, offset, device)
    return xp.reshape(xp.astype(bits % (high - low), xp.int64) + low, shape)


def permutation(xp: Any, n: int, *, seed: int, offset: int, device: Any = None) -> Any:
    """Return the numbers 0 to n - 1 in random order, as int64: the argsort of n random keys."""
    keys = _integers(xp, n, seed, offset, device)
    return xp.astype(xp.argsort(keys, stable=True), xp.int64)


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
    Parts begin at multiples of ``ROWS_TOGETHER``, so that they begin with a block of numbers.

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
"""Parts of a batch begin at multiples of so many rows: a block has at most four numbers."""


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
