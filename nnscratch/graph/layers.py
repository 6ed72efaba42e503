"""Which layer a formula runs in: an observer that follows the calls of modules."""

from __future__ import annotations

from typing import Any

from nnscratch.array import is_array
from nnscratch.formulas.observing import Call, Observer
from nnscratch.graph.graph import LayerCall
from nnscratch.nn.hooks import structure
from nnscratch.tensors import Tensor


class LayerTracker(Observer):
    """Knows the innermost module that is running, and the layer of each call, backwards included.

    A backward runs after its module has returned: its layer is that of the forward which saved the
    same arrays. No array is kept alive for it.
    """

    def __init__(self) -> None:
        self._running: list[LayerCall] = []
        self._called: dict[int, Any] = {}  # the modules, alive, so that no id is used twice
        self._of_saved: dict[int, LayerCall | None] = {}
        self._paths: dict[int, dict[int, str]] = {}
        self._structure = structure.changes

    def on_module(self, module: Any, inputs: tuple[Any, ...]) -> None:
        """Go into a module."""
        above = self._running[-1] if self._running else None
        again = id(module) in self._called
        self._called[id(module)] = module
        path = "" if above is None else self._path(above, module)
        self._running.append(LayerCall(path, module, len(self._running), again, shapes_in(inputs)))

    def on_module_left(self, module: Any, output: Any) -> None:
        """Come out of a module."""
        # One that was running before the observer came has no entry.
        if self._running and self._running[-1].module is module:
            self._running.pop().outputs = shapes_in(output)

    @property
    def running(self) -> LayerCall | None:
        """The innermost module that is running, None outside of all."""
        return self._running[-1] if self._running else None

    def layer_of(self, call: Call) -> LayerCall | None:
        """Return the layer in which a call runs; to be asked once, as the call happens."""
        if call.direction == "backward":
            # The id is that of this very object: an array that was saved is alive until its
            # backward, and a later forward that gets the same id enters its own layer.
            return self._of_saved.get(id(call.saved))
        layer = self.running
        if call.direction == "forward" and call.formula.backward is not None:
            self._of_saved[id(call.saved)] = layer
        return layer

    def _path(self, above: LayerCall, module: Any) -> str:
        """Return the path of a module called inside of another one."""
        if structure.changes != self._structure:
            self._paths.clear()
            self._structure = structure.changes
        names = self._paths.get(id(above.module))
        if names is None:
            names = {id(inner): name for name, inner in above.module.named_modules()}
            self._paths[id(above.module)] = names
        name = names.get(id(module)) or type(module).__name__
        return f"{above.path}.{name}" if above.path else name


def shapes_in(value: Any) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of all tensors in a value, in order.

    >>> from nnscratch.tensors.creation import zeros
    >>> shapes_in([zeros(2, 3), {"h": zeros(4), "note": None}])
    ((2, 3), (4,))
    """
    if isinstance(value, Tensor) or is_array(value):
        return (tuple(value.shape),)
    if not isinstance(value, (tuple, list, dict)):
        return ()
    parts = value.values() if isinstance(value, dict) else value
    return tuple(shape for part in parts for shape in shapes_in(part))
