"""Training steps that several processes take together: each with its rows of every batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from nnscratch.array.random import default_generator, row_scope
from nnscratch.errors import ConfigurationError, NonFiniteError
from nnscratch.nn import Module
from nnscratch.parallel.dividing import DividedState
from nnscratch.parallel.probing import FEW, MORE, habits_of
from nnscratch.parallel.reducing import NOTHING, AttentionNeeded, GradientReducer
from nnscratch.parallel.rows import RowRange, check_shards, own_parts, taken, with_rows
from nnscratch.parallel.world import World
from nnscratch.tensors import Tensor
from nnscratch.train.batches import parts_of, samples_in
from nnscratch.train.losses import denominator_of, is_sum
from nnscratch.train.repeating import RepeatedBatches
from nnscratch.train.run import TrainingRun

Take = Callable[..., Any]


def on_gpu(model: Module) -> bool:
    """Say whether a model is on a GPU, by its first parameter."""
    found = next(iter(model.parameters()), None)
    return found is not None and found.device.type == "cuda"


class SharedBatches:
    """Takes the steps of a run whose batches are divided among ranks, or into shards.

    Args:
        run: the training run.
        world: the ranks; a world of one where shards are all that is asked for.
        shards: into how many parts each batch is divided, whatever the number of ranks; None for
            a part a rank.
        stopping: returns the number of the signal that asks this process to stop, or None.
        divide: whether the optimizer's state is divided among the ranks.
        wire: as for ``Trainer``.
        regrouped: called when a rank has died, and those that remain go on: it calls ``regroup``.

    Attributes:
        divided: the optimizer's state, if it is divided.
        warm: compiles the steps for other parts of a batch, if they are compiled.
        save: which checkpoints this rank asks for, a bit for each; of rank 0 only.

    Raises:
        ConfigurationError: if the shards, or the optimizer's state, cannot be divided.
    """

    def __init__(
        self,
        run: TrainingRun,
        world: World,
        shards: int | None,
        stopping: Callable[[], int | None],
        divide: bool = False,
        wire: str | None = None,
        regrouped: Callable[[], None] = lambda: None,
    ) -> None:
        check_shards(shards, world.size)
        self.run, self.world, self.shards = run, world, shards
        self._stopping, self._wire = stopping, wire
        self.divided = DividedState(run.optimizer, world) if divide else None
        self.save = 0
        self.warm: Callable[[], None] | None = None
        goes_on = world.survival is not None and self.divided is None and not on_gpu(run.model)
        self._repeated = RepeatedBatches(run, world, regrouped) if goes_on else None
        self._reducer: GradientReducer | None = None
        self._denominator: Callable[[Any], float] | None = None
        self._sums = False
        self._of_step = False
        self._of_rows: Sequence[bool] | None = None
        self._together = NOTHING.together
        self._which: Sequence[bool] | None = None
        self._stand_in: Any = None
        self._error: Exception | None = None
        self._traced = False
        self._known: dict[int, tuple[list[RowRange], list[float]]] = {}
        self._kind: tuple[Any, Any] = (np.float32, None)
        self._last_factor = math.nan, Tensor(np.zeros(()))

    @property
    def reducer(self) -> GradientReducer:
        """What adds up the gradients; after ``prepare``."""
        assert self._reducer is not None
        return self._reducer

    def prepare(
        self,
        loss: Any,
        own_step: Any,
        forward: Callable[[Any], Any],
        head: Callable[[int], Any],
        samples: int,
    ) -> None:
        """Take what the loss divides by, and a sample for ranks that have no rows of a batch."""
        run = self.run
        parts = self._parts
        habits = NOTHING
        if samples >= MORE:
            few, more = head(FEW), head(MORE)
            habits = habits_of(run.model, forward, few, more)
            which = with_rows(few, more)
            # Where all have rows nothing has to be looked up.
            self._which = None if which is None or all(which) else which
        self._of_rows, self._together = habits.of_rows, habits.together
        self._reducer = GradientReducer(
            run.model, run.optimizer, self.world, parts, habits, self._wire
        )
        self._reducer.classes = run.totals.classes
        self._reducer.ignored = run.totals.ignored
        self._of_step = own_step is not None
        if self._of_step:
            own = getattr(own_step, "denominator", None)
            self._denominator = None if own is None else lambda batch: float(own(batch))
        else:
            self._denominator = denominator_of(loss, run.totals.ignored)
            self._sums = is_sum(loss)
        # Two rows, for a batch norm has no variance of one. What comes of them counts for nothing.
        count = min(2, samples)
        self._stand_in = taken(head(count), RowRange(0, count, count))
        self._error, self._traced = None, False
        self._known.clear()
        self._settle_kind()

    def _settle_kind(self) -> None:
        """Note the dtype of the weights, that of the parameters, and their device if it is a GPU.

        Both stay as they are: a parameter that moves later is refused by the optimizer.
        """
        found = next(iter(self.run.model.parameters()), None)
        wide = found is not None and found.array.dtype == np.float64
        place = found.device if found is not None and found.device.type == "cuda" else None
        self._kind = np.float64 if wide else np.float32, place
        self._last_factor = math.nan, self._last_factor[1]

    @property
    def _workers(self) -> int:
        """How many ranks have parts of a batch: all, but for those that a loss has made spare.

        Shards are computed by a power of two of ranks. Where all have one each, and some of them
        die, more ranks than that would not be faster.
        """
        size = self.world.size
        return size if self.shards is None else 1 << (min(size, self.shards).bit_length() - 1)

    @property
    def _parts(self) -> int | None:
        return None if self.shards is None else self.shards // self._workers

    def regroup(self) -> None:
        """Divide batches among the ranks that are left."""
        self._known.clear()
        if self._reducer is None:
            return
        self.save |= self._reducer.save
        self._reducer.regroup(self._parts, self.world.rank >= self._workers)
        self._error, self._traced = None, False
        if self.warm is not None and self.shards is not None:
            # A step that is not compiled yet rounds differently, and shards promise the bits.
            self.warm()

    def reduce(self, loss: Tensor, output: Any, batch: Any, last: bool) -> None:
        """Add up the gradients of a step: ``reduce`` of ``make_step``."""
        self.reducer(loss, output, parts_of(batch).target if self.reducer.classes else None, last)

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Let the steps in the block be taken by this rank alone, as to compile them."""
        self._mute(True)
        try:
            yield
        finally:
            self._mute(False)

    def _mute(self, muted: bool) -> None:
        self.reducer.muted = muted
        if self.divided is not None:
            self.divided.muted = muted

    def guarded(self, guard: Callable[[Any, Tensor], None]) -> Callable[[Any, Tensor], None]:
        """Return a guard that keeps its error until all ranks know of it."""

        def note(batch: Any, value: Tensor) -> None:
            if not self.reducer.counts:
                return
            try:
                guard(batch, value)
            except NonFiniteError as error:
                self._error, self.reducer.attention = error, True

        return note

    def take(
        self,
        batch: Any,
        step: Take,
        guard: Callable[[Any, Tensor], None],
        *,
        weight: float,
        first: bool,
        last: bool,
    ) -> None:
        """Train with a batch, or add up its gradients for a later step.

        If a rank dies meanwhile, and the others go on, they do it again.

        Args:
            batch: the whole batch, the same on all ranks.
            step: the step, as ``make_step`` returns it.
            guard: raises an error that says where the loss of a batch became NaN.
            weight: the weight of the batch among those whose gradients add up.
            first: whether it is the first of them.
            last: whether it is the last.

        Raises:
            NonFiniteError: on all ranks, before the parameters change, if a loss is NaN or
                infinite on one of them.
        """
        if self._repeated is None or self.reducer.muted:
            self._take(batch, step, guard, weight, first, last)
        else:
            one = partial(self._take, batch, step, guard, weight, first, last)
            self._repeated.take(one, first)

    def _take(
        self,
        batch: Any,
        step: Take,
        guard: Callable[[Any, Tensor], None],
        weight: float,
        first: bool,
        last: bool,
    ) -> None:
        reducer, run, world = self.reducer, self.run, self.world
        reducer.follow()
        if self.divided is not None:
            self.divided.follow()
        total = samples_in(batch)
        known = self._known.get(total)
        if known is None:
            known = self._known[total] = self._divide(total)
        ranges, shares = known
        which = self._which
        parts = [
            taken(batch, one, which) if share else self._stand_in
            for one, share in zip(ranges, shares, strict=True)
        ]
        weights = shares
        if self._sums or self._denominator is not None:
            weights = self._weights(parts, ranges)
        world.place = f"step {run.step + 1}"
        reducer.stop, reducer.save = self._stopping() or 0, self.save
        if last:
            self.save = 0
        scope: row_scope | None = None
        for index, part in enumerate(parts):
            share, own = shares[index], weights[index]
            reducer.begin(
                index,
                own if share else 0.0,
                share,
                samples=total / weight,
                first=first,
                last=last,
            )
            if scope is not None:
                scope.rewind()
            rows = ranges[index].rows or samples_in(part)
            scope = row_scope(ranges[index].start, rows, total, self._of_rows)
            if self._repeated is not None:
                self._repeated.scopes.append(scope)
            ends = last and index + 1 == len(parts)
            begins = first if self.shards is None else True
            needed = False
            try:
                with scope:
                    step(part, self._factor(own * weight), begins, ends)
            except AttentionNeeded:
                needed = True
            if reducer.attention and self._error is None and not self._traced and reducer.counts:
                self._trace(part, scope, guard)
            if needed:
                raise self._settled() from None
        if last and not reducer.muted:
            loss, right, judged = reducer.sums
            run.totals.add_sums(loss, right, judged, 0)
        run.totals.samples += total

    def _divide(self, total: int) -> tuple[list[RowRange], list[float]]:
        """Return the parts of a batch of so many rows that this rank computes, and their shares."""
        rank, workers = self.world.rank, self._workers
        if rank < workers:
            ranges = own_parts(total, rank, workers, self.shards, self._together)
        else:
            ranges = [RowRange(total, total, total)] * (self._parts or 1)
        return ranges, [one.rows / total if one.rows else 0.0 for one in ranges]

    def _factor(self, value: float) -> Tensor:
        """Return a weight as a tensor of the parameters' dtype, where they are; often the last."""
        last, made = self._last_factor
        if value == last:
            return made
        kind, place = self._kind
        made = Tensor(np.asarray(value, kind))
        if place is not None:
            made = made.to(place)
        self._last_factor = value, made
        return made

    def _counted(self, part: Any) -> float:
        assert self._denominator is not None
        return self._denominator(part if self._of_step else parts_of(part).target)

    def _weights(self, parts: list[Any], ranges: list[RowRange]) -> list[float]:
        """Return what the loss of each part is multiplied by, so that all add up to the batch's."""
        if self._sums:
            return [1.0 if one.rows else 0.0 for one in ranges]
        size = self.world.size * len(parts)
        found = np.zeros(size)
        for index, (part, one) in enumerate(zip(parts, ranges, strict=True)):
            found[self.world.rank * len(parts) + index] = self._counted(part) if one.rows else 0.0
        if not self.reducer.muted:
            self.world.place = f"step {self.run.step + 1}"
            self.world.add_up(found)
        whole = float(sum(found.tolist()))
        start = self.world.rank * len(parts)
        own = found[start : start + len(parts)].tolist()
        return [one / whole if whole else float("nan") for one in own]

    def _trace(self, part: Any, scope: row_scope, guard: Callable[[Any, Tensor], None]) -> None:
        """Look where the loss of this very part became NaN, with the numbers that it had drawn."""
        self._traced = True
        scope.rewind()
        try:
            with row_scope(scope.start, scope.rows, scope.total, self._of_rows):
                guard(part, Tensor(np.asarray(np.nan)))
        except NonFiniteError as error:
            self._error = error

    def _settled(self) -> Exception:
        """Return the error that all ranks raise, of the first that has one."""
        run = self.run
        names = [
            name for name, p in run.model.named_parameters() if p.requires_grad and p.grad is None
        ]
        said = None if self._error is None else str(self._error)
        found = self.world.gather((said, names, default_generator.state()["offset"]))
        # What all say is of no single one: a parameter that the step before has made infinite.
        several = len({text for text, _, _ in found}) > 1
        for rank, (text, _, _) in enumerate(found):
            if text is not None:
                return NonFiniteError(f"rank {rank}: {text}" if several else text)
        for rank, (_, missing, offset) in enumerate(found):
            if missing != found[0][1]:
                other = sorted({*missing} ^ {*found[0][1]})
                return ConfigurationError(
                    f"rank {rank} and rank 0 have gradients of other parameters ({other[0]!r} on "
                    "one of them only): forward has to use the same parameters on all ranks; "
                    "add 0 times the output of a layer that is left out"
                )
            if offset != found[0][2]:
                return ConfigurationError(
                    f"rank {rank} has drawn other random numbers than rank 0 in the same steps: "
                    "what draws them has to run on all ranks"
                )
        return NonFiniteError(f"training stopped at step {run.step + 1}: the loss is not finite")
