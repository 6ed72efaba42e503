"""Modules: registration, names, modes, state, containers, hooks, and errors that name the layer."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch

import nnscratch
from nnscratch import nn
from nnscratch.errors import (
    CheckpointError,
    ConfigurationError,
    DataError,
    DTypeError,
    GradientError,
    NNScratchError,
    ShapeError,
)


def make(lib: Any) -> Any:
    """One model of many parts, in either library."""

    class Block(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, size: int) -> None:
            super().__init__()
            self.norm = lib.nn.Identity()
            self.fc = lib.nn.Linear(size, size, bias=False)
            self.register_buffer("scale", lib.ones(1))
            self.register_buffer("scratch", lib.zeros(1), persistent=False)
            self.register_parameter("nothing", None)

        def forward(self, x: Any) -> Any:
            return self.fc(self.norm(x)).relu() * self.scale

    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.head = lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.Tanh())
            self.blocks = lib.nn.ModuleList([Block(4), Block(4)])
            self.tail = lib.nn.ModuleDict({"a": lib.nn.Linear(4, 2), "b": lib.nn.PReLU()})
            self.free = lib.nn.Parameter(lib.zeros(2))
            self.shared = self.tail["a"]

        def forward(self, x: Any) -> Any:
            x = self.head(x)
            for block in self.blocks:
                x = block(x) + x
            return self.tail["b"](self.shared(x)) + self.free

    return Net()


def test_buffers_by_assignment() -> None:
    for lib in (nnscratch, torch):
        model = lib.nn.Linear(2, 1)
        model.mean = lib.nn.Buffer(lib.ones(2))
        model.scratch = lib.nn.Buffer(lib.zeros(1), persistent=False)
        assert isinstance(model.mean, lib.nn.Buffer)
        assert [name for name, _ in model.named_buffers()] == ["mean", "scratch"]
        assert list(model.state_dict()) == ["weight", "bias", "mean"]
        twin = copy.deepcopy(model)
        twin.mean.add_(1)
        assert (model.mean.tolist(), twin.mean.tolist()) == ([1.0, 1.0], [2.0, 2.0])
        assert list(twin.state_dict()) == ["weight", "bias", "mean"]
        model.mean = lib.nn.Buffer(lib.zeros(2), persistent=False)
        model.scratch = lib.ones(1)
        assert list(model.state_dict()) == ["weight", "bias"]
        model.double()
        assert model.mean.dtype == model.scratch.dtype == lib.float64
        assert next(iter(model.parameters())).dtype == lib.float64
    with pytest.raises(
        DTypeError, match=r"Buffer takes a tensor .* write Buffer\(nnscratch.tensor"
    ):
        nn.Buffer([1.0])


def test_copies_of_a_buffer() -> None:
    """Its values, its gradient, and whether it is saved."""
    for persistent in (False, True):
        buffer = nn.Buffer(nnscratch.ones(2), persistent=persistent).requires_grad_()
        (buffer * 3).sum().backward()
        for twin in (copy.copy(buffer), copy.deepcopy(buffer), pickle.loads(pickle.dumps(buffer))):
            assert type(twin) is nn.Buffer
            assert (twin.persistent, twin.requires_grad) == (persistent, True)
            assert twin.tolist() == [1.0, 1.0]
            assert twin.grad.tolist() == [3.0, 3.0]
        assert copy.copy(buffer).array is buffer.array
        model = nn.Linear(2, 1)
        model.scale = nn.Buffer(nnscratch.ones(2), persistent=persistent)
        twin = pickle.loads(pickle.dumps(model))
        assert [*twin.state_dict()] == [*model.state_dict()]
        assert twin.scale.persistent is persistent


def test_a_parameter_under_the_name_of_a_buffer() -> None:
    for lib in (nnscratch, torch):
        for how in ("assigned", "after del", "registered"):
            model = lib.nn.Linear(2, 1)
            model.scale = lib.nn.Buffer(lib.ones(2), persistent=False)
            if how != "assigned":
                del model.scale
            parameter = lib.nn.Parameter(lib.ones(2))
            if how == "registered":
                model.register_parameter("scale", parameter)
            else:
                model.scale = parameter
            assert [*model.state_dict()] == ["weight", "bias", "scale"]


def test_names_and_repr_are_those_of_pytorch() -> None:
    mine, its = make(nnscratch), make(torch)
    for what in ("named_parameters", "named_buffers", "named_modules", "named_children"):
        ours = [name for name, _ in getattr(mine, what)()]
        assert ours == [name for name, _ in getattr(its, what)()], what
    assert list(mine.state_dict()) == list(its.state_dict())
    assert [n for n, _ in mine.named_parameters(prefix="m", recurse=False)] == ["m.free"]
    assert len(list(mine.parameters())) == len(list(its.parameters()))
    assert len(list(mine.buffers())) == 4
    assert repr(mine) == repr(its)
    assert mine.get_submodule("blocks.1.fc") is mine.blocks[1].fc
    assert mine.get_parameter("tail.a.bias") is mine.shared.bias
    assert {"head", "free", "forward"} <= set(dir(mine))
    with pytest.raises(AttributeError, match=r"no module 'x' \(of blocks\.x\)"):
        mine.get_submodule("blocks.x")


def test_outputs_with_the_same_weights() -> None:
    mine, its = make(nnscratch), make(torch)
    its.load_state_dict({k: torch.tensor(v.numpy()) for k, v in mine.state_dict().items()})
    X = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    mine(nnscratch.tensor(X)).sum().backward()
    its(torch.tensor(X)).sum().backward()
    for (name, p), q in zip(mine.named_parameters(), its.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), 1e-5, 1e-5, err_msg=name)


def test_assigning_attributes() -> None:
    layer = nn.Linear(2, 2)
    layer.note = "hello"
    assert layer.note == "hello"
    layer.extra = nn.Linear(1, 1)
    layer.weight = nn.Parameter(nnscratch.zeros(2, 2))
    assert [name for name, _ in layer.named_parameters()] == [
        "weight", "bias", "extra.weight", "extra.bias"
    ]  # fmt: skip
    layer.bias = None
    assert layer(nnscratch.ones(1, 2)).tolist() == [[0.0, 0.0]]
    assert repr(layer.extra) == "Linear(in_features=1, out_features=1, bias=True)"
    layer.extra = None
    assert list(layer.children()) == []
    with pytest.raises(TypeError, match=r"Linear\.weight is one of its parameters.*not a Tensor"):
        layer.weight = nnscratch.zeros(2, 2)
    del layer.weight
    layer.weight = nnscratch.zeros(2, 2)
    assert [name for name, _ in layer.named_parameters()] == []
    with pytest.raises(AttributeError, match="Linear has no attribute 'nothing'"):
        _ = layer.nothing
    with pytest.raises(AttributeError):
        del layer.nothing


def test_assigning_before_init_says_what_is_missing() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.fc = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"call super\(\).__init__\(\) in Net"):
        Net()
    with pytest.raises(TypeError, match="defines no forward"):
        nn.Module()(1)
    with pytest.raises(TypeError, match="expected a module as '0', got function"):
        nn.Sequential(nnscratch.relu)


def test_modes_freezing_and_gradients() -> None:
    net = make(nnscratch)
    assert all(m.training for m in net.modules())
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net.train()
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    net.head.requires_grad_(True)
    net(nnscratch.ones(1, 3)).sum().backward()
    assert {n for n, p in net.named_parameters() if p.grad is not None} == {
        "head.0.weight", "head.0.bias"
    }  # fmt: skip
    net.zero_grad(set_to_none=False)
    assert net.head[0].bias.grad.tolist() == [0.0] * 4
    net.zero_grad()
    assert net.head[0].bias.grad is None
    seen: list[str] = []
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen[-1] == "Net"


def test_moving_to_other_dtypes_keeps_the_parameters() -> None:
    net = make(nnscratch)
    before = list(net.parameters())
    net(nnscratch.ones(1, 3)).sum().backward()
    assert net.double() is net
    assert all(a is b for a, b in zip(before, net.parameters(), strict=True))
    assert {str(p.dtype) for p in net.parameters()} == {"float64"}
    assert {str(p.grad.dtype) for p in net.parameters()} == {"float64"}
    assert {str(b.dtype) for b in net.buffers()} == {"float64"}
    assert net.half().free.dtype == np.float16
    assert net.float().cpu().to("cpu", nnscratch.float64).free.dtype == np.float64
    assert net.to(nnscratch.device("cpu")).to(nnscratch.zeros(1)).free.dtype == np.float32
    with pytest.raises(DTypeError, match="int64"):
        net.to("int64")


def test_state_goes_from_one_model_to_another() -> None:
    one, two = make(nnscratch), make(nnscratch)
    state = one.state_dict()
    assert two.load_state_dict(state) == ([], [])
    x = nnscratch.randn(2, 3)
    assert nnscratch.equal(one(x), two(x))
    with nnscratch.no_grad():
        one.free += 1.0
    assert state["free"].tolist() == [1.0, 1.0]
    assert two.free.tolist() == [0.0, 0.0]
    arrays = {key: value.numpy().astype("float64") for key, value in state.items()}
    two.load_state_dict(arrays)
    assert two.free.dtype == np.float32
    assert two.free.tolist() == [1.0, 1.0]


def test_state_that_does_not_fit_is_refused_whole() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    before = {key: value.tolist() for key, value in net.state_dict().items()}
    state = dict(net.state_dict())
    state = {key: value * 0 + 7 for key, value in state.items()}
    state["2.weight"] = nnscratch.zeros(1, 4)
    state["3.weight"] = state.pop("0.bias")
    message = (
        r"do not fit this Sequential: missing keys: 0\.bias; unexpected keys: 3\.weight; "
        r"2\.weight has shape \(1, 4\), the model needs \(1, 3\)"
    )
    with pytest.raises(CheckpointError, match=message):
        net.load_state_dict(state)
    assert {key: value.tolist() for key, value in net.state_dict().items()} == before
    del state["2.weight"]
    found = net.load_state_dict(state, strict=False)
    assert found.missing_keys == ["0.bias", "2.weight"]
    assert found.unexpected_keys == ["3.weight"]
    assert net[0].weight.tolist() == [[7.0, 7.0]] * 3


def test_deepcopy_shares_nothing() -> None:
    net = make(nnscratch)
    twin = copy.deepcopy(net)
    assert twin.shared is twin.tail["a"]
    assert twin.free is not net.free
    with nnscratch.no_grad():
        twin.free += 1.0
        twin.shared.bias += 1.0
    assert net.free.tolist() == [0.0, 0.0]
    assert not nnscratch.equal(net.shared.bias, twin.shared.bias)
    assert repr(twin) == repr(net)


def test_a_shared_layer_gets_both_gradients() -> None:
    layer = nn.Linear(2, 2)
    twice = nn.Sequential(layer, nn.Tanh(), layer)
    assert len(list(twice.parameters())) == 2
    assert list(twice.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    its = torch.nn.Linear(2, 2)
    its.load_state_dict({k: torch.tensor(v.numpy()) for k, v in layer.state_dict().items()})
    twice(nnscratch.ones(3, 2)).sum().backward()
    torch.nn.Sequential(its, torch.nn.Tanh(), its)(torch.ones(3, 2)).sum().backward()
    np.testing.assert_allclose(layer.weight.grad.numpy(), its.weight.grad.numpy(), 1e-5)


def test_sequential() -> None:
    chain = nn.Sequential(OrderedDict(first=nn.Linear(2, 3), act=nn.ReLU()))
    assert chain.first is chain[0]
    assert [name for name, _ in chain.named_children()] == ["first", "act"]
    assert isinstance(chain[1:], nn.Sequential)
    assert [name for name, _ in chain[:1].named_children()] == ["first"]
    chain.append(nn.Linear(3, 1))
    chain[1] = nn.Tanh()
    assert [type(m).__name__ for m in chain] == ["Linear", "Tanh", "Linear"]
    assert chain[-1] in chain
    chain.insert(0, nn.Identity())
    del chain[2]
    assert [type(m).__name__ for m in chain] == ["Identity", "Linear", "Linear"]
    assert chain.extend([nn.Softplus()])[3](nnscratch.zeros(1)).shape == (1,)
    assert len(chain) == 4
    x = nnscratch.ones(2)
    assert nn.Sequential()(x) is x
    for bad in (4, -5):
        with pytest.raises(IndexError, match="out of range for 4 entries"):
            chain[bad]


def test_module_list_and_dict_and_parameter_list() -> None:
    modules = nn.ModuleList([nn.Linear(1, 1)])
    modules += [nn.ReLU(), nn.Tanh()]
    assert isinstance(modules[1:], nn.ModuleList)
    assert len(modules[1:]) == 2
    del modules[0]
    assert [name for name, _ in modules.named_children()] == ["0", "1"]
    with pytest.raises(TypeError, match="no forward"):
        modules(1)
    named = nn.ModuleDict({"a": nn.ReLU()})
    named["b"] = nn.Tanh()
    named.update({"c": nn.Linear(1, 1)})
    assert list(named) == list(named.keys()) == ["a", "b", "c"]
    assert "b" in named
    del named["b"]
    assert [key for key, _ in named.items()] == ["a", "c"]
    assert len(named) == len(list(named.values())) == 2
    free = nn.ParameterList([nnscratch.zeros(2), nn.Parameter(nnscratch.ones(1))])
    free[0] = nnscratch.ones(3)
    free.append(nnscratch.zeros(1))
    assert [name for name, _ in free.named_parameters()] == ["0", "1", "2"]
    assert [p.shape for p in free] == [(3,), (1,), (1,)]
    assert free[-1].requires_grad


def test_hooks() -> None:
    layer, seen = nn.Linear(1, 1, bias=False), []
    with nnscratch.no_grad():
        layer.weight.fill_(2.0)
    before = layer.register_forward_pre_hook(lambda module, inputs: inputs[0] + 1.0)
    after = layer.register_forward_hook(lambda module, inputs, output: output * 10.0)
    looking = layer.register_forward_hook(lambda *args: seen.append(args[2].item()))
    assert layer(nnscratch.ones(1, 1)).item() == 40.0
    before.remove()
    after.remove()
    after.remove()
    looking()
    assert layer(nnscratch.ones(1, 1)).item() == 2.0
    assert seen == [40.0]


def test_dropout() -> None:
    nnscratch.manual_seed(0)
    x = nnscratch.ones(1000, requires_grad=True)
    drop = nn.Dropout(0.25)
    y = drop(x)
    assert set(y.tolist()) == {0.0, np.float32(1 / 0.75)}
    assert 200 < (y == 0).sum().item() < 300
    y.sum().backward()
    assert nnscratch.equal(x.grad, y.detach())
    assert not nnscratch.equal(drop(x), y)
    nnscratch.manual_seed(0)
    assert nnscratch.equal(drop(x), y)
    own = nn.Dropout(0.25, generator=nnscratch.Generator(0))
    assert nnscratch.equal(own(x), y)
    assert drop.eval()(x) is x
    assert nn.Dropout(0.0)(x) is x
    assert nn.Dropout(1.0)(x).sum().item() == 0.0
    assert repr(drop) == "Dropout(p=0.25, inplace=False)"
    for bad in (-0.1, 1.5):
        with pytest.raises(ConfigurationError, match="from 0 to 1"):
            nn.Dropout(bad)


def test_the_state_of_the_generator_is_enough_to_repeat_dropout() -> None:
    from nnscratch.array.random import default_generator

    nnscratch.manual_seed(5)
    drop, x = nn.Dropout(0.5), nnscratch.ones(7)
    drop(x)
    state = default_generator.state()
    then = [drop(x).tolist() for _ in range(3)]
    default_generator.set_state(state)
    assert [drop(x).tolist() for _ in range(3)] == then


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(10, 8)
        self.deep = nn.Sequential(nn.ReLU(), nn.ModuleDict({"inner": nn.Linear(7, 2)})["inner"])

    def forward(self, x: Any) -> Any:
        return self.deep(self.fc1(x))


ERRORS: dict[str, tuple[Any, type[NNScratchError], str]] = {
    "a layer inside": (
        lambda: Net()(nnscratch.ones(3, 10)), ShapeError,
        r"^in deep\.1 \(Linear\(in_features=7, out_features=2, bias=True\)\): linear: expected an "
        r"input of shape \(\.\.\., 7\) for weights \(2, 7\), got \(3, 8\)"
    ),
    "a transposed input": (
        lambda: nn.Linear(2, 3)(nnscratch.ones(2, 5)), ShapeError,
        r"^in Linear\(in_features=2.*\): .*transposed, try x\.T"
    ),
    "pictures": (
        lambda: nn.Linear(64, 3)(nnscratch.ones(5, 8, 8)), ShapeError, r"x\.reshape\(len\(x\), -1\)"
    ),
    "integers into a layer": (
        lambda: Net()(nnscratch.ones(3, 10).long()), DTypeError,
        r"^in fc1 \(Linear\(.*floating-point input, got int64; call \.float\(\)"
    ),
    "another dtype": (
        lambda: Net()(nnscratch.ones(3, 10).double()), DTypeError,
        r"float64 but the weights are float32; use x\.to\('float32'\) or model\.to\('float64'\)"
    ),
    "(N, 1) against (N,)": (
        lambda: nn.MSELoss()(nnscratch.ones(4, 1), nnscratch.ones(4)), ShapeError,
        r"^in MSELoss\(\): .*\(4, 1\).*\(4,\).*broadcast.*reshape\(4, 1\)"
    ),
    "(N,) against (N, 1)": (
        lambda: nn.BCEWithLogitsLoss()(nnscratch.ones(4), nnscratch.ones(4, 1)), ShapeError,
        r"\(4,\).*\(4, 1\)"
    ),
    "a label too large": (
        lambda: nn.CrossEntropyLoss()(nnscratch.ones(3, 2), nnscratch.tensor([0, 2, 1])), DataError,
        r"from 0 to 1.*2 .*position 1"
    ),
    "a negative label": (
        lambda: nn.NLLLoss()(nnscratch.ones(3, 2), nnscratch.tensor([0, -1, 1])), DataError,
        r"from 0 to 1.*-1 .*position 1"
    ),
    "labels in a column": (
        lambda: nn.CrossEntropyLoss()(nnscratch.ones(3, 2), nnscratch.zeros(3, 1).long()),
        ShapeError, r"\(3, 1\)"
    ),
    "integer scores": (
        lambda: nn.CrossEntropyLoss()(nnscratch.ones(3, 2).long(), nnscratch.zeros(3).long()),
        DTypeError, r"float"
    ),
    "probabilities beyond 1": (
        lambda: nn.BCELoss()(nnscratch.full((2,), 1.5), nnscratch.ones(2)), DataError, r"1\.5"
    ),
    "reduction": (
        lambda: nn.MSELoss(reduction="median")(nnscratch.ones(2), nnscratch.ones(2)),
        ConfigurationError, "mean.*sum.*none.*'median'"
    ),
    "an option that is none": (
        lambda: nn.ELU(beta=1.0), ConfigurationError, "the options alpha, inplace; .*beta=1.0"
    ),
    "too many options": (
        lambda: nn.Sigmoid(1.0), ConfigurationError, "Sigmoid has the options none; got 1.0"
    ),
    "class weights": (
        lambda: nn.CrossEntropyLoss(nnscratch.ones(3))(
            nnscratch.ones(3, 2), nnscratch.zeros(3).long()
        ), ShapeError, r"each of 2 classes, got a weight of shape \(3,\)"
    ),
    "a size that is no integer": (
        lambda: nn.Linear(2.0, 3), ConfigurationError, r"must be an integer from 0 on, got 2\.0"
    ),
    "sizes of a layer": (
        lambda: nn.Linear(-1, 3), ConfigurationError, "must be an integer from 0 on, got -1"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_the_layer_and_the_mend(name: str) -> None:
    function, kind, message = ERRORS[name]
    with pytest.raises(kind, match=message):
        function()


F, IMAGE, THETA = nn.functional, nnscratch.zeros(1, 4, 6, 6), nnscratch.zeros(1, 2, 3)
WHOLE = {
    "layer_norm": lambda n: nn.LayerNorm(n),
    "layer_norm, listed": lambda n: nn.LayerNorm([n, 3]),
    "rms_norm": lambda n: nn.RMSNorm(n),
    "linear": lambda n: nn.Linear(n, 2),
    "padding": lambda n: nn.ZeroPad2d(n),
    "padding, listed": lambda n: nn.ReflectionPad1d((n, 1)),
    "pad": lambda n: F.pad(IMAGE, (n, 1)),
    "kernel": lambda n: nn.Conv2d(4, 4, n),
    "channels": lambda n: nn.Conv2d(n, 4, 1),
    "groups": lambda n: nn.Conv2d(4, 4, 1, groups=n),
    "pooling": lambda n: nn.MaxPool2d(n)(IMAGE),
    "adaptive pooling": lambda n: F.adaptive_avg_pool2d(IMAGE, n),
    "adaptive pooling, listed": lambda n: F.adaptive_max_pool2d(IMAGE, (None, n)),
    "shuffling": lambda n: F.pixel_shuffle(IMAGE, n),
    "unshuffling": lambda n: F.pixel_unshuffle(IMAGE, n),
    "shuffling of channels": lambda n: F.channel_shuffle(IMAGE, n),
    "padding row": lambda n: nn.Embedding(3, 2, padding_idx=n),
    "resizing": lambda n: F.interpolate(IMAGE, size=(n, 3)),
    "grid": lambda n: F.affine_grid(THETA, (1, 1, n, 2), align_corners=False),
    "unpooling": lambda n: F.max_unpool2d(
        *F.max_pool2d(IMAGE, 2, return_indices=True), 2, output_size=(n * 0 + n + 4, 6)
    ),
    "roll": lambda n: IMAGE.roll(n, 2),
    "topk": lambda n: IMAGE.topk(n),
    "kthvalue": lambda n: IMAGE.kthvalue(n),
    "one_hot": lambda n: F.one_hot(nnscratch.tensor([1]), n),
    "select": lambda n: IMAGE.select(2, n),
    "seed": lambda n: nnscratch.Generator(n),
}


@pytest.mark.parametrize("name", WHOLE)
def test_arrays_of_no_axes_stand_for_whole_numbers_only(name: str) -> None:
    for given in (2, np.array(2), np.int64(2), nnscratch.tensor(2)):
        WHOLE[name](given)
    for given in (2.5, np.array(2.5), np.array(2.0), np.float32(2.5), nnscratch.tensor(2.5)):
        with pytest.raises(ConfigurationError, match=r"integer|sizes of the last axes|is a size"):
            WHOLE[name](given)


def test_a_dimension_is_a_whole_number() -> None:
    assert IMAGE.softmax(np.array(1)).shape == (1, 4, 6, 6)
    for given in (1.5, np.array(1.5), nnscratch.tensor(1.5)):
        with pytest.raises(ShapeError, match="dim must be an integer"):
            IMAGE.softmax(given)


def test_weights_of_a_loss_move_and_are_saved_with_it() -> None:
    loss = nn.CrossEntropyLoss(weight=np.array([1.0, 2.0]))
    assert list(loss.state_dict()) == ["weight"]
    assert loss.weight.dtype == np.float64
    loss.float()
    x, y = nnscratch.zeros(2, 2), nnscratch.tensor([0, 1])
    assert abs(loss(x, y).item() - np.log(2.0)) < 1e-6
    assert loss(x.numpy(), y.numpy()).shape == ()


def test_empty_batches() -> None:
    x = nnscratch.zeros(0, 3, requires_grad=True)
    layer = nn.Linear(3, 2)
    out = layer(x)
    assert out.shape == (0, 2)
    out.sum().backward()
    assert layer.weight.grad.tolist() == [[0.0] * 3] * 2
    assert np.isnan(nn.MSELoss()(out.detach(), out.detach()).item())


def test_a_parameter_is_a_leaf_that_asks() -> None:
    p = nn.Parameter(nnscratch.ones(2))
    assert p.requires_grad
    assert p.is_leaf
    assert repr(p) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"
    assert not nn.Parameter(nnscratch.ones(1), requires_grad=False).requires_grad
    with pytest.raises(DTypeError, match="takes a tensor or an array, got list"):
        nn.Parameter([1.0])
    with pytest.raises(GradientError, match="leaf"):
        p += 1.0
    with pytest.raises(DTypeError):
        nn.Parameter(nnscratch.tensor([1]))


def test_a_module_with_children_shows_its_own_options_first() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 1)

        def extra_repr(self) -> str:
            return "factor=2"

    assert repr(Scaled()) == (
        "Scaled(\n  factor=2\n  (layer): Linear(in_features=2, out_features=1, bias=True)\n)"
    )


SHARED = [
    name for name in dir(nn)
    if all(isinstance(getattr(lib, name, None), type) for lib in (nn, torch.nn))
    and issubclass(getattr(nn, name), nn.Module)
]  # fmt: skip


def test_isinstance_answers_as_in_pytorch() -> None:
    assert len(SHARED) > 100
    wrong = {
        (a, b) for a in SHARED for b in SHARED
        if issubclass(getattr(nn, a), getattr(nn, b))
        is not issubclass(getattr(torch.nn, a), getattr(torch.nn, b))
    }  # fmt: skip
    # ReLU6 is made from its formula, which is its own.
    assert wrong == {("ReLU6", "Hardtanh")}


def test_a_subclass_has_the_dimensions_of_its_base() -> None:
    counted = [name for name in SHARED if isinstance(getattr(getattr(nn, name), "dims", None), int)]
    assert {"MaxPool2d", "MaxUnpool3d", "FractionalMaxPool3d", "ZeroPad2d"} <= set(counted)
    for name in counted:
        own: Any = type("Own", (getattr(nn, name),), {})
        assert own.dims == int(name[-2]), name

    class Own(nn.MaxPool2d):
        pass

    assert Own(2)(nnscratch.ones(1, 4, 4)).shape == (1, 2, 2)


@pytest.mark.parametrize("kind", ["Linear", "MultiheadAttention", "MaxPool2d", "Conv2d"])
def test_sizes_may_be_numbers_of_numpy(kind: str) -> None:
    given = {"MaxPool2d": (2,), "Conv2d": (2, 4, 3)}.get(kind, (4, 2))
    made = getattr(nn, kind)(*map(np.int64, given))
    its = getattr(torch.nn, kind)(*map(np.int64, given))
    assert [tuple(one.shape) for one in made.parameters()] == [
        tuple(one.shape) for one in its.parameters()
    ]
    assert repr(made) == repr(getattr(nn, kind)(*given))
