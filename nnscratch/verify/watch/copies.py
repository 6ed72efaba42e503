"""``audit``: what a block of code copies, promotes, reads and allocates, layer by layer.

A step that runs may still move an array between devices, widen a dtype, or copy an array only to
make it contiguous. None of that raises; here it is counted, and a test can assert that there is
none of it.
"""

from __future__ import annotations

import threading
import tracemalloc
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from nnscratch.array import device_of, dtype_name, is_array
from nnscratch.array.addresses import shares_memory
from nnscratch.array.dtypes import FLOATS
from nnscratch.errors import NNScratchError
from nnscratch.formulas import registry
from nnscratch.formulas.observing import Call
from nnscratch.graph import LayerTracker
from nnscratch.verify.watch.hooks import caller, watching_conversions

KINDS = ("device copy", "dtype promotion", "contiguous copy", "read")
# Where BLAS reads the operands as they lie or copies them first. What computes it is nothing that a
# formula says.
PRODUCTS = ("linear", "linear_activation", "matmul")


class AuditError(NNScratchError, AssertionError):
    """An audited block that did what it should not; the text lists what."""


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Attributes:
        kind: "device copy", "dtype promotion", "contiguous copy" or "read".
        where: the layer, "" outside of all modules.
        what: the formula or function, and what it did.
        nbytes: how much memory it moved or made.
        line: the file and line of the code that led to it.
    """

    kind: str
    where: str
    what: str
    nbytes: int
    line: str

    def __str__(self) -> str:
        place = f" in {self.where}" if self.where else ""
        return f"{self.kind}{place}: {self.what}, {self.nbytes:,} bytes ({self.line})"


@dataclass
class Cost:
    """What one formula cost in one layer: calls, bytes of results, the largest temporary memory."""

    calls: int = 0
    allocated: int = 0
    peak: int = 0


@dataclass
class Audit:
    """What an audited block did.

    Attributes:
        events: copies, promotions and reads, in order.
        costs: for each (layer, formula, direction) what it cost.
    """

    events: list[Event] = field(default_factory=list)
    costs: dict[tuple[str, str, str], Cost] = field(default_factory=lambda: defaultdict(Cost))

    def of(self, kind: str) -> list[Event]:
        """Return the events of one kind."""
        return [event for event in self.events if event.kind == kind]

    @property
    def allocated(self) -> int:
        """The bytes of all results that got memory of their own."""
        return sum(cost.allocated for cost in self.costs.values())

    def assert_no_copies(self) -> None:
        """Raise if an array moved between devices, or was copied to become contiguous.

        Raises:
            AuditError: with every copy.
        """
        self._assert_none("device copy", "contiguous copy")

    def assert_no_device_copies(self) -> None:
        """Raise if an array moved between devices, or a value was read from a GPU.

        Raises:
            AuditError: with every copy.
        """
        self._assert_none("device copy")

    def assert_no_promotions(self) -> None:
        """Raise if a dtype was widened.

        Raises:
            AuditError: with every promotion.
        """
        self._assert_none("dtype promotion")

    def assert_no_reads(self) -> None:
        """Raise if Python read a value out of an array, for which a GPU has to wait.

        Raises:
            AuditError: with every read.
        """
        self._assert_none("read")

    def assert_allocates_at_most(self, nbytes: int) -> None:
        """Raise if all results together needed more memory of their own.

        Raises:
            AuditError: with what was allocated, the largest first.
        """
        if self.allocated > nbytes:
            raise AuditError(
                f"{self.allocated:,} bytes were allocated, at most {nbytes:,} were allowed:\n"
                + "\n".join(self._rows())
            )

    def _assert_none(self, *kinds: str) -> None:
        found = [event for event in self.events if event.kind in kinds]
        if found:
            raise AuditError("\n".join([f"{len(found)} of these:", *map(str, found[:20])]))

    def _rows(self) -> list[str]:
        ordered = sorted(self.costs.items(), key=lambda item: -item[1].allocated)
        rows = []
        for (where, formula, direction), cost in ordered:
            peak = f"{cost.peak:>14,}" if cost.peak else " " * 14
            rows.append(
                f"{where or '-':<34} {formula + ' ' + direction:<28} {cost.calls:>6} "
                f"{cost.allocated:>14,} {peak}"
            )
        return rows

    def __str__(self) -> str:
        counts = ", ".join(f"{len(self.of(kind))} x {kind}" for kind in KINDS)
        head = (
            f"{'layer':<34} {'formula':<28} {'calls':>6} {'bytes made':>14} {'largest temp.':>14}"
        )
        return "\n".join([counts, *map(str, self.events[:50]), head, *self._rows()])

    __repr__ = __str__


class _Auditor(LayerTracker):
    """Fills an audit with what it observes."""

    def __init__(self, audit: Audit, memory: bool) -> None:
        super().__init__()
        self.audit, self.memory = audit, memory
        self.base = tracemalloc.get_traced_memory()[0] if memory else 0
        self._backward = Cost()

    def add(self, kind: str, what: str, nbytes: int, where: str | None = None) -> None:
        """Note one event."""
        if where is None:
            where = "" if self.running is None else self.running.label
        self.audit.events.append(Event(kind, where, what, nbytes, caller()))

    def on_call(self, call: Call) -> None:
        """Look at one formula: dtypes, contiguity, memory of its results."""
        layer = self.layer_of(call)
        where = "" if layer is None else layer.label
        name = call.formula.name
        cost = self.audit.costs[where, name, call.direction]
        cost.calls += 1
        self._measure(cost)
        if call.direction != "update":
            for output in call.outputs:
                if is_array(output) and not _shares_any(output, call.inputs):
                    cost.allocated += int(output.nbytes)
        elif name == "copy_into" and _shares_any(call.inputs[1], call.inputs[:1]):
            # The backward before it wrote a gradient straight to its place.
            self._backward.allocated -= int(call.inputs[1].nbytes)
        if call.direction == "backward":
            self._backward = cost
        self._look_at_dtypes(call, where)
        self._look_at_layout(call, where)
        if self.memory:
            self.base = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()

    def _measure(self, cost: Cost) -> None:
        if self.memory:
            peak = tracemalloc.get_traced_memory()[1]
            cost.peak = max(cost.peak, peak - self.base)

    def _look_at_dtypes(self, call: Call, where: str) -> None:
        if call.formula.name == "cast":
            given, wanted = call.inputs[0], call.outputs[0]
            if not is_array(given) or not is_array(wanted):
                return
            if _width(given) and _width(wanted) > _width(given):
                what = f"cast from {dtype_name(given.dtype)} to {dtype_name(wanted.dtype)}"
                self.add("dtype promotion", what, int(wanted.nbytes), where)
            return
        floats = [v for v in call.inputs if is_array(v) and v.ndim and _width(v)]
        outputs = [v for v in call.outputs if is_array(v) and _width(v)]
        if not floats or not outputs:
            return
        names = {dtype_name(v.dtype) for v in floats}
        widest = max(map(_width, floats))
        if len(names) > 1:
            what = f"{call.formula.name} of {' and '.join(sorted(names))}"
        elif max(map(_width, outputs)) > widest:
            out = dtype_name(max(outputs, key=_width).dtype)
            what = f"{call.formula.name} made {out} of {names.pop()}"
        else:
            return
        self.add("dtype promotion", what, sum(int(v.nbytes) for v in outputs), where)

    def _look_at_layout(self, call: Call, where: str) -> None:
        name = call.formula.name
        if name == "reshape" and call.direction == "forward":
            (A, *_), (Y,) = call.inputs, call.outputs
            if Y.size and not shares_memory(A, Y):
                self.add("contiguous copy", "reshape of a strided array", int(Y.nbytes), where)
        elif name in PRODUCTS:
            for value in call.inputs:
                if hasattr(value, "strides") and value.ndim >= 2 and not _blas_takes(value):
                    what = f"{name} copies a strided operand of shape {value.shape}"
                    self.add("contiguous copy", what, int(value.nbytes), where)

    def on_read(self, array: Any, what: str) -> None:
        """Note that Python reads a value."""
        self.add("read", what, int(array.nbytes))
        if device_of(array).type != "cpu":
            self.add("device copy", f"{what} reads from {device_of(array)}", int(array.nbytes))


def _width(array: Any) -> int:
    name = dtype_name(array.dtype)
    return int(name.removeprefix("b").removeprefix("float")) if name in FLOATS else 0


def _shares_any(output: Any, inputs: Any) -> bool:
    return any(is_array(value) and shares_memory(output, value) for value in inputs)


def _blas_takes(array: Any) -> bool:
    """Whether BLAS can read the last two axes as they lie, transposed or not."""
    if array.size == 0:
        return True
    rows, columns = array.strides[-2:]
    width, height = array.shape[-1], array.shape[-2]
    item = array.itemsize
    plain = (columns == item or width == 1) and (rows >= item * width or height == 1)
    turned = (rows == item or height == 1) and (columns >= item * height or width == 1)
    return bool(plain or turned)


@contextmanager
def audit(memory: bool = False) -> Iterator[Audit]:
    """Count copies between devices, dtype promotions, copies for contiguity, and allocations.

    What this thread does in the block is looked at; compiled steps run eagerly in it.

    Args:
        memory: measure the largest temporary memory of each formula on the host too, with
            ``tracemalloc``.

    Yields:
        An ``Audit``: print it, or assert with ``assert_no_copies()``, ``assert_no_promotions()``,
        ``assert_no_device_copies()``, ``assert_no_reads()``, ``assert_allocates_at_most(n)``.

    >>> import nnscratch
    >>> x, w = nnscratch.ones(4, 3), nnscratch.ones(3, 2, dtype="float64")
    >>> with audit() as seen:
    ...     _ = x.double() @ w
    >>> [event.what for event in seen.of("dtype promotion")]
    ['cast from float32 to float64']
    """
    made = Audit()
    started = memory and not tracemalloc.is_tracing()
    if started:
        tracemalloc.start()
    auditor = _Auditor(made, memory)
    thread = threading.get_ident()

    def moved(kind: str, what: str, nbytes: int) -> None:
        if threading.get_ident() == thread:
            auditor.add(kind, what, nbytes)

    try:
        with registry.observing(auditor), watching_conversions(moved):
            yield made
    finally:
        if started:
            tracemalloc.stop()
