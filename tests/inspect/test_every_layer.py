"""`explain` takes a training step of every layer there is, and shows what went in and came out."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from networks import summed

import nnscratch
from nnscratch import nn
from nnscratch.formulas.registry import use_kernels
from nnscratch.inspect.step_page import LIMIT

RNG = np.random.default_rng(5)


def r(*shape: int) -> nnscratch.Tensor:
    return nnscratch.tensor(RNG.normal(size=shape), requires_grad=True)


def data(values: Any) -> nnscratch.Tensor:
    return nnscratch.tensor(values)


def chances(*shape: int) -> nnscratch.Tensor:
    return nnscratch.tensor(RNG.uniform(0.1, 0.9, shape), requires_grad=True)


ROWS, LINES, IMAGES, BLOCKS = (2, 6), (2, 4, 6), (2, 4, 6, 6), (1, 2, 4, 4, 4)
BY_AXES = {"1d": LINES, "2d": IMAGES, "3d": BLOCKS}
LABELS = data([1, 0])
SIGNS = data([1.0, -1.0]).double()

# What is made with arguments of its own, and its inputs; layers of rows alone are not here.
LAYERS: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "AdaptiveLogSoftmaxWithLoss": ({"in_features": 6, "n_classes": 8, "cutoffs": [2, 4]},
                                   [r(*ROWS), LABELS]),
    "BCELoss": ({}, [chances(*ROWS), chances(*ROWS).detach()]),
    "BCEWithLogitsLoss": ({}, [r(*ROWS), chances(*ROWS).detach()]),
    "Bilinear": ({"in1_features": 6, "in2_features": 4, "out_features": 3}, [r(*ROWS), r(2, 4)]),
    "CTCLoss": ({}, [r(5, 2, 4), data([[1, 2], [3, 1]]), data([5, 5]), data([2, 2])]),
    "ChannelShuffle": ({"groups": 2}, [r(*IMAGES)]),
    "CosineEmbeddingLoss": ({}, [r(*ROWS), r(*ROWS), SIGNS]),
    "CosineSimilarity": ({}, [r(*ROWS), r(*ROWS)]),
    "CrossEntropyLoss": ({}, [r(*ROWS), LABELS]),
    "Embedding": ({"num_embeddings": 5, "embedding_dim": 3}, [data([[1, 4], [0, 1]])]),
    "EmbeddingBag": ({"num_embeddings": 5, "embedding_dim": 3}, [data([[1, 4], [0, 1]])]),
    "Flatten": ({}, [r(*IMAGES)]),
    "Fold": ({"output_size": (4, 5), "kernel_size": 2}, [r(2, 8, 12)]),
    "FractionalMaxPool2d": ({"kernel_size": 2, "output_size": 3}, [r(*IMAGES)]),
    "FractionalMaxPool3d": ({"kernel_size": 2, "output_size": 2}, [r(*BLOCKS)]),
    "GRU": ({"input_size": 4, "hidden_size": 3}, [r(5, 2, 4)]),
    "GRUCell": ({"input_size": 6, "hidden_size": 3}, [r(*ROWS)]),
    "GaussianNLLLoss": ({}, [r(*ROWS), r(*ROWS).detach(), chances(*ROWS)]),
    "GroupNorm": ({"num_groups": 2, "num_channels": 4}, [r(*IMAGES)]),
    "HingeEmbeddingLoss": ({}, [r(2), SIGNS]),
    "KLDivLoss": ({"reduction": "batchmean"}, [r(*ROWS), chances(*ROWS).detach()]),
    "LogSoftmax": ({"dim": -1}, [r(*ROWS)]),
    "LSTM": ({"input_size": 4, "hidden_size": 3}, [r(5, 2, 4)]),
    "LSTMCell": ({"input_size": 6, "hidden_size": 3}, [r(*ROWS)]),
    "LayerNorm": ({"normalized_shape": 6}, [r(*ROWS)]),
    "Linear": ({"in_features": 6, "out_features": 2}, [r(*ROWS)]),
    "LinearCrossEntropyLoss": ({"in_features": 6, "num_classes": 3}, [r(*ROWS), LABELS]),
    "LocalResponseNorm": ({"size": 3}, [r(*IMAGES)]),
    "MarginRankingLoss": ({}, [r(2), r(2), SIGNS]),
    "MultiLabelMarginLoss": ({}, [r(1, 4), data([[3, 0, -1, 1]])]),
    "MultiLabelSoftMarginLoss": ({}, [r(2, 2), data([[1.0, 0.0], [0.0, 1.0]]).double()]),
    "MultiMarginLoss": ({}, [r(*ROWS), LABELS]),
    "MultiheadAttention": ({"embed_dim": 4, "num_heads": 2}, [r(5, 2, 4), r(3, 2, 4), r(3, 2, 4)]),
    "NLLLoss": ({}, [r(*ROWS), LABELS]),
    "PairwiseDistance": ({}, [r(*ROWS), r(*ROWS)]),
    "PixelShuffle": ({"upscale_factor": 2}, [r(*IMAGES)]),
    "PixelUnshuffle": ({"downscale_factor": 2}, [r(*IMAGES)]),
    "PoissonNLLLoss": ({}, [r(*ROWS), chances(*ROWS).detach()]),
    "RMSNorm": ({"normalized_shape": 6}, [r(*ROWS)]),
    "RNN": ({"input_size": 4, "hidden_size": 3}, [r(5, 2, 4)]),
    "RNNCell": ({"input_size": 6, "hidden_size": 3}, [r(*ROWS)]),
    "SoftMarginLoss": ({}, [r(2), SIGNS]),
    "Softmax": ({"dim": -1}, [r(*ROWS)]),
    "Softmax2d": ({}, [r(*IMAGES)]),
    "Softmin": ({"dim": -1}, [r(*ROWS)]),
    "Threshold": ({"threshold": 0.1, "value": 20.0}, [r(*ROWS)]),
    "Transformer": (
        {"d_model": 4, "nhead": 2, "num_encoder_layers": 1, "num_decoder_layers": 1,
         "dim_feedforward": 6},
        [r(3, 2, 4), r(4, 2, 4)],
    ),
    "TransformerDecoderLayer": ({"d_model": 4, "nhead": 2, "dim_feedforward": 6},
                                [r(3, 2, 4), r(4, 2, 4)]),
    "TransformerEncoderLayer": ({"d_model": 4, "nhead": 2, "dim_feedforward": 6}, [r(3, 2, 4)]),
    "TripletMarginLoss": ({}, [r(*ROWS), r(*ROWS), r(*ROWS)]),
    "TripletMarginWithDistanceLoss": ({}, [r(*ROWS), r(*ROWS), r(*ROWS)]),
    "Unflatten": ({"dim": 1, "unflattened_size": (2, 3)}, [r(*ROWS)]),
    "Unfold": ({"kernel_size": 2}, [r(*IMAGES)]),
    "Upsample": ({"scale_factor": 2}, [r(*IMAGES)]),
    "UpsamplingBilinear2d": ({"scale_factor": 2}, [r(*IMAGES)]),
    "UpsamplingNearest2d": ({"scale_factor": 2}, [r(*IMAGES)]),
}  # fmt: skip
# What a name begins with, of layers for one, two or three axes.
FAMILIES: dict[str, dict[str, Any]] = {
    "AdaptiveAvgPool": {"output_size": 2}, "AdaptiveMaxPool": {"output_size": 2},
    "AvgPool": {"kernel_size": 2}, "BatchNorm": {"num_features": 0}, "CircularPad": {"padding": 1},
    "ConstantPad": {"padding": 1, "value": 0.5}, "Conv": {"in_channels": 0, "out_channels": 3,
    "kernel_size": 2}, "ConvTranspose": {"in_channels": 0, "out_channels": 3, "kernel_size": 2},
    "Dropout": {}, "InstanceNorm": {"num_features": 0}, "LPPool": {"norm_type": 2,
    "kernel_size": 2}, "MaxPool": {"kernel_size": 2}, "ReflectionPad": {"padding": 1},
    "ReplicationPad": {"padding": 1}, "ZeroPad": {"padding": 1},
}  # fmt: skip
# Bases, containers without a forward, and those whose input another layer makes.
OTHERS = {
    "Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "RNNBase",
    "RNNCellBase", "Sequential", "TransformerDecoder", "TransformerEncoder", "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
}  # fmt: skip
NAMES = [
    name
    for name in nn.__all__
    if isinstance(getattr(nn, name), type) and issubclass(getattr(nn, name), nn.Module)
]


class Unpooled(nn.Module):
    """Pools and puts the largest back to where they were."""

    def __init__(self, axes: str) -> None:
        super().__init__()
        self.pool = getattr(nn, f"MaxPool{axes}")(2, return_indices=True)
        self.back = getattr(nn, f"MaxUnpool{axes}")(2)

    def forward(self, x: Any) -> Any:
        return self.back(*self.pool(x))


def made(name: str) -> tuple[nn.Module, list[Any]]:
    if name.startswith("MaxUnpool"):
        return Unpooled(name[-2:]), [r(*BY_AXES[name[-2:]])]
    if name == "TransformerEncoder":
        return nn.TransformerEncoder(made("TransformerEncoderLayer")[0], 2), [r(3, 2, 4)]
    if name == "TransformerDecoder":
        layer, inputs = made("TransformerDecoderLayer")
        return nn.TransformerDecoder(layer, 1), inputs
    if name in LAYERS:
        options, inputs = LAYERS[name]
    elif name[-2:] in BY_AXES and name[:-2] in FAMILIES:
        shape = BY_AXES[name[-2:]]
        options = {k: v or shape[1] for k, v in FAMILIES[name[:-2]].items()}
        inputs = [r(*shape)]
    else:
        options, inputs = {}, [r(*ROWS)] * (1 if not name.endswith("Loss") else 2)
    return getattr(nn, name)(**options), inputs


ALL = [name for name in NAMES if name not in OTHERS or name.startswith(("MaxUnpool", "Transf"))]


@pytest.mark.parametrize("name", ALL)
def test_a_training_step_of_every_layer(name: str) -> None:
    nnscratch.manual_seed(3)
    model, inputs = made(name)
    model = model.double()

    def loss(output: Any) -> Any:
        found = output.loss if hasattr(output, "loss") else output
        return summed(found)

    with use_kernels("off"):  # which kernels there are is not what is tested
        found = nnscratch.explain(model, *inputs, loss=loss)
        again = loss(model(*inputs)).item()
    assert found.step is not None
    # The same numbers as without anybody looking on, and nothing is left behind.
    assert found.step.loss == pytest.approx(again, rel=1e-12)
    assert all(parameter.grad is None for parameter in model.parameters())
    ran = {way: [s for s in found.steps if s.ran == way] for way in ("forward", "backward")}
    called = {one.formula for one in ran["forward"]}
    assert {one.formula for one in ran["backward"]} <= called
    assert any(one.kind != "loss" for one in ran["backward"]) or name == "Identity"
    # A convolution shows a window, and an attention its weights.
    assert all(
        bool(one.closer) == (one.formula.name in ("convolution", "scaled_dot_product_attention"))
        for one in ran["forward"]
    )
    assert json.loads(found.json)["loss"] == found.step.loss
    assert len(found.html.encode()) <= LIMIT
    text = found.text
    assert all(f"{one.direction}  {one.where}  {one.formula.name}" in text for one in found.steps)


def test_every_layer_is_here() -> None:
    assert set(LAYERS) <= set(NAMES)
    assert len(ALL) > 120
    assert {name for name in NAMES if name not in ALL} == {
        name for name in OTHERS if not name.startswith(("MaxUnpool", "Transf"))
    }
