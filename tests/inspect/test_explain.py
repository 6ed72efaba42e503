"""`explain`: every formula in words, and the layers of a model with what really ran in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import nnscratch
from nnscratch import nn
from nnscratch.errors import ConfigurationError
from nnscratch.formulas import ADAM, FORMULAS, GELU, LINEAR, MSE, RELU, Formula
from nnscratch.inspect.explaining import explain, formula_of
from nnscratch.inspect.explanations import formula_text
from nnscratch.inspect.latex import to_text

OWN = [f for f in FORMULAS.values() if f.forward.__module__.startswith("nnscratch.")]


@pytest.mark.parametrize("formula", OWN, ids=lambda f: f.name)
def test_every_formula_reads_well_and_its_lines_are_there(formula: Formula) -> None:
    text = formula_text(formula)
    assert formula.shapes in text
    assert formula.source in text
    # All LaTeX has become text: no command, no brace of its own, no two words run together.
    for line in re.findall(r"^  (?:forward|backward|   {6}) +(.*)$", text, re.MULTILINE):
        assert not re.search(r"\\|\b(frac|odot|partial|mathrm|begin|cases|leftarrow)\b", line), line
    assert len(re.findall(r"∂L/∂.*? = ", text)) >= len(formula.gradients)
    places = re.findall(r"(\S+\.py):(\d+) \((forward|backward)\)", text)
    assert len(places) == (1 if formula.backward is None else 2)
    for file, line, _ in places:
        assert Path(file).read_text(encoding="utf-8").splitlines()[int(line) - 1].startswith("def ")


def test_the_place_is_that_of_the_function_under_its_decorators() -> None:
    found = re.findall(r"(\S+):(\d+) \((\w+)\)", formula_text(RELU))
    for file, line, kind in found:
        written = Path(file).read_text(encoding="utf-8").splitlines()[int(line) - 1]
        assert written.startswith(f"def relu_{kind}(")


def test_options_kinks_and_updates_are_named() -> None:
    assert "options   negative_slope=0.01" in explain("leaky_relu").text
    assert "kinks     at X = 0" in explain("leaky_relu").text
    assert "smooth    everywhere" in explain(GELU).text
    adam = explain(ADAM).text
    assert "replaces  P, M, V, Vmax" in adam
    assert "options   lr, beta1=0.9" in adam
    assert "backward" not in adam


@pytest.mark.parametrize(
    ("target", "formula"),
    [
        ("mse", MSE),
        ("mse_loss", MSE),
        ("MSELoss", MSE),
        ("Adam", ADAM),
        ("AdamW", ADAM),
        (MSE, MSE),
        (nn.MSELoss, MSE),
        (nn.functional.mse_loss, MSE),
        (nn.Linear, LINEAR),
        (nn.functional.gelu, GELU),
        (nnscratch.relu, RELU),
        (nn.ReLU, RELU),
        ("nothing", None),
        (nn.Sequential, None),
    ],
    ids=lambda item: getattr(item, "__qualname__", str(item)),
)
def test_what_stands_for_a_formula(target: Any, formula: Formula | None) -> None:
    assert formula_of(target) is formula


NO_LAYER = {"Buffer", "Parameter"}
# Containers, and layers that are several formulas or none.
# Made of other layers, or of tensor functions.
NO_FORMULA = {
    *("Identity", "Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList"),
    *("Sequential", "AdaptiveLogSoftmaxWithLoss", "Bilinear", "CosineSimilarity", "GLU", "RReLU"),
    *("PairwiseDistance", "TripletMarginLoss", "TripletMarginWithDistanceLoss"),
    *("AlphaDropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"),
    *("ChannelShuffle", "PixelShuffle", "PixelUnshuffle", "FractionalMaxPool2d"),
    *("FractionalMaxPool3d", "LinearCrossEntropyOptions", "RNNBase", "RNNCellBase", "Transformer"),
    *("TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder"),
    *("TransformerEncoderLayer",),
}


@pytest.mark.parametrize("name", [n for n in nn.__all__ if n[0].isupper() and n not in NO_LAYER])
def test_every_layer_and_loss_leads_to_its_formula(name: str) -> None:
    assert (formula_of(getattr(nn, name)) is None) == (name in NO_FORMULA)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x: Any) -> Any:
        return x + nnscratch.tanh(self.inner(self.inner(x)))


def test_a_model_shows_what_ran_where() -> None:
    rows = explain(Residual(), (3, 4)).text.splitlines()[2:7]
    assert rows[2].split() == [
        "(the",
        "model)",
        "Residual",
        "(3,",
        "4)",
        "(3,",
        "4)",
        "-",
        "tanh,",
        "add",
    ]
    assert rows[3].split() == ["inner", "Linear", "(3,", "4)", "(3,", "4)", "20", "linear"]
    assert rows[4] == rows[3]
    text = explain(Residual(), (3, 4)).text
    assert text.count("linear: ") == text.count("tanh: ") == text.count("add: ") == 1


def test_a_model_without_an_input_lists_its_layers() -> None:
    model = nn.Sequential(nn.Linear(4, 2), nn.Sigmoid(), nn.Identity())
    text = explain(model).text
    assert re.search(r"  0 +Linear\(in_features=4, out_features=2, bias=True\) +10 +linear", text)
    assert re.search(r"  2 +Identity\(\) +- +-", text)
    assert "sigmoid: " in text


def test_a_tensor_may_stand_in_the_place_of_a_shape() -> None:
    model = nn.Linear(4, 2)
    assert explain(model, nnscratch.zeros(3, 4)).text == explain(model, (3, 4)).text


def test_an_unknown_name_names_the_closest() -> None:
    with pytest.raises(ConfigurationError, match="got 'sigmod'; did you mean 'sigmoid'"):
        explain("sigmod")
    with pytest.raises(ConfigurationError, match="got print"):
        explain(print)


@pytest.mark.parametrize("with_rich", [True, False])
def test_it_prints_with_and_without_rich(
    with_rich: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not with_rich:
        for name in ("rich", "rich.box", "rich.console", "rich.table"):
            monkeypatch.setitem(__import__("sys").modules, name, None)
    nnscratch.explain(nn.Sequential(nn.Linear(4, 2)), (3, 4)).show()
    out = capsys.readouterr().out
    assert ("──" in out) == with_rich
    assert "(3, 2)" in out
    assert "Z = X Wᵀ + b" in out


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\frac{1 - \mu_t}{n}^2", "((1 - μₜ)/n)²"),
        (r"\sqrt{x} + \sqrt{2 / \pi}", "√x + √(2 / π)"),
        (r"\sum_{i=1}^n A_{ij}", "Σ_(i=1)ⁿ Aᵢⱼ"),
        (r"\sum_{i = \lfloor s / 2 \rfloor}^n A_i", "Σ_(i = ⌊s / 2⌋)ⁿ Aᵢ"),
        (r"\begin{cases} a & b \\ c & \text{else} \end{cases}", "{ a if b; c else }"),
        (r"a \quad b", "a  b"),
        (r"\bar{A}", "A\u0304"),
        (r"\unknown x", "unknown x"),
        (r"x^", "x^()"),
    ],
)
def test_latex_to_text(latex: str, text: str) -> None:
    assert to_text(latex) == text
