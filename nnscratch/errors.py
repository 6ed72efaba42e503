"""The exceptions of nnscratch, each of which is also a subclass of a built-in exception.

So ``except ValueError`` catches a ``ShapeError``, and so does ``except RuntimeError``, which is
what PyTorch raises: code that was written for it catches the same here. A message says what was
expected, what came, where, and what to do about it.
"""

import os
import sys
import warnings
from types import FrameType
from typing import Any

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class NNScratchError(Exception):
    """The base of every exception that nnscratch raises on purpose.

    Attributes:
        path: the dotted path of the layer in which it was raised, as in ``named_modules()``.
        layer: the repr of that layer; None if it was raised outside of any layer.
        module: the outermost module whose ``forward`` the exception has propagated out of.
    """

    path: str = ""
    layer: str | None = None
    module: Any = None

    def __str__(self) -> str:
        text = super().__str__()
        if self.layer is None:
            return text
        where = f"{self.path} ({self.layer})" if self.path else self.layer
        return f"in {where}: {text}"


class ShapeError(NNScratchError, ValueError, RuntimeError):
    """The shapes of arrays do not fit the formula or the layer."""


class IndexRangeError(NNScratchError, IndexError):
    """An index names a row, an entry or an offset that there is not."""


class DTypeError(NNScratchError, TypeError, RuntimeError):
    """An array has a dtype that the formula or the layer cannot use."""


class DeviceError(NNScratchError, RuntimeError):
    """Arrays are on two devices, or this machine does not have the device."""


class GradientError(NNScratchError, RuntimeError):
    """A backward pass is impossible: no graph, a graph freed already, or a saved value changed."""


class ConfigurationError(NNScratchError, ValueError):
    """An option, a hyper-parameter or a configuration file has an invalid value."""


class DataError(NNScratchError, ValueError):
    """Data cannot be read or used: a missing column, NaN, an empty, truncated or unknown file."""


class CheckpointError(NNScratchError, ValueError, RuntimeError):
    """Weights or a checkpoint are truncated, of an unknown format, or of another architecture."""


class LinAlgError(NNScratchError, RuntimeError):
    """A matrix is singular or not positive definite, or an algorithm does not converge."""


class RunError(NNScratchError, OSError):
    """A run folder or a file in it cannot be written, or another process is training into it."""


class NonFiniteError(NNScratchError, ArithmeticError, RuntimeError):
    """A NaN or an infinity arose in training."""


class PlanError(NNScratchError, RuntimeError):
    """A step cannot be compiled into a plan, or a plan no longer fits."""


def calling_frame() -> FrameType:
    """Return the innermost frame outside of this package, the outermost if there is none.

    However many hooks, modules and decorators are between it and what it calls.
    """
    frame = sys._getframe(1)
    while _is_inside(frame) and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _is_inside(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return (
        file.startswith((_PACKAGE, "<frozen"))
        or file.endswith(("written by nnscratch>", "contextlib.py"))
        or str(frame.f_globals.get("__name__")).startswith("nnscratch.kernels.")
    )


def warn(said: str, category: type[Warning] = UserWarning) -> None:
    """Give a warning that names the line which called this package."""
    frame = calling_frame()
    names = frame.f_globals
    warnings.warn_explicit(
        said,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        names.get("__name__"),
        names.setdefault("__warningregistry__", {}),
    )
