"""The progress of a training in a notebook: a bar, curves and a table that grow in place."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

from nnscratch.train.history import History
from nnscratch.train.markup import COLOURS

if TYPE_CHECKING:
    from nnscratch.train.trainer import Trainer

# Curves of a thousand epochs are long to draw, and reading the sums waits for the device.
_EVERY = 0.5


def notebook_display() -> Callable[..., Any] | None:
    """Return IPython's ``display`` where this process runs in a notebook, else None.

    IPython is imported in a notebook alone, where it is there already. Its terminal shows text
    only, and counts as none.
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    kinds = [kind.__module__ for kind in type(shell).__mro__]
    if shell is None or any(kind.startswith("IPython.terminal") for kind in kinds):
        return None
    from IPython.display import display

    made: Callable[..., Any] = display
    return made


class NotebookProgress:
    """One display of a notebook that shows how far a training is, updated in place.

    Shown are a bar, the epoch, the loss and metrics so far, and below what a ``History`` shows: the
    curves and their table. In the middle of an epoch the last point of a training curve is the mean
    over this epoch's batches so far. No time is shown: a notebook stores what is shown last, and
    that is the same for the same run.

    Args:
        display: IPython's function of that name.
        trainer: what trains.
    """

    def __init__(self, display: Callable[..., Any], trainer: Trainer) -> None:
        self._trainer = trainer
        self._figures: dict[str, float] = {}
        self._done = False
        self._next = 0.0
        self._handle = display(self, display_id=True)

    def update(self) -> None:
        """Show the present state, at most twice a second."""
        if time.monotonic() < self._next:
            return
        totals = self._trainer.totals
        self._show(totals.read() if totals.samples else {})
        # From when it was shown: that may take longer than the wait.
        self._next = time.monotonic() + _EVERY

    def finish(self) -> None:
        """Show the last state, finished epochs alone."""
        self._done = True
        self._show({})

    def _show(self, figures: dict[str, float]) -> None:
        self._figures = figures
        if self._handle is not None:
            self._handle.update(self)

    def _state(self) -> str:
        """Return in words where the training is."""
        trainer = self._trainer
        if not self._done:
            words = f"epoch {min(trainer.epoch + 1, trainer.epochs)}/{trainer.epochs}"
        elif trainer.run.broken_off:
            words = f"ended {trainer.run.where} of {trainer.epochs}"
        else:
            words = f"{trainer.epoch}/{trainer.epochs} epochs"
            words += f", stopped: {trainer.stop}" if trainer.stop else ""
        return words

    def _numbers(self) -> str:
        """Return the means of the epoch so far, or the numbers of the last one."""
        rows = self._trainer.history.rows
        known: dict[str, Any] = {f"train_{name}": value for name, value in self._figures.items()}
        if not known and rows:
            known = {k: v for k, v in rows[-1].items() if k not in ("epoch", "lr", "seconds")}
        told = (f"{k.replace('_', ' ')} {v:.4g}" for k, v in known.items() if _is_number(v))
        return ", ".join(told)

    def __repr__(self) -> str:
        return ": ".join(filter(None, [self._state(), self._numbers()]))

    def _repr_html_(self) -> str:
        trainer = self._trainer
        rows = trainer.history.rows
        loader = trainer.loader
        # In epochs, and parts of one.
        reached = float(trainer.epoch)
        so_far: list[dict[str, Any]] = []
        if self._figures and loader is not None:
            # After the last batch the loader is at the beginning of the next epoch.
            reached += loader.batch / len(loader) if loader.batch else 1.0
            so_far = [{f"train_{name}": value for name, value in self._figures.items()}]
            so_far[0]["epoch"] = round(reached, 3)
        percent = 100.0 * min(reached / max(trainer.epochs, 1), 1.0)
        words = f"<b>{escape(self._state())}</b> {escape(self._numbers())}"
        bar = (
            f'<progress max="100" value="{percent:.1f}" aria-label="progress" '
            f'style="width:300px;max-width:100%;accent-color:{COLOURS[0]}"></progress>'
        )
        curves = History([*rows, *so_far]).curves_html()
        table = History(rows).table_html() if rows else ""
        return f"<div><div>{words}</div><div>{bar}</div>{curves}{table}</div>"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
