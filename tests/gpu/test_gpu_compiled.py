"""Compiled steps on a GPU: their arguments and results, random numbers, memory, several streams."""

from __future__ import annotations

import copy
import dataclasses
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from gpu.emulated.load import hurried

import nnscratch
from nnscratch import formulas as f
from nnscratch import nn, optim
from nnscratch.array import OutOfMemory, to_numpy
from nnscratch.errors import PlanError
from nnscratch.formulas.checks import NOTHING, NothingSaved
from nnscratch.kernels.cuda import cublas
from nnscratch.kernels.cuda.segment import BEFORE_CAPTURE
from nnscratch.tensors import apply


def full(value: float, device: str, *shape: int) -> Any:
    return nnscratch.full(shape or (3,), value, device=device)


def test_the_first_result_is_none_of_the_arguments_of_the_plan(device: str) -> None:
    step = nnscratch.compile(lambda x: (x, x[:1], {"turned": x.T}, x * 2))
    given = [full(n, device, 2, 2) for n in range(6)]
    kept = [step(x) for x in given]
    for n, (whole, part, more, twice) in enumerate(kept):
        assert whole.array is given[n].array
        assert whole.tolist() == more["turned"].tolist() == [[float(n)] * 2] * 2
        assert part.tolist() == [[float(n)] * 2]
        assert twice.tolist() == [[2.0 * n] * 2] * 2


def test_an_argument_changed_in_place_is_refused(device: str) -> None:
    x = full(1.0, device)
    with pytest.raises(PlanError, match=r"changes an argument of shape .* clone\(\)"):
        nnscratch.compile(lambda x: x.add_(1))(x)
    with pytest.raises(PlanError, match="changes an argument"):
        nnscratch.compile(lambda x: x[:2].zero_())(x)
    gentle = nnscratch.compile(lambda x: x.add_(1), on_unsupported="eager")
    with pytest.warns(RuntimeWarning, match="changes an argument"):
        assert [gentle(x)[0].item() for _ in range(3)] == [2.0, 3.0, 4.0]
    assert x.tolist() == [4.0] * 3


RANDOM: dict[str, Any] = {
    "rand_like": nnscratch.rand_like,
    "randn_like": nnscratch.randn_like,
    "rand": lambda x: nnscratch.rand(5, device=x.device),
    "randn": lambda x: nnscratch.randn(5, dtype="float64", device=str(x.device)),
}


@pytest.mark.parametrize("name", RANDOM)
def test_random_numbers_of_a_step_are_drawn_where_they_are_used(name: str, device: str) -> None:
    def noisy(x: Any) -> Any:
        return x * 2 + RANDOM[name](x)

    step, x, runs = nnscratch.compile(noisy), full(1.0, device, 5), []
    for run in (noisy, step):
        nnscratch.manual_seed(3)
        runs.append([run(x).tolist() for _ in range(6)])
    assert runs[0] == runs[1]
    assert len(step.plans) == 1


def test_a_step_of_random_numbers_alone(device: str) -> None:
    draw = nnscratch.compile(lambda: nnscratch.randn(4, device=device))
    nnscratch.manual_seed(3)
    drawn = [draw() for _ in range(5)]
    nnscratch.manual_seed(3)
    assert [x.tolist() for x in drawn] == [nnscratch.randn(4).tolist() for _ in range(5)]
    assert all(str(x.device).startswith(device) for x in drawn)


def test_scalars_of_numpy_as_arguments(device: str) -> None:
    step, x = nnscratch.compile(lambda x, a: x * a), full(1.5, device)
    for number in (np.float32(2.0), np.float64(2.0), np.int64(3)):
        for _ in range(4):
            got = step(x, number)
            assert got.tolist() == (x * number).tolist()
            assert got.dtype == x.dtype
    assert len(step.plans) == 2


def test_a_copy_of_a_model_and_its_optimizer_goes_on_by_itself(device: str) -> None:
    nnscratch.manual_seed(0)
    net = nn.Linear(4, 3).to(device)
    optimizer, x = optim.Adam(net.parameters(), lr=0.1), nnscratch.ones(5, 4, device=device)

    def step(model: Any, its: Any) -> list[Any]:
        its.zero_grad()
        model(x).square().mean().backward()
        its.step()
        return [p.tolist() for p in model.parameters()]

    step(net, optimizer)
    other, its = copy.deepcopy((net, optimizer))
    assert all(str(p.device).startswith(device) for p in other.parameters())
    expected = [step(net, optimizer) for _ in range(3)]
    assert [step(other, its) for _ in range(3)] == expected
    step(other, its)
    assert [p.tolist() for p in net.parameters()] == expected[-1]
    assert all(p.grad.array is p.grad_slot for p in other.parameters())


@contextmanager
def at_most(more: int) -> Iterator[None]:
    """Let CuPy's arrays take no more than so many bytes beyond what they take now."""
    import cupy

    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    pool.set_limit(size=pool.total_bytes() + more)
    try:
        yield
    finally:
        pool.set_limit(size=0)


@pytest.mark.gpu
def test_arguments_and_results_that_do_not_fit() -> None:
    step, x = nnscratch.compile(lambda x: x * 2), full(1.0, "cuda", 1 << 20)
    with (
        at_most(1 << 20),
        pytest.raises(OutOfMemory, match=r"arguments of a compiled .* 4\.19 MB.*smaller batch"),
    ):
        step(x)
    for _ in range(4):
        assert step(x)[0].item() == 2.0
    with at_most(1 << 20), pytest.raises(OutOfMemory, match="replaying a compiled step"):
        step(x)
    assert step(x)[-1].item() == 2.0


@pytest.mark.gpu
def test_a_capture_without_memory_is_tried_again() -> None:
    """The graph has a workspace of its own for its products."""
    nnscratch.manual_seed(0)
    layer = nn.Linear(300, 300).to("cuda")
    step, x = nnscratch.compile(layer), full(1.0, "cuda", 70, 300)
    with nnscratch.no_grad():
        expected = layer(x).tolist()
        for _ in range(1 + BEFORE_CAPTURE):
            step(x)
        (launches,) = [one for one in step.plans[0]._pieces if hasattr(one, "_graph")]
        with at_most(1 << 20):
            assert step(x).tolist() == expected
        assert launches._graph is None
        assert launches.driver.no_graphs is None
        for _ in range(BEFORE_CAPTURE):
            assert step(x).tolist() == expected
        assert launches._graph is not None
        assert step(x).tolist() == expected


@pytest.mark.gpu
def test_streams_that_come_and_go_leave_few_workspaces() -> None:
    import cupy

    layer, x = nn.Linear(300, 300).to("cuda"), full(1.0, "cuda", 70, 300)
    pool, sizes = cupy.get_default_memory_pool(), []
    with nnscratch.no_grad():
        expected = layer(x).tolist()
        for _ in range(4 * cublas.STREAMS):
            stream = cupy.cuda.Stream(non_blocking=True)
            stream.wait_event(cupy.cuda.get_current_stream().record())
            with stream:
                assert layer(x).tolist() == expected
            sizes.append(pool.total_bytes())
    half = 2 * cublas.STREAMS
    assert sizes[-1] - sizes[half] < cublas.WORKSPACE


def in_turn(steps: int, hurry: Any) -> list[Any]:
    """Replay one plan from streams that nobody waits for in between; return what came out."""
    import cupy

    total = full(0.0, "cuda", 1000)

    def step(x: Any) -> Any:
        total.mul_(0.5)
        total.add_(x.exp())
        return total * 1.0

    compiled = nnscratch.compile(step)
    given = [full(float(n), "cuda", 1000) for n in range(steps)]
    streams = [cupy.cuda.get_current_stream(), *(cupy.cuda.Stream(non_blocking=True) for _ in "ab")]
    cupy.cuda.Device().synchronize()
    with hurry():
        results = []
        for n, x in enumerate(given):
            with streams[n % 3]:
                results.append(compiled(x))
        # The last streams first: they do what they were asked for as late as they may.
        for stream in reversed(streams):
            stream.synchronize()
    return [to_numpy(y.array) for y in results]


@contextmanager
def as_it_comes() -> Iterator[None]:
    yield


@pytest.mark.gpu
@pytest.mark.parametrize("hurry", [as_it_comes, hurried])
def test_a_plan_may_be_replayed_from_several_streams(
    hurry: Any, request: pytest.FixtureRequest
) -> None:
    if hurry is hurried:
        request.getfixturevalue("counts")  # it is the emulated GPU that can be hurried
    total = 0.0
    for n, result in enumerate(in_turn(12, hurry)):
        total = total / 2 + np.exp(n)
        np.testing.assert_allclose(result, np.full(1000, total), rtol=1e-5)


@pytest.mark.gpu
def test_a_replay_waits_for_one_on_another_stream_that_is_in_its_middle() -> None:
    import cupy

    reached = []

    def forward(X: Any) -> tuple[Any, NothingSaved]:
        reached.append(cupy.cuda.get_current_stream().record())
        return X + 1.0, NOTHING

    marked = dataclasses.replace(f.EXP, name="marked", forward=forward, backward=None)
    step = nnscratch.compile(lambda x: apply(marked, x * 2) * x)
    given = [full(float(n), "cuda", 1000) for n in range(3)]
    for _ in range(5):
        step(given[0])
    cupy.cuda.Device().synchronize()
    streams = [cupy.cuda.Stream(non_blocking=True) for _ in range(2)]
    results = []
    for stream, x in zip(streams, given[1:], strict=True):
        with stream:
            results.append(step(x))
    reached[-2].synchronize()
    for stream in reversed(streams):
        stream.synchronize()
    for result, value in zip(results, (3.0, 10.0), strict=True):
        np.testing.assert_array_equal(to_numpy(result.array), np.full(1000, value, np.float32))


@pytest.mark.gpu
def test_a_plan_may_be_replayed_from_threads_with_streams_of_their_own() -> None:
    import cupy

    nnscratch.manual_seed(0)
    model = nn.Sequential(nn.Linear(33, 65), nn.GELU(), nn.Linear(65, 7)).to("cuda")
    compiled = nnscratch.compile(model)
    inputs = [nnscratch.rand(20, 33, device="cuda") for _ in range(4)]
    with nnscratch.no_grad():
        expected = [to_numpy(model(x).array) for x in inputs]
    cupy.cuda.Device().synchronize()
    wrong: list[int] = []

    def work(i: int) -> None:
        with nnscratch.no_grad(), cupy.cuda.Stream(non_blocking=True) as stream:
            results = [compiled(inputs[i]) for _ in range(20)]
            stream.synchronize()
            wrong.extend(
                i for y in results if not np.allclose(to_numpy(y.array), expected[i], atol=1e-5)
            )

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
