"""The exceptions of nnscratch, each of which is also a subclass of a built-in exception.

So ``except ValueError`` catches a ``ShapeError``. A message says what was expected, what came,
where, and what to do about it.
"""

from typing import Any


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


class ShapeError(NNScratchError, ValueError):
    """The shapes of arrays do not fit the formula or the layer."""


class IndexRangeError(NNScratchError, IndexError):
    """An index names a row, an entry or an offset that there is not."""


class DTypeError(NNScratchError, TypeError):
    """An array has a dtype that the formula or the layer cannot use."""


class DeviceError(NNScratchError, RuntimeError):
    """Arrays are on two devices, or this machine does not have the device."""


class GradientError(NNScratchError, RuntimeError):
    """A backward pass is impossible: no graph, a graph freed already, or a saved value changed."""


class ConfigurationError(NNScratchError, ValueError):
    """An option, a hyper-parameter or a configuration file has an invalid value."""


class DataError(NNScratchError, ValueError):
    """Data cannot be read or used: a missing column, NaN, an empty, truncated or unknown file."""


class CheckpointError(NNScratchError, ValueError):
    """Weights or a checkpoint are truncated, of an unknown format, or of another architecture."""


class LinAlgError(NNScratchError, RuntimeError):
    """A matrix is singular or not positive definite, or an algorithm does not converge."""


class RunError(NNScratchError, OSError):
    """A run folder or a file in it cannot be written, or another process is training into it."""


class NonFiniteError(NNScratchError, ArithmeticError):
    """A NaN or an infinity arose in training."""


class PlanError(NNScratchError, RuntimeError):
    """A step cannot be compiled into a plan, or a plan no longer fits."""
