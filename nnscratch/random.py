"""The default generator's state, under the names of ``torch.random``.

Numbers are counter-based, so that a state is two integers: a seed, and how many blocks of numbers
were drawn. They are the same on every device.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nnscratch.absent import refuse_absent_names
from nnscratch.array.random import default_generator
from nnscratch.tensors.creation import manual_seed
from nnscratch.tensors.tensor import Tensor, as_tensor

__all__ = [
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
]


def seed() -> int:
    """Seed the default generator with a number that nobody knows before, and return the number."""
    chosen = int.from_bytes(os.urandom(8), "little")
    default_generator.manual_seed(chosen)
    return chosen


def initial_seed() -> int:
    """Return the seed of the default generator.

    >>> _ = manual_seed(7)
    >>> initial_seed()
    7
    """
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """Return the state of the default generator, a vector of 16 bytes (uint8).

    >>> from nnscratch import rand
    >>> state = get_rng_state()
    >>> first = rand(3)
    >>> set_rng_state(state)
    >>> bool((rand(3) == first).all())
    True
    """
    return as_tensor(default_generator.get_state())


def set_rng_state(new_state: Any) -> None:
    """Restore a state that ``get_rng_state`` returned.

    Raises:
        ConfigurationError: if it is anything else, such as a state of PyTorch's generator.
    """
    default_generator.set_state(new_state)


@contextmanager
def fork_rng(
    devices: Any = None, enabled: bool = True, device_type: str = "cuda"
) -> Iterator[None]:
    """Return a context after which the default generator goes on from where it was before.

    Args:
        devices: accepted as in PyTorch; one generator serves all devices.
        enabled: whether to do anything.
        device_type: accepted as in PyTorch.

    >>> from nnscratch import rand
    >>> _ = manual_seed(0)
    >>> with fork_rng():
    ...     drawn = rand(3)
    >>> bool((rand(3) == drawn).all())
    True
    """
    before = default_generator.state()
    try:
        yield
    finally:
        if enabled:
            default_generator.set_state(before)


refuse_absent_names(__name__)
