"""Sequences of different lengths in one batch: padded to one length, or packed without padding."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np

from nnscratch.absent import refuse_absent_names
from nnscratch.errors import ConfigurationError, DataError, ShapeError
from nnscratch.tensors import Tensor, as_tensor
from nnscratch.tensors.creation import full, tensor
from nnscratch.tensors.functions import cat, stack

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None


class PackedSequence(_Packed):
    """The steps of sequences of different lengths without padding; ``pack_sequence`` makes it.

    Attributes:
        data: all first steps, then all second steps and so on, those of the longest sequence first:
            (the sum of the lengths, ...).
        batch_sizes: how many sequences have a first step, a second, ...: (T,), on the CPU.
        sorted_indices: the numbers of the sequences from the longest one to the shortest; None
            where they are in that order.
        unsorted_indices: for each sequence its place in that order.
    """

    __slots__ = ()

    def __new__(
        cls,
        data: Tensor,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> Self:
        """Take the parts as they are; an order gets its inverse unless that is given.

        Raises:
            ConfigurationError: without batch sizes.
        """
        if batch_sizes is None:
            raise ConfigurationError(
                "PackedSequence: batch_sizes are missing; make it with pack_sequence(...) or "
                "pack_padded_sequence(...)"
            )
        if unsorted_indices is None and sorted_indices is not None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *target: Any, **options: Any) -> PackedSequence:
        """Return it with its data moved to a device or a dtype."""
        data = self.data.to(*target, **options)
        if data is self.data:
            return self
        orders = [
            None if order is None else order.to(data.device)
            for order in (self.sorted_indices, self.unsorted_indices)
        ]
        return PackedSequence(data, self.batch_sizes, *orders)

    def cpu(self) -> PackedSequence:
        """Return it in the memory of the CPU."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> PackedSequence:
        """Return it in the memory of a GPU."""
        return self.to("cuda" if device is None else device)

    def double(self) -> PackedSequence:
        """Return it in float64."""
        return self.to(dtype="float64")

    def float(self) -> PackedSequence:
        """Return it in float32."""
        return self.to(dtype="float32")

    def half(self) -> PackedSequence:
        """Return it in float16."""
        return self.to(dtype="float16")

    def long(self) -> PackedSequence:
        """Return it in int64."""
        return self.to(dtype="int64")

    def int(self) -> PackedSequence:
        """Return it in int32."""
        return self.to(dtype="int32")

    def short(self) -> PackedSequence:
        """Return it in int16."""
        return self.to(dtype="int16")

    def char(self) -> PackedSequence:
        """Return it in int8."""
        return self.to(dtype="int8")

    def byte(self) -> PackedSequence:
        """Return it in uint8."""
        return self.to(dtype="uint8")

    def pin_memory(self) -> PackedSequence:
        """Return it as it is: copies to a GPU always go through pinned memory."""
        return self

    def is_pinned(self) -> bool:
        """Say that the data is not in pinned memory."""
        return False

    @property
    def is_cuda(self) -> bool:
        """Whether the data is in the memory of a GPU."""
        return bool(self.data.is_cuda)


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """Return the permutation that undoes one, None for None."""
    if permutation is None:
        return None
    found = np.argsort(_whole(permutation), kind="stable")
    return tensor(found, device=permutation.device)


def _whole(values: Any) -> np.ndarray:
    """Return lengths, or the numbers of sequences, as integers in host memory."""
    return np.asarray(as_tensor(values).detach().cpu(), dtype=np.int64).reshape(-1)


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Return a padded batch as one without padding.

    Args:
        input: (T, B, ...), or (B, T, ...) if ``batch_first``.
        lengths: the length of each sequence (B,), from 1 to T: a list or a tensor.
        batch_first: see the input.
        enforce_sorted: whether the lengths fall already; else the sequences are sorted.

    Raises:
        DataError: if a length is 0, or they do not fall though ``enforce_sorted`` says so.
        ShapeError: if there is not one length for each sequence, or one is more than T.

    >>> from nnscratch import tensor
    >>> packed = pack_padded_sequence(tensor([[1, 2, 3], [4, 0, 0]]), [3, 1], batch_first=True)
    >>> packed.data, packed.batch_sizes
    (tensor([1, 4, 2, 3]), tensor([2, 1, 1]))
    """
    x, sizes = as_tensor(input), _whole(lengths)
    if x.ndim < 2 or sizes.size != x.shape[0 if batch_first else 1]:
        raise ShapeError(
            f"pack_padded_sequence: expected a length for each sequence of {x.shape} "
            f"({'batch first' if batch_first else 'steps first'}), got {sizes.size}"
        )
    if sizes.size == 0:
        raise ShapeError("pack_padded_sequence: there is no sequence to pack")
    if sizes.min() <= 0:
        raise DataError(
            f"pack_padded_sequence: every length is above 0, got {sizes.min()} for sequence "
            f"{sizes.argmin()}"
        )
    x = x.transpose(0, 1) if batch_first else x
    if sizes.max() > x.shape[0]:
        raise ShapeError(
            f"pack_padded_sequence: sequence {sizes.argmax()} has the length {sizes.max()}, but "
            f"the input has {x.shape[0]} steps"
        )
    order = None
    if not enforce_sorted:
        places = np.argsort(-sizes, kind="stable")
        order, sizes = tensor(places, device=x.device), sizes[places]
        x = x.index_select(1, order)
    elif (np.diff(sizes) > 0).any():
        raise DataError(
            "pack_padded_sequence: lengths must fall where enforce_sorted=True; sort the "
            "sequences, or pass enforce_sorted=False"
        )
    steps, batch = x.shape[:2]
    flat = x.reshape(steps * batch, *x.shape[2:])
    data = flat.index_select(0, tensor(np.flatnonzero(_inside(sizes, steps)), device=x.device))
    return PackedSequence(data, tensor(_batch_sizes(sizes)), order)


def _inside(lengths: np.ndarray, steps: int) -> np.ndarray:
    """Return (T, B), whether a sequence has a step."""
    return np.asarray(np.arange(steps)[:, None] < lengths)


def _batch_sizes(lengths: np.ndarray) -> np.ndarray:
    return np.asarray(_inside(lengths, int(lengths.max())).sum(1, dtype=np.int64))


def lengths_of(packed: PackedSequence) -> np.ndarray:
    """Return the lengths of packed sequences, from the longest one to the shortest."""
    sizes = _whole(packed.batch_sizes)
    return np.asarray((sizes[:, None] > np.arange(sizes[0])).sum(0, dtype=np.int64))


def padded(data: Tensor, lengths: np.ndarray, steps: int) -> Tensor:
    """Return packed data as (T, B, ...), with some step of it where a sequence has none."""
    inside = _inside(lengths, steps)
    places = np.where(inside, np.cumsum(inside).reshape(inside.shape) - 1, 0)
    rows = data.index_select(0, tensor(places.reshape(-1), device=data.device))
    return rows.reshape(steps, lengths.size, *data.shape[1:])


def packed_again(x: Tensor, lengths: np.ndarray) -> Tensor:
    """Return the steps (T, B, ...) that sequences have, without the others."""
    steps, batch = x.shape[:2]
    places = tensor(np.flatnonzero(_inside(lengths, steps)), device=x.device)
    return x.reshape(steps * batch, *x.shape[2:]).index_select(0, places)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Return a packed batch padded to one length, in its first order, and the lengths.

    Args:
        sequence: what ``pack_padded_sequence`` returned, or a layer made of it.
        batch_first: whether the result is (B, T, ...), not (T, B, ...).
        padding_value: what stands at the steps that a sequence does not have.
        total_length: T, if not the longest length.

    Raises:
        ShapeError: if ``total_length`` is less than the longest length.

    >>> from nnscratch import tensor
    >>> pad_packed_sequence(pack_sequence([tensor([1, 2]), tensor([3])]), batch_first=True)
    (tensor([[1, 2],
            [3, 0]]), tensor([2, 1]))
    """
    data, lengths = sequence.data, lengths_of(sequence)
    steps = int(lengths[0])
    if total_length is not None:
        if total_length < steps:
            raise ShapeError(
                f"pad_packed_sequence: total_length is at least the longest length, {steps}; got "
                f"{total_length}"
            )
        steps = total_length
    x = padded(data, lengths, steps)
    missing = tensor(~_inside(lengths, steps), device=data.device)
    value = padding_value if data.is_floating_point() else int(padding_value)
    x = x.masked_fill(missing.reshape(steps, lengths.size, *[1] * (x.ndim - 2)), value)
    found = tensor(lengths)
    if sequence.unsorted_indices is not None:
        x = x.index_select(1, sequence.unsorted_indices)
        found = found.index_select(0, sequence.unsorted_indices.cpu())
    return x.transpose(0, 1) if batch_first else x, found


def pad_sequence(
    sequences: Iterable[Any],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Return sequences (L_i, ...) as one batch (T, B, ...), or (B, T, ...) if ``batch_first``.

    Args:
        sequences: tensors that differ in their first dimension alone.
        batch_first: see above.
        padding_value: what stands at the steps that a sequence does not have.
        padding_side: "right", or "left" to have it before the steps.

    Raises:
        ShapeError: if there are none, or they differ in another dimension.
        ConfigurationError: for another side.

    >>> from nnscratch import tensor
    >>> pad_sequence([tensor([1, 2]), tensor([3])], batch_first=True, padding_side="left")
    tensor([[1, 2],
            [0, 3]])
    """
    if padding_side not in ("right", "left"):
        raise ConfigurationError(
            f"pad_sequence: padding_side is 'right' or 'left', got {padding_side!r}"
        )
    given = [as_tensor(one) for one in sequences]
    if not given or any(one.ndim == 0 or one.shape[1:] != given[0].shape[1:] for one in given):
        raise ShapeError(
            "pad_sequence: expected sequences that differ in their first dimension alone, got "
            f"shapes {[one.shape for one in given]}"
        )
    steps = max(one.shape[0] for one in given)
    rows = []
    for one in given:
        rest = (steps - one.shape[0], *one.shape[1:])
        more = full(rest, padding_value, dtype=one.dtype, device=one.device)
        parts = [one, more] if padding_side == "right" else [more, one]
        rows.append(cat(parts) if rest[0] else one)
    return stack(rows, 0 if batch_first else 1)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Any, batch_first: bool = False
) -> list[Tensor]:
    """Return the sequences (L_i, ...) of a batch that was padded on the right.

    Raises:
        ShapeError: if there is not one length for each sequence.

    >>> from nnscratch import tensor
    >>> unpad_sequence(tensor([[1, 2], [3, 0]]), [2, 1], batch_first=True)
    [tensor([1, 2]), tensor([3])]
    """
    x = as_tensor(padded_sequences)
    rows = x if batch_first else x.transpose(0, 1)
    sizes = _whole(lengths)
    if sizes.size != rows.shape[0]:
        raise ShapeError(
            f"unpad_sequence: expected a length for each of {rows.shape[0]} sequences of {x.shape} "
            f"({'batch first' if batch_first else 'steps first'}), got {sizes.size}"
        )
    return [row[: int(length)] for row, length in zip(rows, sizes, strict=True)]


def pack_sequence(sequences: Iterable[Any], enforce_sorted: bool = True) -> PackedSequence:
    """Return sequences (L_i, ...) as a batch without padding; see ``pack_padded_sequence``.

    >>> from nnscratch import tensor
    >>> pack_sequence([tensor([1, 2]), tensor([3])]).data
    tensor([1, 3, 2])
    """
    given = [as_tensor(one) for one in sequences]
    lengths = [one.shape[0] for one in given]
    return pack_padded_sequence(pad_sequence(given), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """Return the sequences (L_i, ...) of a packed batch, in their first order.

    >>> from nnscratch import tensor
    >>> unpack_sequence(pack_sequence([tensor([1, 2]), tensor([3])]))
    [tensor([1, 2]), tensor([3])]
    """
    return unpad_sequence(*pad_packed_sequence(packed_sequences, batch_first=True), True)


refuse_absent_names(__name__)
