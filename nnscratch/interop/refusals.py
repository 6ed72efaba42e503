"""What is said of pickles, and of objects that only a pickle could hold."""

from __future__ import annotations

import pickletools
from typing import Any

import numpy as np

from nnscratch.nn import Module
from nnscratch.optim import Optimizer

_TENSORS = (
    ("._rebuild_sparse_", "a tensor in it is sparse", "x.to_dense()"),
    ("._rebuild_qtensor", "a tensor in it is quantised", "x.dequantize()"),
    ("._rebuild_nested_", "a tensor in it is nested", "list(x.unbind())"),
    ("._rebuild_meta_", "a tensor in it has no values, on the device meta", "one with values"),
    (
        "._rebuild_from_type",
        "a tensor in it is of a subclass",
        "x.detach().as_subclass(torch.Tensor)",
    ),
    ("._rebuild_parameter_with", "a parameter in it has attributes of its own", "x.detach()"),
    ("torch.float8_", "a tensor in it has 8 bits, which is not here", "x.float()"),
    ("torch.complex32", "a tensor in it has twice 16 bits, which is not here", "x.cfloat()"),
)
"""What PyTorch saves of tensors that are no arrays here: a part of the name, what, and instead."""


def word(key: Any) -> str:
    """Return a key as text, also a number of thousands of digits."""
    try:
        return str(key)
    except ValueError:
        return type(key).__name__


def at(path: tuple[str, ...]) -> str:
    """Return where an object stands, with a space behind."""
    return f"{'.'.join(path[:9])!r} " if path else "the object "


def refusal(item: Any) -> str:
    """Return why an object is not kept, and what to save in its place."""
    what = f"is of type {type(item).__name__}, which only a pickle could hold; save "
    if isinstance(item, Module):
        return what + "model.state_dict(), and load it by model.load_state_dict(load(path))"
    if isinstance(item, Optimizer) or hasattr(item, "state_dict"):
        return what + "its .state_dict()"
    if isinstance(item, dict):
        return what + "dict(...) of it"
    if hasattr(item, "__dict__") and not callable(item):
        return what + "vars(...) of it, a dictionary"
    if isinstance(item, np.generic):
        return what.replace("only a pickle could hold", "has no Python number") + "float(...) of it"
    if isinstance(item, tuple):
        return what + "tuple(...) of it"
    return what + "tensors, dictionaries, lists, tuples, numbers and texts"


def unknown_opcode(opcode: bytes) -> str:
    """Return why a pickle with an opcode is not read."""
    known = {op.code.encode("latin1"): op.name for op in pickletools.opcodes}
    name = known.get(opcode, f"{opcode[0]:#04x}, which is none")
    return (
        f"the pickle in it has the opcode {name}; a state dict needs none such, and nothing of it "
        "was run"
    )


def unknown_global(name: str) -> str:
    """Return why a pickle that imports a name is not read."""
    said = (
        f"it would import {name[:120]!r}, which no state dict needs; nothing of it was imported or "
        "run. "
    )
    for part, what, instead in _TENSORS:
        if part in name:
            return f"it would import {name[:120]!r}: {what}. Where PyTorch is, save {instead} of it"
    if name.startswith("numpy"):
        return said + "Where PyTorch is, save numbers as float(x) and arrays as torch.tensor(x)"
    return said + (
        "If it holds a whole model or objects, write torch.save(model.state_dict(), path) where "
        "PyTorch is"
    )
