"""What an optimizer shows of the state that lies in its buffers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnscratch.errors import ConfigurationError
from nnscratch.tensors import Tensor


class States(dict[Tensor, dict[str, Any]]):
    """The state of an optimizer by parameter; one that has taken no step has none."""

    def __init__(self, entries: Mapping[Tensor, dict[str, Any]]) -> None:
        super().__init__({key: _Entry(entry) for key, entry in entries.items()})

    def __missing__(self, key: Tensor) -> dict[str, Any]:
        return _Entry({})


class _Entry(dict[str, Any]):
    """The state beside one parameter, as it is in the optimizer's buffers."""

    def __setitem__(self, name: str, value: Any) -> None:
        raise ConfigurationError(
            f"an optimizer's state lies in its own buffers: write state[p][{name!r}].copy_(...), "
            "or use load_state_dict"
        )


def copied(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state beside one parameter with tensors of its own."""
    return {k: v.detach().clone() if isinstance(v, Tensor) else v for k, v in entry.items()}
