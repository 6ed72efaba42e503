"""``Module.compile``: calls that are replayed, in place."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from nnscratch.formulas import registry


class Compiling:
    """What a module knows about its compiled call."""

    _compiled_call: Any = None
    _hooked: Any

    def compile(self, *args: Any, **settings: Any) -> None:
        """Compile the calls of this module, in place, as PyTorch's method does.

        Calls that are to be differentiated run eagerly and have a graph. All others are recorded
        once and replayed: those under ``no_grad()``, or where no parameter and no argument asks for
        a gradient. A training step is compiled as a whole, with ``nnscratch.compile``. Copies and
        pickles of the module are not compiled.

        Args:
            args: as for ``nnscratch.compile``, like the settings.
            settings: such as ``fullgraph=False``, with which a forward that cannot be replayed
                runs eagerly instead of raising an error.

        Raises:
            ConfigurationError: for settings that ``nnscratch.compile`` refuses.

        >>> import nnscratch
        >>> from nnscratch import nn
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
        >>> model.compile()
        >>> with nnscratch.no_grad():
        ...     [tuple(model(nnscratch.ones(2, 3)).shape) for _ in range(3)]
        [(2, 4), (2, 4), (2, 4)]
        """
        # The room of compiled steps stands above this one.
        made = import_module("nnscratch.plan").compile(self, *args, **settings)
        self.__dict__["_compiled_call"] = None if made is self else made.call_of(self)

    def _run(self, *inputs: Any, **options: Any) -> Any:
        """Do what a compiled call records: the hooks and ``forward``, seen by whoever watches."""
        watching = registry.observers()
        output = None
        try:
            for observer in watching:
                observer.on_module(self, (*inputs, *options.values()))
            output = self._hooked(inputs, options)
            return output
        finally:
            for observer in watching:
                observer.on_module_left(self, output)

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the compiled call."""
        return {name: one for name, one in self.__dict__.items() if name != "_compiled_call"}
