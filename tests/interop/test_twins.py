"""Twins of PyTorch's modules compute the same, and what has none is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as TF
from torch import nn as tnn

import nnscratch
from nnscratch import nn
from nnscratch.errors import CheckpointError
from nnscratch.interop.torch import from_torch

# Built from PyTorch's classes by their names: constructor arguments and input shapes.
LAYERS: dict[str, tuple[tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = {
    "Linear": ((3, 2), {"bias": False}, (4, 3)),
    "Conv1d": ((4, 6, 3, 2, 1), {"groups": 2, "padding_mode": "reflect"}, (2, 4, 9)),
    "Conv2d": ((2, 3, (1, 3)), {"dilation": (1, 2), "padding": "same"}, (2, 2, 6, 7)),
    "Conv3d": ((1, 2, 2), {}, (1, 1, 4, 4, 4)),
    "ConvTranspose1d": ((2, 3, 3), {"stride": 2, "output_padding": 1}, (2, 2, 5)),
    "ConvTranspose2d": ((2, 3, 3), {"padding": 1}, (2, 2, 5, 5)),
    "BatchNorm1d": ((3,), {"eps": 1e-3, "momentum": None}, (4, 3)),
    "BatchNorm2d": ((3,), {"affine": False, "track_running_stats": False}, (2, 3, 4, 4)),
    "LayerNorm": (((3, 4),), {"eps": 1e-2}, (2, 3, 4)),
    "GroupNorm": ((2, 4), {}, (2, 4, 3)),
    "InstanceNorm2d": ((3,), {"affine": True}, (2, 3, 4, 4)),
    "RMSNorm": ((4,), {}, (2, 4)),
    "LSTM": ((3, 4, 2), {"bidirectional": True, "batch_first": True}, (2, 5, 3)),
    "GRU": ((3, 4), {"bias": False}, (5, 2, 3)),
    "RNN": ((3, 4), {"nonlinearity": "relu"}, (5, 2, 3)),
    "LSTMCell": ((3, 4), {}, (2, 3)),
    "GRUCell": ((3, 4), {}, (2, 3)),
    "MultiheadAttention": ((4, 2), {"bias": False, "batch_first": True, "kdim": 4}, (2, 5, 4)),
    "TransformerEncoderLayer": ((4, 2, 8, 0.0, "gelu"), {"norm_first": True}, (5, 2, 4)),
    "PReLU": ((3,), {}, (2, 3)),
    "GELU": ((), {"approximate": "tanh"}, (2, 3)),
    "Softmax": ((), {"dim": -1}, (2, 3)),
    "LeakyReLU": ((0.3,), {}, (2, 3)),
    "Hardtanh": ((-0.5, 0.25), {}, (2, 3)),
    "Threshold": ((0.1, 20), {}, (2, 3)),
    "MaxPool2d": ((3,), {"stride": 2, "padding": 1, "ceil_mode": True}, (2, 2, 8, 8)),
    "AvgPool2d": ((3,), {"count_include_pad": False, "padding": 1}, (2, 2, 8, 8)),
    "AdaptiveAvgPool2d": (((2, None),), {}, (2, 2, 5, 5)),
    "Upsample": ((), {"scale_factor": 2, "mode": "bilinear", "align_corners": True}, (1, 2, 3, 3)),
    "Flatten": ((), {"start_dim": 2}, (2, 3, 4)),
    "Unflatten": ((1, (2, 2)), {}, (3, 4)),
    "PixelShuffle": ((2,), {}, (1, 4, 3, 3)),
    "ZeroPad2d": (((1, 2, 0, 1),), {}, (1, 1, 3, 3)),
    "ReflectionPad2d": ((1,), {}, (1, 1, 3, 3)),
    "LocalResponseNorm": ((2,), {"alpha": 0.1}, (2, 4, 3)),
    "Dropout": ((0.3,), {}, (2, 3)),
}  # fmt: skip


def first(value: Any) -> Any:
    return first(value[0]) if isinstance(value, tuple) else value


def assert_twin(theirs: tnn.Module, *inputs: Any) -> nn.Module:
    """Outputs and gradients are the same, in the mode in which PyTorch's is."""
    ours = from_torch(theirs)
    given = [np.asarray(one) for one in inputs]
    mine = [nnscratch.tensor(x, requires_grad=x.dtype.kind == "f") for x in given]
    its = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in given]
    y, z = first(ours(*mine)), first(theirs(*its))
    np.testing.assert_allclose(np.asarray(y.detach()), z.detach().numpy(), rtol=2e-5, atol=2e-6)
    cotangent = np.random.default_rng(1).normal(size=z.shape).astype(np.asarray(y.detach()).dtype)
    y.backward(nnscratch.tensor(cotangent))
    z.backward(torch.tensor(cotangent))
    grads = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        assert parameter.requires_grad is grads[name].requires_grad, name
        if grads[name].grad is not None:
            expected = grads[name].grad.numpy()
            np.testing.assert_allclose(np.asarray(parameter.grad), expected, rtol=1e-4, atol=1e-5)
    state = {k: v for k, v in ours.state_dict().items() if isinstance(v, nnscratch.Tensor)}
    assert list(state) == list(theirs.state_dict())
    modes = {name: module.training for name, module in theirs.named_modules()}
    assert {name: module.training for name, module in ours.named_modules()} == modes
    return ours


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    args, options, shape = LAYERS[name]
    torch.manual_seed(0)
    theirs = getattr(tnn, name)(*args, **options)
    if name == "Dropout":
        theirs.eval()
    x = np.random.default_rng(0).normal(size=shape).astype("f4")
    ours = assert_twin(theirs, *[x] * (3 if name == "MultiheadAttention" else 1))
    assert type(ours).__name__ == name


class Block(tnn.Module):
    """Functions, methods, operators, buffers and parameters of one's own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = tnn.Conv2d(3, 4, 3, padding=1), tnn.BatchNorm2d(4)
        self.head = tnn.Linear(4 * 4 * 4, 5)
        self.scale = tnn.Parameter(torch.randn(5))
        self.register_buffer("two", torch.ones(5) * 2)
        self.register_buffer("unsaved", torch.ones(1), persistent=False)

    def forward(self, x: Any, shift: float = 1.0) -> Any:
        x = TF.max_pool2d(TF.relu(self.norm(self.conv(x))), 2)
        x = TF.dropout(x, 0.5, self.training)
        x = torch.flatten(x, 1)
        x = self.head(x).view(x.size(0), -1) * self.two + self.scale.exp() - shift + self.unsaved
        x = torch.cat([x, x.mean(1, keepdim=True)], dim=1)
        return torch.softmax(x, dim=-1)[:, 1:].float()


class Outer(tnn.Module):
    """A module in a module, with several results of one call."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.rnn = Block(), tnn.GRU(5, 3, batch_first=True)
        self.many = tnn.ModuleList([tnn.Linear(3, 3), tnn.Identity()])
        self.named = tnn.ModuleDict({"a": tnn.Tanh()})

    def forward(self, x: Any) -> Any:
        y, h = self.rnn(self.block(x).unsqueeze(1))
        y = y.squeeze(1) + h[0]
        for layer in self.many:
            y = layer(y)
        return self.named["a"](y)


@pytest.mark.parametrize("kind", [Block, Outer])
def test_a_forward_of_ones_own(kind: Any) -> None:
    torch.manual_seed(0)
    theirs = kind().eval()
    x = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype("f4")
    ours = assert_twin(theirs, x)
    assert "of " + kind.__name__ in repr(ours)
    ours.train()
    assert ours(nnscratch.tensor(x)).tolist() != ours(nnscratch.tensor(x)).tolist()  # it drops


def test_shared_layers_dtypes_and_what_is_frozen() -> None:
    layer = tnn.Linear(3, 3)
    theirs = tnn.Sequential(layer, tnn.ReLU(), layer).double()
    layer.bias.requires_grad_(False)
    ours = from_torch(theirs)
    assert ours[0] is ours[2]
    assert ours[0].weight.dtype == nnscratch.float64
    assert not ours[0].bias.requires_grad
    ours[0].weight.detach().fill_(0)
    assert layer.weight.abs().sum() > 0  # it is a copy


def test_a_transformer() -> None:
    torch.manual_seed(0)
    layer = tnn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    theirs = tnn.TransformerEncoder(layer, 2, tnn.LayerNorm(4), enable_nested_tensor=False).eval()
    assert_twin(theirs, np.random.default_rng(0).normal(size=(2, 5, 4)).astype("f4"))
    whole = tnn.Transformer(4, 2, 1, 1, 8, batch_first=True).eval()
    x = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("f4")
    assert_twin(whole, x, x)


class Branching(tnn.Module):
    def forward(self, x: Any) -> Any:
        return x if x.sum() > 0 else -x


class Unknown(tnn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = tnn.Linear(2, 2)

    def forward(self, x: Any) -> Any:
        return torch.special.i0(self.inner(x)).igamma(x)


def test_all_that_cannot_be_is_named_at_once() -> None:
    hooked = tnn.Linear(2, 2)
    hooked.register_forward_hook(lambda *_: None)
    theirs = tnn.Sequential(
        tnn.Linear(2, 2), Branching(), Unknown(), hooked, tnn.Sequential(tnn.CrossMapLRN2d(2))
    )
    with pytest.raises(CheckpointError) as caught:
        from_torch(theirs)
    said = str(caught.value)
    for part in (
        "no twin of this Sequential: 1: the forward of Branching cannot be traced (symbolically",
        "2.forward: the method Tensor.igamma is not here",
        "3: Linear has hooks",
        "4.0: CrossMapLRN2d, which is not here",
    ):
        assert part in said, said
    with pytest.raises(CheckpointError, match=r"expected a torch\.nn\.Module, got Linear"):
        from_torch(nn.Linear(1, 1))
