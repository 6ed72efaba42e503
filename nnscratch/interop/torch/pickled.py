"""The reader of what is pickled in a PyTorch file: a stack machine that can make nothing but data.

A pickle is a program for a stack machine: https://docs.python.org/3/library/pickletools.html.
Python's own machine imports what a program names and calls it. This one knows the opcodes and the
names of a state dict, in the tables below; a name is a text until it is looked up there. Any other
opcode or name is refused before anything of it happens.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nnscratch.array import Device
from nnscratch.array.bfloat16 import bfloat16
from nnscratch.errors import CheckpointError
from nnscratch.interop.refusals import unknown_global, unknown_opcode
from nnscratch.interop.torch.memory import (
    DTYPES,
    STORAGES,
    StorageViews,
    of_type,
    sizes_of,
    stored_as,
)
from nnscratch.tensors.size import Size

_MARK = object()
_PLAIN = (str, int, float, bool, complex, bytes, type(None))

_CONTAINERS = {"OrderedDict": OrderedDict, "Counter": Counter}
_BUILTINS = {"set": set, "frozenset": frozenset, "complex": complex}
_REBUILDERS = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter")


class Global(NamedTuple):
    """A name that a pickle imports; it is a text here and stays one."""

    module: str
    name: str


_KNOWN = {
    *(Global("collections", name) for name in _CONTAINERS),
    *(Global(module, name) for module in ("builtins", "__builtin__") for name in _BUILTINS),
    *(Global("torch._utils", name) for name in _REBUILDERS),
    *(Global("torch", name) for name in (*STORAGES, *DTYPES, "Size", "device")),
    Global("torch.storage", "UntypedStorage"),
    Global("_codecs", "encode"),
}


class _Names(tuple[Any, ...]):
    """A tuple with a name in it: a reference to a memory, and never a part of the object."""


class Source(NamedTuple):
    """What a pickle does not hold itself, and what becomes of it.

    Attributes:
        storage: returns the elements of a memory that the pickle names, by its persistent id.
        tensor: makes what stands for a tensor: of its elements, whether it is a parameter, and
            whether it asks for gradients.
        room: how many bytes tensors may take that repeat or rearrange elements of a memory; None
            to make no tensors, and only find out what the pickle refers to.
    """

    storage: Callable[[Any], Any]
    tensor: Callable[[Any, bool, bool], Any]
    room: int | None


class PickledState:
    """A pickle as it is read; ``read`` returns its object.

    Args:
        content: the file, or the part of it that holds the pickle.
        start: where the pickle begins.
        source: what it refers to.

    Attributes:
        position: the place behind what was read.

    Raises:
        CheckpointError: by ``read``, if the pickle is truncated or damaged, or is more than a
            state dict; it names the opcode or the name.
    """

    def __init__(self, content: bytes, start: int, source: Source) -> None:
        self.position = start
        self._content, self._source = content, source
        self._memory = StorageViews(source.room or 0)
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._tensors: dict[Any, Any] = {}
        self._made: dict[int, tuple[Any, Any]] = {}
        self._copied = 0

    def read(self) -> Any:
        """Run to the end, and return the object."""
        try:
            while True:
                opcode = self._take(1)
                if opcode == b".":
                    (made,) = self._stack
                    return self._value(made)
                step = _STEPS.get(opcode)
                if step is None:
                    raise CheckpointError(unknown_opcode(opcode))
                step(self)
        except CheckpointError:
            raise
        except (ArithmeticError, LookupError, TypeError, ValueError, struct.error) as error:
            reason = str(error).partition("\n")[0][:120] or type(error).__name__
            raise CheckpointError(f"the pickle in it is truncated or damaged ({reason})") from None

    # Bytes.

    def _take(self, count: int) -> bytes:
        stop = self.position + count
        if stop > len(self._content):
            raise ValueError("it ends in the middle")
        found = self._content[self.position : stop]
        self.position = stop
        return found

    def _number(self, form: str) -> Any:
        (value,) = struct.unpack(form, self._take(struct.calcsize(form)))
        return value

    def _line(self) -> str:
        stop = self._content.index(b"\n", self.position)
        found = self._content[self.position : stop]
        self.position = stop + 1
        return found.decode()

    # The stack.

    def _push(self, item: Any) -> None:
        self._stack.append(item)

    def _pop(self) -> Any:
        item = self._stack.pop()
        if item is _MARK:
            raise ValueError("a mark where a value was expected")
        return item

    def _marked(self) -> list[Any]:
        """Return the items behind the last mark, and take them and it away."""
        place = len(self._stack) - 1
        while self._stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise ValueError("a mark is missing")
        items = [self._data(item) for item in self._stack[place + 1 :]]
        del self._stack[place:]
        return items

    def _data(self, item: Any) -> Any:
        """Return what an item stands for: the name of a dtype for the dtype."""
        if type(item) is Global and item.module == "torch" and item.name in DTYPES:
            return bfloat16() if item.name == "bfloat16" else np.dtype(DTYPES[item.name])
        return item

    def _value(self, item: Any) -> Any:
        """Return an item that is to be a part of the object."""
        item = self._data(item)
        while type(item) is _Names:
            item = next(one for one in item if type(one) in (Global, _Names))
        if type(item) is Global:
            raise CheckpointError(unknown_global(f"{item.module}.{item.name}"))
        if item is _MARK:
            raise ValueError("a mark where a value was expected")
        return item

    def _tuple(self, items: list[Any]) -> None:
        named = any(type(item) in (Global, _Names) for item in items)
        self._push(_Names(items) if named else tuple(items))

    def _memoize(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _set_items(self, pairs: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) not in (dict, *_CONTAINERS.values()) or len(pairs) % 2:
            raise ValueError("items for what is no dictionary")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            target[_key(key)] = self._value(value)

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise ValueError("elements for what is no list")
        target += map(self._value, items)

    def _global(self, module: Any, name: Any) -> None:
        found = Global(module, name)
        if found not in _KNOWN:
            raise CheckpointError(unknown_global(f"{module}.{name}"))
        self._push(found)

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        self._global(module, name)

    def _persistent(self) -> None:
        self._push(self._source.storage(self._pop()))

    def _build(self) -> None:
        state, target = self._pop(), self._stack[-1]
        if type(target) is not OrderedDict or type(state) is not dict:
            raise CheckpointError(
                f"it sets attributes of {type(target).__name__}, which no state dict needs"
            )
        # PyTorch keeps the versions of modules beside a state dict.
        if type(state.get("_metadata")) in (dict, OrderedDict):
            target._metadata = state["_metadata"]  # type: ignore[attr-defined]

    # Calls: each name has its own rule, and nothing is looked up by it but this table.

    def _copy_of(self, item: Any, *kinds: type) -> Any:
        """Return what a call is about to copy.

        What torch.save writes is copied once. One text of a megabyte and a million calls with it
        would fill any memory, so all copies together may be as long as the pickle.
        """
        if type(item) not in kinds:
            raise ValueError(f"a call with what is of type {type(item).__name__}")
        self._copied += len(item)
        if self._copied > len(self._content):
            raise CheckpointError("its calls copy the same items again and again")
        return item

    def _reduce(self) -> None:
        given, called = self._pop(), self._pop()
        if type(called) is not Global or type(given) is not tuple:
            raise ValueError("a call of what cannot be called")
        if called.name in _REBUILDERS:
            self._push(self._rebuild(called.name, given))
        elif called.name in _CONTAINERS:
            made = _CONTAINERS[called.name]()
            for pairs in given[:1]:
                copied = self._copy_of(pairs, dict, list)
                for key, value in copied.items() if type(copied) is dict else copied:
                    made[_key(key)] = self._value(value)
            self._push(made)
        elif called.name in ("set", "frozenset"):
            (items,) = given
            self._push(_BUILTINS[called.name](map(_key, self._copy_of(items, list))))
        elif called.name == "complex":
            real, imaginary = given
            self._push(complex(of_type(real, float), of_type(imaginary, float)))
        elif called.name == "encode":
            text, codec = given
            if codec != "latin1":
                raise ValueError(f"bytes in the code {str(codec)[:20]!r}")
            self._push(self._copy_of(text, str).encode("latin1"))
        elif called.name == "Size":
            (sizes,) = given
            self._push(Size(sizes_of(self._copy_of(sizes, tuple, Size))))
        elif called.name == "device":
            kind, *index = given
            number = of_type(index[0], int) if index else 0
            self._push(Device("cuda" if kind == "cuda" else "cpu", number))
        else:
            raise CheckpointError(f"it calls {called.module}.{called.name}, which makes nothing")

    def _rebuild(self, name: str, given: tuple[Any, ...]) -> Any:
        if self._source.room is None:
            return None
        if name == "_rebuild_parameter":
            of, asks = given[0], given[1]
            made, values = self._made.get(id(of), (None, None))
            if made is not of or values is None:
                raise ValueError("a parameter of what is no tensor")
            return self._tensor(values, True, bool(asks))
        storage, offset, size, stride, *more = given
        if not isinstance(storage, np.ndarray):
            raise ValueError("a tensor of what is no memory")
        dtype = stored_as(more.pop(2)) if name == "_rebuild_tensor_v3" else None
        if any(more[1:]):
            raise CheckpointError(
                "a tensor in it has hooks or is a conjugate; save x.detach().resolve_conj() of it"
            )
        values = self._memory.array(storage, offset, sizes_of(size), sizes_of(stride), dtype)
        asks = bool(more[0]) if more else False
        return self._tensor(values, False, asks)

    def _tensor(self, values: Any, parameter: bool, asks: bool) -> Any:
        """Return the one object for the same elements and the same wishes."""
        key = (id(values), parameter, asks)
        if key not in self._tensors:
            made = self._source.tensor(values, parameter, asks)
            self._tensors[key] = made
            self._made[id(made)] = made, values
        return self._tensors[key]


def _key(item: Any) -> Any:
    """Return a key of a dictionary; a tuple of tuples could be too deep to be hashed."""
    if type(item) is tuple and all(type(one) in _PLAIN for one in item):
        return item
    if type(item) not in _PLAIN:
        raise ValueError(f"a key of type {type(item).__name__}")
    return item


def _tuple_of(count: int) -> Callable[[PickledState], None]:
    def step(state: PickledState) -> None:
        items = [state._data(state._pop()) for _ in range(count)]
        state._tuple(items[::-1])

    return step


def _set_item(state: PickledState) -> None:
    value, key = state._pop(), state._pop()
    state._set_items([key, value])


def _long(state: PickledState) -> None:
    state._push(int.from_bytes(state._take(state._number("<B")), "little", signed=True))


def _add_items(state: PickledState) -> None:
    items = state._marked()
    of_type(state._stack[-1], set).update(map(_key, items))


def _mark_items(state: PickledState) -> None:
    state._set_items(state._marked())


_Step = Callable[[PickledState], Any]
_STEPS: dict[bytes, _Step] = {
    # Plain values.
    b"N": lambda s: s._push(None),
    b"\x88": lambda s: s._push(True),
    b"\x89": lambda s: s._push(False),
    b"K": lambda s: s._push(s._number("<B")),
    b"M": lambda s: s._push(s._number("<H")),
    b"J": lambda s: s._push(s._number("<i")),
    b"\x8a": _long,
    b"G": lambda s: s._push(s._number(">d")),
    b"X": lambda s: s._push(s._take(s._number("<I")).decode("utf-8", "surrogatepass")),
    b"\x8c": lambda s: s._push(s._take(s._number("<B")).decode("utf-8", "surrogatepass")),
    b"U": lambda s: s._push(s._take(s._number("<B")).decode("latin1")),
    b"T": lambda s: s._push(s._take(s._number("<I")).decode("latin1")),
    b"C": lambda s: s._push(s._take(s._number("<B"))),
    b"B": lambda s: s._push(s._take(s._number("<I"))),
    # Containers.
    b"(": lambda s: s._push(_MARK),
    b"}": lambda s: s._push({}),
    b"]": lambda s: s._push([]),
    b")": lambda s: s._push(()),
    b"\x8f": lambda s: s._push(set()),
    b"t": lambda s: s._tuple(s._marked()),
    b"\x85": _tuple_of(1),
    b"\x86": _tuple_of(2),
    b"\x87": _tuple_of(3),
    b"s": _set_item,
    b"u": _mark_items,
    b"a": lambda s: s._extend([s._pop()]),
    b"e": lambda s: s._extend(s._marked()),
    b"\x90": _add_items,
    b"\x91": lambda s: s._push(frozenset(map(_key, s._marked()))),
    # What came before.
    b"q": lambda s: s._memoize(s._number("<B")),
    b"r": lambda s: s._memoize(s._number("<I")),
    b"\x94": lambda s: s._memoize(len(s._memo)),
    b"h": lambda s: s._push(s._memo[s._number("<B")]),
    b"j": lambda s: s._push(s._memo[s._number("<I")]),
    # Names, memory and calls.
    b"c": lambda s: s._global(s._line(), s._line()),
    b"\x93": lambda s: s._stack_global(),
    b"Q": lambda s: s._persistent(),
    b"R": lambda s: s._reduce(),
    b"b": lambda s: s._build(),
    # The protocol, and how long what follows is.
    b"\x80": lambda s: s._number("<B"),
    b"\x95": lambda s: s._number("<Q"),
}
