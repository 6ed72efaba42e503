"""Ctrl-C during training: the batch is finished and a checkpoint written before it stops."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class TrainingInterrupted(KeyboardInterrupt):
    """Training was stopped by a signal, after finishing the batch and writing a checkpoint.

    Attributes:
        signal: the number of the signal.
        checkpoint: the checkpoint to resume from, None if there is no run folder.
    """

    def __init__(self, message: str, number: int, checkpoint: Any = None) -> None:
        super().__init__(message)
        self.signal = number
        self.checkpoint = checkpoint


class Interruption:
    """A context that records the first SIGINT or SIGTERM; a second one ends the program as usual.

    It does nothing outside of the main thread, where Python delivers no signals. It leaves alone
    signals that are ignored, as in a background job of a shell, and handlers not set by Python.

    Attributes:
        number: the number of the signal that came, None if none has.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self._restore()

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()


def interrupted(where: str, number: int, checkpoint: Any = None) -> TrainingInterrupted:
    """Return the exception that stops training; it says after which batch, and how to resume.

    Args:
        where: the batch or epoch after which training stopped, in words.
        number: the number of the signal.
        checkpoint: the checkpoint that was written, None if there is no run folder.
    """
    if checkpoint is None:
        return TrainingInterrupted(f"training was interrupted {where}", number)
    return TrainingInterrupted(
        f"training was interrupted {where}; the checkpoint {checkpoint} has all of it: train again "
        "with resume to continue",
        number,
        checkpoint,
    )
