"""What ranks compute together as steps of a plan: into the vector itself, by the one who sends."""

from __future__ import annotations

from typing import Any

from nnscratch.formulas import registry


class _InPlace:
    """What ranks have together written into the vector itself, which the reference would copy."""

    name = "mpi"

    def __init__(self, library: str) -> None:
        self.library = library

    def refuses(
        self, direction: str, inputs: tuple[Any, ...], options: dict[str, Any]
    ) -> str | None:
        return None if options.get("over") is not None else "there is one rank only"

    def worthwhile(self, direction: str, inputs: tuple[Any, ...]) -> bool:
        return True

    def forward(self, *inputs: Any, **options: Any) -> Any:
        raise TypeError("it updates its input")

    def backward(self, dY: Any, saved: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        raise TypeError("it has no derivative")

    def update(self, *inputs: Any, **options: Any) -> None:
        options["over"](inputs[0])


_entered = False


def enter() -> None:
    """Enter the implementation that adds and gathers in place, once."""
    global _entered
    if not _entered:
        _entered = True
        for name in ("all_reduce", "all_gather"):
            for library in ("numpy", "cupy"):
                registry.implement(name, _InPlace(library))
