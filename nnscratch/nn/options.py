"""Options of layers: numbers for each dimension, and modules that are one function with options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from nnscratch.array import dtype_name, is_complex, is_floating
from nnscratch.array.wholes import as_index
from nnscratch.errors import ConfigurationError, DTypeError
from nnscratch.nn.module import Module
from nnscratch.tensors import Tensor, as_tensor

Sizes = int | Sequence[int]


def listed(value: Any) -> bool:
    """Say whether an option is several numbers; an array of no axes, which is iterable, is one."""
    return isinstance(value, Iterable) and getattr(value, "ndim", 1) > 0


def left_out(stride: Any) -> bool:
    """Say whether a stride is that of the windows: None, () or []."""
    return stride is None or (isinstance(stride, (tuple, list)) and not stride)


def each(where: str, name: str, value: Any, dims: int, least: int | None = None) -> tuple[int, ...]:
    """Return an option as a number for each of the dimensions: one number stands for all.

    Raises:
        ConfigurationError: if it is neither an integer nor so many, or one is less than ``least``.
    """
    given = tuple(value) if listed(value) else (value,)
    if len(given) == 1:
        given *= dims
    made = tuple([number for number in map(as_index, given) if number is not None])
    if not len(made) == len(given) == dims:
        count = f"an integer or {dims} of them" if dims > 1 else "an integer"
        raise ConfigurationError(f"{where}: {name} is {count}, got {value!r}")
    if least is not None and min(made) < least:
        raise ConfigurationError(f"{where}: {name} has to be from {least} on, got {value!r}")
    return made


def need_one_dtype(where: str, x: Tensor, **held: Tensor | None) -> None:
    """Check that an input has the dtype of what a layer holds, by name; None is not looked at.

    Raises:
        DTypeError: if it has not, saying what to write.
    """
    for name, one in held.items():
        if one is None or one.array.dtype == x.array.dtype:
            continue
        given, own = dtype_name(x.array.dtype), dtype_name(one.array.dtype)
        said = f"the {name} are" if name == "weights" else f"{name} is"
        text = f"{where}: the input is {given} but {said} {own}; "
        held_as = name.removesuffix("s")
        if is_floating(one.array):
            if is_complex(x.array):
                raise DTypeError(f"{text}compute with x.real and x.imag")
            if not is_floating(x.array):
                raise DTypeError(
                    f"{where}: expected floating-point input, got {given}; call .float()"
                )
            raise DTypeError(f"{text}use x.to('{own}') or model.to('{given}')")
        mend = f"convert {'them' if name == 'weights' else 'it'} with {held_as}.to('{given}')"
        if not is_floating(x.array):
            mend += ", or both with .float()"
        raise DTypeError(text + mend)


class FunctionModule(Module):
    """A module that hands its inputs and its options to one function of ``nn.functional``.

    A subclass names the function in its head, and the options in PyTorch's order with their
    defaults (``inspect.Parameter.empty`` where there is none); they become arguments and
    attributes. An option that may be a tensor (class weights) is a buffer: it moves with the module
    and is saved with it. Those in ``unkept`` are read when the module is made, and neither kept nor
    handed to the function.

    >>> from nnscratch.nn import functional
    >>> class ELU(FunctionModule, function=functional.elu, alpha=1.0):
    ...     pass
    >>> ELU(0.5)
    ELU(alpha=0.5)
    """

    function: ClassVar[Callable[..., Tensor]]
    options: ClassVar[dict[str, Any]] = {}
    tensors: ClassVar[tuple[str, ...]] = ()
    passed: ClassVar[tuple[str, ...]] = ()
    unkept: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(
        cls,
        function: Callable[..., Tensor] | None = None,
        tensors: tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        """Keep what the head of the class says, and show the options to whoever asks for help."""
        if function is None:
            return
        cls.function = staticmethod(function)
        cls.options, cls.tensors = {**cls.options, **options}, tensors
        cls.passed = tuple(name for name in cls.options if name not in cls.unkept)
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        cls.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [inspect.Parameter(name, kind, default=value) for name, value in cls.options.items()]
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take the options by position or by name.

        Raises:
            ConfigurationError: for an option that there is not, and for one that is missing.
        """
        super().__init__()
        found = self._read(args, kwargs)
        self._check(found)
        for name, value in found.items():
            if name in self.tensors:
                self.register_buffer(name, None if value is None else as_tensor(value).detach())
            else:
                setattr(self, name, value)

    def _read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the attributes that the arguments make."""
        names = list(self.options)
        given = dict(zip(names, args, strict=False)) | kwargs
        if len(args) > len(names) or any(name not in names for name in given):
            raise ConfigurationError(
                f"{type(self).__name__} has the options {', '.join(names) or 'none'}; got "
                f"{', '.join([*map(repr, args), *(f'{k}={v!r}' for k, v in kwargs.items())])}"
            )
        found = {name: given.get(name, default) for name, default in self.options.items()}
        missing = [n for n, value in found.items() if value is inspect.Parameter.empty]
        if missing:
            raise ConfigurationError(
                f"{type(self).__name__} needs {' and '.join(missing)}; write "
                f"{type(self).__name__}({', '.join(f'{name}=...' for name in missing)})"
            )
        return found

    def _check(self, found: dict[str, Any]) -> None:
        """Raise where the attributes make no sense.

        A check is not a part of ``_read``: warnings there count the calls up to the caller.
        """

    def forward(self, *inputs: Any) -> Tensor:
        """Return the function of the inputs."""
        return type(self).function(*inputs, **{name: getattr(self, name) for name in self.passed})

    def extra_repr(self) -> str:
        """Return the options."""
        shown = {name: getattr(self, name) for name in self.passed if name not in self.tensors}
        if not shown.get("inplace", True):
            del shown["inplace"]
        # As in PyTorch: what is called lambd, for lambda is a word of Python, shows no name.
        return ", ".join(
            repr(value) if name == "lambd" else f"{name}={value!r}" for name, value in shown.items()
        )
