"""Arguments and results: tensors anywhere inside lists, tuples and dictionaries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def mapped(function: Callable[[Any], Any], item: Any) -> Any:
    """Return the same containers with what a function makes of everything in them.

    >>> mapped(lambda n: n + 1, {"a": [1, (2, 3)]})
    {'a': [2, (3, 4)]}
    """
    if isinstance(item, dict):
        return {key: mapped(function, part) for key, part in item.items()}
    if isinstance(item, (list, tuple)):
        parts = [mapped(function, part) for part in item]
        return type(item)(*parts) if hasattr(item, "_fields") else type(item)(parts)
    return function(item)


def leaves(item: Any) -> Iterator[Any]:
    """Go through everything in the containers.

    >>> list(leaves({"a": [1, (2, 3)]}))
    [1, 2, 3]
    """
    if isinstance(item, (dict, list, tuple)):
        for part in item.values() if isinstance(item, dict) else item:
            yield from leaves(part)
    else:
        yield item
