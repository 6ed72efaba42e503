"""ONNX's element types, and those of tensors here."""

from __future__ import annotations

from typing import Any

from onnx import TensorProto

from nnscratch.errors import DTypeError

DTYPES: dict[int, str] = {
    TensorProto.FLOAT: "float32",
    TensorProto.UINT8: "uint8",
    TensorProto.INT8: "int8",
    TensorProto.UINT16: "uint16",
    TensorProto.INT16: "int16",
    TensorProto.INT32: "int32",
    TensorProto.INT64: "int64",
    TensorProto.BOOL: "bool",
    TensorProto.FLOAT16: "float16",
    TensorProto.DOUBLE: "float64",
    TensorProto.UINT32: "uint32",
    TensorProto.UINT64: "uint64",
    TensorProto.BFLOAT16: "bfloat16",
}
"""The dtype of each element type that tensors have."""

ELEMENTS: dict[str, int] = {name: number for number, name in DTYPES.items()}
"""The element type of each dtype."""


def type_name(element: int) -> str:
    """Return ONNX's name of an element type.

    >>> type_name(1), type_name(99)
    ('FLOAT', 'element type 99')
    """
    known: dict[int, str] = {number: name for name, number in TensorProto.DataType.items()}
    return known.get(element, f"element type {element}")


def dtype_named(where: str, element: Any) -> str:
    """Return the dtype of an element type.

    Raises:
        DTypeError: if tensors have none of these.

    >>> dtype_named("Cast", 1)
    'float32'
    """
    try:
        return DTYPES[element]
    except (KeyError, TypeError):
        raise DTypeError(
            f"{where}: no tensors of {type_name(element)}; there are "
            f"{', '.join(map(type_name, DTYPES))}"
        ) from None


def shown(name: Any) -> str:
    r"""Return a name from a file as a message may have it: in quotes, on one line, not too long.

    >>> shown("fc1"), shown("a\nb")
    ("'fc1'", "'a\\nb'")
    """
    text = repr(name)
    return text if len(text) <= 120 else f"{text[:117]}..."
