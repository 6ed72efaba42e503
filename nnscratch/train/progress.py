"""Progress output while a model trains: lines, on a terminal a bar, in a notebook a picture."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from nnscratch.train.callbacks import Callback
from nnscratch.train.notebook import NotebookProgress, notebook_display

if TYPE_CHECKING:
    from nnscratch.train.trainer import Trainer

# Reading the sums waits for the device, so it is done at most this often.
_EVERY = 0.1


class Progress(Callback):
    """Prints a line per epoch; on a terminal, a bar below shows the progress of the current epoch.

    The bar needs ``rich``; without it, or where there is no terminal, there are only the lines. A
    notebook shows a bar, the curves of losses and metrics and their table instead, all of which
    grow in place. It stores them as they were at the end, without times.

    Args:
        stream: where to; None for standard output, or the notebook's own display.
        bar: whether there is a bar; None for a terminal only. With True or False, a notebook
            shows the lines too.
    """

    def __init__(self, stream: TextIO | None = None, bar: bool | None = None) -> None:
        self._given, self._wanted = stream, bar
        self._bar: Any = None
        self._task: Any = None
        self._columns: list[str] = []
        self._next = 0.0
        self._live: NotebookProgress | None = None

    def on_fit_start(self, trainer: Trainer) -> None:
        """Start the bar."""
        self._stream: Any = (self._given or sys.stdout) if trainer.leads else None
        self._columns = []
        if trainer.leads and self._given is None and self._wanted is None:
            display = notebook_display()
            self._live = None if display is None else NotebookProgress(display, trainer)
        if self._live is not None:
            return
        wanted = self._wanted
        if wanted is None:  # a stream in a notebook or a window may have write() alone
            wanted = bool(getattr(self._stream, "isatty", bool)())
        if wanted and self._stream is not None:
            self._bar = _rich_bar(self._stream, self._wanted)
        if self._bar is not None and trainer.loader is not None:
            self._task = self._bar.add_task(
                "", total=trainer.epochs * len(trainer.loader), figures=""
            )
            self._bar.start()

    def on_lead(self, trainer: Trainer) -> None:
        """Start the bar in the place of the rank that showed it."""
        self.on_fit_start(trainer)

    def on_batch_end(self, trainer: Trainer) -> None:
        """Update the bar, at most ten times a second."""
        if self._live is not None:
            self._live.update()
        now = time.monotonic()
        if self._bar is None or now < self._next:
            return
        self._next = now + _EVERY
        self._show(trainer, trainer.totals.read())

    def _show(self, trainer: Trainer, found: dict[str, float]) -> None:
        figures = " ".join(f"{name} {value:.4f}" for name, value in found.items())
        epoch = min(trainer.epoch + 1, trainer.epochs)
        self._bar.update(
            self._task,
            completed=trainer.step_number,
            description=f"epoch {epoch}/{trainer.epochs}",
            figures=figures,
        )

    def on_epoch_end(self, trainer: Trainer, row: dict[str, Any]) -> None:
        """Print the line of the epoch, under a line of names if they are new."""
        if self._live is not None:
            self._live.update()
            return
        shown = {name: value for name, value in row.items() if value is not None}
        if list(shown) != self._columns:
            self._columns = list(shown)
            self.say("  ".join(_title(name).rjust(_width(name)) for name in shown))
        cells = (_cell(name, value).rjust(_width(name)) for name, value in shown.items())
        self.say("  ".join(cells))
        if self._bar is not None:
            self._show(trainer, {})

    def say(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.console.print(line, highlight=False, markup=False)
        else:
            _write(self._stream, line)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Remove the bar; in a notebook, show the last state."""
        if self._live is not None:
            self._live.finish()
            self._live = None
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _write(stream: Any, line: str) -> None:
    """Print a line, if there is something to print to: a program without a console has nothing."""
    if stream is None:
        return
    stream.write(line + "\n")
    if hasattr(stream, "flush"):
        stream.flush()


def _title(name: str) -> str:
    return name.replace("_", " ").replace("accuracy", "acc")


def _width(name: str) -> int:
    return max(len(_title(name)), 5 if name == "epoch" else 8)


def _cell(name: str, value: Any) -> str:
    if isinstance(value, int):
        return str(value)
    if name == "lr":
        return f"{value:.2e}"
    return f"{value:.2f}" if name == "seconds" else f"{value:.4f}"


def _rich_bar(stream: TextIO, forced: bool | None) -> Any:
    try:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar
    except ImportError:
        return None
    return Bar(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
        console=Console(file=stream, force_terminal=forced),
        transient=True,
    )
