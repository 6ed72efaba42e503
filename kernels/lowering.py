"""What a plan asks of the kernels of a device, and what they ask of the plan.

A plan is a list of segments: runs of instructions of one device, each started by one call, and
calls of Python between them. The plan itself knows no device. An implementation that can be planned
names its ``Executor``; that collects what the implementation's lowering emits, in segments of its
own kind, and says at the end what has to be filled in before each replay.

To run plans on another kind of device is to write an executor and a segment for it, as
``kernels/cpu/segment.py`` and ``kernels/cuda/segment.py`` do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

Fill = Callable[[list[Any], list[Any]], None]
"""Called before each replay with the arrays of the arguments and with what the host events
produced."""


class Segment(Protocol):
    """A run of instructions that is started by one call."""

    def __len__(self) -> int:
        """Return how many instructions it has."""

    def build(self) -> Callable[[], None]:
        """Return what runs it, called once when the plan is complete."""


class Planner(Protocol):
    """A plan that is being made, as an executor sees it.

    Attributes:
        arguments: the plan's own arrays, one for each argument of the step.
    """

    arguments: list[Any]

    @property
    def last(self) -> Any:
        """The segment that was added last, None at the beginning and behind a call of Python."""

    def append(self, segment: Segment) -> None:
        """Add a segment."""

    def python(self, function: Callable[[], None], reads_arguments: bool = False) -> None:
        """Add a function, which runs between the segments before and behind it.

        ``reads_arguments`` says that it reads the plan's own arrays of the arguments, so that every
        replay has to copy the arguments there.
        """

    def output(
        self, position: int, shape: tuple[int, ...], dtype: Any, over: tuple[Any, ...] = ()
    ) -> Any:
        """Return the planned array for output number ``position`` of the call being lowered.

        ``over`` are inputs that the call may overwrite with it, as it reads each element of them
        before it writes that one, or has read all.
        """

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return a planned array for something that the call saves or needs for itself."""

    def turned(self, position: int, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return an array likewise for a matrix whose columns have their elements in order."""

    def added_to(self, position: int) -> Any | None:
        """Return an array that output number ``position`` is only there to be added to, or None.

        If there is one, the call does that itself, and returns None for the output.
        """

    def is_read(self, position: int) -> bool:
        """Say whether anything reads output number ``position`` of the call being lowered."""

    def is_planned(self, array: Any) -> bool:
        """Say whether an array lies in the plan's memory, and not in that of somebody else."""

    def is_constant(self, array: Any) -> bool:
        """Say whether an array follows from the constants of a frozen step, at each call."""

    def once(self, executor: Executor, emit: Callable[..., Any], given: tuple[Any, ...]) -> Any:
        """Return ``emit(builder, *given)``, whose instructions run once if ``given`` are constants.

        It asks the builder for arrays by ``empty``, and returns one of them. Neither it nor
        ``given`` may depend on anything else of the plan: another one may take what it computed.
        """


class SegmentBuilder(Protocol):
    """Collects the instructions of one executor in one plan; lowerings are given it.

    What a lowering emits into it is between the two of them.

    Attributes:
        reads_arguments: whether its segments read the plan's own arrays of the arguments. If not,
            they take the arrays that the step is called with, wherever these lie.
    """

    reads_arguments: bool

    def forget(self, array: Any) -> None:
        """Note that nothing reads a planned array any more: its memory is given away next."""

    def finish(self) -> Fill | None:
        """Return what fills in addresses and dynamic scalars before a replay, None if nothing does.

        Called when all segments are built.
        """


class Executor(Protocol):
    """A kind of device that runs plans. Equal ones share segments."""

    def begin(self, planner: Planner) -> SegmentBuilder:
        """Return what collects the instructions of a plan."""


class Plannable(Protocol):
    """What an implementation has beside its eager functions, if plans can take it."""

    @property
    def executor(self) -> Executor:
        """What runs its instructions."""

    def lower(
        self,
        builder: Any,
        direction: str,
        inputs: tuple[Any, ...],
        options: dict[str, Any],
        needs: tuple[bool, ...],
    ) -> tuple[tuple[Any, ...], Any]:
        """Emit the instructions of a call; returns its outputs and what it saves."""


_Segment = TypeVar("_Segment", bound=Segment)


def opened(planner: Planner, make: Callable[[], _Segment], mine: list[_Segment]) -> _Segment:
    """Return the segment to go on with: the last one if it is one of ``mine``, else a new one."""
    if mine and planner.last is mine[-1]:
        return mine[-1]
    mine.append(make())
    planner.append(mine[-1])
    return mine[-1]
