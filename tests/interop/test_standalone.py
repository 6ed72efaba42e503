"""A model as one file that needs NumPy alone: every layer and formula, and the same bits."""

from __future__ import annotations

import functools
import subprocess
import sys
import types
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import models, nn
from nnscratch.errors import ConfigurationError
from nnscratch.formulas import FORMULAS, LINEAR_ACTIVATION, registry
from nnscratch.formulas.cases import cases
from nnscratch.formulas.checks import plain
from nnscratch.interop.standalone import export, exported
from nnscratch.interop.standalone.texts import Texts
from nnscratch.train.evaluation import evaluating

L, I, V = (3, 4, 8), (3, 4, 8, 8), (3, 4, 4, 4, 4)  # lines, images, volumes
SQUARE = {"1d": L, "2d": I, "3d": V}


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def whole(high: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, high, shape)


def of_kinds(name: str, *arguments: Any, **options: Any) -> dict[str, Any]:
    return {
        f"{name}{kind}": (getattr(nn, f"{name}{kind}")(*arguments, **options), image(*shape))
        for kind, shape in SQUARE.items()
    }


def unpooling(kind: str) -> Any:
    given, found = getattr(nn, f"MaxPool{kind}")(2, return_indices=True)(
        nnscratch.tensor(image(*SQUARE[kind]))
    )
    return getattr(nn, f"MaxUnpool{kind}")(2), (given.numpy(), found.numpy())


@functools.cache
def every_layer() -> dict[str, tuple[nn.Module, Any]]:
    """Each layer by its name, and what it is called with; the first axis is the batch."""
    nnscratch.manual_seed(0)
    rows = image(3, 4)
    found: dict[str, Any] = {}
    for one in FORMULAS.values():
        if one.public is not None and one.public.kind == "activation" and one.public.module:
            found[one.public.module] = (None, rows)
    for name in ("AlphaDropout", "Dropout", "FeatureAlphaDropout", "Identity", "Sigmoid", "Tanh"):
        found[name] = (None, rows)
    for name in ("CELU", "ELU", "Flatten", "PReLU", "RReLU", "ReLU6", "Softsign", "LogSigmoid"):
        found[name] = (None, rows)
    found |= {"Hardshrink": (None, rows), "Hardtanh": (None, rows), "GLU": (None, rows)}
    found |= {"Softmax2d": (None, image(*I)), "Threshold": (nn.Threshold(0.1, 2.0), rows)}
    for name in ("Softmax", "LogSoftmax", "Softmin"):
        found[name] = (getattr(nn, name)(dim=1), rows)
    found |= {name: (getattr(nn, name)() if m is None else m, x) for name, (m, x) in found.items()}
    found |= of_kinds("AdaptiveAvgPool", 3) | of_kinds("AdaptiveMaxPool", 3)
    found |= of_kinds("AvgPool", 3, 2, 1) | of_kinds("MaxPool", 3, 2, 1) | of_kinds("LPPool", 2, 2)
    found |= of_kinds("BatchNorm", 4) | of_kinds("Dropout")
    found |= of_kinds("InstanceNorm", 4, affine=True)
    found |= of_kinds("Conv", 4, 6, 3, stride=2, padding=1, groups=2)
    found |= of_kinds("ConvTranspose", 4, 6, 3, stride=2, padding=1, output_padding=1)
    for name in ("CircularPad", "ReflectionPad", "ReplicationPad", "ZeroPad"):
        found |= of_kinds(name, 1)
    found |= of_kinds("ConstantPad", 1, 0.5)
    found |= {f"MaxUnpool{kind}": unpooling(kind) for kind in SQUARE}
    states = (rows, image(3, 5))
    words = whole(9, 3, 6)
    sequence = image(3, 6, 4)
    encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    decoder = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)
    pair = image(3, 5, 8), image(3, 4, 8)
    found |= {
        "Bilinear": (nn.Bilinear(4, 5, 2), states),
        "ChannelShuffle": (nn.ChannelShuffle(2), image(*I)),
        "CosineSimilarity": (nn.CosineSimilarity(), (rows, rows[::-1].copy())),
        "PairwiseDistance": (nn.PairwiseDistance(), (rows, rows[::-1].copy())),
        "Embedding": (nn.Embedding(9, 4), words),
        "EmbeddingBag": (nn.EmbeddingBag(9, 4), words),
        "Fold": (nn.Fold((4, 5), (2, 2)), image(3, 8, 12)),
        "Unfold": (nn.Unfold((2, 2)), image(*I)),
        "GRU": (nn.GRU(4, 5, 2, batch_first=True, bidirectional=True), sequence),
        "LSTM": (nn.LSTM(4, 5, 2, batch_first=True, proj_size=2), sequence),
        "RNN": (nn.RNN(4, 5, nonlinearity="relu", batch_first=True), sequence),
        "GRUCell": (nn.GRUCell(4, 5), states),
        "LSTMCell": (nn.LSTMCell(4, 5), rows),
        "RNNCell": (nn.RNNCell(4, 5), rows),
        "GroupNorm": (nn.GroupNorm(2, 4), image(*I)),
        "LayerNorm": (nn.LayerNorm(4), rows),
        "RMSNorm": (nn.RMSNorm(4), rows),
        "LocalResponseNorm": (nn.LocalResponseNorm(3), image(*I)),
        "Linear": (nn.Linear(4, 2), rows),
        "MultiheadAttention": (nn.MultiheadAttention(8, 2, batch_first=True), (pair[0],) * 3),
        "PixelShuffle": (nn.PixelShuffle(2), image(*I)),
        "PixelUnshuffle": (nn.PixelUnshuffle(2), image(*I)),
        "Transformer": (nn.Transformer(8, 2, 1, 1, 16, batch_first=True), pair),
        "TransformerDecoder": (nn.TransformerDecoder(decoder, 2), pair),
        "TransformerDecoderLayer": (decoder, pair),
        "TransformerEncoder": (nn.TransformerEncoder(encoder, 2), pair[0]),
        "TransformerEncoderLayer": (encoder, pair[0]),
        "Unflatten": (nn.Unflatten(1, (2, 2)), rows),
        "Upsample": (nn.Upsample(scale_factor=1.5, mode="bicubic"), image(*I)),
        "UpsamplingBilinear2d": (nn.UpsamplingBilinear2d(scale_factor=2), image(*I)),
        "UpsamplingNearest2d": (nn.UpsamplingNearest2d(scale_factor=2), image(*I)),
    }
    return found


# Containers without a forward of their own, what others derive from, and layers that draw numbers
# in evaluation mode too.
NO_LAYERS = {"Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"}
NO_LAYERS |= {"RNNBase", "RNNCellBase", "FractionalMaxPool2d", "FractionalMaxPool3d"}
# A loss with weights of its own.
NO_LAYERS |= {"AdaptiveLogSoftmaxWithLoss"}


def all_modules() -> set[str]:
    kinds = {name: getattr(nn, name) for name in dir(nn)}
    return {
        name
        for name, kind in kinds.items()
        if isinstance(kind, type) and issubclass(kind, nn.Module) and not name.endswith("Loss")
    }


def run(made: Any, arrays: tuple[Any, ...], name: str = "exported_program") -> Any:
    module = types.ModuleType(name)
    sys.modules[name] = module
    try:
        exec(compile(made.text("A test."), f"<{name}>", "exec"), vars(module))
        return module.forward(*arrays)
    finally:
        del sys.modules[name]


def flat(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return [one for part in value for one in flat(part)]
    return [] if value is None else [np.asarray(getattr(value, "array", value))]


def test_there_is_a_test_of_every_layer() -> None:
    assert set(every_layer()) | NO_LAYERS >= all_modules()


@pytest.mark.parametrize("name", sorted(all_modules() - NO_LAYERS))
def test_every_layer_gives_the_same_bits(name: str) -> None:
    model, sample = every_layer()[name]
    given = sample if isinstance(sample, tuple) else (sample,)
    more = tuple(np.concatenate([one, one[:1]]) for one in given)  # of four samples
    made = exported(model, sample)
    found = run(made, more)
    with registry.use_kernels("off"), evaluating(model):
        wanted = model(*(nnscratch.tensor(one) for one in more))
    for one, other in zip(flat(found), flat(wanted), strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert one.tobytes() == other.tobytes()


def test_text_of_every_formula_gives_the_same_bits() -> None:
    checked = 0
    for name, formula in FORMULAS.items():
        loss = formula.public is not None and formula.public.kind == "loss"
        if formula.updates or formula.family == "random" or loss or formula is LINEAR_ACTIVATION:
            continue
        texts = Texts()
        called = texts.formula(formula)
        module = types.ModuleType("exported_formula")
        sys.modules["exported_formula"] = module
        parts = ["from __future__ import annotations", *sorted(texts.imports), "import numpy as np"]
        exec("\n".join([*parts, *texts.first.values(), *texts.found.values()]), vars(module))
        for case in cases(name)[:12]:
            inputs = [plain(one) for one in case.build()]
            if any(type(one) in (int, float) for one in inputs):
                continue  # a number is an array of no axes on some machines, and a number on others
            options = {key: plain(value) for key, value in case.options.items()}
            try:
                wanted = formula.forward(*inputs, **options)[0]
            except nnscratch.errors.NNScratchError:
                continue
            with np.errstate(all="ignore"):
                found = getattr(module, called)(*inputs, **options)
            for one, other in zip(flat(found), flat(wanted), strict=True):
                assert one.shape == other.shape
                assert one.tobytes() == other.tobytes(), (name, case.name)
                checked += 1
        del sys.modules["exported_formula"]
    assert checked > 1000


def test_without_the_package(tmp_path: Any) -> None:
    model = models.CNN(3, 1, (8, 8), batch_norm=True)
    images = image(5, 1, 8, 8)
    export(model, images[:1], tmp_path / "model.py", title="Digits.")
    np.save(tmp_path / "images.npy", images)
    program = (
        "import sys, numpy as np\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('nnscratch', 'array_api_compat', 'numba'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "import model\n"
        "assert model.__doc__.startswith('Digits.')\n"
        "np.save('out.npy', model.forward(np.load('images.npy')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert not done.returncode, done.stderr
    with evaluating(model):
        wanted = model(nnscratch.tensor(images))
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), wanted.numpy(), rtol=1e-4, atol=1e-5)


class Scaled(nn.Module):
    def forward(self, x: Any) -> Any:
        return x * float(x.detach().sum())


def test_what_is_refused() -> None:
    rows = image(2, 4)
    with pytest.raises(ConfigurationError, match="computes in float32 or float64"):
        exported(nn.Linear(4, 2).half(), rows.astype(np.float16))
    with pytest.raises(ConfigurationError, match="draws random numbers"):
        exported(nn.FractionalMaxPool2d(2, output_size=2), image(2, 1, 6, 6))
    with pytest.raises(ConfigurationError, match="does not compute what the model does"):
        exported(Scaled(), rows)


def test_fixed_shapes() -> None:
    layer = nn.LSTM(4, 3)  # its first axis is time
    made = exported(layer, image(6, 2, 4), fixed=True)
    assert made.fixed
    found = run(made, (image(6, 2, 4),))
    with evaluating(layer):
        wanted = layer(nnscratch.tensor(image(6, 2, 4)))
    for one, other in zip(flat(found), flat(wanted), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


AWKWARD = ('a"b', "a'b", "back\\slash", 'x"""y', "a\nimport os\n#", "{x}", "größe/m", "file", "")


class Awkward(nn.Module):
    """Layers and parameters whose names are quotes, line breaks, slashes and words of Python."""

    def __init__(self) -> None:
        super().__init__()
        for number, name in enumerate(AWKWARD):
            layer = nn.Linear(4, 4)
            # As a file of weights with such names, or setattr, would.
            self._modules[name or "empty"] = layer
            self._parameters[f"{name}{number}"] = nn.Parameter(nnscratch.ones(4) * number)

    def forward(self, h1: Any, weights: Any) -> Any:
        for layer in self._modules.values():
            h1 = layer(h1).relu()
        for parameter in self._parameters.values():
            h1 = h1 * parameter + weights
        return h1


@pytest.mark.parametrize(
    "title", [*AWKWARD, '"', '""', "\\", 'ends with """', "nul \x001", "a\r\nb", "\udc80"]
)
def test_names_and_titles_are_texts_and_never_code(tmp_path: Any, title: str) -> None:
    model = Awkward()
    samples = image(3, 4), image(3, 4)
    export(model, samples, tmp_path / "model.py", title=title)
    module = types.ModuleType("awkward_program")
    text = (tmp_path / "model.py").read_text(encoding="utf-8")
    exec(compile(text, "<awkward>", "exec"), vars(module))
    assert "os" not in vars(module)
    assert (module.__doc__ or "").rstrip("\n") == (
        title.replace("\r\n", "\n").replace("\r", "\n") or "A Awkward that needs NumPy alone."
    )
    with registry.use_kernels("off"), evaluating(model):
        wanted = model(*map(nnscratch.tensor, samples))
    assert module.forward(*samples).tobytes() == np.asarray(wanted.array).tobytes()


class Infinite(nn.Module):
    """A constant that has no word in Python, and one of the size of the batch."""

    def forward(self, x: Any) -> Any:
        ends = nnscratch.full((x.shape[0], 1), float("-inf"))
        return nnscratch.cat([x.maximum(ends), ends], 1)


def test_infinities_are_written() -> None:
    sample = image(3, 4)
    found = run(exported(Infinite(), sample), (sample,))
    assert np.isneginf(found[:, -1]).all()
    assert (found[:, :-1] == sample).all()
