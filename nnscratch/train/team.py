"""The processes that a run is trained by, and what they agree on."""

from __future__ import annotations

import hashlib
import platform
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from nnscratch.array import to_numpy
from nnscratch.array.bfloat16 import bfloat16
from nnscratch.array.random import default_generator
from nnscratch.data import DataLoader, TensorDataset
from nnscratch.errors import ConfigurationError, RunError
from nnscratch.kernels.cpu.runtime.blas import blas_threads
from nnscratch.nn import Module
from nnscratch.parallel.surviving import surely
from nnscratch.parallel.world import World, world
from nnscratch.tensors import Tensor
from nnscratch.train.files import run_folder
from nnscratch.train.interrupt import Interruption
from nnscratch.train.run import TrainingRun
from nnscratch.train.sharing import SharedBatches, on_gpu
from nnscratch.train.stepper import Stepper

T = TypeVar("T")
_BEREFT = (
    "; its part of the optimizer's state (shard_optimizer) is lost with it, and the others cannot "
    "go on without"
)
_NO_GPU = "; ranks on GPUs do not go on without one that has died"
_BYTES_COMPARED = 1 << 28
"""How many bytes of the data are hashed at most, in a third of a second or so."""
_SEEN_WITHIN = 3.0
_MOST_SAVES = 16  # bits, which float32 holds exactly


class Team:
    """The processes that a run is trained by: often one.

    Args:
        parallel, shards, deadline, shard_optimizer, wire: as for ``Trainer``.

    Attributes:
        world: the ranks.
        interruption: what notes a signal that asks to stop, while a fit runs.
        took_over: whether this rank writes files since another has died, and has no checkpoint yet.
        on_lead: called when it begins to.

    Raises:
        ConfigurationError: if an argument makes no sense.
    """

    def __init__(
        self,
        parallel: str | bool,
        shards: int | None,
        deadline: float,
        shard_optimizer: bool = False,
        wire: str | None = None,
    ) -> None:
        if parallel not in ("auto", True, False):
            raise ConfigurationError(f"parallel must be 'auto' or False, got {parallel!r}")
        if not deadline > 0.0:
            raise ConfigurationError(f"deadline must be above 0 seconds, got {deadline}")
        if wire not in (None, "bfloat16"):
            raise ConfigurationError(
                f"wire must be 'bfloat16', or None for gradients as they are, got {wire!r}"
            )
        if wire is not None:
            bfloat16()  # says so where it is not installed
        self.wire = wire
        self.world = world() if parallel else World()
        self.shards, self.deadline, self.shard_optimizer = shards, deadline, shard_optimizer
        self.interruption = Interruption()
        self._sharing: SharedBatches | None = None
        self.took_over, self._goes_on = False, True
        self.on_lead: Callable[[], None] = lambda: None
        self._led = self.world.leads
        self._held: tuple[ExitStack, Path] | None = None

    @property
    def several(self) -> World | None:
        """The ranks, if there are several."""
        return self.world if self.world.size > 1 else None

    def sharing(self, run: TrainingRun) -> SharedBatches | None:
        """Return what divides the batches of a run; None if nothing does.

        Raises:
            ConfigurationError: if the shards, or the optimizer's state, cannot be divided.
        """
        before = any(flat.collect is not None for flat in run.optimizer.flats())
        if before and self.several is None:
            raise ConfigurationError(
                "the state of this optimizer is divided among the ranks of a job: train with all "
                "of them, or make another optimizer"
            )
        if self.several is None and self.shards is None:
            return None
        run.shards = self.shards
        divide = (self.shard_optimizer or before) and self.several is not None
        self._sharing = SharedBatches(
            run, self.world, self.shards, lambda: self.interruption.number, divide, self.wire,
            self._regroup,
        )  # fmt: skip
        gpu = on_gpu(run.model)
        self._goes_on = not divide and not gpu
        if self.world.survival is not None:
            self.world.bereft = _NO_GPU if gpu else _BEREFT if divide else ""
        return self._sharing

    def threads(self) -> AbstractContextManager[None]:
        """Return a context in which BLAS has no more threads than this rank has processors."""
        self.world.deadline = self.deadline
        return nullcontext() if self.several is None else blas_threads(self.world.threads)

    def together(self, place: str) -> None:
        """Wait until all ranks are at one place."""
        if self.several is not None:
            self.world.place = place
            self.surely(self.world.barrier)

    # Going on without a rank that has died.

    def surely(self, attempt: Callable[[], T], undo: Callable[[], None] = lambda: None) -> T:
        """Do what all ranks do together, again if one dies and the others go on.

        Args:
            attempt: what is done.
            undo: brings back what an attempt has changed.
        """
        if not self._goes_on:
            return attempt()

        def begin_anew() -> None:
            undo()
            self._regroup()

        return surely(self.world, attempt, begin_anew)

    def _regroup(self) -> None:
        """Share out among the ranks that are left what the one had that died."""
        if self._sharing is not None:
            self._sharing.regroup()
        if self.world.leads and not self._led:
            self._led = self.took_over = True
            if self._held is not None:
                stack, folder = self._held
                stack.enter_context(run_folder(folder))  # the lock died with whoever had it
            self.on_lead()

    # Stopping.

    @property
    def asked_to_stop(self) -> int | None:
        """The signal by which a rank was asked to stop; of several ranks, once all know of it."""
        if self.several is None or self._sharing is None:
            return self.interruption.number
        return self._sharing.reducer.stopped or None

    # Saving.

    @property
    def divided(self) -> bool:
        """Whether all ranks are needed for a checkpoint: each has a part of the state."""
        return self._sharing is not None and self._sharing.divided is not None

    def agreed_to_save(self, number: int, due: bool) -> bool:
        """Say whether all ranks write a checkpoint now: one that was due on rank 0 a step ago.

        Clocks differ. So rank 0 tells the others with the gradients of the step that comes next.

        Args:
            number: which of several it is, the same on all ranks.
            due: whether it is time for one, by the clock of this rank.
        """
        assert self._sharing is not None
        bit = 1 << number % _MOST_SAVES
        if due and self.world.leads:
            self._sharing.save |= bit
        return bool(self._sharing.reducer.saves & bit)

    def whole_state(self) -> AbstractContextManager[None]:
        """Return a context in which rank 0 has the optimizer's whole state; for all ranks."""
        if self._sharing is None or self._sharing.divided is None:
            return nullcontext()
        return self._sharing.divided.whole()

    def settle_epoch(self, run: TrainingRun) -> int | None:
        """Let all ranks stop if one has a reason to, and return the signal that asks for it."""
        if self.several is None:
            return self.interruption.number
        self.world.place = f"the end of epoch {run.epoch}"
        found = self.surely(lambda: self.world.gather((run.stop, self.interruption.number)))
        run.stop = next((why for why, _ in found if why), "")
        return next((number for _, number in found if number is not None), None)

    def row(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the row of an epoch as rank 0 has it."""
        if self.several is None:
            return row
        self.world.place = f"the end of epoch {row['epoch']}"
        found: dict[str, Any] = self.surely(lambda: self.world.from_first(row))
        return found

    # What has to be alike.

    def enter_folder(self, stack: ExitStack, folder: Path, lock: bool) -> None:
        """Lock a run folder until a stack is left, and check that all ranks see the same one.

        Raises:
            RunError: on all ranks, if another process trains into it, or a rank sees another.
        """
        self._held = stack, folder
        refused: RunError | None = None
        if lock and self.world.leads:
            try:
                stack.enter_context(run_folder(folder))
            except RunError as error:
                if self.several is None:
                    raise
                refused = error
        if self.several is not None:
            self.world.place = "the run folder"
            said = self.world.from_first(None if refused is None else str(refused))
            if said is not None:
                raise RunError(said) from refused
            self._check_folder(folder)

    def _check_folder(self, folder: Path) -> None:
        token = self.world.from_first(uuid.uuid4().hex)
        mark = folder / f".rank-0-{token}.writing"
        try:
            if self.world.leads:
                mark.parent.mkdir(parents=True, exist_ok=True)
                mark.touch()
            self.world.barrier()
            found = self.world.gather(self.world.leads or _appears(mark))
        finally:
            if self.world.leads:
                mark.unlink(missing_ok=True)
        if not all(found):
            raise RunError(
                f"{folder}: rank {found.index(False)} does not see what rank 0 writes into the run "
                "folder, and could not go on from a checkpoint: choose one that all machines share"
            )

    def connect(self) -> None:
        """Let the ranks' GPUs find one another, where they train on GPUs.

        Raises:
            DeviceError: on all ranks, if two have one GPU, or one has no NCCL.
        """
        if self._sharing is not None:
            self._sharing.reducer.connect()

    def check_alike(self, run: TrainingRun, stepper: Stepper, seed: int | None) -> None:
        """Check that all ranks train the same: versions, settings, model, data and seed.

        Raises:
            ConfigurationError: naming the first difference, and the rank that has it.
        """
        if self.several is None:
            return
        self.world.place = "the comparison of the ranks at the start"
        mine = _described(run, stepper, seed, self.shards, f"{self.shard_optimizer} {self.wire}")
        found = self.world.gather(mine)
        for name, (value, mend) in found[0].items():
            for rank, theirs in enumerate(found):
                if theirs[name][0] != value:
                    raise ConfigurationError(
                        f"rank {rank} has other {name} than rank 0 ({_short(theirs[name][0])}, not "
                        f"{_short(value)}): {mend}"
                    )


def _appears(path: Path) -> bool:
    """Say whether a file is there soon; a file system of a network may take its time."""
    until = time.monotonic() + _SEEN_WITHIN
    while not path.exists():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def _described(
    run: TrainingRun, stepper: Stepper, seed: int | None, shards: int | None, more: str
) -> dict[str, tuple[str, str]]:
    version = getattr(sys.modules[__name__.partition(".")[0]], "__version__", "")
    loader = run.data
    loss = repr(stepper.loss) if isinstance(stepper.loss, Module) else ""
    parameters = list(run.model.named_parameters())
    state = run.model.state_dict().items()
    seeded = "seed alike on all ranks, with seed= or manual_seed, before the model is made"
    return {
        "versions": (
            f"nnscratch {version}, NumPy {np.__version__}, Python {platform.python_version()}",
            "install the same on all machines",
        ),
        "settings": (
            f"{run.optimizer!r} {stepper.accumulate} {stepper.clip_norm} {stepper.compile} "
            f"{loader.batch_size} {loader.shuffle} {loader.drop_last} {run.epochs} {shards} "
            f"{more} {loss}",
            "give all ranks the same arguments",
        ),
        "parameters": (
            " ".join(f"{name}{tuple(p.shape)}{p.dtype}" for name, p in parameters),
            "make the same model on all ranks",
        ),
        "weights": (_digest(one.array for _, one in state if isinstance(one, Tensor)), seeded),
        "data": (
            f"{loader.samples} samples {_digest_of_data(loader)}",
            "every rank loads the whole data set; which rows it trains on is seen to",
        ),
        "seed": (f"{seed} {loader.seed} {default_generator.state()}", seeded),
    }


def _digest(arrays: Iterable[Any]) -> str:
    made = hashlib.blake2b(digest_size=8)
    for array in arrays:
        whole = np.ascontiguousarray(to_numpy(array))
        made.update(whole.reshape(-1).view(np.uint8).data)
    return made.hexdigest()


def _digest_of_data(loader: DataLoader) -> str:
    """Return a hash of the data where they are in memory; of large ones, of rows all over them."""
    if not isinstance(loader.dataset, TensorDataset):
        return type(loader.dataset).__name__
    arrays = loader.dataset.arrays
    step = 1 + sum(array.nbytes for array in arrays) // _BYTES_COMPARED
    return _digest(array[::step] for array in arrays)


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:117]}..."
