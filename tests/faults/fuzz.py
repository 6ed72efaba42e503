"""Reads damaged files in a process of its own, in which memory is limited; prints what it found.

    python -m faults.fuzz FOLDER COUNT SEED NAME...

Each file must be refused by an NNScratchError, in one short line on the command line, or be read.
Anything else is a fault: another exception, more than ten seconds of work, memory that the file's
size does not explain, a pickle that was loaded, a file written elsewhere. If this process dies,
FOLDER/now names the case.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import resource
import signal
import sys
import time
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from faults import damage
from faults.samples import Sample, make_samples

from nnscratch.cli import main
from nnscratch.errors import NNScratchError

SECONDS = 10.0
# Python's own objects for a file of so many bytes; nothing that a header claims comes near it.
ROOM, FACTOR = 24 << 20, 60
ADDRESSES = 2 << 30


class TooLong(BaseException):
    """A reader that does not come back."""


def _ring(number: int, frame: Any) -> None:
    raise TooLong


class Fuzzer:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.samples = make_samples(folder)
        self.found: dict[str, dict[str, Any]] = {}
        self.faults: list[str] = []
        self.slowest = self.largest = 0.0
        self.now = folder / "now"

    def cases(self, sample: Sample, source: Any, count: int) -> damage.Cases:
        yield from sample.hostile.items()
        share = -(-count // max(len(sample.makers), 1))
        for maker in sample.makers:
            yield from maker(sample.content, source, share)

    def run(self, name: str, seed: int, count: int) -> None:
        sample = self.samples[name]
        sample.path.write_bytes(sample.content)
        sample.read(sample.path)
        source = np.random.default_rng(seed)
        counted = self.found.setdefault(name, {"files": 0, "refused": 0, "read": 0, "commands": 0})
        for number, (label, content) in enumerate(self.cases(sample, source, count)):
            where = f"{name}: {label[:200]}"
            self.now.write_text(where)
            sample.path.write_bytes(content)
            counted["files"] += 1
            counted[self.read(sample, len(content), where)] += 1
            if number % 8 == 0 or number < len(sample.hostile):
                counted["commands"] += self.command(name, sample.path, content, where)
            left = [p for p in self.folder.parent.iterdir() if p != self.folder]
            if left or (self.folder / "unpickled").exists():
                self.fault(where, f"wrote {left or 'what a pickle named'}")
        sample.path.write_bytes(sample.content)
        sample.read(sample.path)

    def read(self, sample: Sample, size: int, where: str) -> str:
        outcome = "read"
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        began = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                sample.read(sample.path)
        except NNScratchError as error:
            outcome = "refused"
            if str(error).count("\n") > 1:
                self.fault(where, f"a message of several lines: {str(error)[:200]}")
        except BaseException as error:
            self.fault(where, f"{type(error).__name__}: {str(error)[:200]} {_place(error)}")
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        self.slowest = max(self.slowest, time.process_time() - began)
        peak = tracemalloc.get_traced_memory()[1] - before
        self.largest = max(self.largest, peak)
        if peak > ROOM + FACTOR * size:
            self.fault(where, f"{peak:,} bytes of memory for a file of {size:,}")
        return outcome

    def command(self, name: str, path: Path, content: bytes, where: str) -> int:
        """The same file on the command line: one line and exit code 2, or all is well."""
        table, run = str(self.folder / "trees.csv"), str(self.folder / "run")
        asked = {
            "weights": [["info", str(path)]],
            "checkpoint": [["info", str(path)]],
            "idx": [["predict", run, str(path)]],
            "csv": [["predict", run, str(path)], ["train", str(path), "--run", run]],
            "toml": [["train", "/nowhere", "--config", str(path)]],
            "report.json": [["info", run]],
            "config.json": [["info", run], ["train", "--resume", "--run", run, "--lr", "9"]],
            "preprocessing.json": [["evaluate", run, table]],
            "run weights": [["info", run], ["predict", run, table]],
        }.get(name, [])
        for arguments in asked:
            path.write_bytes(content)
            out, err = io.TextIOWrapper(io.BytesIO(), "utf-8", newline=""), io.StringIO()
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            try:
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                    code = main(arguments)
                    out.flush()
            except BaseException as error:
                self.fault(where, f"{arguments[0]}: {type(error).__name__}: {str(error)[:200]} "
                                  f"{_place(error)}")  # fmt: skip
                continue
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            lines = [x for x in err.getvalue().splitlines() if ": warning: " not in x]
            if code not in (0, 2) or len(lines) != (code == 2) or len("".join(lines)) > 2100:
                self.fault(where, f"{arguments[0]}: exit code {code}, {lines}")
            if "\x1b" in err.getvalue() or b"\x1b[2J" in out.buffer.getvalue():  # type: ignore[attr-defined]
                self.fault(where, f"{arguments[0]}: control characters reach the terminal")
        return len(asked)

    def fault(self, where: str, what: str) -> None:
        self.faults.append(f"{where}: {what}")
        print(self.faults[-1], file=sys.stderr, flush=True)


def _place(error: BaseException) -> str:
    trace, found = error.__traceback__, ""
    for _ in itertools.count():
        if trace is None:
            return found
        name = trace.tb_frame.f_code.co_filename
        if f"{os.sep}nnscratch{os.sep}" in name:
            found = f"[{os.path.basename(name)}:{trace.tb_lineno}]"
        trace = trace.tb_next
    return found


def limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + ADDRESSES
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def fuzz(folder: str, count: int, seed: int, names: list[str]) -> dict[str, Any]:
    inside = Path(folder) / "inside"
    inside.mkdir()
    os.chdir(inside)
    fuzzer = Fuzzer(inside)
    signal.signal(signal.SIGPROF, _ring)
    if Path("/proc/self/statm").exists():
        limit_memory()
    tracemalloc.start()
    for name in names or fuzzer.samples:
        fuzzer.run(name, seed, count)
    return {
        "formats": fuzzer.found,
        "faults": fuzzer.faults,
        "slowest": round(fuzzer.slowest, 2),
        "largest": int(fuzzer.largest),
    }


if __name__ == "__main__":
    given = sys.argv[1:]
    result = fuzz(given[0], int(given[1]), int(given[2]), given[3:])
    print(json.dumps(result))
