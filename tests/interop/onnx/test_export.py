"""What is exported gives our numbers, run by onnxruntime and by our own loader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from interop.onnx.onnx_comparisons import NEWEST, both_ways, draw, tokens

import nnscratch
from nnscratch import nn
from nnscratch.errors import ConfigurationError
from nnscratch.interop.onnx import export, load, to_onnx
from nnscratch.models import (
    CNN,
    GPT2,
    VGG,
    AlexNet,
    AlexNet2012,
    Bert,
    BertConfig,
    CharLSTM,
    GPT2Config,
    LeNet,
    LSTMClassifier,
    MobileNetV2,
    ResNet,
    UNet,
    ViT,
)
from nnscratch.nn import functional as F

IMAGE, SEQUENCE, ROWS = (2, 3, 12, 12), (2, 5, 8), (3, 7)
PLAIN = [
    "CELU",
    "ELU",
    "GELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "Mish",
    "ReLU",
    "ReLU6",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
]
LAYERS: dict[str, tuple[Any, tuple[int, ...]]] = {
    **{name: (lambda name=name: getattr(nn, name)(), ROWS) for name in PLAIN},
    "Softmax": (lambda: nn.Softmax(-1), ROWS),
    "LogSoftmax": (lambda: nn.LogSoftmax(-1), ROWS),
    "GELU by tanh": (lambda: nn.GELU("tanh"), ROWS),
    "PReLU": (lambda: nn.PReLU(3), IMAGE),
    "Linear": (lambda: nn.Linear(8, 5), SEQUENCE),
    "Linear without bias": (lambda: nn.Linear(7, 5, bias=False), ROWS),
    "Conv1d": (lambda: nn.Conv1d(5, 4, 3, padding="same"), SEQUENCE),
    "Conv2d": (lambda: nn.Conv2d(3, 6, 3, 2, 1, 2, groups=3), IMAGE),
    "Conv2d reflected": (lambda: nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect"), IMAGE),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(3, 4, 3, 2, 1, 1), IMAGE),
    "ConvTranspose2d dilated": (lambda: nn.ConvTranspose2d(3, 4, 3, 2, 1, dilation=2), IMAGE),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True), IMAGE),
    "AvgPool2d": (lambda: nn.AvgPool2d(3, 2), IMAGE),
    "AvgPool2d padded": (lambda: nn.AvgPool2d(3, 2, 1), IMAGE),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(1), IMAGE),
    "AdaptiveAvgPool2d uneven": (lambda: nn.AdaptiveAvgPool2d(5), IMAGE),
    "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d(4), IMAGE),
    "Upsample": (lambda: nn.Upsample(scale_factor=2), IMAGE),
    "Upsample bilinear": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(3), IMAGE),
    "BatchNorm1d plain": (lambda: nn.BatchNorm1d(7, affine=False), ROWS),
    "LayerNorm": (lambda: nn.LayerNorm(8), SEQUENCE),
    "RMSNorm": (lambda: nn.RMSNorm(8), SEQUENCE),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (2, 4, 3, 3)),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(3, affine=True), IMAGE),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(3), IMAGE),
    "Dropout": (lambda: nn.Dropout(0.5), ROWS),
    "Flatten": (lambda: nn.Flatten(), IMAGE),
    "LSTM": (lambda: nn.LSTM(8, 4, 2, bidirectional=True, batch_first=True), SEQUENCE),
    "GRU": (lambda: nn.GRU(8, 4, 2, batch_first=True, bias=False), SEQUENCE),
    "RNN": (lambda: nn.RNN(8, 4, nonlinearity="relu", batch_first=True), SEQUENCE),
    "attention": (
        lambda: lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
        (2, 2, 5, 4),
    ),
    "TransformerEncoderLayer": (
        lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
        SEQUENCE,
    ),
    "TransformerEncoderLayer, norms first": (
        lambda: nn.TransformerEncoderLayer(
            8, 2, 16, 0.1, "gelu", batch_first=True, norm_first=True
        ),
        SEQUENCE,
    ),
    "statistics": (
        lambda: lambda x: (x.var(1), x.std(-1, keepdim=True), x.mean(), x.amax(1)),
        SEQUENCE,
    ),
    "arithmetic": (
        lambda: (
            lambda x: (
                (x + 1.5) ** 2 / 3 - x.abs().sqrt() + x.floor() % 2,
                x > 0.5,
                -x.exp().log1p(),
            )
        ),
        ROWS,
    ),
    "slices": (lambda: lambda x: (x[:, 0], x[:, -1:, ::2], x[..., 1:3, None], x[:, 1]), SEQUENCE),
    "joined": (
        lambda: lambda x: nnscratch.cat([x, x.flip(1), nnscratch.zeros_like(x)], 1),
        SEQUENCE,
    ),
    "shapes": (
        lambda: lambda x: (x.reshape(-1, 4), x.transpose(0, 1).reshape(5, -1), x.argmax(-1)),
        SEQUENCE,
    ),
}


def narrow(model: Any) -> Any:
    """AlexNet with narrow layers behind its convolutions: its 58 million weights take a while."""
    for place, size in ((1, (256 * 6 * 6, 16)), (4, (16, 12)), (6, (12, 5))):
        model.classifier[place] = nn.Linear(*size)
    return model


MODELS: dict[str, tuple[Any, Any]] = {
    "LeNet": (lambda: LeNet(), (2, 1, 28, 28)),
    "CNN": (lambda: CNN(image_size=12, batch_norm=True), (2, 1, 12, 12)),
    "ResNet": (lambda: ResNet(18, 5, small_images=True), (1, 3, 16, 16)),
    "MobileNetV2": (lambda: MobileNetV2(5, small_images=True), (1, 3, 16, 16)),
    "AlexNet": (lambda: narrow(AlexNet(5)), (1, 3, 127, 127)),
    "AlexNet2012": (lambda: narrow(AlexNet2012(5)), (1, 3, 227, 227)),
    "VGG": (lambda: VGG(11, 5, small_images=True), (1, 3, 32, 32)),
    "VGG, normalised": (lambda: VGG(11, 5, True, small_images=True), (1, 3, 32, 32)),
    "UNet": (lambda: UNet(2, width=4, depth=2), (2, 1, 16, 16)),
    "ViT": (lambda: ViT(8, 4, 2, 2, 8, 12, 3), (2, 3, 8, 8)),
    "GPT2": (lambda: GPT2(GPT2Config(20, 8, 8, 2, 2)), tokens(2, 7)),
    "Bert": (lambda: Bert(BertConfig(20, 8, 2, 2, 12, 8)), tokens(2, 7)),
    "CharLSTM": (lambda: CharLSTM(20, 4, 6), tokens(2, 5)),
    "LSTMClassifier": (lambda: LSTMClassifier(20, 3, 5, 6, 2, True), tokens(2, 7)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_the_same_elsewhere(name: str, tmp_path: Path) -> None:
    nnscratch.manual_seed(0)
    make, shape = LAYERS[name]
    both_ways(make(), draw(*shape), tmp_path / "model.onnx", (18, NEWEST))


@pytest.mark.parametrize("name", MODELS)
def test_a_network_is_the_same_elsewhere(name: str, tmp_path: Path) -> None:
    nnscratch.manual_seed(0)
    make, sample = MODELS[name]
    x = draw(*sample) if isinstance(sample, tuple) else sample
    both_ways(make(), x, tmp_path / "model.onnx", (21,))


def test_the_newest_opset_and_three_before(tmp_path: Path) -> None:
    opsets = tuple(range(NEWEST - 3, NEWEST + 1))
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.BatchNorm2d(4), nn.Flatten())
    both_ways(model, draw(*IMAGE), tmp_path / "model.onnx", opsets)
    with pytest.raises(ConfigurationError, match=f"18 to {NEWEST}, got 17"):
        export(model, draw(*IMAGE), tmp_path / "old.onnx", opset=17)
    assert not (tmp_path / "old.onnx").exists()


def test_what_was_loaded_is_exported_again(tmp_path: Path) -> None:
    first = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    export(first, draw(3, 8), tmp_path / "a.onnx")
    both_ways(load(tmp_path / "a.onnx"), draw(3, 8), tmp_path / "b.onnx", (21,))


def test_preprocessing_goes_along(tmp_path: Path) -> None:
    model = nn.Linear(4, 2)
    mean, std = nnscratch.tensor([1.0, 2.0, 3.0, 4.0]), nnscratch.tensor([2.0, 1.0, 1.0, 4.0])
    both_ways(lambda x: model((x - mean) / std).softmax(-1), draw(3, 4), tmp_path / "m.onnx", (21,))


def test_names_are_those_of_the_module_and_modes_stay(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5), nn.BatchNorm1d(3))
    model[1].eval()
    made = to_onnx(model, draw(2, 4), input_names=["x"], output_names=["y"])
    assert [one.name for one in made.graph.initializer] == [
        *("0.weight", "0.bias", "2.weight", "2.bias", "2.running_mean", "2.running_var"),
    ]
    assert [one.training for one in model] == [True, False, True]
    assert [node.name for node in made.graph.node] == ["0/Gemm", "2/BatchNormalization"]
    shape = made.graph.input[0].type.tensor_type.shape.dim
    assert (shape[0].dim_param, shape[1].dim_value) == ("batch", 4)
    fixed = to_onnx(model, draw(2, 4), dynamic_batch=False)
    assert fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 2


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    class Turned(nn.Module):
        def forward(self, x: Any) -> Any:
            return nnscratch.linalg.qr(x)[0]

    path = tmp_path / "model.onnx"
    for model, words in (
        (nn.Sequential(nn.Linear(4, 3), Turned()), r"qr \(in 1 \(Turned"),
        (nn.AdaptiveMaxPool2d(5), "divides the input"),
        (lambda x: x[0].relu_() + x.sum(), "copy_into"),
        (lambda x: 3.0, "returns no tensor"),
        (lambda x: x[: x.shape[0] - 1], "dynamic_batch=False"),
    ):
        sample = draw(4, 4) if not isinstance(model, nn.AdaptiveMaxPool2d) else draw(*IMAGE)
        with pytest.raises(ConfigurationError, match=words):
            export(model, sample, path)
        assert not path.exists()


def test_places_of_a_pooling_are_written_only_where_they_are_read() -> None:
    """onnxruntime computes every output that has a name."""
    pool = nn.MaxPool2d(2, return_indices=True)
    for model, count in ((nn.MaxPool2d(2), 1), (lambda x: pool(x)[0], 1), (pool, 2)):
        (made,) = [
            one for one in to_onnx(model, draw(*IMAGE)).graph.node if one.op_type == "MaxPool"
        ]
        assert len(made.output) == count
