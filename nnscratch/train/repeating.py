"""Steps that are taken again by the ranks that remain when one has died in the middle of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnscratch.array.random import default_generator, row_scope
from nnscratch.data import DataLoader
from nnscratch.optim.remembering import copied, counted
from nnscratch.parallel.surviving import surely
from nnscratch.parallel.world import World
from nnscratch.train.run import TrainingRun


class RepeatedBatches:
    """Keeps the batches whose gradients add up to one step until that step is taken.

    Parameters and the optimizer's arrays change once all ranks have the sum. What changes before
    is remembered: buffers of the model, sums of losses, counts of steps (a compiled step counts
    them first), and where generators were that drew numbers.

    Args:
        run: the training run.
        world: the ranks.
        regroup: called when the ranks are others, and all is as it was before the first batch.

    Attributes:
        scopes: those in which numbers were drawn since then.
    """

    def __init__(self, run: TrainingRun, world: World, regroup: Callable[[], None]) -> None:
        self._run, self._world, self._regroup = run, world, regroup
        self._taken: list[Callable[[], None]] = []
        self._bring_back: Callable[[], None] = lambda: None
        self.scopes: list[row_scope] = []

    def take(self, one: Callable[[], None], first: bool) -> None:
        """Train with a batch, and if a rank is lost with all batches of its group again.

        Args:
            one: trains with the batch.
            first: whether it is the first of its group.
        """
        if first:
            self._taken, self.scopes = [], []
            self._bring_back = self._remembered()
        self._taken.append(one)
        todo = [one]

        def attempt() -> None:
            for take in todo:
                take()

        def undo() -> None:
            todo[:] = self._taken
            self._rewind()
            self._bring_back()
            self._regroup()
            self._rewind()

        surely(self._world, attempt, undo, agrees=False)

    def _rewind(self) -> None:
        for scope in reversed(self.scopes):
            scope.rewind()
        self.scopes.clear()

    def _remembered(self) -> Callable[[], None]:
        """Return a function that brings back what a step changes before its gradients are there."""
        run = self._run
        totals, counts = run.totals.state_dict(), counted(run.optimizer)
        buffers: dict[str, Any] = {
            name: copied(one.array) for name, one in run.model.named_buffers()
        }

        def bring_back() -> None:
            for name, one in run.model.named_buffers():
                one.array[...] = buffers[name]
                one._version[0] += 1
            run.totals.load(totals)
            counts()

        return bring_back


def undone(loader: DataLoader) -> Callable[[], None]:
    """Return a function that undoes a pass over a loader, for another in the same order.

    What the pass draws from the default generator is drawn again too.
    """
    random, order = default_generator.state(), loader.state_dict()

    def bring_back() -> None:
        default_generator.set_state(random)
        if not order["batch"]:
            loader.load_state_dict(order)

    return bring_back
