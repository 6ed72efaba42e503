"""One flat buffer for all parameters of a group, one for their gradients, one for each state.

The parameters become views into the first, so that an optimizer's whole step is one pass over a
few long arrays. A gradient arrives in its place in the second because each parameter carries a
``grad_slot`` that the tape writes into.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from nnscratch import formulas as f
from nnscratch.array import array_namespace, device_of, dtype_name
from nnscratch.array.addresses import on_device_of
from nnscratch.errors import ConfigurationError, DeviceError, DTypeError, ShapeError
from nnscratch.formulas import registry
from nnscratch.tensors import Tensor, as_tensor

# Views start at multiples of this many elements, so that vector loads stay aligned.
ALIGNMENT = 16
TAIL = 16
"""How many elements more lie behind the gradients, for what ranks tell one another with them."""


class Run(NamedTuple):
    """A stretch of the flat buffers whose parameters take a step together."""

    start: int
    stop: int
    first: int
    last: int


class FlatParameters:
    """Parameters of one dtype on one device, laid end to end.

    Attributes:
        parameters: the tensors, in order.
        values: the flat buffer that they are views into.
        gradients: the flat buffer of their gradients.
        wire: the same, and ``TAIL`` elements behind it, which no step touches.
        state: flat buffers of the optimizer's state, by name; of ``held`` only.
        held: the elements that this process steps, and whose state it keeps: all, unless
            ``divide`` has said otherwise.
        collect: takes the elements that other processes have stepped; None if there are none.
        start: what each state started from.
        steps: how many steps each parameter has taken.
        numbers: other Python numbers that an optimizer keeps for each parameter.
    """

    def __init__(
        self,
        parameters: list[Tensor],
        state: Mapping[str, float],
        numbers: Mapping[str, float],
    ) -> None:
        """Lay the parameters end to end, and make room for gradients and state."""
        self.parameters = parameters
        self.offsets: list[int] = []
        total = 0
        for parameter in parameters:
            self.offsets.append(total)
            total += -(-parameter.numel() // ALIGNMENT) * ALIGNMENT
        array = parameters[0].array
        self._xp = array_namespace(array)
        self._form = {"dtype": array.dtype, "device": array.device}
        self.values = self._zeros(total)
        self.wire = self._zeros(total + TAIL)
        self.gradients = self.wire[:total]
        self.held = slice(0, total)
        self.collect: Callable[[Any], None] | None = None
        self.start: dict[str, float] = {}
        self.state: dict[str, Any] = {}
        for name, start in state.items():
            self.begin(name, start)
        self.steps = [0] * len(parameters)
        self.numbers = {name: [start] * len(parameters) for name, start in numbers.items()}
        self._views = [self.view(self.values, i) for i in range(len(parameters))]
        self._slots = [self.view(self.gradients, i) for i in range(len(parameters))]
        self._runs: tuple[tuple[bool, ...], list[Run]] | None = None
        self.gather()

    def _zeros(self, total: int) -> Any:
        with on_device_of(self.parameters[0].array):
            return self._xp.zeros((total,), **self._form)

    def begin(self, name: str, start: float) -> None:
        """Make room for a state, which starts from a number."""
        with on_device_of(self.values):
            size = self.held.stop - self.held.start
            self.state[name] = self._xp.full((size,), start, **self._form)
        self.start[name] = start

    def divide(self, held: slice, collect: Callable[[Any], None]) -> None:
        """Keep the state of some elements only, which this process steps from now on.

        Args:
            held: those elements, of all that this process has held so far.
            collect: given a vector of all elements of which each process has set those that it
                holds, sets the others.
        """
        self.state = {
            name: self._xp.asarray(self.of_state(name, held), copy=True) for name in self.state
        }
        self.held, self.collect = held, collect

    def part(self, run: Run) -> slice:
        """Return the elements of a stretch that this process steps; there may be none."""
        start = min(max(run.start, self.held.start), self.held.stop)
        return slice(start, max(start, min(run.stop, self.held.stop)))

    def of_state(self, name: str, part: slice) -> Any:
        """Return the state of some of the elements that this process holds."""
        return self.state[name][part.start - self.held.start : part.stop - self.held.start]

    def entry(self, index: int) -> dict[str, Any]:
        """Return the state arrays of a parameter by name, in its shape.

        Raises:
            ConfigurationError: if another process has some of them.
        """
        if self.held != slice(0, self.values.shape[0]):
            raise ConfigurationError(
                "the optimizer's state is divided among ranks (shard_optimizer=True), and this one "
                "has a part of it: trainer.save, called by all ranks, writes the whole"
            )
        return {name: self.view(array, index) for name, array in self.state.items()}

    def put(self, name: str, index: int, value: Any) -> None:
        """Set the state of a parameter, as far as this process holds it.

        Args:
            name: the name of the state.
            index: the number of the parameter.
            value: a tensor of the parameter's shape; None for what the state starts from.
        """
        start = self.offsets[index]
        mine = self.part(Run(start, start + self.parameters[index].numel(), index, index + 1))
        target = Tensor(self.of_state(name, mine))
        if value is None:
            target.fill_(self.start[name])
        else:
            flat = as_tensor(value).detach().reshape(-1)
            target.copy_(flat[mine.start - start : mine.stop - start])

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle without the buffers of parameters and gradients.

        They are made anew, around the parameters that were copied with it.

        Raises:
            ConfigurationError: if another process has some of the state.
        """
        self.entry(0)
        return _restored, (self.parameters, self.start, self.state, self.steps, self.numbers)

    def view(self, flat: Any, index: int) -> Any:
        """Return the part of a flat buffer that belongs to a parameter, in its shape."""
        start, parameter = self.offsets[index], self.parameters[index]
        return self._xp.reshape(flat[start : start + math.prod(parameter.shape)], parameter.shape)

    def gather(self) -> None:
        """Make sure that every parameter is a view into ``values``.

        Whoever gave a parameter another array (``data =``, a second optimizer) finds its values
        here.

        Raises:
            DeviceError, DTypeError: if a parameter was moved after the optimizer was made.
        """
        for parameter, view, slot in zip(self.parameters, self._views, self._slots, strict=True):
            if parameter.array is not view:
                self._check_not_moved(parameter)
                registry.update(f.COPY_INTO, view, parameter.array)
                parameter.array = view
            parameter.grad_slot = slot

    def _check_not_moved(self, parameter: Tensor) -> None:
        mend = "make the optimizer after model.to(...), from the moved model's parameters()"
        here, there = device_of(self.values), parameter.device
        if here != there:
            raise DeviceError(
                f"a parameter of shape {parameter.shape} was moved to {there} after the optimizer "
                f"was made on {here}; {mend}"
            )
        if dtype_name(self.values.dtype) != dtype_name(parameter.array.dtype):
            raise DTypeError(
                f"a parameter of shape {parameter.shape} became {parameter.dtype} after the "
                f"optimizer was made for {dtype_name(self.values.dtype)}; {mend}"
            )

    def runs(self) -> list[Run]:
        """Return the stretches that have gradients, each of parameters with one step count."""
        self.gather()
        present = []
        registry.notify_seen(self.parameters)
        for parameter, slot in zip(self.parameters, self._slots, strict=True):
            present.append(parameter.grad is not None)
            if parameter.grad is not None and getattr(parameter.grad, "array", None) is not slot:
                _check_gradient(parameter)
                registry.update(f.COPY_INTO, slot, parameter.grad.array)
        pattern = tuple(present)
        taken = list(zip(self.steps, *self.numbers.values(), strict=True))
        uniform = all(one == taken[0] for one in taken)
        if self._runs is not None and uniform and self._runs[0] == pattern:
            return self._runs[1]
        runs: list[Run] = []
        for index, here in enumerate(pattern):
            if not here:
                continue
            start = self.offsets[index]
            count = math.prod(self.parameters[index].shape)
            stop = start + -(-count // ALIGNMENT) * ALIGNMENT
            joins = runs and runs[-1].stop == start and taken[index] == taken[index - 1]
            if joins and runs[-1].last == index:
                runs[-1] = runs[-1]._replace(stop=stop, last=index + 1)
            else:
                runs.append(Run(start, stop, index, index + 1))
        self._runs = (pattern, runs) if uniform else None
        return runs


def _check_gradient(parameter: Tensor) -> None:
    """Check a gradient that did not come by a backward."""
    gradient: Any = parameter.grad
    if not isinstance(gradient, Tensor):
        raise DTypeError(f"a gradient is a tensor, got {type(gradient).__name__}")
    if gradient.shape != parameter.shape or gradient.dtype != parameter.dtype:
        raise ShapeError(
            f"a parameter of shape {parameter.shape} and dtype {parameter.dtype} was given a "
            f"gradient of shape {gradient.shape} and dtype {gradient.dtype}; both must be the same"
        )


def _restored(
    parameters: list[Tensor],
    start: dict[str, float],
    state: dict[str, Any],
    steps: list[int],
    numbers: dict[str, list[float]],
) -> FlatParameters:
    made = FlatParameters(parameters, start, {})
    made.state, made.steps, made.numbers = state, steps, numbers
    return made
