"""The gradients of all ranks added up, once a step, with a few numbers behind them.

The gradients lie in one vector, the wire. Behind them is a tail: what the losses add up to, how
many predictions were right, and votes, by which a rank tells the others that something is to be
settled before the parameters change.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import dtype_name, to_numpy
from nnscratch.array.device import CPU, to_device_of
from nnscratch.array.random import default_generator
from nnscratch.errors import ConfigurationError, DeviceError
from nnscratch.formulas import registry
from nnscratch.formulas.all_reduce import ALL_REDUCE
from nnscratch.formulas.hits import COUNT_HITS
from nnscratch.nn import Module
from nnscratch.optim import Optimizer
from nnscratch.optim.flat import ALIGNMENT, TAIL
from nnscratch.parallel.adding import round_to_bfloat16
from nnscratch.parallel.averaging import assign, average
from nnscratch.parallel.in_place import enter
from nnscratch.parallel.nccl import GpuSum, check_on_gpu
from nnscratch.parallel.probing import Habits, statistics_of
from nnscratch.parallel.world import World
from nnscratch.tensors import Tensor
from nnscratch.tensors.grad_mode import no_grad

LOSS, RIGHT, JUDGED, ATTENTION, STOP, CHECK, SAVE = range(7)
"""The places of the tail."""
_MOST_CHECK = 4093
NOTHING = Habits()


class AttentionNeeded(Exception):
    """Raised in a step, on all ranks alike, before its parameters change."""


class GradientReducer:
    """Adds up gradients over the parts of a batch and over the ranks.

    Args:
        model: whose running statistics are averaged.
        optimizer: whose parameters' gradients are added up.
        world: the ranks.
        parts: how many parts of each batch this rank computes; None to let its gradients add up
            as they come.
        habits: which buffers the model changes in training.
        wire: "bfloat16" to round gradients to it before they are added up, and each sum of them;
            None to send them as they are.

    Attributes:
        classes: whether right predictions are counted.
        ignored: as for ``Totals``.
        muted: whether nothing is sent, as while kernels are compiled.
        attention: whether this rank has a loss that is not finite.
        unlike: whether this rank has seen that another takes other steps.
        stop: the number of the signal by which this rank was asked to stop, 0 if it was not.
        stopped: the same, of any rank, after the last reduction.
        save: which checkpoints this rank asks for, a bit for each; 0 but for rank 0.
        saves: the same, of rank 0, after the last reduction.
        sums: the loss times samples, right predictions and judged ones of the last reduction.

    Raises:
        DeviceError: if parameters are on several devices.
        ConfigurationError: if the wire would be narrower than parameters of float64 are, or is
            none of a GPU.
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        world: World,
        parts: int | None = None,
        habits: Habits = NOTHING,
        wire: str | None = None,
    ) -> None:
        self.world, self.parts, self.optimizer = world, parts, optimizer
        self.classes = False
        self.ignored: int | None = None
        self.muted = self.attention = self.unlike = False
        self.stop = self.stopped = self.save = self.saves = 0
        self.sums = (0.0, 0.0, 0.0)
        self._rounds = wire is not None
        self._gpu: GpuSum | None = None
        self._lay_out()
        enter()
        running, counted = statistics_of(model)
        self._running, self._counts = list(running.values()), list(counted.values())
        aside = {*running, *counted}
        self._own = [
            one
            for name, one in model.named_buffers()
            if name in habits.changed and name not in aside
        ]
        self._of_first: list[Any] = []
        self._held: dict[int, Any] = {}
        self._kept: list[list[Any]] = []
        self._counted: list[Any] = []
        self._stack: list[Any] = []
        self._sums: list[Any] = [None] * (parts or 0)
        self._host = [0.0, 0.0, 0.0]
        self._seen: tuple[Any, tuple[Any, Any]] = None, (None, None)
        self._shares = [1.0] * (parts or 1)
        self._part, self._weight, self._samples = 0, 1.0, 0.0
        self._first = self._last = True
        self._nothing = 0.0

    def regroup(self, parts: int | None, spare: bool) -> None:
        """Begin anew with other ranks, a number of parts, and as a spare rank or not.

        A spare one adds -0 to every sum, which leaves each number as it is, 0 and -0 too.
        """
        self.parts, self._nothing = parts, -0.0 if spare else 0.0
        self.attention = self.unlike = False
        self._sums, self._stack = [None] * (parts or 0), []
        self._shares = [1.0] * (parts or 1)
        self._held, self._of_first, self._kept, self._counted = {}, [], [], []

    def _lay_out(self) -> None:
        """Take the optimizer's parameters, and a vector for their gradients."""
        self._parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        devices = {parameter.device for parameter in self._parameters}
        if len(devices) > 1:
            listed = " and ".join(sorted(map(str, devices)))
            raise DeviceError(f"parameters are on {listed}: ranks and shards need one device")
        if any(device.type == "cuda" for device in devices):
            check_on_gpu(any(one.collect for one in self.optimizer.flats()), self._rounds)
        self._flats = self.optimizer.flats()
        self._direct = len(self._flats) == 1 and self._flats[0].wire.dtype in (
            np.dtype("float32"),
            np.dtype("float64"),
        )
        self._wire = self._flats[0].wire if self._direct else self._laid_out()
        self._tail = self._wire[-TAIL:]
        if self._rounds and self._wire.dtype == np.float64:
            raise ConfigurationError(
                "wire='bfloat16' is for parameters of at most 32 bits, and one is float64: leave "
                "wire out, or train in float32"
            )

    def connect(self) -> None:
        """Let the ranks' GPUs find one another, if that is where the parameters are; for all ranks.

        Raises:
            DeviceError: on all ranks, if two have one GPU, or one has no NCCL.
        """
        device = self._parameters[0].device if self._parameters else CPU
        if self._gpu is None and self.world.size > 1 and device.type == "cuda":
            self._gpu = GpuSum(self.world, device, by_tree=self.parts is not None)

    def follow(self) -> None:
        """Take over a group of parameters that was added to the optimizer meanwhile."""
        count = sum([len(group["params"]) for group in self.optimizer.param_groups])
        if count != len(self._parameters):
            self._lay_out()
            self._sums, self._stack = [None] * len(self._sums), []

    def _laid_out(self) -> Any:
        """Return a vector with room for all gradients, each at an aligned place of its own."""
        wide = any(dtype_name(p.array.dtype) == "float64" for p in self._parameters)
        self._places, total = [], 0
        for parameter in self._parameters:
            self._places.append(total)
            total += -(-parameter.numel() // ALIGNMENT) * ALIGNMENT
        made = np.zeros(total + TAIL, np.float64 if wide else np.float32)
        return to_device_of(made, self._parameters[0].array) if self._parameters else made

    # Around a step, in Python.

    def begin(
        self,
        part: int,
        weight: float,
        share: float,
        *,
        samples: float,
        first: bool,
        last: bool,
    ) -> None:
        """Say what the step that comes now computes.

        Args:
            part: the number of the part among this rank's.
            weight: what its loss is multiplied by; 0 if it has no rows.
            share: its share of the batch's rows.
            samples: by what a part's loss times its weight is multiplied for ``sums``.
            first: whether the batch is the first of those whose gradients add up.
            last: whether it is the last of them.
        """
        self._part, self._weight = part, weight
        self._shares[part] = share
        self._samples = samples
        self._first, self._last = first, last
        # What a part without weight gives, be it NaN, is not to reach what has added up so far.
        self._held = {}
        if weight == 0.0 and self.parts is None and not first:
            some = [p for p in self._parameters if p.grad is not None]
            self._held = {id(p): p.grad.array.copy() for p in some}
        if self.parts is None or self.parts == 1:
            return
        anew = [*self._counts, *self._own]
        if part == 0:
            self._counted = [one.array.copy() for one in anew]
            if first and self._running:
                now = [[one.array.copy() for one in self._running]]
                self._kept = now + [[a.copy() for a in now[0]] for _ in range(self.parts - 1)]
        assign(anew, self._counted)
        if self._kept:
            assign(self._running, self._kept[part])

    @property
    def counts(self) -> bool:
        """Whether the part that is computed now has weight: if not, its loss may be anything."""
        return self._weight != 0.0

    # In the step, recorded with it.

    @no_grad()
    def __call__(self, loss: Tensor, output: Any, target: Any, last: bool) -> None:
        """Put the loss and the gradients on the wire, and add them up."""
        registry.notify_seen(self._parameters)
        self._write(LOSS, loss.detach().reshape(1))
        if self.classes:
            counts = self._tail[RIGHT : JUDGED + 1]
            registry.update(
                COUNT_HITS, counts, output.array, target.array, ignore_index=self.ignored
            )
        present = 0
        if self._direct:
            self._flats[0].runs()  # brings gradients that lie elsewhere into their places
        for index, parameter in enumerate(self._parameters):
            gradient = parameter.grad
            present += gradient is not None
            if self._direct and gradient is not None:
                continue
            place = self._place(index)
            if gradient is None:
                registry.update(f.FILL, place, value=0.0)
            else:
                registry.update(f.COPY_INTO, place, gradient.array)
        registry.update(ALL_REDUCE, self._wire, over=_Over(self, present))
        if last and not self._direct:
            for index, parameter in enumerate(self._parameters):
                if parameter.grad is not None:
                    registry.update(f.COPY_INTO, parameter.grad.array, self._place(index))
                    parameter.grad._version[0] += 1

    def _write(self, place: int, value: Tensor) -> None:
        registry.update(f.COPY_INTO, self._tail[place : place + 1], value.array)

    def _place(self, index: int) -> Any:
        if self._direct:
            return self._flats[0]._slots[index]
        parameter, start = self._parameters[index], self._places[index]
        return self._wire[start : start + parameter.numel()].reshape(parameter.shape)

    # At its end, in every replay.

    def add_up(self, wire: Any, present: int) -> None:
        """Add a part's gradients to those before, and those of all ranks after the last part.

        Raises:
            AttentionNeeded: on all ranks, if one has something to settle.
        """
        if self.muted:
            return
        on_host, tail = self._on_host(wire)
        if self._weight == 0.0:
            on_host[:] = self._nothing
            if self._first or self.parts is not None:
                wire[:] = self._nothing
            else:
                self._put_back()
        self.attention = self.attention or not math.isfinite(tail[LOSS])
        tail[LOSS] = tail[LOSS] * self._samples
        if self.parts is None:
            if not self._in_turn(tail):
                return
        else:
            self._set_tail(wire, on_host)
            if not self._by_tree(wire):
                return
            on_host, tail = self._on_host(wire)
        # Numbers that have to be the same on all ranks, of which each rank knows the sum then.
        check = (present * 31 + default_generator.state()["offset"]) % _MOST_CHECK
        tail[ATTENTION] = self.attention or self.unlike
        tail[STOP], tail[CHECK], tail[SAVE] = bool(self.stop), check, self.save
        self._set_tail(wire, on_host)
        if self._rounds:
            if self.parts is None:
                self._round(wire)
            self.world.add_up(on_host)
            self.world.add_up(wire[:-TAIL], rounded=True)
        elif self._gpu is not None:
            self._gpu.add_up(wire)
        else:
            self.world.add_up(wire)
        told = self._on_host(wire)[0].tolist()
        if self._running:
            self._average_statistics()
        if self._own:
            self.world.place += ", the buffers"
            assign(self._own, self.world.from_first([to_numpy(one.array) for one in self._own]))
        self.world.agree()  # before the parameters change
        self.sums = told[LOSS], told[RIGHT], told[JUDGED]
        self.stopped = 0 if not told[STOP] else self.stop or 15
        self.saves = int(told[SAVE])
        if told[ATTENTION] or not math.isfinite(self.sums[0]):
            raise AttentionNeeded
        self.unlike = told[CHECK] != check * self.world.size

    def _on_host(self, wire: Any) -> tuple[Any, Any]:
        """Return the tail of a wire, a copy of what a GPU has, and the same as a memoryview.

        Python writes one number into that in half the time, and one that is too large for float32
        becomes infinite without a warning.
        """
        if wire is not self._seen[0]:
            tail = to_numpy(wire[-TAIL:])
            self._seen = (wire if type(wire) is np.ndarray else None), (tail, tail.data)
        return self._seen[1]

    @staticmethod
    def _set_tail(wire: Any, tail: Any) -> None:
        if type(wire) is not np.ndarray:
            wire[-TAIL:] = to_device_of(tail, wire)

    def _put_back(self) -> None:
        """Take away what a part without weight has added to the gradients."""
        for index, parameter in enumerate(self._parameters):
            before = self._held.get(id(parameter), 0.0)
            self._place(index)[...] = before
            if parameter.grad is not None:
                parameter.grad.array[...] = before

    def _in_turn(self, tail: Any) -> bool:
        """Add the sums of the batches whose gradients have added up in their places."""
        if self._first and self._last:
            return True
        now = tail[: JUDGED + 1].tolist()
        if self._first:
            self._host = now
        else:
            self._host = [a + b for a, b in zip(self._host, now, strict=True)]
            for place, value in enumerate(self._host):
                tail[place] = value
        return self._last

    def _by_tree(self, wire: Any) -> bool:
        """Add parts as the leaves of a tree, and say whether all of them are in the wire now."""
        assert self.parts is not None
        part = self._part
        self._keep_statistics()
        with np.errstate(all="ignore"):
            return self._at_leaf(wire, part)

    def _at_leaf(self, wire: Any, part: int) -> bool:
        """Add a part to those before it, as far as the tree goes by now."""
        assert self.parts is not None
        if not self._first:
            wire += self._sums[part]
        if not self._last:
            if self._sums[part] is None:
                self._sums[part] = np.empty_like(wire)
            self._sums[part][:] = wire
            return False
        level = 0
        self._round(wire)
        while part >> level & 1:
            wire += self._stack[level]
            self._round(wire)
            level += 1
        if part + 1 == self.parts:
            return True
        if level == len(self._stack):
            self._stack.append(np.empty_like(wire))
        self._stack[level][:] = wire
        return False

    def _round(self, wire: Any) -> None:
        """Round the gradients, a leaf or a sum of the tree, to what is sent."""
        if self._rounds:
            round_to_bfloat16(wire[:-TAIL])

    def _keep_statistics(self) -> None:
        if self._kept:
            for one, array in zip(self._running, self._kept[self._part], strict=True):
                array[...] = one.array
        if self._own and self.parts != 1:
            # Those of the first part, which is the same for any number of ranks.
            if self._part == 0:
                self._of_first = [one.array.copy() for one in self._own]
            elif self._part + 1 == self.parts:
                assign(self._own, self._of_first)

    def _average_statistics(self) -> None:
        """Give all ranks the mean of the running statistics, each part's by its share of rows."""
        leaves = self._kept or [[one.array for one in self._running]]
        average(self.world, self._running, leaves, self._shares, self._nothing)


class _Over:
    """What a plan keeps of a reduction: the reducer, and how many parameters have gradients."""

    __slots__ = ("_present", "_reducer")

    def __init__(self, reducer: GradientReducer, present: int) -> None:
        self._reducer, self._present = reducer, present

    def __call__(self, wire: Any) -> None:
        self._reducer.add_up(wire, self._present)
