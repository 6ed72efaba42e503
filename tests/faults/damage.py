"""Ways to damage a file: bytes at random, and values that a hostile author would choose."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

Random = np.random.Generator
Cases = Iterator[tuple[str, bytes]]

# Written into the JSON as it stands, for json.dumps has no way to say it.
_RAW = {"@infinite@": "1e999", "@deep@": "[" * 900 + "]" * 900, "@deeper@": "[" * 975 + "]" * 975}

VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    0.5,
    -0.0,
    1e308,
    5e-324,
    2**31,
    2**63,
    2**64,
    10**30,
    10**400,
    -(10**400),
    "",
    "x",
    "x" * 20_000,
    "\ud800",
    "\x1b[2J\r\n\x00",
    "../../outside",
    "/etc/passwd",
    "nan",
    "1e999",
    [],
    {},
    [[]],
    [None],
    [-1],
    [1, 2, 3],
    [10**400],
    ["x"],
    {"a": 1},
    {"": {}},
    {"form": "x", "version": 1},
    [0] * 5000,
    *_RAW,
)


def dump(value: Any) -> bytes:
    text = json.dumps(value)
    for mark, raw in _RAW.items():
        text = text.replace(f'"{mark}"', raw)
    return text.encode()


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from _places(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(min(len(value), 3)):
            yield from _places(value[index], (*path, index))


def _changed(value: Any, path: tuple[Any, ...], source: Random) -> Any:
    """A copy with one place replaced, removed, doubled or renamed."""
    made = json.loads(json.dumps(value))
    new = VALUES[source.integers(len(VALUES))]
    if not path:
        return new
    holder = made
    for step in path[:-1]:
        holder = holder[step]
    how = source.integers(12)
    if how == 0:
        del holder[path[-1]]
    elif how == 1 and isinstance(holder, dict):
        holder["unexpected"] = new
    elif how == 1:
        holder.append(holder[path[-1]])
    else:
        holder[path[-1]] = new
    return made


def json_cases(value: Any, source: Random, count: int) -> Cases:
    """JSON with one or two places changed."""
    for _ in range(count):
        made, named = value, []
        for _ in range(source.integers(1, 3)):
            found = list(_places(made)) if isinstance(made, (dict, list)) else [()]
            path = found[source.integers(len(found))]
            named.append(path)
            made = _changed(made, path, source)
        yield f"changed at {named}", dump(made)


def byte_cases(content: bytes, source: Random, count: int) -> Cases:
    """Cut, lengthened, flipped, overwritten, shuffled, and nothing but random bytes."""
    for number in range(count):
        kind = number % 8
        size = len(content)
        place = int(source.integers(size))
        if kind in (0, 1):
            # Early cuts hit the headers.
            length = place if kind else int(place**2 / size)
            yield f"cut to {length}", content[:length]
        elif kind == 2:
            more = int(source.integers(1, 3 * size + 9))
            yield f"{more} bytes more", content + source.bytes(more)
        elif kind in (3, 4):
            made = bytearray(content)
            for _ in range(source.integers(1, 9)):
                where = int(source.integers(min(size, 200 if kind == 4 else size)))
                made[where] ^= 1 << int(source.integers(8))
            yield "flipped bits", bytes(made)
        elif kind == 5:
            made = bytearray(content)
            length = int(source.integers(1, 64))
            made[place : place + length] = source.choice([b"\xff", b"\0", b"[", b"9"]) * length
            yield f"overwritten at {place}", bytes(made)
        elif kind == 6:
            other = int(source.integers(size))
            yield "halves exchanged", content[place:] + content[:other]
        else:
            yield "random bytes", source.bytes(int(source.integers(0, 2000)))


def header_cases(content: bytes, source: Random, count: int) -> Cases:
    """A safetensors file with another header, its length right."""
    header, data = split_header(content)
    for label, made in json_cases(header, source, count):
        yield f"header {label}", join_header(made, data)


def record_cases(content: bytes, source: Random, count: int) -> Cases:
    """A checkpoint with another record, the header around it sound."""
    header, data = split_header(content)
    record = json.loads(header["__metadata__"]["nnscratch"])
    for label, made in json_cases(record, source, count):
        header["__metadata__"]["nnscratch"] = made.decode()
        yield f"record {label}", join_header(json.dumps(header).encode(), data)


def split_header(content: bytes) -> tuple[Any, bytes]:
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def join_header(header: bytes, data: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data
