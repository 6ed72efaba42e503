"""What recorded steps get wrong elsewhere, each tried here: a plan must do what eager code does."""

import gc
import threading

import numpy as np
import pytest
import torch._inductor
from plan.compiling import batches, network, trainer

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import ConfigurationError, DataError, PlanError
from nnscratch.train.mlp import ACTIVATIONS


def train(compiled, steps=12, make=network, optimizer=None, **options):
    model = make()
    optimizer = (optimizer or (lambda p: optim.Adam(p, lr=0.01)))(model.parameters())
    schedule = options.pop("schedule", None)
    if schedule:
        options["scheduler"] = schedule(optimizer)
    step = trainer(model, optimizer, **options)
    nnscratch.manual_seed(5)
    if compiled:
        step = nnscratch.compile(step)
    losses = [step(x, y).item() for x, y in batches(steps)]
    return losses, [p.detach().numpy().copy() for p in model.parameters()], step


OPTIMIZERS = {
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
    # And each by itself with its defaults, those too that are added later.
    **{f"{name}, as it is": kind for name, kind in optim.Optimizer.kinds.items()},
}


def same(a, b):
    assert a[0] == b[0]
    for left, right in zip(a[1], b[1], strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equals_eager_bit_for_bit_with_every_optimizer(kernels, name):
    made = OPTIMIZERS[name]
    same(train(False, optimizer=made), train(True, optimizer=made))


@pytest.mark.parametrize("activation", [getattr(nn, kind) for kind in ACTIVATIONS.values()])
def test_equals_eager_with_every_activation(kernels, activation):
    def make():
        return network(activation=activation)

    same(train(False, make=make), train(True, make=make))


def test_equals_eager_with_dropout_clipping_and_a_schedule(kernels):
    options = dict(
        make=lambda: network(dropout=0.3, sizes=(4, 32, 16, 3)),
        clip=0.5,
        schedule=lambda o: optim.lr_scheduler.StepLR(o, step_size=3, gamma=0.5),
    )
    same(train(False, **options), train(True, **options))


def test_clipping_needs_one_plan_for_each_shape_of_batch():
    model = network()
    step = nnscratch.compile(trainer(model, optim.Adam(model.parameters()), clip=0.5))
    for x, y in (*batches(1, rows=8), *batches(1, rows=3)) * 4:
        step(x, y)
    assert len(step.plans) == 2


def test_dropout_draws_anew_at_every_replay():
    drop = nn.Dropout(0.5)
    step = nnscratch.compile(lambda x: drop(x))
    x = nnscratch.ones(64)
    drawn = {step(x).numpy().tobytes() for _ in range(6)}
    assert len(drawn) == 6


def test_random_numbers_differ_at_every_replay_as_in_eager_code():
    def noisy(x):
        return x + nnscratch.randn(8)

    compiled = nnscratch.compile(noisy)
    x = nnscratch.zeros(8)
    nnscratch.manual_seed(3)
    eager = [noisy(x).tolist() for _ in range(4)]
    nnscratch.manual_seed(3)
    assert [compiled(x).tolist() for _ in range(4)] == eager


def test_outputs_kept_across_calls_do_not_change():
    step = nnscratch.compile(lambda x: x * 2)
    kept = [step(nnscratch.tensor([float(n)])) for n in range(5)]
    assert [k.item() for k in kept] == [0.0, 2.0, 4.0, 6.0, 8.0]


def test_an_argument_changed_after_the_call_changes_nothing():
    step = nnscratch.compile(lambda x: x + 1)
    x = nnscratch.tensor([1.0, 2.0])
    for _ in range(3):
        y = step(x)
    x.zero_()
    assert y.tolist() == [2.0, 3.0]
    assert step(x).tolist() == [1.0, 1.0]


def test_other_shapes_and_dtypes_get_their_own_plan():
    model = network()
    step = nnscratch.compile(model)
    with nnscratch.no_grad():
        for rows in (5, 7, 5, 7, 5, 1):
            x = nnscratch.rand(rows, 4)
            np.testing.assert_allclose(step(x).numpy(), model(x).numpy(), rtol=1e-5, atol=1e-6)
    assert len(step.plans) == 2


def test_arguments_with_any_layout():
    step = nnscratch.compile(lambda x: (x * 3).sum(1))
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    for array in (base, base, base.T.copy().T, base[::-1], base):
        assert step(nnscratch.from_numpy(array)).tolist() == (array * 3).sum(1).tolist()


def test_train_and_eval_mode_get_their_own_plan():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
    step = nnscratch.compile(lambda x: model(x))
    x = nnscratch.ones(2, 4)
    for _ in range(3):
        model.train()
        step(x)
        model.eval()
        np.testing.assert_allclose(step(x).numpy(), model(x).detach().numpy(), rtol=1e-6)


def test_changed_hyper_parameters_are_seen():
    def run(compiled):
        model = network()
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
        step = trainer(model, optimizer)
        step = nnscratch.compile(step) if compiled else step
        losses = []
        for i, (x, y) in enumerate(batches(10)):
            optimizer.param_groups[0]["lr"] = 0.1 / (i + 1)
            optimizer.param_groups[0]["momentum"] = 0.5 + 0.04 * i
            losses.append(step(x, y).item())
        return losses

    np.testing.assert_allclose(run(True), run(False), rtol=1e-5)


def test_a_constant_option_that_changes_is_an_error():
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    step = nnscratch.compile(trainer(model, optimizer))
    (x, y), *_ = batches(1)
    for _ in range(3):
        step(x, y)
    optimizer.param_groups[0]["nesterov"] = True
    with pytest.raises(PlanError, match="Compile the step again"):
        step(x, y)


def test_replaced_parameters_are_seen():
    model = network()
    step = nnscratch.compile(lambda x: model(x))
    x = nnscratch.ones(2, 4)
    for _ in range(3):
        step(x)
    model[0].weight = nn.Parameter(nnscratch.zeros(8, 4))
    np.testing.assert_array_equal(step(x).numpy(), model(x).detach().numpy())
    model[0].weight.data = nnscratch.ones(8, 4)
    np.testing.assert_allclose(step(x).numpy(), model(x).detach().numpy(), rtol=1e-6)
    model[2] = nn.Linear(8, 3)
    np.testing.assert_allclose(step(x).numpy(), model(x).detach().numpy(), rtol=1e-6)


def test_loaded_weights_are_seen():
    model, other = network(0), network(1)
    step = nnscratch.compile(lambda x: model(x))
    x = nnscratch.ones(2, 4)
    for _ in range(3):
        step(x)
    model.load_state_dict(other.state_dict())
    np.testing.assert_allclose(step(x).numpy(), other(x).detach().numpy(), rtol=1e-6)


def test_two_models_that_share_weights():
    def run(compiled):
        first = network()
        second = nn.Sequential(first[0], nn.ReLU(), nn.Linear(8, 3))
        nnscratch.manual_seed(2)
        both = [
            trainer(first, optim.SGD(first.parameters(), lr=0.1)),
            trainer(second, optim.SGD(second.parameters(), lr=0.1)),
        ]
        if compiled:
            both = [nnscratch.compile(step) for step in both]
        return [both[i % 2](x, y).item() for i, (x, y) in enumerate(batches(12))]

    np.testing.assert_allclose(run(True), run(False), rtol=1e-5)


def test_gradients_left_by_a_step_are_those_of_eager_code():
    model = network()
    loss = nn.CrossEntropyLoss()

    def accumulate(x, y):
        loss(model(x), y).backward()

    data = batches(4)
    for x, y in data:
        accumulate(x, y)
    eager = [p.grad.numpy().copy() for p in model.parameters()]
    model.zero_grad()
    compiled = nnscratch.compile(accumulate)
    for x, y in data:
        compiled(x, y)
    for p, expected in zip(model.parameters(), eager, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), expected, rtol=1e-5, atol=1e-7)


def test_a_parameter_used_twice_a_branch_and_a_residual_sum(kernels):
    def run(compiled):
        nnscratch.manual_seed(0)
        layer, head = nn.Linear(4, 4), nn.Linear(4, 3)
        optimizer = optim.Adam([*layer.parameters(), *head.parameters()], lr=0.01)

        def step(x, y):
            optimizer.zero_grad()
            h = layer(x).tanh()
            h = h + layer(h) * 0.5 + x
            value = nn.functional.cross_entropy(head(h), y) + (h * h).mean()
            value.backward()
            optimizer.step()
            return value

        step = nnscratch.compile(step) if compiled else step
        return [step(x, y).item() for x, y in batches(8)]

    assert run(True) == run(False)


def test_several_outputs_and_nested_containers():
    step = nnscratch.compile(lambda x, y: {"sum": x + y, "both": (x, [x * y, None, 3])})
    for n in range(4):
        x, y = nnscratch.tensor([float(n)]), nnscratch.tensor([2.0])
        out = step(x, y=y) if n % 2 else step(x, y)
        assert out["sum"].item() == n + 2
        assert out["both"][0].item() == n
        assert out["both"][1][0].item() == 2 * n
        assert out["both"][1][1:] == [None, 3]


def test_state_outside_of_the_step_is_updated_at_every_replay():
    total = nnscratch.zeros(3)

    def step(x):
        total.add_(x)

    compiled = nnscratch.compile(step)
    for _ in range(5):
        compiled(nnscratch.ones(3))
    assert total.tolist() == [5.0] * 3


def test_frozen_and_unfrozen_parameters():
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    step = nnscratch.compile(trainer(model, optimizer))
    data = batches(9)
    for x, y in data[:3]:
        step(x, y)
    model[0].requires_grad_(False)
    before = model[0].weight.detach().numpy().copy()
    for x, y in data[3:6]:
        step(x, y)
    np.testing.assert_array_equal(model[0].weight.detach().numpy(), before)
    model[0].requires_grad_(True)
    for x, y in data[6:]:
        step(x, y)
    assert not np.array_equal(model[0].weight.detach().numpy(), before)


def test_eight_threads_with_one_compiled_model():
    model = network(sizes=(4, 64, 3))
    compiled = nnscratch.compile(model)
    inputs = [nnscratch.rand(8, 4) for _ in range(8)]
    with nnscratch.no_grad():
        expected = [model(x).numpy() for x in inputs]
    wrong = []

    def work(i):
        with nnscratch.no_grad():
            for _ in range(50):
                if not np.allclose(compiled(inputs[i]).numpy(), expected[i], atol=1e-5):
                    wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_a_failing_step_leaves_no_plan():
    model = network()
    step = nnscratch.compile(lambda x: model(x))
    with pytest.raises(ValueError, match="in 0"):
        step(nnscratch.ones(2, 5))
    assert step(nnscratch.ones(2, 4)).shape == (2, 3)


def test_modes_are_pytorchs() -> None:
    x = nnscratch.ones(2)
    for mode in (None, *torch._inductor.list_mode_options()):
        assert nnscratch.compile(lambda x: x * 2, mode=mode)(x).tolist() == [2.0, 2.0]
    assert nnscratch.compile(mode="default")(lambda x: x + 1)(x).tolist() == [2.0, 2.0]
    for given in ({"mode": "nonsense"}, {"mode": "nonsense", "disable": True}):
        with pytest.raises(RuntimeError, match="nrecognized mode"):
            torch.compile(lambda x: x, **given)
        with pytest.raises(ConfigurationError, match=r"reduce-overhead.* got 'nonsense'"):
            nnscratch.compile(lambda x: x, **given)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="either mode or options"):
        nnscratch.compile(lambda x: x, mode="default", options={})


def test_wrong_options_and_arguments():
    with pytest.raises(ConfigurationError, match="on_unsupported"):
        nnscratch.compile(lambda x: x, on_unsupported="maybe")

    class Unhashable:
        __hash__ = None

    with pytest.raises(ConfigurationError, match="Unhashable"):
        nnscratch.compile(lambda x, y: x)(nnscratch.ones(1), Unhashable())


def test_as_a_decorator():
    @nnscratch.compile
    def double(x):
        "Doubles."
        return x * 2

    assert double.__doc__ == "Doubles."
    assert [double(nnscratch.tensor([n * 1.0])).item() for n in range(3)] == [0, 2, 4]


def test_a_replay_allocates_nothing_that_stays():
    step = train(True, steps=4)[2]
    (x, y), *_ = batches(1)
    for _ in range(3):
        step(x, y)
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(50):
        step(x, y)
    gc.collect()
    assert len(gc.get_objects()) - before < 20


def test_a_label_out_of_range_stops_the_step_before_the_update():
    model = network()
    step = nnscratch.compile(trainer(model, optim.SGD(model.parameters(), lr=0.1)))
    (x, y), *_ = batches(1)
    for _ in range(3):
        step(x, y)
    before = [p.detach().numpy().copy() for p in model.parameters()]
    wrong = y.numpy().copy()
    wrong[7] = 3
    with pytest.raises(DataError, match=r"from 0 to 2 .*position 7"):
        step(x, nnscratch.from_numpy(wrong))
    for p, old in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.detach().numpy(), old)
    assert np.isfinite(step(x, y).item())
