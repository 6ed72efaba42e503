"""The state of an optimizer divided among the ranks: each keeps a part, and steps that part.

This is the first stage of ZeRO (Rajbhandari and others 2020). The parameters of an optimizer lie
end to end in a flat buffer of n elements. Of p ranks each keeps the state of n / p consecutive
ones, whatever parameters they belong to, and steps these; then each sends the others its part of
the values. An optimizer that steps each element by itself gives the same bits so. One that looks
at a whole parameter, as for a norm, would not, and is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nnscratch.errors import ConfigurationError
from nnscratch.optim import Optimizer
from nnscratch.optim.flat import ALIGNMENT, FlatParameters
from nnscratch.parallel.in_place import enter
from nnscratch.parallel.world import World


def bounds_of(total: int, ranks: int) -> list[int]:
    """Return where the parts of a flat buffer begin, and where the last one ends.

    >>> bounds_of(80, 4)
    [0, 16, 32, 48, 80]
    """
    blocks = -(-total // ALIGNMENT)
    return [min(blocks * rank // ranks * ALIGNMENT, total) for rank in range(ranks + 1)]


class DividedState:
    """Divides the state of an optimizer among the ranks.

    Args:
        optimizer: the optimizer, the same on all ranks.
        world: the ranks.

    Attributes:
        muted: whether nothing is sent, as while kernels are compiled.

    Raises:
        ConfigurationError: if the optimizer does not step each element by itself.
    """

    def __init__(self, optimizer: Optimizer, world: World) -> None:
        self.optimizer, self.world = optimizer, world
        self.muted = False
        formula = getattr(optimizer, "formula", None)
        if formula is None or formula.update_body is None:
            raise ConfigurationError(
                f"shard_optimizer divides the state of an optimizer by elements, and "
                f"{type(optimizer).__name__} looks at whole parameters: choose one that steps each "
                "element by itself, such as AdamW, or leave shard_optimizer out"
            )
        enter()
        self.follow()

    def follow(self) -> None:
        """Divide what is not divided yet: a group that was added to the optimizer meanwhile."""
        for flat in self.optimizer.flats():
            if isinstance(flat.collect, _Collects) and flat.collect.divided is self:
                continue
            bounds = bounds_of(flat.values.shape[0], self.world.size)
            held = slice(bounds[self.world.rank], bounds[self.world.rank + 1])
            # Another trainer may have divided it before.
            flat.divide(held, _Collects(self, bounds))

    def collect(self, values: Any, bounds: list[int]) -> None:
        """Give all ranks the part of the values that each has stepped."""
        if not self.muted:
            self.world.collect(values, bounds)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Let rank 0 have the whole state while the block runs; all ranks call this together."""
        flats = self.optimizer.flats()
        kept = [(flat, flat.held, flat.state) for flat in flats]
        self.world.place = "the gathering of the optimizer's state"
        found: list[tuple[FlatParameters, dict[str, Any]]] = []
        for flat in flats:
            bounds = bounds_of(flat.values.shape[0], self.world.size)
            found.append((flat, {n: self.world.to_first(a, bounds) for n, a in flat.state.items()}))
        try:
            if self.world.leads:
                for flat, state in found:
                    flat.held, flat.state = slice(0, flat.values.shape[0]), state
            yield
        finally:
            for flat, held, state in kept:
                flat.held, flat.state = held, state


class _Collects:
    """What a plan keeps of the gathering of a flat buffer."""

    __slots__ = ("_bounds", "divided")

    def __init__(self, divided: DividedState, bounds: list[int]) -> None:
        self.divided, self._bounds = divided, bounds

    def __call__(self, values: Any) -> None:
        self.divided.collect(values, self._bounds)
