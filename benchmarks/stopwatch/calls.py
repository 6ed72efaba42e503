"""One call of a formula: compare its results with the reference's, then time it and PyTorch's."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace

from benchmarks.competitors.elementwise import BLOCK, CALLS, COLUMNS
from benchmarks.competitors.registry import EAGER, HERE, NUMPY, TORCH, Entry
from benchmarks.stopwatch.client import Client
from benchmarks.stopwatch.measuring import Effort, Row, Say, compare, start, take_turns

REPEATS = 128
"""Blocks in a timed array, where the GPU has room: 2^26 entries, 256 MB."""
# Rounding alone: these kernels take no part in the choice of a precision for products.
TOLERANCE = 1e-5
BYTES_AN_ENTRY = 64
"""Room for two competitors with eight arrays each, more than any call has."""

ENTRIES = (
    Entry(EAGER, f"{HERE}.elementwise:Kernels", "ours"),
    Entry(TORCH, f"{HERE}.torch_elementwise:TorchKernels", "peer", ("torch",)),
)
REFERENCE = Entry(NUMPY, f"{HERE}.elementwise:Reference", "baseline")


def repeats_in(memory: int) -> int:
    """Return how many blocks an array may have so that both competitors fit on the GPU.

    >>> repeats_in(80 << 30), repeats_in(2 << 30), repeats_in(0)
    (128, 32, 128)
    """
    made = REPEATS
    while memory and 1 < made and 0.8 * memory < made * BLOCK * COLUMNS * BYTES_AN_ENTRY:
        made //= 2
    return made


def run_call(
    name: str,
    effort: Effort,
    *,
    device: str,
    memory: int,
    variables: Mapping[str, str],
    say: Say = lambda text: None,
    repeats: int | None = None,
) -> Row:
    """Measure one call: compare its results with the reference's, then time it and PyTorch's.

    Args:
        name: of the call and of the row.
        effort: how much time there is.
        device: "cpu" or "cuda".
        memory: bytes that the device holds, 0 if that is not known.
        variables: the environment of the processes.
        say: told what happens.
        repeats: blocks in a timed array; by default as many as fit, at most ``REPEATS``.
    """
    call = CALLS[name]
    count = repeats_in(memory) if repeats is None else repeats
    entries = count * BLOCK * COLUMNS
    row = Row(name, f"{call.title}, {entries:,} entries", subject=EAGER, note=call.note)
    row.bytes = round(call.moves * entries)
    arguments = {"call": name, "repeats": count, "device": device}
    among = [entry for entry in ENTRIES if call.formula != "dropout" or entry.name != TORCH]
    if len(among) < len(ENTRIES):
        row.kinds[TORCH] = "peer"
        row.absent[TORCH] = "it draws other random numbers, so results cannot be compared"
    effort = replace(effort, tolerance=TOLERANCE)
    with ExitStack() as stack:
        clients = start(row, among, arguments, variables, stack, say)
        small = {"call": name, "repeats": 1}
        with Client(REFERENCE.target, small, variables) as client:
            expected = client.evidence(effort.check_steps)
        compare(row, clients, expected, effort, "infer", say)
        take_turns(row, clients, effort, say)
    return row
