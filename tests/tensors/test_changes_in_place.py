"""A change in place reaches what shares the memory, as in PyTorch, or is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from calls import MATRIX, Call, same

import nnscratch
from nnscratch.errors import GradientError, ShapeError

VIEWS: dict[str, Call] = {
    "an element": lambda lib, x: x[0, 1],
    "a row": lambda lib, x: x[0],
    "unbind": lambda lib, x: x.unbind(1)[2],
    "an element of a row": lambda lib, x: x[1][-1],
    "transposed": lambda lib, x: x.t(),
    "flat": lambda lib, x: x.view(-1),
    "split": lambda lib, x: x.split(1)[1],
    "nothing left out": lambda lib, x: x[...],
    "detached": lambda lib, x: x.detach(),
}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_a_view_changed_in_place_changes_the_whole(name: str, dtype: str) -> None:
    found = []
    for lib in (nnscratch, torch):
        x = lib.tensor([[1, 2, 3], [4, 5, 6]], dtype=getattr(lib, dtype))
        view = VIEWS[name](lib, x)
        view += 1
        view.mul_(2)
        found.append((np.asarray(x), np.asarray(view)))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


def put(tensor: Any, index: Any, value: Any) -> Any:
    tensor[index] = value
    return tensor


IN_GRAPHS: dict[str, Any] = {
    "a view is added to": lambda lib, a, b: (a[0].add_(b.sum()), a),
    "the whole is added to": lambda lib, a, b: (a.t(), a.add_(b)),
    "a view is scaled by the graph": lambda lib, a, b: (a[:, 1:].mul_(b[:, :2]), a),
    "an element": lambda lib, a, b: (a[0, 1].sub_(b[1, 1]), a),
    "one view beside another": lambda lib, a, b: (a.view(-1), a[1], a[:, 0].div_(b[:, 1])),
    "a view of a view": lambda lib, a, b: (a.t()[1:][0].add_(b[:, 0]), a, a.t()),
    "a view clamped": lambda lib, a, b: (a.view(3, 2)[1].clamp_(min=0.5), a, b),
    "a view masked": lambda lib, a, b: (a[1].masked_fill_(b[0] > 0, 2.0), a, b),
    "a view copied into": lambda lib, a, b: (a[1].copy_(b[0] * 2), a),
    "a view filled": lambda lib, a, b: (a[1].fill_(3.0), a, b),
    "a view of a view zeroed": lambda lib, a, b: (a.t()[1:].zero_(), a * b, a.t()),
    "a number set": lambda lib, a, b: (put(a, (0, 1), 7.0), a * b, a[0]),
    "a row set": lambda lib, a, b: (a[0], put(a, 0, b[1] * 2), a),
    "a column set through a view": lambda lib, a, b: (put(a.t(), 1, b[:, 0]), a, a.view(-1)),
    "items set by a mask": lambda lib, a, b: (put(a, b > 0, 0.5), a, b),
    "items set by numbers": lambda lib, a, b: (put(a, lib.tensor([1, 0]), b * 2), a),
    "items broadcast": lambda lib, a, b: (put(a, (slice(None), slice(1, 3)), b[:, :1]), a),
    "all set": lambda lib, a, b: (put(a, ..., b[0]), a),
    "a view changed twice": lambda lib, a, b: (a[1].add_(b[0]).add_(b[1]), a.add_(1.0)),
}


@pytest.mark.parametrize("name", IN_GRAPHS)
@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_views_follow_a_change_in_a_graph(name: str, asks: bool, dtype: str) -> None:
    found = []
    for lib in (nnscratch, torch):
        x = lib.tensor(MATRIX, dtype=getattr(lib, dtype), requires_grad=asks)
        y = lib.tensor(MATRIX[::-1], dtype=getattr(lib, dtype), requires_grad=True)
        made = IN_GRAPHS[name](lib, x * 2, y * 3)
        total = sum((one * one * (k + 1)).sum() for k, one in enumerate(made))
        total.backward()
        numbers = [*(one.detach() for one in made), y.grad, *([x.grad] if asks else [])]
        found.append([np.asarray(one) for one in numbers])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_views_that_could_not_follow_are_not_changed() -> None:
    leaf = nnscratch.tensor([1.0, 2.0], requires_grad=True)
    view = leaf[0]
    with pytest.raises(GradientError, match="view of a leaf"):
        view += 1
    plain = nnscratch.zeros(2)
    detached = plain.detach()
    with pytest.raises(GradientError, match="detached"):
        detached.add_(leaf)
    assert plain.tolist() == [0.0, 0.0]
    plain.add_(leaf)
    assert detached.tolist() == [1.0, 2.0]
    assert not detached.requires_grad


def test_a_view_alone_is_changed_in_place_in_a_graph() -> None:
    def call(lib: Any, x: Any) -> Any:
        flat = (x * 2).view(-1)
        flat += 1
        flat *= lib.arange(6.0)
        return flat

    same(call, MATRIX)


def test_a_detached_tensor_sees_a_change_in_a_graph() -> None:
    for lib in (nnscratch, torch):
        a = lib.tensor([1.0, 2.0], requires_grad=True)
        loss = a * 3
        seen = loss.detach()
        loss += a
        assert seen.tolist() == loss.tolist() == [4.0, 8.0]
        assert not seen.requires_grad
        loss.sum().backward()
        assert a.grad is not None
        assert a.grad.tolist() == [4.0, 4.0]


def test_a_graph_whose_values_were_written_over_through_a_view_is_not_walked() -> None:
    a = nnscratch.tensor([1.0, 2.0], requires_grad=True)
    b = a * 3
    seen = b.detach()
    square = b * b
    b += 1
    assert seen.tolist() == [4.0, 7.0]
    with pytest.raises(GradientError):
        square.sum().backward()


IN_A_GRAPH: dict[str, Call] = {
    "clamp_ in a graph": lambda lib, x: (x * 2).clamp_(min=0.5, max=5.0),
    "clamp_ by a tensor": lambda lib, x: (x * 2).clamp_(min=lib.tensor(0.5)),
    "copy_ of a graph": lambda lib, x: lib.zeros(2, 3, dtype=x.dtype).copy_(x * 2),
    "copy_ of a graph, broadcast": lambda lib, x: lib.zeros(4, 2, 3, dtype=x.dtype).copy_(x * 2),
    "copy_ of a graph and more of it": lambda lib, x: lib.ones(2, 3, dtype=x.dtype).copy_(x) * x,
}


@pytest.mark.parametrize("name", IN_A_GRAPH)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_changes_in_place_are_part_of_the_graph(name: str, dtype: str) -> None:
    same(IN_A_GRAPH[name], MATRIX, dtype, rtol=2e-3 if dtype == "float16" else 1e-5)


def test_elements_on_a_bound_of_clamp_keep_their_gradient() -> None:
    found = []
    for lib in (nnscratch, torch):
        x = lib.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
        low = lib.tensor([2.0, 2.0, 2.0, 2.0], requires_grad=True)
        high = lib.tensor([3.0, 3.0, 3.0, 3.0], requires_grad=True)
        y = x.clamp(low, high)
        y.sum().backward()
        found.append([t.tolist() for t in (y, x.grad, low.grad, high.grad)])
        y = x.clamp(max=lib.tensor([float("nan"), 1.0, 3.0, 9.0]))
        np.testing.assert_array_equal(np.asarray(y.detach()), [float("nan"), 1.0, 3.0, 4.0])
    assert found[0] == found[1]


ITEMS: dict[str, Call] = {
    "an element by a vector of one": lambda lib, x: x.__setitem__((0, 1), lib.tensor([7.0])),
    "masked by one": lambda lib, x: x.__setitem__(x > 2, lib.tensor([[[8.0]]])),
    "lists as a tuple": lambda lib, x: x.__setitem__([[0, 1], [1, 0]], 9),
    "a list with a slice": lambda lib, x: x.__setitem__([slice(None), 0], 9),
    "a range": lambda lib, x: x.__setitem__(range(2), lib.ones(3, dtype=x.dtype)),
    "bytes are a mask": lambda lib, x: x.__setitem__(
        (slice(None), lib.tensor([1, 0, 1], dtype=lib.uint8)), lib.ones(2, dtype=x.dtype)
    ),
    "True": lambda lib, x: x.__setitem__(True, 9),
    "a mask of no dimensions": lambda lib, x: x.__setitem__(lib.tensor(False), 9),
}


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning")
@pytest.mark.filterwarnings("ignore:indexing with dtype torch.uint8:UserWarning")
@pytest.mark.parametrize("name", ITEMS)
@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_items_are_set_where_pytorch_sets_them(name: str, dtype: str) -> None:
    found = []
    for lib in (nnscratch, torch):
        x = lib.arange(6).reshape(2, 3).to(getattr(lib, dtype))
        ITEMS[name](lib, x)
        found.append(np.asarray(x))
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("lib", [nnscratch, torch], ids=["nnscratch", "torch"])
def test_items_of_a_buffer_join_the_graph_of_their_values(lib: Any) -> None:
    x = lib.tensor([1.0, 2.0, 3.0], requires_grad=True)
    out = lib.zeros(2, 3)
    for row in range(2):
        out[row] = x * (row + 1)
    out[0, 2] = lib.tensor([5.0])  # one number too many dimensions
    (out * out).sum().backward()
    assert x.grad.tolist() == [10.0, 20.0, 24.0]


def test_a_compiled_step_sets_items_in_its_graph() -> None:
    w = nnscratch.ones(3, requires_grad=True)

    @nnscratch.compile
    def step(x: Any) -> Any:
        w.grad = None
        y = w * x
        y[1:] = (w * 3)[:-1]
        loss = (y * y).sum()
        loss.backward()
        return loss

    for shift in range(3):
        x = nnscratch.tensor([1.0, 2.0, 3.0]) + shift
        assert step(x).item() == (1 + shift) ** 2 + 18
        assert w.grad is not None
        assert w.grad.tolist() == [2 * (1 + shift) ** 2 + 18, 18.0, 0.0]


def test_values_that_do_not_fit_in_a_graph() -> None:
    y = nnscratch.ones(3, requires_grad=True) * 1
    with pytest.raises(ShapeError, match=r"setting items: shapes \(2,\) and \(3,\) do not"):
        y[:] = nnscratch.ones(2)
    with pytest.raises(IndexError):
        y[7] = 1.0
    assert y.tolist() == [1.0, 1.0, 1.0]
