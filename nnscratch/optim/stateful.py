"""What a checkpoint holds of a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnscratch.errors import CheckpointError
from nnscratch.optim.optimizer import Optimizer
from nnscratch.tensors import Tensor


class Stateful:
    """Saves and loads attributes that are numbers, texts, or lists and dictionaries of them.

    Schedules among the attributes are saved as well.
    """

    def state_dict(self) -> dict[str, Any]:
        """Return the state, to be given to ``load_state_dict`` of a schedule made alike."""
        return state_of(self)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state.

        Raises:
            CheckpointError: if it is of another kind of schedule.
        """
        own, ours = self.state_dict(), type(self).__module__.startswith("nnscratch.")
        # A class of the user's may make attributes as it goes.
        if set(own) - set(state_dict) or (ours and set(state_dict) != set(own)):
            raise CheckpointError(
                f"the state of a schedule holds {sorted(state_dict)}, a {type(self).__name__} "
                f"needs {sorted(own)}"
            )
        restore(self, state_dict)


_NOTHING = object()


def state_of(item: Any) -> dict[str, Any]:
    """Return the attributes of an object that JSON can hold, and the states of schedules in it.

    >>> class Counter:
    ...     def __init__(self):
    ...         self.n, self.rates, self.function = 3, (0.1, 0.2), max
    >>> state_of(Counter())
    {'n': 3, 'rates': [0.1, 0.2]}
    """
    own = getattr(item, "__dict__", {})
    apart = ("optimizer", "verbose")
    found = {name: _plain(value) for name, value in own.items() if name not in apart}
    return {name: value for name, value in found.items() if value is not _NOTHING}


def restore(item: Any, state: Mapping[str, Any]) -> None:
    """Set the attributes of an object to what ``state_of`` returned."""
    own = vars(item)
    for name, value in state.items():
        now = own.get(name)
        if isinstance(now, Stateful) or hasattr(now, "load_state_dict"):
            now.load_state_dict(value)
        elif isinstance(now, tuple) and isinstance(value, list):
            own[name] = tuple(value)
        elif isinstance(now, Tensor):
            now.fill_(value)
        else:
            own[name] = value


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it, ``_NOTHING`` if it cannot."""
    if isinstance(value, np.generic) or (isinstance(value, Tensor) and value.ndim == 0):
        return value.item()
    if isinstance(value, (bool, int, float, str, type(None))):
        return value
    if isinstance(value, (list, tuple)):
        parts = [_plain(part) for part in value]
        return _NOTHING if any(part is _NOTHING for part in parts) else parts
    if isinstance(value, dict):
        pairs = {key: _plain(part) for key, part in value.items()}
        if all(isinstance(key, str) for key in pairs) and _NOTHING not in pairs.values():
            return pairs
        return _NOTHING
    has_state = hasattr(value, "state_dict") and not isinstance(value, Optimizer)
    return _plain(value.state_dict()) if has_state else _NOTHING
