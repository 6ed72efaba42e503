"""A compiled step: run once, then replayed."""

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
from nnscratch.nn.module import Module
from nnscratch.plan.constants import Constants
from nnscratch.plan.plan import Plan, without_graph
from nnscratch.plan.reach import Reach
from nnscratch.plan.store import MOST_CHANGES, MOST_NEW, PlanStore
from nnscratch.plan.trace import Trace
from nnscratch.plan.tracer import Tracer
from nnscratch.tensors import Tensor, wrap
from nnscratch.tensors.anomaly import anomaly
from nnscratch.tensors.grad_mode import mode


class Compiled:
    """A step that replays what it recorded; ``compile`` makes it.

    Attributes:
        function: the eager step.
        name: what errors and warnings call it.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        strict: bool = True,
        name: str | None = None,
        freeze: bool = False,
    ) -> None:
        """Wrap a function; nothing is recorded before it is first called.

        Args:
            function: the eager step.
            strict: whether a step that a replay could not repeat is an error; else it runs eagerly.
            name: what to call it, if not by the name of the function.
            freeze: whether what follows from parameters and buffers alone is computed once.
        """
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.name = name or _name(function)
        self._strict, self._freeze = strict, freeze
        self._store = PlanStore(Constants() if freeze else None)
        self._last: tuple[Any, Any] = (None, None)
        self._lock = threading.RLock()
        self._eager = self._said = False
        self._unsettled = 0  # how many recordings in a row changed Python's state

    @property
    def plans(self) -> list[Plan]:
        """The plans that are kept, in the order in which they were made."""
        return self._store.plans

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Replay the step on these arguments, or run it eagerly and record it.

        Raises:
            PlanError: if the step does something that a replay could not repeat.
        """
        if self._runs_eagerly():
            return self.function(*args, **kwargs)
        arrays: list[Any] = []
        signature = _signature(args, kwargs, arrays)
        with self._lock:
            plan = self._plan_of(signature)
            if plan is not None:
                return plan.replay(arrays)
            if self._store.begin(signature) and not self._gives_up(signature):
                return self._record(signature, args, kwargs, arrays)
            self._say_if_never_repeated()
        result = self.function(*args, **kwargs)
        return result if self._keeps_graph(result) else without_graph(result)

    def over(self, size: int, *args: Any) -> list[Any]:
        """Call the step with ``size`` rows of the arguments after the other; return the results.

        They are those of calls with these slices, the last of which may be shorter. Between slices
        of one size nothing is looked at again, for nobody else's code runs there: weights, modes
        and settings stay as they are, and hyper-parameters and counters are read each time.

        Args:
            size: how many rows a call gets.
            args: tensors with equally many rows that ask for no gradient, and None.

        >>> import nnscratch
        >>> step = nnscratch.compile(lambda x: (2 * x).sum())
        >>> [y.item() for y in step.over(2, nnscratch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))]
        [6.0, 14.0, 10.0]
        """
        whole = [one.array for one in args if one is not None]
        count = whole[0].shape[0] if whole else 0
        made: list[Any] = []
        start = 0
        while start < count:
            rows = slice(start, start + size)
            some = tuple([None if one is None else Tensor(one.array[rows]) for one in args])
            plan = None
            if not self._runs_eagerly():
                with self._lock:
                    plan = self._plan_of(_signature(some, {}, []))
                    while plan is not None and start < count:
                        made.append(plan.replay([array[start : start + size] for array in whole]))
                        start += size
                        if start + size > count:  # the next one is shorter, if there is any
                            break
            if plan is None:
                made.append(self(*some))
                start += size
        return made

    def _runs_eagerly(self) -> bool:
        """Say whether the function itself is called: by now always, or because somebody watches."""
        return bool(self._eager or anomaly.enabled or registry.observers())

    def _plan_of(self, signature: Any) -> Plan | None:
        """Return the plan of a signature that still fits, None if there is none."""
        if signature == self._last[0] and self._last[1].fits():
            return self._last[1]  # type: ignore[no-any-return]
        plan = self._store.find(signature)
        if plan is not None:
            self._last = signature, plan
        return plan

    def bound(self, *args: Any) -> Callable[[list[Any]], Any] | None:
        """Return what replays the plan of these arguments at once, None if there is no such plan.

        It takes arrays of their shapes and dtypes. Nothing is looked at before but whether the
        constants of a frozen step were written to: it is for whoever knows that parameters, modes
        and settings stay as they are, as a server does.
        """
        for _ in range(3):  # recorded, planned, replayed
            self(*args)
        plan, lock = self._last[1], self._lock
        if plan is None or not plan.replays:
            return None

        def replay(arrays: list[Any]) -> Any:
            with lock:
                return plan.replay(arrays)

        return replay

    def _keeps_graph(self, result: Any) -> bool:
        """Say whether a result is returned with its graph, which no replay could make."""
        return False

    def _gives_up(self, signature: Any) -> bool:
        """Say whether recording costs more than it saves; warn when that has become clear."""
        if not self._store.keeps_changing(signature):
            return False
        self._run_eagerly(
            f"the compiled step {self.name} was recorded {MOST_CHANGES} times for the "
            "same arguments because parameters, modes or what its code refers to kept changing; "
            "it runs eagerly from now on"
        )
        return True

    def _say_if_never_repeated(self) -> None:
        if self._store.new >= MOST_NEW and not self._said:
            self._said = True
            warnings.warn(
                f"the compiled step {self.name} was called with other shapes or values "
                f"{MOST_NEW} times in a row, and a call that does not come again runs eagerly; "
                "pass numbers that change as tensors, and pad what differs in shape",
                RuntimeWarning,
                stacklevel=3,
            )

    def _run_eagerly(self, why: str) -> None:
        """Record nothing any more, and say so."""
        warnings.warn(why, RuntimeWarning, stacklevel=4)
        self._eager = True
        self._store.clear()
        self._last = (None, None)

    def _record(self, signature: Any, args: Any, kwargs: Any, given: list[Any]) -> Any:
        arrays: list[Any] = []
        with explaining("copying the arguments of a compiled step"):
            args, kwargs = mapped(lambda item: _own(item, arrays), (args, kwargs))
        pairs = list(zip(arrays, given, strict=True))
        copies = frozenset(n for n, (array, its) in enumerate(pairs) if array is not its)
        reach = Reach(self.function)
        tracer = Tracer(arrays, self._strict, copies, reach, self._freeze)
        with registry.observing(tracer):
            result = self.function(*args, **kwargs)
        keeps_graph = self._keeps_graph(result)
        settled = keeps_graph or self._is_settled(tracer, reach)
        if keeps_graph or tracer.refusal is not None:
            if not keeps_graph:
                self._run_eagerly(f"{self.name} runs eagerly: {tracer.refusal}")
            for position in tracer.changed:
                registry.update(f.COPY_INTO, given[position], arrays[position])
        else:
            trace = Trace(tracer, result, arrays, reach) if settled else None
            self._store.end(signature, trace)
        with explaining("copying the results of a compiled step"):
            given_back = result if keeps_graph else without_graph(result)
            return mapped(lambda item: _apart(item, pairs), given_back)

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


def _signature(args: Any, kwargs: Any, arrays: list[Any]) -> Any:
    """Return what a plan depends on of a call, and collect the arrays of its arguments."""
    key = [_key(item, arrays) for item in args]
    if kwargs:
        key += [(name, _key(item, arrays)) for name, item in kwargs.items()]
    return (mode.enabled, get_float32_matmul_precision(), default_dtype(), *key)


def _key(item: Any, arrays: list[Any]) -> Any:
    """Return what a plan depends on of an argument, and collect its array."""
    if isinstance(item, Tensor):
        array = item.array
        arrays.append(array)
        if item.requires_grad:
            # A leaf that asks for a gradient is written to, so the plan is for that very tensor,
            # with the array that it has now: the plan keeps that alive, so no other gets its id.
            return id(item), id(array)
        return (array.shape, array.dtype) if type(array) is np.ndarray else _form(array)
    if isinstance(item, (list, tuple)):
        return tuple([_key(part, arrays) for part in item])
    if type(item) in _PLAIN:  # seen at once; all that follows looks for arrays
        return (type(item), item)
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


_PLAIN = frozenset({bool, int, float, str, type(None)})


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
    What has a graph is returned as it is, for then there is no plan.
    """
    if isinstance(item, Tensor) and not item.requires_grad:
        for own, its in pairs:
            if item.array is own:
                return wrap(its)
            if shares_memory(item.array, own):
                return wrap(copied(item.array))
    return item


def _name(function: Callable[..., Any]) -> str:
    owner = getattr(function, "__self__", None)
    if isinstance(owner, Module):
        return type(owner).__name__
    return getattr(function, "__qualname__", type(function).__name__)
