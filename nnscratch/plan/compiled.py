"""``nnscratch.compile``: run a step once, then replay it."""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import asarray, default_dtype, device_of, is_array
from nnscratch.array.addresses import copied, shares_memory
from nnscratch.array.memory import explaining
from nnscratch.array.precision import get_float32_matmul_precision
from nnscratch.errors import ConfigurationError
from nnscratch.formulas import registry
from nnscratch.graph.nested import mapped
from nnscratch.plan.plan import Plan, without_graph
from nnscratch.plan.reach import Reach
from nnscratch.plan.trace import Trace
from nnscratch.plan.tracer import Tracer
from nnscratch.tensors import Tensor, wrap
from nnscratch.tensors.grad_mode import mode

# A step that is recorded more often changes all the time: recording costs more than it saves, and
# each recording keeps arrays.
MOST_PLANS = 16


class Compiled:
    """A step that replays what it recorded; ``compile`` makes it.

    Attributes:
        function: the eager step.
        plans: the plans made so far.
    """

    def __init__(self, function: Callable[..., Any], on_unsupported: str) -> None:
        """Wrap a function; nothing is recorded before it is first called."""
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.plans: list[Plan] = []
        self._strict = on_unsupported == "raise"
        self._by_key: dict[Any, list[Plan]] = {}
        self._waiting: dict[Any, Trace] = {}
        self._last: tuple[Any, Any] = (None, None)
        self._lock = threading.RLock()
        self._eager = False
        self._unsettled = 0  # how many recordings in a row changed Python's state

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Replay the step on these arguments, or run it eagerly and record it.

        Raises:
            PlanError: if the step does something that a replay could not repeat.
        """
        if self._eager or registry.observers():
            return self.function(*args, **kwargs)
        arrays: list[Any] = []
        key = [_key(item, arrays) for item in args]
        if kwargs:
            key += [(name, _key(item, arrays)) for name, item in kwargs.items()]
        signature = (mode.enabled, get_float32_matmul_precision(), default_dtype(), *key)
        with self._lock:
            if signature == self._last[0] and self._last[1].fits():
                return self._last[1].replay(arrays)
            for plan in self._by_key.get(signature, ()):
                if plan.fits():
                    self._last = signature, plan
                    return plan.replay(arrays)
            plan_now = self._finish_waiting(signature)
            if plan_now is not None:
                return plan_now.replay(arrays)
            return self._record(signature, args, kwargs, arrays)

    def _finish_waiting(self, signature: Any) -> Plan | None:
        """Build the plan of a step recorded before, now that it is called a second time."""
        waiting = self._waiting.pop(signature, None)
        if waiting is None:
            return None
        with explaining("planning a compiled step"):
            plan = Plan(waiting)
        self._by_key.setdefault(signature, []).insert(0, plan)
        self.plans.append(plan)
        return plan if plan.fits() else None

    def _record(self, signature: Any, args: Any, kwargs: Any, given: list[Any]) -> Any:
        if len(self.plans) + len(self._waiting) >= MOST_PLANS:
            warnings.warn(
                f"the compiled step {_name(self.function)} was recorded {MOST_PLANS} times because "
                "shapes, parameters, modes or what its code refers to kept changing; it runs "
                "eagerly from now on",
                RuntimeWarning,
                stacklevel=4,
            )
            self._eager = True
            self._waiting.clear()
            return self.function(*args, **kwargs)
        arrays: list[Any] = []
        with explaining("copying the arguments of a compiled step"):
            args, kwargs = mapped(lambda item: _own(item, arrays), (args, kwargs))
        pairs = list(zip(arrays, given, strict=True))
        copies = frozenset(n for n, (array, its) in enumerate(pairs) if array is not its)
        reach = Reach(self.function)
        tracer = Tracer(arrays, self._strict, copies, reach)
        with registry.observing(tracer):
            result = self.function(*args, **kwargs)
        settled = self._is_settled(tracer, reach)
        if tracer.refusal is not None:
            warnings.warn(
                f"{_name(self.function)} runs eagerly: {tracer.refusal}",
                RuntimeWarning,
                stacklevel=4,
            )
            self._eager = True
            for position in tracer.changed:
                registry.update(f.COPY_INTO, given[position], arrays[position])
        elif settled:
            self._waiting[signature] = Trace(tracer, result, arrays, reach)
        with explaining("copying the results of a compiled step"):
            return mapped(lambda item: _apart(item, pairs), without_graph(result))

    def _is_settled(self, tracer: Tracer, reach: Reach) -> bool:
        """Say whether a recorded run has left Python's state as it was; refuse the second that not.

        The first one may have made what later ones find: a mode, a cache.
        """
        changed, rebound = reach.changed(tracer.written), tracer.rebound()
        # An optimizer may take parameters back into its buffer, when somebody gave them another
        # array before the step. That is over by the next call.
        if changed is None and any(id(tensor) not in tracer.touched for tensor in rebound):
            changed = "the .data of a tensor"
        self._unsettled = 0 if changed is None else self._unsettled + 1
        if reach.iterator is not None:
            tracer.refuse(
                f"a compiled step's code refers to an iterator ({reach.iterator}), which a replay "
                "would not advance; take its next value outside, and pass that to the step"
            )
        elif self._unsettled > 1:
            tracer.refuse(
                f"a compiled step changes {changed} in Python, and a replay would not. Keep what "
                "changes in a tensor and change that in place (add_, copy_), or change it outside "
                "of the step"
            )
        return changed is None and not rebound


def compile(function: Callable[..., Any] | None = None, *, on_unsupported: str = "raise") -> Any:
    """Return a step that is recorded on its first call and replayed on all later ones.

    The step is ordinary eager code: for training ``zero_grad``, forward, loss, ``backward``,
    clipping, ``optimizer.step()``, ``scheduler.step()``; for inference a forward. Tensors and
    arrays that change from call to call are its arguments, and it does not change them in place.
    Other shapes, dtypes and modes get a plan of their own, and so does every change of what the
    step's code can reach: parameters, buffers and attributes of modules, hooks, and behind the
    names that its functions mention other tensors, numbers, entries of lists and dictionaries (of
    up to 1,000 entries) and attributes of objects. What the step itself changes of these would not
    be changed by a replay and is refused. An optimizer's and a scheduler's hyper-parameters and the
    counters of random numbers are read at every replay. Not seen are Python's state inside of other
    libraries, the clock and files: what is read there is a constant of the plan. The tensors it
    returns have no graph. A ``grad`` that was kept from an earlier step changes with the next
    replay; keep a ``clone()`` of it.

    Args:
        function: the step, or a module. Without it, ``compile`` returns a decorator.
        on_unsupported: what to do about a step that a replay could not repeat (it reads a value
            out of a tensor, say): "raise" a ``PlanError``, or run it "eager" with one warning.

    Raises:
        ConfigurationError: if ``on_unsupported`` is neither.

    >>> import nnscratch
    >>> double = compile(lambda x: x * 2)
    >>> [double(nnscratch.tensor([float(n)])).item() for n in range(3)]
    [0.0, 2.0, 4.0]
    """
    if on_unsupported not in ("raise", "eager"):
        raise ConfigurationError(
            f"on_unsupported must be 'raise' or 'eager', got {on_unsupported!r}"
        )
    if function is None:
        return lambda later: Compiled(later, on_unsupported)
    return Compiled(function, on_unsupported)


def _key(item: Any, arrays: list[Any]) -> Any:
    """Return what a plan depends on of an argument, and collect its array."""
    if isinstance(item, Tensor):
        arrays.append(item.array)
        # A leaf that asks for a gradient is written to, so the plan is for that very tensor.
        return id(item) if item.requires_grad else _form(item.array)
    if isinstance(item, (list, tuple)):
        return tuple(_key(part, arrays) for part in item)
    if isinstance(item, dict):
        return tuple((name, _key(part, arrays)) for name, part in item.items())
    if isinstance(item, np.generic):
        item = item.item()  # which is what eager arithmetic takes it for
    if is_array(item):
        item = asarray(item)
        arrays.append(item)
        return _form(item)
    try:
        hash(item)
    except TypeError:
        raise ConfigurationError(
            f"a compiled step takes tensors, arrays, and plain values, got {type(item).__name__}"
        ) from None
    return (type(item), item)


def _form(array: Any) -> tuple[Any, ...]:
    """Return what a plan depends on of an array: on a GPU also which one it is."""
    if type(array) is np.ndarray:
        return (array.shape, array.dtype)
    return (array.shape, array.dtype, type(array), device_of(array))


def _own(item: Any, arrays: list[Any]) -> Any:
    """Return an argument as a tensor with memory of its own, which no caller will change."""
    if isinstance(item, Tensor) and item.requires_grad:
        arrays.append(item.array)
        return item
    if isinstance(item, np.generic):
        item = item.item()
    if isinstance(item, Tensor) or is_array(item):
        array = copied(item.array if isinstance(item, Tensor) else asarray(item))
        arrays.append(array)
        return Tensor(array)
    return item


def _apart(item: Any, pairs: list[tuple[Any, Any]]) -> Any:
    """Return what a recorded step returned without the memory of the plan's own arguments.

    Replays write there. An argument that is returned is the caller's own, as it is in a replay.
    """
    if isinstance(item, Tensor):
        for own, its in pairs:
            if item.array is own:
                return wrap(its)
            if shares_memory(item.array, own):
                return wrap(copied(item.array))
    return item


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", type(function).__name__)
