"""What would give other numbers elsewhere is refused; what is easily written wrongly is right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interop.onnx.onnx_comparisons import NEWEST, both_ways, draw

import nnscratch
from nnscratch import nn
from nnscratch.errors import ConfigurationError
from nnscratch.interop.onnx import export, to_onnx
from nnscratch.interop.onnx.loading import model_of
from nnscratch.nn import functional as F

ROWS, BATCH = (4, 6), "dynamic_batch=False"


def set_items(x: Any) -> Any:
    y = x * 1
    y[:, 0] = 0
    return y


def set_items_in_between(x: Any) -> Any:
    held = nnscratch.ones(6)
    y = x * held
    held[0] = 5.0
    return y + held


def change_a_view(x: Any) -> Any:
    y = x * 1
    y[:, 0].add_(1)
    return y


def change_what_is_viewed(x: Any) -> Any:
    y = x * 1
    z = y.reshape(-1)
    y.mul_(2)
    return z


def branch_by_size(x: Any) -> Any:
    return x * 2 if x.shape[0] < 6 else x


# Each of these was written once, and gave the sample's numbers to every other input or batch.
REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "the number of rows as a divisor": (lambda x: x / x.shape[0], BATCH),
    "a mean by hand": (lambda x: x.sum(0) / x.shape[0], BATCH),
    "the last row by its number": (lambda x: x[x.shape[0] - 1], BATCH),
    "the number of rows as an array": (lambda x: x * nnscratch.tensor(float(x.shape[0])), BATCH),
    "rows that hold their number": (
        lambda x: x + nnscratch.full((x.shape[0], 1), float(x.shape[0])),
        BATCH,
    ),
    "the number of rows as an exponent": (lambda x: x ** x.shape[0], BATCH),
    "the number of rows as a limit": (lambda x: x.clamp(0, x.shape[0]), BATCH),
    "half of the batch, rounded up": (lambda x: x.chunk(2)[1], BATCH),
    "a third of the batch": (lambda x: x[: x.shape[0] // 3], BATCH),
    "the batch in parts of two": (lambda x: x.split(2)[0], BATCH),
    "windows along the batch": (lambda x: F.max_pool1d(x.T.unsqueeze(0), 2), BATCH),
    "a larger batch": (lambda x: F.interpolate(x.T.unsqueeze(0), scale_factor=2.0), BATCH),
    "a causal mask of the batch": (
        lambda x: F.scaled_dot_product_attention(*[x[None]] * 3, is_causal=True),
        BATCH,
    ),
    "a branch on the batch": (branch_by_size, BATCH),
    "a shape of the sample": (lambda x: x.reshape(24), f"batch of 5: .*{BATCH}"),
    "a number that is read": (lambda x: x * x.sum().item(), r"item\(\)"),
    "an array that is read": (lambda x: x * float(x.numpy().max()), r"numpy\(\)"),
    "a choice of entries by value": (lambda x: x[x > 0], "mask"),
    "items that are set": (set_items, "where"),
    "items that are set between two uses": (set_items_in_between, "where"),
    "a change of a view": (change_a_view, "copy_into"),
    "a change of what a view shows": (change_what_is_viewed, "copy_into"),
    "dropout that is not switched off": (lambda x: F.dropout(x, 0.5, training=True), "dropout"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_wrong_for_another_input_is_refused(name: str, tmp_path: Path) -> None:
    model, words = REFUSED[name]
    with pytest.raises(ConfigurationError, match=words):
        export(model, draw(*ROWS), tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_with_a_fixed_batch_its_size_is_a_number(tmp_path: Path) -> None:
    for model in (
        lambda x: x / x.shape[0],
        lambda x: x[x.shape[0] - 1],
        lambda x: x.chunk(3)[1],
        branch_by_size,
    ):
        both_ways(model, draw(*ROWS), tmp_path / "model.onnx", (18, NEWEST), more=False)


def constant_made_by_setting_items(x: Any) -> Any:
    mask = nnscratch.zeros(6)
    mask[2:] = 1.0
    return x * mask


WRITTEN: dict[str, Callable[[Any], Any]] = {
    "choices between numbers": lambda x: (
        nnscratch.where(x > 0, 1, x),
        nnscratch.where(x > 0, x, 0.5),
        x.masked_fill(x > 0, -1),
    ),
    "padding": lambda x: (
        F.pad(x, (1, 2)),
        F.pad(x, (-1, 2), value=3.0),
        F.pad(x[None], (1, 0, 2, 1)),
        F.pad(x > 0, (1, 1)),
        F.pad(x.to("int64"), (0, 2), value=7),
    ),
    "whole numbers rounded": lambda x: [
        getattr((x * 9).to("int64"), name)() for name in ("floor", "ceil", "round", "trunc")
    ],
    "remainders": lambda x: (x % 0.1, x // 0.1, x % -0.3, x // -0.3, (x * 9).to("int64") // -2),
    "small numbers": lambda x: [
        part
        for y in (x * 1e-6, x)
        for part in ((y.log1p() if y is not x else y.abs().log1p()) * 1e6, y.expm1() * 1e6)
    ],
    "numbers that are none": lambda x: (
        F.threshold(nnscratch.where(x > 1, float("nan"), x), 0.0, 1.0),
        nnscratch.where(x > 1, float("inf"), x).expm1(),
        nnscratch.where(x > 1, float("inf"), x.abs()).log1p(),
    ),
    "queries that may look at nothing": lambda x: F.scaled_dot_product_attention(
        x[:, None], x[:, None], x[:, None], attn_mask=(x[:, :1] > 0)[:, None]
    ),
    "a constant made by setting items": constant_made_by_setting_items,
    "a change in place": lambda x: (x * 1).relu_() + 1,
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_easily_written_wrongly_is_right(name: str, tmp_path: Path) -> None:
    both_ways(WRITTEN[name], draw(*ROWS), tmp_path / "model.onnx", (18, 21, NEWEST))


IMAGES: dict[str, Any] = {
    "smaller": lambda x: F.interpolate(x, scale_factor=0.5),
    "of one pixel": lambda x: F.interpolate(x, size=(1, 1)),
    "larger, of integers": lambda x: F.interpolate((x * 50).to("uint8"), scale_factor=2.0),
    "the same size": lambda x: F.interpolate(x, size=(11, 12)),
    "padded": lambda x: F.pad(x, (1, 2, 0, 3)),
    "MaxPool of some": nn.MaxPool2d(2, 3, 1, 1, ceil_mode=True),
    "AvgPool of some": nn.AvgPool2d(4, 3, 2, ceil_mode=True, count_include_pad=False),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images(name: str, tmp_path: Path) -> None:
    both_ways(IMAGES[name], draw(2, 3, 11, 12), tmp_path / "model.onnx", (18, NEWEST))


def test_types_that_an_operator_does_not_take_are_refused() -> None:
    half = nn.Conv2d(3, 4, 3).to("bfloat16")
    x = draw(2, 3, 8, 8).to("bfloat16")
    with pytest.raises(ConfigurationError, match=r"opset 21 .*Conv.*bfloat16.*newer opset"):
        to_onnx(half, x)
    made = model_of(to_onnx(half, x, opset=22))
    with nnscratch.no_grad():
        want, got = half(x), made(x)
    assert got.dtype == "bfloat16"
    assert np.array_equal(want.float().numpy(), got.float().numpy())
    with pytest.raises(ConfigurationError, match="MatMul"):
        to_onnx(lambda x: x @ x.T, nnscratch.tensor(np.ones((2, 2), np.uint8)))


def test_sizes_with_one_name_are_equal() -> None:
    made = to_onnx(lambda x: (x, x.T, x.reshape(-1, 2)), draw(*ROWS))
    shapes = [
        [one.dim_param or one.dim_value for one in value.type.tensor_type.shape.dim]
        for value in made.graph.output
    ]
    assert shapes == [["batch", 6], [6, "batch"], ["output_2_0", 2]]


class Named(nn.Module):
    """Has a weight by each name that an input or output has as well."""

    def __init__(self) -> None:
        super().__init__()
        self.input, self.output = (nn.Parameter(draw(6, seed=i)) for i in (1, 2))

    def forward(self, x: Any) -> Any:
        return x * self.input + self.output


def test_inputs_and_outputs_have_the_names_that_were_asked_for(tmp_path: Path) -> None:
    made = to_onnx(Named(), draw(*ROWS))
    assert [one.name for one in (*made.graph.input, *made.graph.output)] == ["input", "output"]
    assert [one.name for one in made.graph.initializer] == ["input_1", "output_1"]
    both_ways(Named(), draw(*ROWS), tmp_path / "model.onnx", (21,))
    for names in ({"output_names": ["input"]}, {"input_names": [""]}):
        with pytest.raises(ConfigurationError, match="names"):
            to_onnx(Named(), draw(*ROWS), **names)


def test_a_tensor_given_twice_is_two_inputs(tmp_path: Path) -> None:
    x = draw(*ROWS)
    assert len(to_onnx(lambda a, b: a - b, (x, x)).graph.input) == 2
    both_ways(lambda a, b: a - b, (x, x), tmp_path / "model.onnx", (21,))


def test_a_sample_without_rows_is_refused() -> None:
    for sample in (nnscratch.zeros(0, 4), nnscratch.tensor(1.0)):
        with pytest.raises(ConfigurationError, match="at least one row"):
            to_onnx(lambda x: x * 2, sample)
