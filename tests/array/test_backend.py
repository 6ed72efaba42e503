"""Libraries, dtypes and devices: what is told apart, what is converted, and what is refused."""

from __future__ import annotations

import types
import warnings
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch

import nnscratch
from nnscratch.array import (
    array_namespace,
    as_device,
    asarray,
    device_of,
    dtype_name,
    dtype_of,
    from_dlpack,
    is_array,
    is_complex,
    is_floating,
    is_integer,
    move,
    promote,
    same_device,
    to_numpy,
)
from nnscratch.array.device import namespace_on, place_on
from nnscratch.array.dtypes import cast, default_dtype, set_default_dtype
from nnscratch.errors import DeviceError, DTypeError
from nnscratch.formulas import ADD, CROSS_ENTROPY, LINEAR, registry

DEVICES = ("CPU_DEVICE", "device1", "device2")


def strict(values: Any, device: str = "CPU_DEVICE", dtype: str = "float32") -> Any:
    host = np.asarray(values, dtype)
    return array_api_strict.asarray(host, device=array_api_strict.Device(device))


def test_the_library_of_arrays() -> None:
    assert array_namespace(np.ones(2)) is array_namespace(None, 1.0, np.float32(2), np.ones(1))
    assert array_namespace(np.ones(2)).__name__ == "array_api_compat.numpy"
    assert array_namespace(strict([1.0])).__name__ == "array_api_strict"
    assert array_namespace(np.ones(2)) is namespace_on("cpu")
    with pytest.raises(DeviceError, match=r"two libraries.*numpy and array_api_strict.*\.cpu\(\)"):
        array_namespace(np.ones(2), strict([1.0]))
    for nothing in ((), (None,), (1.0, True)):
        with pytest.raises(DTypeError, match="expected at least one array"):
            array_namespace(*nothing)
    with pytest.raises(DTypeError, match=r"got list; convert it with nnscratch\.tensor"):
        array_namespace([1.0])


def test_what_is_an_array() -> None:
    assert all(map(is_array, (np.ones(2), np.float32(1), strict([1.0]))))
    assert not any(map(is_array, ([1.0], 1.0, None, "array")))
    X = np.ones(2)
    assert asarray(X) is X
    assert asarray(np.float32(2)).shape == ()
    assert asarray([[1, 2]]).shape == (1, 2)
    for wrong in ("text", [1, "a"], [None], [[1], [1, 2]]):
        with pytest.raises((DTypeError, ValueError)):
            asarray(wrong)


@pytest.mark.parametrize("device", DEVICES)
def test_to_the_host(device: str) -> None:
    host = to_numpy(strict([1.0, 2.0], device))
    assert type(host) is np.ndarray
    np.testing.assert_array_equal(host, [1.0, 2.0])
    X = np.ones(3)
    assert to_numpy(X) is X
    assert to_numpy(np.float64(3.0)).shape == ()


def test_dlpack_in_and_out() -> None:
    source = torch.arange(6.0).reshape(2, 3)
    X = from_dlpack(source)
    source[0, 0] = 9  # no copy
    assert X[0, 0] == 9
    T = nnscratch.tensor(source)
    assert T.device.type == "cpu"
    back = torch.from_dlpack(nnscratch.arange(3.0))
    assert back.tolist() == [0.0, 1.0, 2.0]
    np.testing.assert_array_equal(from_dlpack(strict([1.0, 2.0])), [1.0, 2.0])
    with pytest.raises(DTypeError, match=r"__dlpack__.*got list"):
        from_dlpack([1.0])
    with pytest.raises(DTypeError, match=r"Tensor cannot be converted .*\.detach\(\)"):
        from_dlpack(torch.ones(2, requires_grad=True))
    with pytest.raises(DTypeError, match=r"cannot be converted through DLPack.*\.float\(\)"):
        from_dlpack(torch.ones(2, dtype=torch.bfloat16))


@pytest.mark.parametrize("kind", [2, 13, 10])
def test_dlpack_from_elsewhere(kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Foreign:
        def __dlpack_device__(self) -> tuple[int, int]:
            return kind, 0

    if kind == 10:
        with pytest.raises(DeviceError, match=r"CPU or .*got Foreign on .*type 10.*\.cpu\(\)"):
            from_dlpack(Foreign())
        return
    taken = []
    library = types.SimpleNamespace(from_dlpack=taken.append)
    monkeypatch.setattr(nnscratch.array.cuda, "cupy", lambda: library)
    from_dlpack(Foreign())
    assert len(taken) == 1


def test_names_of_dtypes() -> None:
    names = {
        np.float32: "float32", np.dtype("f8"): "float64", "int64": "int64", bool: "bool",
        array_api_strict.float32: "float32", array_api_strict.bool: "bool",
        array_api_strict.complex128: "complex128", float: "float64",
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # dtypes of two libraries are never compared
        for _ in range(2):
            for dtype, name in names.items():
                assert dtype_name(dtype) == name
    for wrong in (None, "bfloat17", str, object, 3, [], "datetime64[s]"):
        with pytest.raises(DTypeError, match="expected one of bool, int8"):
            dtype_name(wrong)
    assert dtype_of(array_api_strict, np.float32) == array_api_strict.float32


def test_kinds_of_dtypes() -> None:
    for name, kinds in {
        "float16": (True, False, False), "int8": (False, True, False), "bool": (False,) * 3,
        "complex64": (False, False, True),
    }.items():  # fmt: skip
        X = np.ones(2, name)
        assert (is_floating(X), is_integer(X), is_complex(X)) == kinds
    X = np.ones(2, np.float32)
    assert cast(X, "float32") is X
    assert cast(X, np.float64).dtype == np.float64
    assert cast(strict([1.5]), "int64").dtype == array_api_strict.int64


def test_the_default_dtype() -> None:
    assert default_dtype() == "float32"
    try:
        set_default_dtype("float64")
        assert default_dtype() == "float64"
        with pytest.raises(DTypeError, match="got int64"):
            set_default_dtype("int64")
    finally:
        set_default_dtype("float32")


PROMOTED = ("bool", "int8", "int64", "uint8", "float32", "float64", "complex64", "complex128")


@pytest.mark.parametrize("first", PROMOTED)
@pytest.mark.parametrize("second", PROMOTED)
@pytest.mark.parametrize("shapes", [((2,), (2,)), ((2,), ()), ((), (2,)), ((), ())], ids=str)
def test_promotion_is_pytorchs(first: str, second: str, shapes: Any) -> None:
    ours = promote(np.ones(shapes[0], first), np.ones(shapes[1], second))
    a, b = (torch.ones(s, dtype=getattr(torch, n)) for s, n in zip(shapes, (first, second)))  # noqa: B905
    assert ours == str(torch.result_type(a, b)).removeprefix("torch.")


def test_devices_by_name() -> None:
    assert str(as_device("cuda:1")) == "cuda:1"
    assert as_device("cpu") == as_device(as_device("cpu"))
    assert repr(as_device("cuda")) == "device(type='cuda')"
    assert as_device("cpu:0").index is None
    for wrong in ("gpu", "cuda:", "cuda:x", "cuda:-1", "device1", ""):
        with pytest.raises(DeviceError, match="expected 'cpu', 'cuda' or 'cuda:N'"):
            as_device(wrong)
    assert place_on("cpu") is None


def test_where_arrays_are() -> None:
    assert str(device_of(np.ones(2))) == "cpu"
    assert [str(device_of(strict([1.0], d))) for d in DEVICES] == ["cpu", "device1", "device2"]


def test_moving() -> None:
    X = np.ones(2)
    assert move(X, "cpu") is X
    there = strict([1.0, 2.0], "device1")
    assert move(there, device_of(there)) is there
    other = move(there, device_of(strict([1.0], "device2")))
    assert str(device_of(other)) == "device2"
    np.testing.assert_array_equal(move(there, "cpu"), [1.0, 2.0])


def test_two_devices_are_named_with_the_call_that_mends_it() -> None:
    X, W = strict([[1.0]], "device1"), strict([[1.0]], "device2")
    same_device("f", X=X, n=1.0, b=None, Y=strict([2.0], "device1"))
    with pytest.raises(DeviceError, match=r"X is on device1 but W is on device2.*W\.to\('device1'"):
        same_device("linear", X=X, W=W)


@pytest.mark.parametrize("devices", [("device1", "device2"), ("CPU_DEVICE", "device1")])
def test_a_formula_refuses_two_devices(devices: tuple[str, str]) -> None:
    a, b = (strict([[1.0, 2.0]], device) for device in devices)
    for formula, inputs in ((ADD, (a, b)), (LINEAR, (a, b)), (LINEAR, (a, a, b))):
        with pytest.raises(DeviceError, match="Nothing moves silently"):
            registry.forward(formula, *inputs)
    T = strict([0], devices[1], "int64")
    with pytest.raises(DeviceError, match="cross_entropy: Z is on"):
        registry.forward(CROSS_ENTROPY, a, T)
    with pytest.raises(DeviceError):
        registry.forward(ADD, a, np.ones((1, 2), np.float32))


def test_a_tensor_goes_nowhere_without_a_gpu() -> None:
    if nnscratch.cuda.is_available():
        return
    for go in (
        lambda: nnscratch.ones(2).to("cuda"),
        lambda: nnscratch.ones(2).cuda(),
        lambda: nnscratch.zeros(2, device="cuda"),
        lambda: nnscratch.nn.Linear(2, 3).to("cuda"),
        lambda: nnscratch.rand(3, device="cuda"),
    ):
        with pytest.raises(DeviceError, match=r"device 'cuda' cannot be used: .*doctor"):
            go()
