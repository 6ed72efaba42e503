"""Compiled steps on a GPU's arrays: launches, products and graphs do what eager code does.

Everything runs on the emulator's driver, and on CuPy where there is a GPU.
"""

from __future__ import annotations

import importlib
import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from emulator.driver import Emulator

import nnscratch
from nnscratch import nn, optim
from nnscratch.array import to_numpy
from nnscratch.array.precision import set_float32_matmul_precision
from nnscratch.errors import DataError, PlanError
from nnscratch.formulas import choosing
from nnscratch.kernels.cuda import IMPLEMENTATIONS, CupyDriver, Driver
from nnscratch.kernels.cuda.segment import BEFORE_CAPTURE


class Place:
    """Where the tests run: a driver, and how tensors get there."""

    def __init__(self, driver: Driver, array: Callable[[Any], Any]) -> None:
        self.driver, self.array, self.graphs = driver, array, 0
        capture = driver.capture

        def counting(start: Callable[[Any], None]) -> Callable[[], None]:
            graph = capture(start)

            def launch() -> None:
                self.graphs += 1
                graph()

            return launch

        driver.capture = counting  # type: ignore[method-assign]

    def tensor(self, values: Any) -> Any:
        return nnscratch.Tensor(self.array(values))

    def network(self, seed: int = 0, sizes: Any = (4, 8, 3), dropout: float = 0.0) -> Any:
        nnscratch.manual_seed(seed)
        layers: list[Any] = []
        for a, b in itertools.pairwise(sizes):
            layers += [nn.Linear(a, b), nn.ReLU(), nn.Dropout(dropout)]
        model = nn.Sequential(*layers[:-2])
        for parameter in model.parameters():
            parameter.array = self.array(parameter.array)
        return model

    def batches(self, count: int, rows: int = 33, features: int = 4, seed: int = 1) -> Any:
        rng = np.random.default_rng(seed)
        return [
            (
                self.tensor(rng.standard_normal((rows, features)).astype(np.float32)),
                self.tensor(rng.integers(0, 3, rows)),
            )
            for _ in range(count)
        ]


def place_on(kind: str, patch: pytest.MonkeyPatch, tiled_limit: int = 1 << 20) -> Place:
    driver: Driver
    if kind == "emulator":
        driver, array = Emulator("plain", tiled_limit=tiled_limit), np.array
    else:
        driver, array = CupyDriver(tiled_limit), importlib.import_module("cupy").asarray
    made = {name: [one.on(driver)] for name, one in IMPLEMENTATIONS.items()}
    patch.setattr(choosing, "_implementations", made)
    patch.setattr(choosing, "_later", {})
    return Place(driver, array)


KINDS = ["emulator", pytest.param("gpu", marks=pytest.mark.gpu)]


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Place:
    return place_on(request.param, monkeypatch)


def training_step(
    model: Any, optimizer: Any, clip: float | None = None, scheduler: Any = None, loss: Any = None
) -> Any:
    criterion = loss or nn.CrossEntropyLoss()

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        value = criterion(model(x), y)
        value.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        return value

    return step


def train(
    place: Place, compiled: bool, steps: int = 9, optimizer: Any = None, schedule: Any = None,
    dropout: float = 0.0, **options: Any,
) -> Any:  # fmt: skip
    """Return the losses, the weights in the end, and the step."""
    model = place.network(dropout=dropout, sizes=(4, 32, 16, 3))
    made = (optimizer or (lambda p: optim.Adam(p, lr=0.01)))(model.parameters())
    if schedule:
        options["scheduler"] = schedule(made)
    step = training_step(model, made, **options)
    nnscratch.manual_seed(5)
    if compiled:
        step = nnscratch.compile(step)
    losses = [step(x, y).array.tobytes() for x, y in place.batches(steps)]
    return losses, [to_numpy(p.array) for p in model.parameters()], step


def equal(a: Any, b: Any) -> None:
    """Compare two results of steps, or one with an array of the host."""
    there = [to_numpy(one.array) if isinstance(one, nnscratch.Tensor) else one for one in (a, b)]
    np.testing.assert_array_equal(*there)


def same(a: Any, b: Any) -> None:
    assert a[0] == b[0]
    for left, right in zip(a[1], b[1], strict=True):
        np.testing.assert_array_equal(left, right)


OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-3, dampening=0.1),
    "nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: optim.Adam(p, lr=0.01, weight_decay=1e-2),
    "amsgrad": lambda p: optim.Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.05),
    "adadelta": lambda p: optim.Adadelta(p),
    "nadam": lambda p: optim.NAdam(p, lr=0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equals_eager_bit_for_bit_with_every_optimizer(place: Place, name: str) -> None:
    made = OPTIMIZERS[name]
    compiled = train(place, True, optimizer=made)
    same(train(place, False, optimizer=made), compiled)
    (plan,) = compiled[2].plans
    assert plan.python == 0
    assert plan.native > 8
    # All but the recorded run and the replays before the capture were one launch of a graph each.
    assert place.graphs == 9 - 1 - BEFORE_CAPTURE


def test_equals_eager_with_dropout_clipping_and_a_schedule(place: Place) -> None:
    options: Any = dict(
        dropout=0.3,
        clip=0.5,
        schedule=lambda o: optim.lr_scheduler.StepLR(o, step_size=3, gamma=0.5),
    )
    compiled = train(place, True, **options)
    same(train(place, False, **options), compiled)
    assert place.graphs > 0


@pytest.mark.parametrize("kind", KINDS)
def test_equals_eager_with_products_of_the_library(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_on(kind, monkeypatch, tiled_limit=0)
    compiled = train(place, True)
    same(train(place, False), compiled)
    assert compiled[2].plans[0].python == 0
    assert place.graphs == 9 - 1 - BEFORE_CAPTURE


@pytest.mark.parametrize("schedule", [0, 1, 7])
def test_no_race_between_planned_arrays(schedule: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the watch, which also sees an access beyond a planned array."""
    place = place_on("emulator", monkeypatch)
    driver = Emulator("watched", schedule)
    made = {name: [one.on(driver)] for name, one in IMPLEMENTATIONS.items()}
    monkeypatch.setattr(choosing, "_implementations", made)
    monkeypatch.setattr(choosing, "_later", {})
    watched = train(Place(driver, np.array), True, steps=5, dropout=0.3)
    same(train(place_on("emulator", monkeypatch), False, steps=5, dropout=0.3), watched)
    assert place.graphs == 0


def test_a_replay_starts_the_same_kernels_with_the_same_grids_as_eager_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = place_on("emulator", monkeypatch)
    model = place.network()
    eager = nn.Sequential(model[0], model[3])
    compiled = nnscratch.compile(eager)
    x, _ = place.batches(1)[0]
    launches: list[Any] = []
    start = Emulator.start

    def noting(self: Any, launch: Any, stream: Any) -> None:
        if self._tape is None:  # what is captured is not started yet
            launches.append((launch.kernel, launch.grid, launch.block))
        start(self, launch, stream)

    monkeypatch.setattr(Emulator, "start", noting)
    with nnscratch.no_grad():
        eager(x)
        expected = list(launches)
        assert len(expected) == 2
        for _ in range(5):
            launches.clear()
            compiled(x)
            assert launches == expected
    assert place.graphs == 2


def test_outputs_kept_across_calls_do_not_change(place: Place) -> None:
    step = nnscratch.compile(lambda x: x + x)
    kept = [step(place.tensor(np.full(5, float(n), np.float32))) for n in range(7)]
    assert [k[0].item() for k in kept] == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0]
    assert place.graphs > 0


def test_arguments_at_other_addresses_and_changed_afterwards(place: Place) -> None:
    step = nnscratch.compile(lambda x: x * x)
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    for turn in range(3):
        for array in (base + turn, (base.T + turn).T, base[::-1] + turn, (base + turn)[:, ::-1]):
            given = place.tensor(array)
            equal(step(given), array * array)
            given.array[...] = -1.0
    assert len(step.plans) == 1


def test_other_shapes_get_their_own_plan(place: Place) -> None:
    model = place.network()
    step = nnscratch.compile(model)
    with nnscratch.no_grad():
        for rows in (5, 7, 5, 7, 5, 1, 7, 5):
            x, _ = place.batches(1, rows=rows)[0]
            equal(step(x), model(x))
    assert len(step.plans) == 2


def test_changed_hyper_parameters_are_seen(place: Place) -> None:
    def run(compiled: bool) -> Any:
        model = place.network()
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
        step = training_step(model, optimizer)
        step = nnscratch.compile(step) if compiled else step
        losses = []
        for i, (x, y) in enumerate(place.batches(9)):
            optimizer.param_groups[0]["lr"] = 0.1 / (i + 1)
            optimizer.param_groups[0]["momentum"] = 0.5 + 0.04 * i
            losses.append(step(x, y).array.tobytes())
        return losses

    assert run(True) == run(False)
    assert place.graphs > 0


def test_a_constant_option_that_changes_is_an_error(place: Place) -> None:
    model = place.network()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    step = nnscratch.compile(training_step(model, optimizer))
    x, y = place.batches(1)[0]
    for _ in range(5):
        step(x, y)
    optimizer.param_groups[0]["nesterov"] = True
    with pytest.raises(PlanError, match="Compile the step again"):
        step(x, y)


def test_dropout_draws_anew_at_every_replay(place: Place) -> None:
    drop = nn.Dropout(0.5)
    step = nnscratch.compile(lambda x: drop(x))
    x = place.tensor(np.ones(64, np.float32))
    nnscratch.manual_seed(3)
    eager = [drop(x).array.tobytes() for _ in range(7)]
    nnscratch.manual_seed(3)
    assert [step(x).array.tobytes() for _ in range(7)] == eager
    assert len(set(eager)) == 7
    assert place.graphs == 7 - 1 - BEFORE_CAPTURE


def test_seeds_of_64_bits_and_many_live_numbers(place: Place) -> None:
    """More than one page of them, of counters that need all bits."""
    drops = [nn.Dropout(0.1) for _ in range(20)]
    step = nnscratch.compile(nn.Sequential(*drops))
    x = place.tensor(np.ones(64, np.float32))
    nnscratch.manual_seed(2**64 - 7)
    eager = []
    for _ in range(5):
        y = x
        for drop in drops:
            y = drop(y)
        eager.append(y.array.tobytes())
    nnscratch.manual_seed(2**64 - 7)
    assert [step(x).array.tobytes() for _ in range(5)] == eager


def test_replaced_parameters_are_seen(place: Place) -> None:
    model = place.network()
    step = nnscratch.compile(lambda x: model(x))
    x, _ = place.batches(1, rows=2)[0]
    for _ in range(5):
        step(x)
    model[0].weight = nn.Parameter(place.tensor(np.zeros((8, 4), np.float32)))
    for _ in range(3):
        equal(step(x), model(x))
    model[0].weight.data = place.tensor(np.ones((8, 4), np.float32))
    for _ in range(3):
        equal(step(x), model(x))


def test_a_mixed_step_keeps_python_between_its_graphs(place: Place) -> None:
    """A formula without a kernel for a GPU replays its reference."""
    step = nnscratch.compile(lambda x: ((x * x).amax(0, keepdim=True) + x).sigmoid())
    for x, _ in place.batches(7):
        equal(step(x), ((x * x).amax(0, keepdim=True) + x).sigmoid())
    (plan,) = step.plans
    assert plan.python == 1
    assert place.graphs == 2 * (7 - 1 - BEFORE_CAPTURE)


def test_products_of_matrices_and_gradients_that_add_up(place: Place) -> None:
    def run(compiled: bool) -> Any:
        rng = np.random.default_rng(0)
        A, B = (place.tensor(rng.standard_normal((5, 5)).astype(np.float32)) for _ in range(2))
        A.requires_grad_()

        def step(x: Any) -> Any:
            value = ((A @ B) @ x - x / (x * x + x)).mean()
            value.backward()
            return value

        made = nnscratch.compile(step) if compiled else step
        xs = [place.tensor(rng.uniform(1, 2, (5, 5)).astype(np.float32)) for _ in range(6)]
        return [made(x).array.tobytes() for x in xs], [to_numpy(A.grad.array)]

    same(run(True), run(False))


def test_the_loss_of_a_regression(place: Place) -> None:
    for loss in (nn.MSELoss(), nn.BCEWithLogitsLoss()):

        def run(compiled: bool, loss: Any = loss) -> Any:
            model = place.network()
            step = training_step(model, optim.SGD(model.parameters(), lr=0.1), loss=loss)
            step = nnscratch.compile(step) if compiled else step
            y = place.tensor(np.random.default_rng(3).uniform(0, 1, (33, 3)).astype(np.float32))
            losses = [step(x, y).array.tobytes() for x, _ in place.batches(6)]
            return losses, [to_numpy(p.array) for p in model.parameters()]

        same(run(True), run(False))


def test_a_bad_label_is_reported(place: Place) -> None:
    model = place.network()
    step = nnscratch.compile(training_step(model, optim.SGD(model.parameters(), lr=0.1)))
    x, y = place.batches(1)[0]
    for _ in range(5):
        step(x, y)
    wrong = np.array(to_numpy(y.array))
    wrong[3] = 7
    if place.driver.waits:
        with pytest.raises(DataError, match="1 labels are out of range"):
            step(x, place.tensor(wrong))
    else:
        assert np.isnan(step(x, place.tensor(wrong)).item())
        with pytest.raises(DataError, match="1 labels are out of range in an earlier batch"):
            step(x, y)
    assert np.isfinite(step(x, y).item())


def test_a_failed_capture_goes_on_without_graphs_after_one_warning(place: Place) -> None:
    expected = train(place, False, dropout=0.3)
    failure = RuntimeError("operation not permitted when stream is capturing")

    def fail(start: Any) -> Any:
        raise failure

    place.driver.capture = fail  # type: ignore[method-assign]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        same(train(place, True, dropout=0.3), expected)
        same(train(place, True, dropout=0.3), expected)
    assert [one.category for one in caught] == [RuntimeWarning]
    assert "launched one by one" in str(caught[0].message)
    assert str(failure) in str(caught[0].message)
    assert place.graphs == 0


def test_a_capture_without_memory_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    place = place_on("emulator", monkeypatch)
    step = nnscratch.compile(lambda x: x * x)
    capture = place.driver.capture

    def fail(start: Any) -> Any:
        raise MemoryError("no")

    place.driver.capture = fail  # type: ignore[method-assign]
    for turn in range(12):
        if turn == 8:
            place.driver.capture = capture  # type: ignore[method-assign]
        values = np.full(5, float(turn), np.float32)
        equal(step(place.tensor(values)), values * values)
    assert place.driver.no_graphs is None
    # Tried at the third replay, the fifth, the seventh, and the ninth.
    assert place.graphs == 3


def test_a_plan_of_another_precision_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    place = place_on("emulator", monkeypatch, tiled_limit=0)
    step = nnscratch.compile(place.network())
    x, _ = place.batches(1)[0]
    plans = []
    try:
        for precision in ("highest", "high", "medium", "high"):
            set_float32_matmul_precision(precision)
            with nnscratch.no_grad():  # with a graph the module would run eagerly
                for _ in range(5):
                    step(x)
            plans.append(len(step.plans))
    finally:
        set_float32_matmul_precision("highest")
    assert plans == [1, 2, 3, 3]
