"""The audit: hidden copies, promotions, reads and allocations, and what can be asserted of them."""

from __future__ import annotations

from typing import Any

import array_api_strict
import numpy as np
import pytest

import nnscratch
import nnscratch.array.device as device
from nnscratch import nn, optim
from nnscratch.verify.watch.copies import AuditError, audit

X = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))


def test_a_clean_training_step() -> None:
    model, x = net(), nnscratch.tensor(X)
    step = optim.Adam(model.parameters(), lr=1e-3)
    with audit() as seen:
        step.zero_grad()
        (model(x) ** 2).mean().backward()
        step.step()
    seen.assert_no_copies()
    seen.assert_no_promotions()
    seen.assert_no_reads()
    layers = {where for where, _, _ in seen.costs}
    assert any(layer.startswith("0 (Linear") for layer in layers)
    assert sum(cost.calls for key, cost in seen.costs.items() if key[2] == "backward") > 3


def test_what_layers_allocate() -> None:
    model, x = net(), nnscratch.tensor(X)
    with nnscratch.no_grad(), audit() as seen:
        model(x)
    assert seen.allocated >= 8 * (4 + 2) * 4
    seen.assert_allocates_at_most(8 * (4 + 4 + 2) * 4)
    with pytest.raises(AuditError, match="at most 10 were allowed"):
        seen.assert_allocates_at_most(10)


def test_memory_of_temporaries() -> None:
    x = nnscratch.ones(1000, 100)
    x.exp()  # whatever is imported or compiled for it is there by now
    with audit(memory=True) as seen:
        x.exp()
    (cost,) = seen.costs.values()
    assert 400_000 <= cost.peak < 1_500_000
    assert "exp forward" in str(seen)


@pytest.mark.parametrize(
    ("do", "what"),
    [
        (lambda x: x.double(), "cast from float32 to float64"),
        (lambda x: x * nnscratch.ones(6, dtype="float64"), "float64"),
    ],
)
def test_promotions(do: Any, what: str) -> None:
    with audit() as seen:
        do(nnscratch.tensor(X))
    assert what in seen.of("dtype promotion")[0].what
    with pytest.raises(AuditError, match="dtype promotion"):
        seen.assert_no_promotions()
    seen.assert_no_copies()


def test_narrowing_and_scalars_are_no_promotion() -> None:
    with audit() as seen:
        x = nnscratch.tensor(X) * 2.0 + 1
        x.double().float()
    assert len(seen.of("dtype promotion")) == 1


@pytest.mark.parametrize(
    ("do", "what"),
    [
        (lambda x: x.T.reshape(-1), "reshape of a strided array"),
        (lambda x: nnscratch.tensor(X)[:, ::2] @ nnscratch.ones(3, 2), "strided operand"),
        (lambda x: np.ascontiguousarray(X[:, ::2]), "numpy.ascontiguousarray"),
    ],
)
def test_copies_for_contiguity(do: Any, what: str) -> None:
    with audit() as seen:
        do(nnscratch.tensor(X))
    (event,) = seen.of("contiguous copy")
    assert what in event.what
    assert event.line.startswith("test_audit.py:")
    with pytest.raises(AuditError, match="contiguous copy"):
        seen.assert_no_copies()


def test_what_blas_takes_as_it_lies_is_no_copy() -> None:
    x = nnscratch.tensor(X)
    with audit() as seen:
        x.T @ x
        x[:3] @ x.T
        x[:, :2] @ nnscratch.ones(2, 2)
        x.reshape(-1)
    seen.assert_no_copies()


def test_reads() -> None:
    x = nnscratch.tensor(X)
    with audit() as seen:
        x.sum().item()
        bool((x > 0).any())
    assert len(seen.of("read")) == 2
    with pytest.raises(AuditError, match=r"item\(\)"):
        seen.assert_no_reads()


def test_device_copies() -> None:
    """array_api_strict has devices that a machine without a GPU can move arrays between."""
    there = array_api_strict.asarray(X, device=array_api_strict.Device("device1"))
    with audit() as seen:
        here = device.move(there, "cpu")
    assert isinstance(here, np.ndarray)
    assert "device1" in seen.of("device copy")[0].what
    with pytest.raises(AuditError, match="device copy"):
        seen.assert_no_device_copies()
    with audit() as seen:
        device.move(here, "cpu")
    seen.assert_no_copies()


def test_hooks_are_taken_out_again() -> None:
    before = device.move, np.ascontiguousarray, nnscratch.tensor

    def fails() -> None:
        with audit():
            assert device.move is not before[0]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert (device.move, np.ascontiguousarray, nnscratch.tensor) == before
