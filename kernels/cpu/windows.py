"""Windows of images for products: where they lie, how they are laid out, and who computes which.

A convolution is a product of the weights with the windows of the image (im2col). The windows are
never all there: a thread lays out some rows of some channels in a space of its own, with the zeros
around them, and from there the columns of one panel after the other, which stay in the nearest
cache until all weights have passed by. In that space a row lies by its remainders modulo the
stride, so that what neighbouring windows hold at one pixel of the kernel lies end to end.

All axes are three: of one or two axes, the first ones have size 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .runtime.declaration import helper
from .runtime.language import address_of, copy_rows, copy_vectors, repeat_vectors, split_rows

SPACE = 1 << 18
"""Bytes that the laid out rows of one thread take: with the weights at work they fill the L2."""
DEPTH = 256
"""Terms of a sum that are added up before the output is touched, as in ``products``."""
PIXELS = 512
"""Places of the kernel that a thread computes before it lays out other rows."""
SLACK = 64
"""Numbers behind a space: whole registers are copied, also where a row ends within one."""
FEW = 16
"""Parts that work should have: enough for that many threads."""

Three = tuple[int, int, int]


@dataclass(frozen=True)
class Windows:
    """Where the windows of one group of channels stand.

    Attributes:
        images: how many images there are, of all groups together.
        groups: the weights of image n are those of group n % groups.
        channels: of one group.
        size: of an image.
        count: places of the kernel along each axis.
        kernel: its pixels.
        stride: from place to place.
        dilation: from pixel to pixel.
        before: zeros before the image; pixels left out where negative.
    """

    images: int
    groups: int
    channels: int
    size: Three
    count: Three
    kernel: Three
    stride: Three
    dilation: Three
    before: Three

    @property
    def taps(self) -> int:
        """The pixels of the kernel."""
        return self.kernel[0] * self.kernel[1] * self.kernel[2]

    @property
    def places(self) -> int:
        """The places of the kernel."""
        return self.count[0] * self.count[1] * self.count[2]

    @property
    def terms(self) -> int:
        """What an output sums over."""
        return self.channels * self.taps

    def reach(self, rows: int, columns: int) -> tuple[int, int]:
        """Return how many rows of the image, and numbers of a row, so many places take."""
        high = (rows - 1) * self.stride[1] + self.dilation[1] * (self.kernel[1] - 1) + 1
        wide = columns + self.dilation[2] * (self.kernel[2] - 1) // self.stride[2]
        return high, wide * self.stride[2]

    def flattened(self) -> Windows | None:
        """Return windows that are the pixels of the image in order as those of one row, or None."""
        alone = self.kernel == (1, 1, 1) == self.stride and self.before == (0, 0, 0)
        if not alone or self.size != self.count:
            return None
        row = (1, 1, self.places)
        return replace(self, size=row, count=row)

    def arguments(self) -> dict[str, Any]:
        """Return what kernels take of it, by their names."""
        return {
            "images": self.images,
            "groups": self.groups,
            "channels": self.channels,
            "size": self.size,
            "count": self.count,
            "kernel": self.kernel,
            "stride": self.stride,
            "dilation": self.dilation,
            "before": self.before,
        }


@dataclass(frozen=True)
class Part:
    """What is laid out at a time: places of so many rows and columns, and channels for terms.

    Attributes:
        rows: of places.
        columns: of places.
        depth: terms that are summed before the next ones are laid out.
    """

    rows: int
    columns: int
    depth: int


def capacity(dtype: Any) -> int:
    """Return how many numbers a thread's space holds."""
    return int(SPACE // np.dtype(dtype).itemsize)


def fitting(w: Windows, dtype: Any, pixels: int = PIXELS) -> Part | None:
    """Return a part of the windows that fits into the space; None if not even one row does.

    It follows from the sizes only: the order of every sum is the same for any number of threads.
    """
    room = capacity(dtype)
    depth = min(w.terms, DEPTH if w.taps > DEPTH else DEPTH // w.taps * w.taps)
    columns = w.count[2] if w.count[2] <= 2 * pixels else pixels
    rows = max(1, min(w.count[1], pixels // columns)) if columns == w.count[2] else 1
    while True:
        channels = -(-depth // w.taps) + (1 if depth % w.taps else 0)
        high, wide = w.reach(rows, columns)
        numbers = min(channels, w.channels) * w.kernel[0] * high * wide
        if numbers <= room:
            return Part(rows, columns, depth)
        if rows > 4:
            rows = (rows + 1) // 2
        elif depth > 4 * w.taps:
            depth = depth // (2 * w.taps) * w.taps
        elif rows > 1:
            rows = (rows + 1) // 2
        elif depth > w.taps:
            depth = w.taps
        elif columns > 32:
            columns = (columns + 1) // 2
        else:
            return None


@helper
def clear(like, L, number, out, count):
    """Fill so many numbers with zeros, in whole registers."""
    copy_rows(1, like, (count + L - 1) // L, out, 0, 0, out, L * number)


@helper
def lay_short_rows(
    like, L, number, source, out, c0, c1, size, planes, apart, z, y, x, high, wide,
):  # fmt: skip
    """Lay out rows of at most two registers as ``lay_rows``, for columns without a stride.

    They are copied in whole registers, which bring the zeros up to the next row's numbers.
    """
    depth, height, width = size
    low = min(wide, max(0, -x))
    long = max(0, min(wide, width - x) - low)
    first = min(high, max(0, -y))
    rows = max(0, min(high, height - y) - first)
    if long == 0 or rows == 0:
        first = rows = low = 0
    above, behind = first * wide + low, (first + rows) * wide
    for c in range(c0, c1):
        for k in range(planes):
            plane = z + k * apart
            if plane < 0 or plane >= depth:
                clear(like, L, number, out, high * wide)
            else:
                row = ((c * depth + plane) * height + y + first) * width + x + low
                here, there = source + row * number, out + above * number
                clear(like, L, number, out, above)
                if wide <= L:
                    copy_rows(1, like, rows, here, width * number, long, there, wide * number)
                else:
                    copy_rows(2, like, rows, here, width * number, long, there, wide * number)
                clear(like, L, number, out + behind * number, high * wide - behind)
            out += high * wide * number


@helper
def lay_rows_of_pairs(
    like, L, number, source, out, c0, c1, size, planes, apart, z, y, x, high, wide,
):  # fmt: skip
    """Lay out rows as ``lay_rows``, for columns two apart, in whole registers.

    What a register brings behind the first half of a row is the place of the other half, which is
    written later: of a long row the last registers come first.
    """
    depth, height, width = size
    low, up, across = max(0, -x), min(wide, width - x), wide // 2
    first = min(high, max(0, -y))
    rows = max(0, min(high, height - y) - first)
    if up <= low or rows == 0:
        first = rows = 0
    behind, next_row, half = first + rows, wide * number, across * number
    for c in range(c0, c1):
        for k in range(planes):
            plane = z + k * apart
            if plane < 0 or plane >= depth:
                clear(like, L, number, out, high * wide)
            else:
                here = source + (((c * depth + plane) * height + y + first) * width + x) * number
                there, lds = out + first * next_row, width * number
                clear(like, L, number, out, first * wide)
                if across <= L:
                    split_rows(1, like, rows, here, lds, low, up, there, there + half, next_row)
                elif across <= 2 * L:
                    split_rows(2, like, rows, here, lds, low, up, there, there + half, next_row)
                else:
                    for r in range(rows):
                        row, goal = here + r * lds, there + r * next_row
                        for q in range((across - 1) // L * L, -L, -L):
                            split_rows(
                                1, like, 1, row + 2 * q * number, 0, low - 2 * q, up - 2 * q,
                                goal + q * number, goal + half + q * number, 0,
                            )  # fmt: skip
                clear(like, L, number, out + behind * next_row, (high - behind) * wide)
            out += high * next_row


@helper
def lay_rows(
    like, L, number, source, out, c0, c1, size, kernel, stride, dilation, z, y, x, high, wide,
):  # fmt: skip
    """Lay out channels c0 to c1 of an image from pixel (z, y, x) on, which may lie outside of it.

    ``high`` rows of ``wide`` numbers for each plane of the kernel; what is outside is zero. Up to
    two registers more are written behind the last row.
    """
    if stride[2] == 1 and wide <= 2 * L:
        lay_short_rows(
            like, L, number, address_of(source), address_of(out), c0, c1, size, kernel[0],
            dilation[0], z, y, x, high, wide,
        )  # fmt: skip
    elif stride[2] == 2:
        lay_rows_of_pairs(
            like, L, number, address_of(source), address_of(out), c0, c1, size, kernel[0],
            dilation[0], z, y, x, high, wide,
        )  # fmt: skip
    else:
        lay_long_rows(
            like, source, out, c0, c1, size, kernel, stride, dilation, z, y, x, high, wide
        )


@helper
def lay_long_rows(
    zero, source, out, c0, c1, size, kernel, stride, dilation, z, y, x, high, wide,
):  # fmt: skip
    """Lay out rows of any length likewise."""
    depth, height, width = size
    step = stride[2]
    across = wide // step
    at = 0
    for c in range(c0, c1):
        for k in range(kernel[0]):
            plane = z + k * dilation[0]
            for r in range(y, y + high):
                if plane < 0 or plane >= depth or r < 0 or r >= height:
                    for q in range(wide):
                        out[at + q] = zero
                else:
                    row = ((c * depth + plane) * height + r) * width + x
                    for phase in range(step):
                        # Number q is pixel x + phase + q step.
                        left, right = x + phase, width - x - phase
                        low, up = max(0, -left), max(0, right)
                        if step > 1:  # a division takes as long as a short row
                            low, up = (low + step - 1) // step, (up + step - 1) // step
                        low, up = min(across, low), min(across, max(low, up))
                        here, there = at + phase * across, row + phase
                        for q in range(low):
                            out[here + q] = zero
                        if step == 1:
                            for q in range(low, up):
                                out[here + q] = source[there + q]
                        else:
                            for q in range(low, up):
                                out[here + q] = source[there + q * step]
                        for q in range(up, across):
                            out[here + q] = zero
                at += wide


@helper
def find_terms(offsets, first, terms, kernel, stride, dilation, high, wide, bytes_each):
    """Write where each term stands in the space, in bytes: its channel's plane, row and column."""
    taps = kernel[0] * kernel[1] * kernel[2]
    base = first // taps
    for l in range(terms):
        c, k = (first + l) // taps - base, (first + l) % taps
        kz, rest = k // (kernel[1] * kernel[2]), k % (kernel[1] * kernel[2])
        i, j = rest // kernel[2] * dilation[1], rest % kernel[2] * dilation[2]
        at = (c * kernel[0] + kz) * high + i
        at = at * wide + j % stride[2] * (wide // stride[2]) + j // stride[2]
        offsets[l] = at * bytes_each


@helper
def find_pieces(starts, goals, lengths, first, count, columns, down, bytes_each):
    """Write the pieces of rows that places ``first`` to ``first + count`` make; return how many.

    ``starts`` are where they stand in the space for the first term, ``goals`` where they go, both
    in bytes, and ``lengths`` in numbers. ``down`` is the numbers from a row of places to the next.
    """
    pieces = done = 0
    while done < count:
        row, column = (first + done) // columns, (first + done) % columns
        length = min(columns - column, count - done)
        starts[pieces] = (row * down + column) * bytes_each
        goals[pieces] = done * bytes_each
        lengths[pieces] = length
        pieces += 1
        done += length
    return pieces


@helper
def pack_terms(
    like, L, space, offsets, terms, starts, goals, lengths, pieces, out, out_stride, bytes_each
):
    """Copy the pieces of each term into a row of ``out``; whole registers, in order."""
    register = L * bytes_each
    if pieces == 1:
        start, whole = starts[0], (lengths[0] + L - 1) // L
        for l in range(terms):
            source, goal = space + offsets[l] + start, out + l * out_stride
            if whole == 2:
                copy_vectors(2, like, source, goal)
            else:
                for v in range(whole):
                    copy_vectors(1, like, source + v * register, goal + v * register)
        return
    for l in range(terms):
        source, goal = space + offsets[l], out + l * out_stride
        for piece in range(pieces):
            here, there = source + starts[piece], goal + goals[piece]
            copy_vectors(1, like, here, there)
            for v in range(1, (lengths[piece] + L - 1) // L):
                copy_vectors(1, like, here + v * register, there + v * register)


@helper
def find_runs(starts, goals, rows, lengths, first, count, columns, down, bytes_each):
    """Write the runs that some places make: a part of a row, whole rows, and a part again.

    As ``find_pieces``, but a run is several pieces, one for each of its ``rows``; return how many.
    """
    runs = done = 0
    while done < count:
        row, column = (first + done) // columns, (first + done) % columns
        left = count - done
        many = left // columns if column == 0 and left >= columns else 1
        length = min(columns - column, left)
        starts[runs] = (row * down + column) * bytes_each
        goals[runs] = done * bytes_each
        rows[runs] = many
        lengths[runs] = length
        runs += 1
        done += many * length
    return runs


@helper
def pack_runs(
    like, L, space, offsets, terms, starts, goals, rows, lengths, runs, down, across, out,
    out_stride, bytes_each
):  # fmt: skip
    """Copy the runs of each term into a row of ``out``; whole registers, in order.

    ``down`` and ``across`` are the bytes from row to row of a run, where it is and where it goes.
    """
    for l in range(terms):
        source, goal = space + offsets[l], out + l * out_stride
        for run in range(runs):
            here, there, length = source + starts[run], goal + goals[run], lengths[run]
            if length <= L:
                repeat_vectors(1, like, here, there, rows[run], down, across)
            elif length <= 2 * L:
                repeat_vectors(2, like, here, there, rows[run], down, across)
            else:
                for r in range(rows[run]):
                    for q in range(0, length * bytes_each, 2 * L * bytes_each):
                        copy_vectors(2, like, here + r * down + q, there + r * across + q)
