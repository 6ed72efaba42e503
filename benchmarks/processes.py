"""Whole processes: the article's program with warm and cold caches, and peak memory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.competitors.registry import (
    COMPETITORS,
    COMPILED,
    EAGER,
    JAX,
    TORCH,
    TORCH_COMPILED,
    TORCH_FUSED,
)
from benchmarks.stopwatch.client import pinned
from benchmarks.stopwatch.measuring import TOLERANCE, Row, Timing, disagreement

PROGRAMS = Path(__file__).parent / "programs"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Program:
    """One competitor as a program: its arguments, and what it needs."""

    name: str
    arguments: tuple[str, ...]

    def missing(self) -> str | None:
        """Return what is not installed, or None."""
        return COMPETITORS[self.name].missing()


DOCUMENT = (
    Program(EAGER, ("nnscratch",)),
    Program(COMPILED, ("nnscratch", "--compile")),
    Program(TORCH, ("torch",)),
)
MEMORY = (
    Program(COMPILED, ("nnscratch-compiled",)),
    Program(EAGER, ("nnscratch-eager",)),
    Program(TORCH, ("torch",)),
    Program(TORCH_FUSED, ("torch-fused",)),
    Program(TORCH_COMPILED, ("torch-compile",)),
    Program(JAX, ("jax",)),
)


class ProgramError(Exception):
    """A program failed."""


def run(script: str, arguments: Sequence[str], variables: Mapping[str, str]) -> tuple[float, str]:
    """Run a program; return how long its process lived, and what it printed."""
    command = [sys.executable, str(PROGRAMS / script), *arguments]
    environment = {**os.environ, **variables}
    with pinned(variables):
        began = time.perf_counter()
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=1800, check=False
        )
    seconds = time.perf_counter() - began
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise ProgramError(f"ended with {done.returncode}: {last[0][:200]}")
    return seconds, done.stdout


def losses(text: str) -> list[float]:
    """Return the losses that the article's program printed."""
    return [float(number) for number in re.findall(r"Loss: ([-+.\deEnaif]+)", text)]


def document(name: str, cold: bool, rounds: int, variables: Mapping[str, str], say: Say) -> Row:
    """Time the article's program from start to end, everybody in turn.

    Args:
        name: of the row.
        cold: give every process an empty folder for compiled kernels.
        rounds: turns of everybody.
        variables: for the environment.
        say: told what happens.
    """
    title = f"the article's program, whole process, {'cold' if cold else 'warm'} kernel cache"
    row = Row(name, title, subject=EAGER)
    times: dict[str, list[float]] = {}
    expected: list[float] = []
    # With a warm cache the first turn fills it and is not counted.
    for index in range(rounds + (0 if cold else 1)):
        for program in (*DOCUMENT[index % 3 :], *DOCUMENT[: index % 3]):
            row.kinds[program.name] = COMPETITORS[program.name].kind
            if program.name in row.absent:
                continue
            why = program.missing()
            if why is None:
                try:
                    with tempfile.TemporaryDirectory() as folder:
                        more = {"NUMBA_CACHE_DIR": folder} if cold else {}
                        seconds, text = run("document.py", program.arguments, {**variables, **more})
                    why, expected = _same(losses(text), expected)
                except (ProgramError, subprocess.TimeoutExpired) as error:
                    why = str(error)
            if why is not None:
                row.absent[program.name] = why
                times.pop(program.name, None)
                say(f"  {program.name}: {why}")
            elif cold or index:
                times.setdefault(program.name, []).append(seconds)
    row.timings = {who: Timing(tuple(found)) for who, found in times.items()}
    row.note = "The program runs eagerly unless it says compiled."
    return row


def _same(given: list[float], expected: list[float]) -> tuple[str | None, list[float]]:
    """Return why the losses are not those expected, and what to expect from now on."""
    if not expected:
        return (None, given) if given else ("it printed no losses", expected)
    # The last of 500 steps may differ by more than the tolerance: rounding errors grow.
    off = disagreement(given[:1], expected[:1], "train")
    if off <= TOLERANCE and len(given) == len(expected):
        return None, expected
    return f"not timed: its losses differ by {off:.1e} (allowed {TOLERANCE:.0e})", expected


def memory(
    name: str,
    units: int,
    layers: int,
    rows: int,
    variables: Mapping[str, str],
    say: Say,
    *,
    programs: Sequence[Program] = MEMORY,
    checkpoint: bool = False,
    steps: int = 3,
) -> Row:
    """Measure the peak memory of a few steps of a large network, one process after the other."""
    parameters = layers * (units * units + units)
    title = f"{units} x {layers}, {rows} rows: peak memory of the whole process"
    row = Row(name, title, unit="bytes")
    expected: list[float] = []
    notes = []
    for program in programs:
        row.kinds[program.name] = COMPETITORS[program.name].kind
        why = program.missing()
        if why is None:
            more = ["--checkpoint"] if checkpoint and "nnscratch" in program.arguments[0] else []
            sizes = [str(n) for n in (units, layers, rows, steps)]
            try:
                _, text = run("memory.py", (*program.arguments, *sizes, *more), variables)
                found = json.loads(text.strip().splitlines()[-1])
                expected = expected or found["losses"]
                off = disagreement(found["losses"][:steps], expected[:steps], "train")
                if not off <= TOLERANCE:
                    why = f"left out: its losses differ by {off:.1e} (allowed {TOLERANCE:.0e})"
            except (ProgramError, ValueError, subprocess.TimeoutExpired) as error:
                why = str(error)
        if why is not None:
            row.absent[program.name] = why
            say(f"  {program.name}: {why}")
            continue
        row.timings[program.name] = Timing((float(found["trained"]),))
        saving = f" ({found['peak'] / 1e6:.0f} MB when it also saved and resumed)" if more else ""
        each = found["trained"] / parameters
        notes.append(
            f"{program.name}: {each:.1f} bytes a parameter in all{saving}, "
            f"{found['seconds']:.2f} s for the last step"
        )
    start = 16 * parameters + 8 * rows * units * (2 * layers + 1) + 300e6
    row.note = (
        f"{parameters / 1e6:.1f} million parameters. 16 bytes each, the activations and 300 MB are "
        f"{start / 1e6:.0f} MB. " + "; ".join(notes)
    )
    row.extra = {"parameters": parameters, "allowed": start, "saved_and_resumed": checkpoint}
    return row
