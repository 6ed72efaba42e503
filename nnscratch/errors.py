"""The exceptions of nnscratch: each is also the built-in exception a caller would expect to catch.

A message says what was expected, what came, where, and what to do about it.
"""

from typing import Any


class NNScratchError(Exception):
    """The base of every exception that nnscratch raises on purpose.

    Attributes:
        path: dotted path of the layer in which it was raised, as in ``named_modules()``.
        layer: that layer in words; None outside of any.
        module: the outermost module that the exception has left so far.
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
    """Arrays whose shapes do not fit the formula or the layer."""


class DTypeError(NNScratchError, TypeError):
    """An array of a data type that the formula or the layer cannot use."""


class DeviceError(NNScratchError, RuntimeError):
    """Arrays on two devices, or a device that this machine does not have."""


class GradientError(NNScratchError, RuntimeError):
    """A backward pass that cannot be taken: no graph, a graph used up, or a value changed since."""


class ConfigurationError(NNScratchError, ValueError):
    """An option, hyper-parameter or configuration file with a value that makes no sense."""


class DataError(NNScratchError, ValueError):
    """Data that cannot be read or used: missing column, NaN, empty, truncated or foreign file."""


class CheckpointError(NNScratchError, ValueError):
    """Weights or a checkpoint that are truncated, foreign, or of another architecture."""


class RunError(NNScratchError, OSError):
    """A run folder or a file in it that cannot be written, or that another process trains into."""


class NonFiniteError(NNScratchError, ArithmeticError):
    """A NaN or an infinity that arose in training."""


class PlanError(NNScratchError, RuntimeError):
    """A step that cannot be compiled into a plan, or a plan that no longer fits."""
