"""A thousand fits in one process, many threads at once, and inputs that may only be read."""

from __future__ import annotations

import gc
import os
import sys
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults.scale import count, say
from small_training import blobs, figures, net, weights

import nnscratch
from nnscratch import nn, optim
from nnscratch.data import DataLoader, TensorDataset
from nnscratch.plan import compile as compile_step
from nnscratch.tensors import Tensor
from nnscratch.train import evaluate, fit, predict

X, Y = blobs(200)
THREADS = 8


def resident() -> int:
    """What this process has in memory; 0 where the system does not say."""
    path = Path("/proc/self/statm")
    return int(path.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if path.exists() else 0


def test_fits_one_after_another_in_flat_memory(tmp_path: Path) -> None:
    fits = count(40, 1000)
    counts, sizes, traced = [], [], []
    for number in range(fits):
        options = {"run_dir": tmp_path / "run"} if number % 4 == 0 else {}
        optimizer = ("adamw", "sgd", "rmsprop")[number % 3]
        history = fit(
            net(seed=number), (X, Y), 1, lr=0.01, seed=1, optimizer=optimizer, scheduler="cosine",
            validation=(X, Y), **options,
        )  # fmt: skip
        assert len(history) == 1
        if number == fits // 4:
            tracemalloc.start()
        if number >= fits // 4 and number % max(fits // 20, 1) == 0:
            gc.collect()
            counts.append(len(gc.get_objects()))
            sizes.append(resident())
            traced.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    # What the first of them leaves is warming up; afterwards not one object a fit may stay.
    later = len(counts) // 3
    objects = counts[-1] - counts[later]
    held = traced[-1] - traced[later]
    grown = sizes[-1] - sizes[later]
    say(
        f"{fits:,} fits in one process: {objects:+,} objects, {held / 1024:+.1f} KiB that Python "
        f"knows of, {grown / 2**20:+.2f} MiB resident"
    )
    assert objects < 200 + fits // 10
    assert held < 100_000 + 100 * fits
    assert grown < (8 << 20) + 4000 * fits


def test_a_compiled_step_goes_with_its_model() -> None:
    def live() -> int:
        gc.collect()
        return sum(issubclass(type(item), nn.Module) for item in gc.get_objects())

    before = live()
    for seed in range(count(5, 200)):
        model = net(seed=seed)
        forward = compile_step(model.eval())
        with nnscratch.no_grad():
            for _ in range(3):
                forward(Tensor(X))
        del model, forward
    assert live() == before


# Threads.


def in_threads(work: Callable[[int], Any]) -> list[Any]:
    """What a function returns in each of eight threads that begin together."""
    found: list[Any] = [None] * THREADS
    together = threading.Barrier(THREADS)

    def run(number: int) -> None:
        together.wait()
        try:
            found[number] = work(number)
        except BaseException as error:
            found[number] = error

    threads = [threading.Thread(target=run, args=(n,)) for n in range(THREADS)]
    before = sys.getswitchinterval()
    # Take turns a thousand times as often as Python does, so that they get into each other's way.
    sys.setswitchinterval(5e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    for item in found:
        if isinstance(item, BaseException):
            raise item
    return found


TURNS = count(6, 200)


@pytest.mark.parametrize("training", [False, True], ids=["eval mode", "train mode"])
def test_threads_that_predict_with_one_model(training: bool) -> None:
    # Dropout shows when a thread puts the model back into training mode under another one.
    model = net(dropout=0.5).train(training)
    parts = [X[n::THREADS] for n in range(THREADS)]
    expected = [predict(model, part, batch_size=8) for part in parts]
    found = in_threads(lambda n: [predict(model, parts[n], batch_size=8) for _ in range(TURNS)])
    for wanted, turns in zip(expected, found, strict=True):
        for got in turns:
            np.testing.assert_array_equal(got, wanted)
    assert model.training == training
    assert all(module.training == training for module in model.modules())


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_threads_that_call_one_model(compiled: bool) -> None:
    model = net().eval()
    forward = compile_step(model) if compiled else model

    def call(part: np.ndarray) -> bytes:
        with nnscratch.no_grad():
            return forward(Tensor(part)).numpy().tobytes()

    parts = [np.ascontiguousarray(X[n * 20 : n * 20 + 20]) for n in range(THREADS)]
    with nnscratch.no_grad():
        expected = [model(Tensor(part)).numpy() for part in parts]
    one = [[call(part) for _ in range(3)][-1] for part in parts]
    for first, second in zip(one, expected, strict=True):
        np.testing.assert_allclose(
            np.frombuffer(first, np.float32).reshape(second.shape), second, rtol=1e-5, atol=1e-5
        )
    found = in_threads(lambda n: [call(parts[n]) for _ in range(10 * TURNS)])
    for wanted, turns in zip(one, found, strict=True):
        assert all(got == wanted for got in turns)


def test_layers_that_are_in_another_mode_than_the_model_stay_so() -> None:
    model = net().train()
    model[2].eval()
    predict(model, X)
    assert [module.training for module in model.modules()] == [True, True, True, False, True]


def test_threads_that_evaluate_and_take_gradients_of_one_model() -> None:
    model = net().eval()
    expected = evaluate(model, (X, Y))
    wanted = input_gradient(model)
    found = in_threads(
        lambda n: [
            evaluate(model, (X, Y)) if n % 2 else input_gradient(model) for _ in range(TURNS)
        ]
    )
    for number, turns in enumerate(found):
        assert all(got == (expected if number % 2 else wanted) for got in turns)


def input_gradient(model: nn.Module) -> bytes:
    x = nnscratch.tensor(X, requires_grad=True)
    frozen = [p.detach() for p in model.parameters()]
    hidden = (x @ frozen[0].transpose(0, 1) + frozen[1]).relu()
    (hidden @ frozen[2].transpose(0, 1) + frozen[3]).sum().backward()
    assert x.grad is not None
    return x.grad.numpy().tobytes()


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_threads_that_train_a_model_each(tmp_path: Path, compiled: bool) -> None:
    def train(folder: Path, number: int, model: nn.Module) -> Any:
        history = fit(
            model, (X, Y), count(2, 20), optimizer=("adamw", "sgd")[number % 2], lr=0.01,
            validation=(X, Y), compile=compiled, run_dir=folder / str(number),
        )  # fmt: skip
        return figures(history), weights(model)

    def models() -> list[nn.Module]:
        # Without dropout, whose numbers come from the one stream that all threads share.
        return [net(dropout=0.0, seed=n) for n in range(THREADS)]

    expected = [train(tmp_path / "serial", n, model) for n, model in enumerate(models())]
    made = models()
    found = in_threads(lambda n: train(tmp_path / "threads", n, made[n]))
    assert found == expected


def test_threads_that_write_one_file(tmp_path: Path) -> None:
    from nnscratch.train.tensor_file import read_tensors, write_tensors

    path = tmp_path / "a"

    def write(number: int) -> None:
        for _ in range(TURNS):
            write_tensors(path, {"a": np.full(5000 + number, number)})
            read = read_tensors(path)[0]["a"]
            assert len(read) == 5000 + read[0]
            assert (read == read[0]).all()

    in_threads(write)
    assert os.listdir(tmp_path) == ["a"]


# Inputs that may only be read.


def read_only(array: Any) -> Any:
    made = np.array(array)
    made.flags.writeable = False
    return made


def test_inputs_that_may_only_be_read() -> None:
    x, y = read_only(X), read_only(Y)
    before = x.tobytes(), y.tobytes()
    expected = fit(net(), (X, Y), 2, seed=1, validation=(X, Y))
    model = net()
    assert figures(fit(model, (x, y), 2, seed=1, validation=(x, y))) == figures(expected)
    loader = DataLoader(TensorDataset(x, y), batch_size=7, shuffle=True, seed=0)
    assert sum(len(batch) for batch, _ in loader) == len(x)
    whole = DataLoader(TensorDataset(x, y), batch_size=len(x))
    for batch, _ in whole:
        assert batch.shape == x.shape
    np.testing.assert_array_equal(predict(model, x), predict(model, X))
    assert evaluate(model, (x, y)) == evaluate(model, (X, Y))
    made = nnscratch.tensor(x, requires_grad=True)
    (made * 2.0).sum().backward()
    assert made.grad is not None
    with nnscratch.no_grad():
        # tensor() copies, so this is not the caller's memory.
        made.add_(1.0)
    np.testing.assert_array_equal(made.detach().numpy(), X + 1.0)
    assert (x.tobytes(), y.tobytes()) == before


def test_inputs_that_may_only_be_read_in_a_compiled_step() -> None:
    x, y = read_only(X), read_only(Y)

    def losses(x: Any, y: Any, compiled: bool) -> list[float]:
        model = net(dropout=0.0)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        loss = nn.CrossEntropyLoss()

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            value = loss(model(x), y)
            value.backward()
            optimizer.step()
            return value.detach()

        run = compile_step(step) if compiled else step
        return [run(Tensor(x), Tensor(y)).item() for _ in range(5)]

    expected = losses(X, Y, compiled=False)
    assert losses(x, y, compiled=False) == expected
    assert losses(x, y, compiled=True) == losses(X, Y, compiled=True)
    np.testing.assert_allclose(losses(x, y, compiled=True), expected, rtol=1e-5)


def test_what_would_write_into_inputs_that_may_only_be_read() -> None:
    made = Tensor(read_only(X))
    with pytest.raises((ValueError, TypeError)), nnscratch.no_grad():
        made.add_(1.0)
    assert made.numpy().tobytes() == X.tobytes()


def test_weights_that_may_only_be_read_are_loaded() -> None:
    model = net(seed=1)
    state = {name: Tensor(read_only(t.numpy())) for name, t in model.state_dict().items()}
    other = net(seed=2)
    other.load_state_dict(state)
    assert weights(other) == weights(model)
    fit(other, (X, Y), 1, lr=0.1, seed=0)
    assert weights(other) != weights(model)
