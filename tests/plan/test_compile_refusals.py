"""What a compiled step refuses, and its arguments: never a plan that does something else."""

import array_api_strict
import numpy as np
import pytest
from plan.compiling import batches, network, trainer

import nnscratch
from nnscratch import optim
from nnscratch.array import Device, OutOfMemory
from nnscratch.errors import PlanError
from nnscratch.plan import compiled, plan


def test_a_python_branch_on_a_value_is_refused():
    step = nnscratch.compile(lambda x: x * 2 if x.sum() > 0 else x)
    with pytest.raises(PlanError, match="branch on its truth"):
        step(nnscratch.ones(3))


def test_reading_a_value_is_refused_or_runs_eagerly_as_asked():
    def step(x):
        return x * x.sum().item()

    with pytest.raises(PlanError, match=r"item\(\)"):
        nnscratch.compile(step)(nnscratch.ones(3))
    gentle = nnscratch.compile(step, on_unsupported="eager")
    with pytest.warns(RuntimeWarning, match="runs eagerly"):
        assert gentle(nnscratch.ones(3)).tolist() == [3.0] * 3
    assert gentle(2 * nnscratch.ones(3)).tolist() == [12.0] * 3


def test_a_move_to_another_device_is_refused():
    there = array_api_strict.Device("device1")

    def step(x):
        return x.to(Device("device1")) * 2

    x = nnscratch.Tensor(array_api_strict.ones(3))
    assert step(x).array.device == there
    with pytest.raises(PlanError, match=r"moves a tensor to device1.*before the step"):
        nnscratch.compile(step)(x)


def test_arguments_on_another_device_get_their_own_plan():
    step = nnscratch.compile(lambda x: x * 2)
    for _ in range(4):
        for name in ("CPU_DEVICE", "device1", "device2"):
            device = array_api_strict.Device(name)
            x = nnscratch.Tensor(array_api_strict.ones(3, device=device))
            assert step(x).array.device == device
    assert len(step.plans) == 3


def test_arrays_of_another_library_are_taken_as_they_are():
    step = nnscratch.compile(lambda x: x.sum())
    x = array_api_strict.ones(3)
    assert [step(x).item() for _ in range(3)] == [3.0] * 3


def test_random_numbers_drawn_by_python_are_refused():
    step = nnscratch.compile(lambda x: x + nnscratch.randint(0, 9, (3,)))
    with pytest.raises(PlanError, match="randint"):
        step(nnscratch.ones(3))


def test_a_constant_changed_in_place_is_refused():
    def step(x):
        total = nnscratch.zeros(3)
        total += x
        return total

    with pytest.raises(PlanError, match="changed in place"):
        nnscratch.compile(step)(nnscratch.ones(3))


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.add_(1),
        lambda x: x[:1].mul_(2),
        lambda x: x.fill_(3),
        lambda x: x.reshape(-1).zero_(),
    ],
)
def test_an_argument_changed_in_place_is_refused(change):
    x = nnscratch.ones(2, 3)
    with pytest.raises(PlanError, match=r"changes an argument of shape .* clone\(\)"):
        nnscratch.compile(change)(x)
    assert x.tolist() == [[1.0] * 3] * 2


def test_a_view_of_an_argument_that_no_formula_took_is_refused():
    step = nnscratch.compile(lambda x: nnscratch.Tensor(x.array[:1]) * 2)
    with pytest.raises(PlanError, match="shares memory with an argument of the step"):
        step(nnscratch.ones(3))


def test_a_leaf_that_asks_for_a_gradient_is_no_copy_and_may_be_changed():
    def step(w, x):
        loss = (w * x).sum()
        loss.backward()
        with nnscratch.no_grad():
            w -= 0.1 * w.grad
        w.grad = None

    compiled, w = nnscratch.compile(step), nnscratch.ones(3, requires_grad=True)
    for _ in range(5):
        compiled(w, nnscratch.ones(3))
    np.testing.assert_allclose(w.detach().numpy(), [0.5] * 3, rtol=1e-6)


def test_a_step_that_runs_eagerly_changes_what_it_was_given():
    gentle = nnscratch.compile(lambda x: x.add_(1), on_unsupported="eager")
    given = [nnscratch.full((2,), float(n)) for n in range(4)]
    with pytest.warns(RuntimeWarning, match="changes an argument"):
        results = [gentle(x) for x in given]
    assert [y.tolist() for y in results] == [[n + 1.0] * 2 for n in range(4)]
    assert [x.tolist() for x in given] == [[n + 1.0] * 2 for n in range(4)]


def test_the_first_result_is_none_of_the_arguments_of_the_plan(kernels):
    step = nnscratch.compile(lambda x, y: (x, x[:1], [y.T], x * 2 + y.sum()))
    given = [(nnscratch.full((2, 2), float(n)), nnscratch.ones(2, 2)) for n in range(5)]
    kept = [step(*pair) for pair in given]
    for n, (whole, part, (turned,), made) in enumerate(kept):
        assert whole.array is given[n][0].array
        assert part.tolist() == [[float(n)] * 2]
        assert turned.tolist() == [[1.0] * 2] * 2
        assert made[0, 0].item() == 2 * n + 4


def test_scalars_of_numpy_are_the_numbers_that_they_are_in_eager_code():
    step, x = nnscratch.compile(lambda x, a: x * a), nnscratch.ones(3)
    for number in (
        2.0,
        np.float32(2.0),
        np.float64(2.0),
        np.float64(3.0),
        np.int64(3),
        np.bool_(True),
    ):
        for _ in range(3):
            got = step(x, number)
            assert got.tolist() == (x * number).tolist()
            assert got.dtype == (x * number).dtype
    assert len(step.plans) == 4


OTHER_STATE = {
    "amsgrad": (lambda p: optim.Adam(p), {"amsgrad": True}),
    "momentum": (lambda p: optim.SGD(p, lr=0.1), {"momentum": 0.9}),
    "no momentum": (lambda p: optim.SGD(p, lr=0.1, momentum=0.9), {"momentum": 0.0}),
    "rmsprop": (lambda p: optim.RMSprop(p), {"momentum": 0.9}),
    "centered": (lambda p: optim.RMSprop(p), {"centered": True}),
}


@pytest.mark.parametrize("name", OTHER_STATE)
def test_hyper_parameters_that_need_other_state_are_an_error(name):
    made, changes = OTHER_STATE[name]
    model = network()
    optimizer = made(model.parameters())
    step = nnscratch.compile(trainer(model, optimizer))
    (x, y), *_ = batches(1)
    for _ in range(3):
        step(x, y)
    optimizer.param_groups[0].update(changes)
    before = model[0].weight.detach().numpy().copy()
    with pytest.raises(PlanError, match="Compile the step again"):
        step(x, y)
    np.testing.assert_array_equal(model[0].weight.detach().numpy(), before)


def test_a_momentum_chosen_between_two_compiled_steps_is_as_in_eager_code():
    def run(compiled):
        model = network()
        optimizer = optim.SGD(model.parameters(), lr=0.1, dampening=0.2)
        step = trainer(model, optimizer)
        losses = []
        for i, (x, y) in enumerate(batches(9)):
            if i in (0, 4):
                optimizer.param_groups[0]["momentum"] = 0.2 * i
                again = nnscratch.compile(step) if compiled else step
            losses.append(again(x, y).item())
        return losses

    np.testing.assert_allclose(run(True), run(False), rtol=1e-5)


def test_what_does_not_fit_into_memory_is_explained(monkeypatch):
    def full(array):
        raise MemoryError("Unable to allocate 2.50 GiB for an array")

    step = nnscratch.compile(lambda x: x * 2)
    for module, where in ((compiled, "copying the arguments"), (plan, "replaying")):
        with monkeypatch.context() as patch:
            patch.setattr(module, "copied", full)
            with pytest.raises(OutOfMemory, match=f"{where}.*2.68 GB.*smaller batch"):
                step(nnscratch.ones(3))
        assert step(nnscratch.ones(3)).tolist() == [2.0] * 3
