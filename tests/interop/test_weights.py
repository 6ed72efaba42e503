"""Published weights are found whatever their file calls them, and what does not fit is named."""

import numpy as np
import pytest

import nnscratch
from nnscratch import nn
from nnscratch.errors import CheckpointError
from nnscratch.interop.safetensors import save_file
from nnscratch.interop.weights import load_weights
from nnscratch.models import GPT2, Bert, BertConfig, GPT2Config

GPT = GPT2Config(vocab_size=11, n_positions=6, n_embd=4, n_layer=2, n_head=2)
BERT = BertConfig(11, 4, 2, 2, 6, 8)


def values(model):
    return {name: np.asarray(value.detach()).tolist() for name, value in model.state_dict().items()}


def stripped(state):
    """GPT-2 as Hugging Face's first files have it: no prefix, masks, no tied weight."""
    made = {k.removeprefix("transformer."): v for k, v in state.items() if k != "lm_head.weight"}
    masks = {f"h.{n}.attn.bias": np.ones((1, 1, 6, 6), np.float32) for n in range(2)}
    return made | masks | {"h.0.attn.masked_bias": np.float32(-1e4)}


def renamed(state):
    """BERT as its first files have it: a prefix, a head for another task, old names of norms."""
    made = {}
    for name, value in state.items():
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        made["bert." + name.replace("LayerNorm.bias", "LayerNorm.beta")] = value
    positions = {"bert.embeddings.position_ids": np.arange(8)[None]}
    return made | positions | {"cls.predictions.bias": np.zeros(11, np.float32)}


@pytest.mark.parametrize(
    ("make", "change", "others"),
    [
        (lambda: GPT2(GPT), dict, []),
        (lambda: GPT2(GPT), stripped, []),
        (lambda: Bert(BERT), renamed, ["cls.predictions.bias"]),
        (lambda: Bert(BERT), lambda s: {f"module.{k}": v for k, v in s.items()}, []),
        (
            lambda: nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)),
            lambda s: {k: v for k, v in s.items() if "num_batches" not in k},
            [],
        ),
    ],
    ids=["as they are", "gpt2", "bert", "parallel", "old batch norm"],
)
def test_files_of_other_libraries(tmp_path, make, change, others):
    nnscratch.manual_seed(0)
    published, model = make(), make()
    path = tmp_path / "model.safetensors"
    save_file(change(published.state_dict()), path)
    assert values(model) != values(published)
    assert load_weights(model, path) == others
    assert values(model) == values(published)
    if isinstance(model, GPT2):
        assert model.lm_head.weight is model.transformer.wte.weight


def test_every_mismatch_is_named_and_nothing_is_changed(tmp_path):
    published, model = GPT2(GPT), GPT2(GPT)
    before = values(model)
    state = stripped(published.state_dict())
    del state["h.0.ln_1.weight"], state["ln_f.bias"]
    state["h.2.ln_1.bias"] = np.zeros(4, np.float32)
    state["wpe.weight"] = np.zeros((7, 4), np.float32)
    path = tmp_path / "model.safetensors"
    save_file(state, path)
    with pytest.raises(CheckpointError) as caught:
        load_weights(model, path)
    said = str(caught.value)
    for part in (
        "the weights do not fit this GPT2",
        "missing: transformer.h.0.ln_1.weight",
        "missing: transformer.ln_f.bias",
        "unexpected: h.2.ln_1.bias",
        "wpe.weight has the shape (7, 4), the model's transformer.wpe.weight is (6, 4)",
    ):
        assert part in said
    assert values(model) == before


def test_a_file_that_is_none(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(CheckpointError):
        load_weights(GPT2(GPT), path)


def test_weights_with_the_names_of_masks_and_of_old_norms_are_loaded(tmp_path):
    class Attending(nn.Module):
        def __init__(self):
            super().__init__()
            self.attn = nn.Linear(2, 3)
            self.LayerNorm = nn.ParameterDict({"gamma": nn.Parameter(nnscratch.randn(3))})

    published, model = Attending(), Attending()
    path = tmp_path / "model.safetensors"
    for prefix in ("", "model."):
        model.attn.bias.detach().fill_(7.0)
        save_file({prefix + k: v for k, v in published.state_dict().items()}, path)
        assert load_weights(model, path) == []
        assert values(model) == values(published)
    save_file({k: v for k, v in published.state_dict().items() if k != "attn.bias"}, path)
    with pytest.raises(CheckpointError, match=r"missing: attn\.bias"):
        load_weights(model, path)
