"""Settings of the whole process, under PyTorch's names, and what numbers a dtype can hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.array import default_dtype, dtype_name, promote
from nnscratch.array.bfloat16 import limits_of
from nnscratch.array.dtypes import FLOATS, INTEGERS, PARTS, set_default_dtype
from nnscratch.array.wholes import as_index
from nnscratch.errors import ConfigurationError, DTypeError
from nnscratch.tensors.printing import set_printoptions

__all__ = [
    "are_deterministic_algorithms_enabled",
    "finfo",
    "get_default_dtype",
    "get_num_interop_threads",
    "get_num_threads",
    "iinfo",
    "is_deterministic_algorithms_warn_only_enabled",
    "promote_types",
    "set_default_tensor_type",
    "set_num_interop_threads",
    "set_num_threads",
    "set_printoptions",
    "use_deterministic_algorithms",
]


def get_default_dtype() -> np.dtype[Any]:
    """Return the dtype of tensors made from Python floats, float32 unless it was set.

    >>> get_default_dtype()
    dtype('float32')
    """
    return np.dtype(default_dtype())


def set_default_tensor_type(t: Any) -> None:
    """Set the default dtype by a type's name, such as "torch.DoubleTensor", or the type.

    Raises:
        DTypeError: if it is no type of floating-point tensors on the CPU.
    """
    name = t if isinstance(t, str) else getattr(t, "__name__", str(t))
    kinds = {"HalfTensor": "float16", "FloatTensor": "float32", "DoubleTensor": "float64"}
    kinds |= {"BFloat16Tensor": "bfloat16"}
    place, _, kind = name.rpartition(".")
    if kind not in kinds or "cuda" in place:
        raise DTypeError(
            f"expected one of {', '.join(kinds)}, got {name!r}; write "
            "nnscratch.set_default_dtype(nnscratch.float32), and device= where tensors are made"
        )
    set_default_dtype(kinds[kind])


def get_num_threads() -> int:
    """Return the most threads that a kernel may use on the CPU."""
    from nnscratch.kernels.cpu.runtime import threads

    return threads.limit()


def set_num_threads(int: int) -> None:
    """Set the most threads that a kernel may use on the CPU; results are the same with any number.

    It goes before the variable NNSCRATCH_THREADS. How many threads NumPy's BLAS has, where a
    product is computed by that, is said by the BLAS's own variable, such as OPENBLAS_NUM_THREADS.

    Raises:
        ConfigurationError: if it is no whole number of at least 1.

    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
    """
    from nnscratch.kernels.cpu.runtime import threads

    threads.set_limit(int)


def get_num_interop_threads() -> int:
    """Return 1: calls run one after the other, each in as many threads as it deserves."""
    return 1


def set_num_interop_threads(int: int) -> None:
    """Accept a number of threads for calls side by side, of which there are none.

    Raises:
        ConfigurationError: if it is no whole number of at least 1.
    """
    if isinstance(int, bool) or (as_index(int) or 0) < 1:
        raise ConfigurationError(f"expected a whole number of threads of at least 1, got {int!r}")


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Accept what holds always: no formula's result depends on the order of threads.

    False changes nothing either: ``are_deterministic_algorithms_enabled()`` stays True.
    """


def are_deterministic_algorithms_enabled() -> bool:
    """Return True: algorithms are always deterministic."""
    return True


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Return False: there is nothing to warn of."""
    return False


def promote_types(type1: Any, type2: Any) -> np.dtype[Any]:
    """Return the dtype to which tensors of two dtypes are promoted.

    >>> promote_types("int64", "float32")
    dtype('float32')
    """
    arrays = [np.empty(1, dtype_name(one)) for one in (type1, type2)]
    return np.dtype(promote(*arrays))


class _Limits:
    """Limits of a dtype, equal to others of the same kind and dtype."""

    dtype: str

    def __eq__(self, other: object) -> bool:
        return self.dtype == other.dtype if isinstance(other, type(self)) else NotImplemented


class finfo(_Limits):
    """What numbers a floating dtype has, or each of the two parts of a complex one.

    Attributes:
        dtype: its name; that of the parts of a complex dtype.
        bits: the size of a number in bits.
        eps: the difference between 1 and the next larger number.
        max: the largest finite number.
        min: minus the largest finite number.
        tiny: the smallest number above 0 of full precision.
        smallest_normal: the same.
        resolution: a power of 10 that decimal digits reach.

    >>> finfo("float16").max
    65504.0
    """

    def __init__(self, type: Any = None) -> None:
        """Take a dtype, the default one unless given.

        Raises:
            DTypeError: if it is neither floating nor complex.
        """
        name = default_dtype() if type is None else dtype_name(type)
        self.dtype = PARTS.get(name, name)
        if self.dtype not in FLOATS:
            known = ", ".join((*FLOATS, *PARTS))
            raise DTypeError(f"finfo is for {known}; got {self.dtype}, see iinfo")
        limits = limits_of(self.dtype)
        self.bits = int(limits.bits)
        self.eps, self.max, self.min = float(limits.eps), float(limits.max), float(limits.min)
        self.tiny = self.smallest_normal = float(limits.smallest_normal)
        self.resolution = 10.0 ** -int(limits.precision)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"finfo({shown})"


class iinfo(_Limits):
    """What numbers an integer dtype has.

    Attributes:
        dtype: its name.
        bits: the size of a number in bits.
        max: the largest number.
        min: the smallest number.

    >>> iinfo("int8").min, iinfo("int8").max
    (-128, 127)
    """

    def __init__(self, type: Any) -> None:
        """Take a dtype.

        Raises:
            DTypeError: if it is not one of integers.
        """
        self.dtype = dtype_name(type)
        if self.dtype not in INTEGERS:
            raise DTypeError(f"iinfo is for {', '.join(INTEGERS)}; got {self.dtype}, see finfo")
        limits = np.iinfo(self.dtype)
        self.bits, self.max, self.min = int(limits.bits), int(limits.max), int(limits.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
