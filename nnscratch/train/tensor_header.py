"""The header of a safetensors file, checked here where the ``safetensors`` library is missing.

The library is compiled, and there is no build of it for a browser (``docs/browser.md``). What it
checks is little: that the header is JSON, that every entry says how much memory it takes, and that
the entries cover the rest of the file one after the other, without a gap and without an overlap.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, TypeGuard

MOST_HEADER = 100_000_000
"""The longest header, in bytes, that the safetensors library reads."""
METADATA = "__metadata__"
_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 1),
    **dict.fromkeys(("F8_E4M3FNUZ", "F8_E5M2FNUZ"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}
"""The size of an element by the dtype's code, of those that have whole bytes."""


def check_header(text: bytes, size: int) -> None:
    """Check the header of a safetensors file as the library of that name does.

    Args:
        text: the header, which is JSON.
        size: how many bytes follow it.

    Raises:
        ValueError: if it is no such header, or the arrays do not cover the bytes exactly.

    >>> check_header(b'{"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}', 8)
    """
    if not text.startswith(b"{"):
        raise ValueError("the header does not begin with a brace")
    try:
        header = json.loads(text.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("the header is nested too deeply") from None
    metadata = header.pop(METADATA, None)
    if metadata is not None and not (
        isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())
    ):
        raise ValueError("the metadata are no texts by name")
    end = 0
    for start, stop in sorted(_span(name, entry) for name, entry in header.items()):
        if start != end:
            raise ValueError(f"an array begins at byte {start} where {end} was expected")
        end = stop
    if end != size:
        raise ValueError(f"the arrays take {end} bytes, and {size} follow the header")


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the name {name[:80]!r} is there twice")
        found[name] = value
    return found


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _span(name: str, entry: Any) -> tuple[int, int]:
    """Return the first byte of an array and the byte behind its last."""
    if not isinstance(entry, dict):
        raise ValueError(f"the entry of {name[:80]!r} is no object")
    code, shape, offsets = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(code, str) or code not in _BYTES:
        raise ValueError(f"{name[:80]!r} has the unknown dtype {str(code)[:20]!r}")
    if not _sizes(shape) or not _sizes(offsets) or len(offsets) != 2:
        raise ValueError(f"{name[:80]!r} has no shape or no two offsets of whole numbers")
    start, stop = offsets
    if stop - start != math.prod(shape) * _BYTES[code] or math.prod(n or 1 for n in shape) >> 64:
        raise ValueError(f"{name[:80]!r} takes another number of bytes than its shape says")
    return start, stop


def _sizes(value: Any) -> TypeGuard[list[int]]:
    """Say whether a value is a list of whole numbers from 0 on that 64 bits can hold."""
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 64 for n in value)
