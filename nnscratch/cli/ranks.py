"""``nnscratch train --ranks``, and what of a training is done by one of several ranks."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from nnscratch.cli import runs
from nnscratch.cli.settings import TrainingSettings
from nnscratch.parallel import World, world
from nnscratch.parallel.launched import launched
from nnscratch.parallel.starting import parsed_ranks, run_until_done, sizes
from nnscratch.train.trainer import CHECKPOINT_FILE

_OURS = ("--ranks", "--restarts")
_GO_ON = "--go-on"


def start_ranks(
    ranks: str,
    restarts: int,
    settings: TrainingSettings,
    arguments: Sequence[str],
    run: str | None,
    resume: bool,
    go_on: bool = False,
) -> int | None:
    """Start ``nnscratch train`` with several ranks, and return the exit code of the job.

    Args:
        ranks: how many, "4" or "2:4".
        restarts: how often to start the job again when it dies.
        settings: those of the training.
        arguments: the arguments of ``nnscratch train``, as they were given.
        run: the run folder, None for a new one.
        resume: whether to go on with the run in it.
        go_on: whether the ranks go on without those that die.

    Returns:
        None in a rank that a launcher started, which is to train.
    """
    numbers = sizes(*parsed_ranks(ranks), settings.shards)
    if launched() is not None:
        return None
    given = [word for word in _without(arguments, _OURS) if word != _GO_ON]
    if run is None:
        folder = runs.free_folder(Path(settings.data).stem or "run")
        given += ["--run", str(folder)]
    else:
        folder = Path(run)
    base = [sys.executable, "-m", "nnscratch"]
    job, before = uuid.uuid4().hex, _content(folder)

    def again() -> list[str]:
        owner, begun = runs.begun_by(folder)
        if owner != job:
            # The job died before it began: what is in the folder is what was there, or another's.
            if resume and _content(folder) != before:
                raise runs.replaced(folder)
            return [*base, *given]
        os.environ[runs.JOB] = job + runs.OWN
        if not begun or not (folder / CHECKPOINT_FILE).exists():
            # Nothing was saved yet: what stands in the folder is of this very job.
            anew = [] if resume or "--overwrite" in given else ["--overwrite"]
            return [*base, *given, *anew]
        kept = [word for word in given if word in ("--quiet", "--debug")]
        kept += _option(given, "--deadline")
        return [*base, "train", "--resume", "--run", str(folder), *kept]

    def progress() -> Any:
        path = folder / CHECKPOINT_FILE
        return path.stat().st_mtime_ns if path.exists() else None

    def say(line: str) -> None:
        print(f"nnscratch: {line}", file=sys.stderr, flush=True)

    def done() -> bool:
        return (folder / runs.REPORT).exists()

    os.environ[runs.JOB] = job
    try:
        return run_until_done([*base, *given], again, progress, numbers, restarts, say, done, go_on)
    finally:
        del os.environ[runs.JOB]


def _content(folder: Path) -> bytes:
    """Return the configuration in a folder as it stands there, nothing if there is none."""
    try:
        return (folder / runs.CONFIG).read_bytes()
    except OSError:
        return b""


def _option(arguments: Sequence[str], name: str) -> list[str]:
    """Return an option and its value as they were given, nothing if it was not."""
    for index, word in enumerate(arguments):
        if word == name:
            return list(arguments[index : index + 2])
        if word.startswith(f"{name}="):
            return [word]
    return []


def _without(arguments: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return arguments without some options, which have a value each."""
    kept: list[str] = []
    rest = iter(arguments)
    for word in rest:
        if word in names:
            next(rest, None)
        elif not word.startswith(tuple(f"{name}=" for name in names)):
            kept.append(word)
    return kept


@contextmanager
def run_folder_of(
    run: str | None,
    settings: TrainingSettings,
    *,
    resume: bool,
    overwrite: bool,
) -> Iterator[Callable[[str], Path]]:
    """Hold the run folder, if this is the rank that writes, while the block runs.

    Yields a function that returns the folder, given the name of a new one: all ranks call it.
    """
    here = world()
    with ExitStack() as stack:
        if run is not None and here.leads:
            stack.enter_context(runs.held(Path(run), settings, resume=resume, overwrite=overwrite))

        def folder_for(name: str) -> Path:
            folder = None if run is None else Path(run)
            if run is None and here.leads:
                folder = runs.free_folder(name)
                stack.enter_context(runs.held(folder, settings, new=True))
            here.place = "the choice of the run folder"
            return Path(here.from_first(str(folder)))

        yield folder_for


def wait_for_first(here: World) -> None:
    """Wait until rank 0 has tested the model and written its files, however long that takes."""
    if here.size == 1:
        return
    here.deadline, here.place = float("inf"), "the end"
    here.barrier()
