"""Sums that a mean, a variance and their derivatives take, over numbers behind one another.

Each adds in running sums in the kernel's dtype, and those of BLOCK numbers to a total in float64.
The order of the additions follows from the number of numbers alone. Those over rows leave it to the
compiler how many running sums there are (``add_up``). Those over segments add several of them in
the same lanes: adding up the lanes of sixteen pixels would take longer than the pixels. What is
left of a segment, fewer numbers than lanes, goes to the total at once. While a segment is read the
next one is asked for: it is on another page of memory, where processors do not look ahead.
"""

from __future__ import annotations

import numpy as np

from .runtime.declaration import helper
from .runtime.language import add_product, add_up, fma, prefetch

LANES = 16
"""Running sums side by side; several numbers of a lane are added before they wait for its sum."""
BLOCK = 4096
"""After so many numbers the running sums go to a total in float64."""
LINE = 16
"""Numbers of a line of the caches, in float32."""


@helper
def moments_of(kind, x, start, count, m):
    """Return the sums of x - m and of (x - m)², in float64."""
    first, second = 0.0, 0.0
    for top in range(start, start + count, BLOCK):
        some, more = kind(0.0), kind(0.0)
        for j in range(top, min(top + BLOCK, start + count)):
            d = m - x[j]
            some = add_up(some, d)
            more = add_product(more, d, d)
        first -= np.float64(some)
        second += np.float64(more)
    return first, second


@helper
def near_mean_of(kind, x, start, count):
    """Return the mean of the first numbers, which usually is near that of all."""
    m, some = x[start], kind(0.0)
    if count >= LANES:
        for j in range(start, start + LANES):
            some = add_up(some, x[j] - m)
        m += some / kind(LANES)
    return m


@helper
def is_off(e, variance):
    """Say whether sums around a number are to be made anew: it is e from the mean, in float64.

    They are where that is more than half of a standard deviation, for it would cost digits. With
    NaN they are, too.
    """
    return not 4.0 * e * e <= variance


@helper
def centred_moments_of(kind, x, start, count):
    """Return some m near the mean, and the sums of x - m and of (x - m)², in float64."""
    m = near_mean_of(kind, x, start, count)
    first, second = moments_of(kind, x, start, count, m)
    e = first / count
    if is_off(e, second / count - e * e):
        m = kind(m + e)
        first, second = moments_of(kind, x, start, count, m)
    return m, first, second


@helper
def moments_of_segments(kind, x, start, segments, step, pixels, m, lanes, squares):
    """Return the sums of x - m and of (x - m)² over segments of so many pixels, in float64."""
    first, second, waiting = 0.0, 0.0, 0
    for l in range(LANES):
        lanes[l] = squares[l] = kind(0.0)
    for s in range(segments):
        there = start + s * step
        for top in range(there, there + pixels, BLOCK):
            end = min(top + BLOCK, there + pixels)
            whole = top + (end - top) // (LANES * 4) * (LANES * 4)
            most = top + (end - top) // LANES * LANES
            for j in range(top, whole, LANES * 4):
                for k in range(0, LANES * 4, LINE):
                    prefetch(x, j + step + k, 0)
                for l in range(LANES):
                    d0, d1 = x[j + l] - m, x[j + LANES + l] - m
                    d2, d3 = x[j + 2 * LANES + l] - m, x[j + 3 * LANES + l] - m
                    lanes[l] += (d0 + d1) + (d2 + d3)
                    squares[l] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)
            for j in range(whole, most, LANES):
                for l in range(LANES):
                    d = x[j + l] - m
                    lanes[l] += d
                    squares[l] += d * d
            some, more = kind(0.0), kind(0.0)
            for j in range(most, end):
                d = x[j] - m
                some += d
                more += d * d
            waiting += end - top
            if waiting >= BLOCK:
                for l in range(LANES):
                    some += lanes[l]
                    more += squares[l]
                    lanes[l] = squares[l] = kind(0.0)
                waiting = 0
            first += np.float64(some)
            second += np.float64(more)
    some, more = kind(0.0), kind(0.0)
    for l in range(LANES):
        some += lanes[l]
        more += squares[l]
    return first + np.float64(some), second + np.float64(more)


@helper
def centred_moments_of_segments(kind, x, start, segments, step, pixels, lanes, squares):
    """Return some m near the mean, and the sums of x - m and of (x - m)² over segments, in float64.

    It is the mean of the numbers in the middle of each segment, which lie in all pictures of a
    batch, unless that is too far off.
    """
    middle = max(pixels - LANES, 0) // 2
    width = min(pixels, LANES)
    m = x[start + middle]
    near = 0.0
    for s in range(segments):
        some = kind(0.0)
        for j in range(start + s * step + middle, start + s * step + middle + width):
            some += x[j] - m
        near += np.float64(some)
    m = kind(m + near / (segments * width))
    count = segments * pixels
    first, second = moments_of_segments(kind, x, start, segments, step, pixels, m, lanes, squares)
    e = first / count
    if is_off(e, second / count - e * e):
        m = kind(m + e)
        first, second = moments_of_segments(
            kind, x, start, segments, step, pixels, m, lanes, squares
        )
    return m, first, second


@helper
def products_of(kind, dy, x, start, count, m):
    """Return the sums of dy and of dy (x - m), in float64."""
    first, second = 0.0, 0.0
    for top in range(start, start + count, BLOCK):
        some, more = kind(0.0), kind(0.0)
        for j in range(top, min(top + BLOCK, start + count)):
            some = add_up(some, dy[j])
            more = add_up(more, dy[j] * (x[j] - m))
        first += np.float64(some)
        second += np.float64(more)
    return first, second


@helper
def products_of_segments(kind, dy, x, start, segments, step, pixels, m, lanes, squares):
    """Return the sums of dy and of dy (x - m) over segments of so many pixels, in float64."""
    first, second, waiting = 0.0, 0.0, 0
    for l in range(LANES):
        lanes[l] = squares[l] = kind(0.0)
    for s in range(segments):
        there = start + s * step
        for top in range(there, there + pixels, BLOCK):
            end = min(top + BLOCK, there + pixels)
            whole = top + (end - top) // (LANES * 2) * (LANES * 2)
            most = top + (end - top) // LANES * LANES
            for j in range(top, whole, LANES * 2):
                for k in range(0, LANES * 2, LINE):
                    prefetch(x, j + step + k, 0)
                    prefetch(dy, j + step + k, 0)
                for l in range(LANES):
                    g0, g1 = dy[j + l], dy[j + LANES + l]
                    lanes[l] += g0 + g1
                    squares[l] += g0 * (x[j + l] - m) + g1 * (x[j + LANES + l] - m)
            for j in range(whole, most, LANES):
                for l in range(LANES):
                    lanes[l] += dy[j + l]
                    squares[l] += dy[j + l] * (x[j + l] - m)
            some, more = kind(0.0), kind(0.0)
            for j in range(most, end):
                some += dy[j]
                more += dy[j] * (x[j] - m)
            waiting += end - top
            if waiting >= BLOCK:
                for l in range(LANES):
                    some += lanes[l]
                    more += squares[l]
                    lanes[l] = squares[l] = kind(0.0)
                waiting = 0
            first += np.float64(some)
            second += np.float64(more)
    some, more = kind(0.0), kind(0.0)
    for l in range(LANES):
        some += lanes[l]
        more += squares[l]
    return first + np.float64(some), second + np.float64(more)


@helper
def weighted_products_of(kind, dy, w, x, start, columns, m):
    """Return the sums of dy w and of dy w (x - m) over a row, in float64."""
    first, second = 0.0, 0.0
    for top in range(0, columns, BLOCK):
        some, more = kind(0.0), kind(0.0)
        for j in range(top, min(top + BLOCK, columns)):
            g = dy[start + j] * w[j]
            some = add_up(some, g)
            more = add_up(more, g * (x[start + j] - m))
        first += np.float64(some)
        second += np.float64(more)
    return first, second


@helper
def products_and_sums(kind, dy, w, x, dw, db, start, base, columns, m, r):
    """Return the same, and add dy (x - m) r and dy to what stands in dw and db from ``base`` on."""
    first, second = 0.0, 0.0
    for top in range(0, columns, BLOCK):
        some, more = kind(0.0), kind(0.0)
        for j in range(top, min(top + BLOCK, columns)):
            g, d = dy[start + j], x[start + j] - m
            dw[base + j] += g * (d * r)
            db[base + j] += g
            g = g * w[j]
            some = add_up(some, g)
            more = add_up(more, g * d)
        first += np.float64(some)
        second += np.float64(more)
    return first, second


@helper
def products_and_sums_of_two(kind, dy, w, x, dw, db, start, base, columns, m, r, other_m, other_r):
    """Return the same of two rows behind one another, and add both at once to dw and db."""
    first, second, third, fourth = 0.0, 0.0, 0.0, 0.0
    turned, other_turned = -r, -other_r
    beside = start + columns
    for top in range(0, columns, BLOCK):
        some, more, other_some, other_more = kind(0.0), kind(0.0), kind(0.0), kind(0.0)
        for j in range(top, min(top + BLOCK, columns)):
            g, d = dy[start + j], m - x[start + j]
            other_g, other_d = dy[beside + j], other_m - x[beside + j]
            both = fma(other_g, other_d * other_turned, dw[base + j])
            dw[base + j] = fma(g, d * turned, both)
            db[base + j] += g + other_g
            g, other_g = g * w[j], other_g * w[j]
            some, more = add_up(some, g), add_product(more, g, d)
            other_some = add_up(other_some, other_g)
            other_more = add_product(other_more, other_g, other_d)
        first += np.float64(some)
        second -= np.float64(more)
        third += np.float64(other_some)
        fourth -= np.float64(other_more)
    return first, second, third, fourth
