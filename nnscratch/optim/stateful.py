"""What a checkpoint holds of a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnscratch.errors import CheckpointError


class Stateful:
    """Saves and loads attributes that are numbers, strings, or lists and dictionaries of them."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state, to be given to ``load_state_dict`` of a schedule made alike."""
        kept = (int, float, str, list, dict, type(None))
        return {name: value for name, value in self.__dict__.items() if isinstance(value, kept)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state.

        Raises:
            CheckpointError: if it is of another kind of schedule.
        """
        own = self.state_dict()
        if set(state) != set(own):
            raise CheckpointError(
                f"the state of a schedule holds {sorted(state)}, a {type(self).__name__} needs "
                f"{sorted(own)}"
            )
        self.__dict__.update(state)
