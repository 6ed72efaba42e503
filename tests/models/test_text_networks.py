"""Networks of sequences beside PyTorch's of the same text, and compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import compare, image, tokens

import nnscratch
from benchmarks.twins import pair
from nnscratch import nn, optim
from nnscratch.models import BertConfig, GPT2Config

GPT = GPT2Config(vocab_size=20, n_positions=8, n_embd=8, n_layer=2, n_head=2, dropout=0.0)
BERT = BertConfig(20, 8, 2, 2, 12, 8, dropout=0.0)
# The module and class, what it is made with, and its inputs.
NETWORKS: dict[str, tuple[str, str, tuple[Any, ...], dict[str, Any], tuple[np.ndarray, ...]]] = {
    "lstm": ("lstm", "LSTMClassifier", (20, 3, 5, 6), {"padding_idx": 0}, (tokens(3, 7),)),
    "lstm both ways": (
        "lstm",
        "LSTMClassifier",
        (20, 3, 5, 6, 2, True),
        {},
        (tokens(3, 7), np.array([7, 3, 5])),
    ),
    "char lstm": ("lstm", "CharLSTM", (20, 4, 6), {}, (tokens(2, 5),)),
    "gpt2": ("gpt2", "GPT2", (GPT,), {}, (tokens(2, 7),)),
    "bert": ("bert", "Bert", (BERT,), {}, (tokens(2, 7), tokens(2, 7) > 3)),
    "vit": ("vit", "ViT", (8, 4, 2, 2, 8, 12, 3), {}, (image(2, 3, 8, 8),)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_pytorchs_of_the_same_text(name: str) -> None:
    module, kind, args, options, inputs = NETWORKS[name]
    nnscratch.manual_seed(0)
    ours, theirs = pair(module, kind, *args, **options)
    compare(ours, theirs, inputs)


def test_what_bert_begins_with() -> None:
    """As Hugging Face's ``_init_weights``: normal weights; biases and the padding's row are 0."""
    model = nnscratch.models.Bert(BertConfig(500, 32, 2, 2, 64, 64))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.detach().numpy().any(), name
    words = model.embeddings.word_embeddings.weight.detach().numpy()
    assert not words[0].any()
    assert words[1:].std() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("name", ["gpt2", "char lstm"])
def test_a_compiled_step_is_the_eager_one(name: str) -> None:
    module, kind, args, options, _ = NETWORKS[name]
    losses = []
    for compiled in (False, True):
        nnscratch.manual_seed(0)
        model, _ = pair(module, kind, *args, **options)
        optimizer = optim.AdamW(model.parameters(), lr=1e-2)

        def step(x: Any, y: Any, model: Any = model, optimizer: Any = optimizer) -> Any:
            scores = model(x)
            scores = scores[0] if isinstance(scores, tuple) else scores
            loss = nn.functional.cross_entropy(scores.flatten(0, 1), y.flatten())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            return loss.detach()

        run = nnscratch.compile(step) if compiled else step
        drawn = np.random.default_rng(0).integers(0, 20, (5, 2, 7))
        losses.append(
            [float(run(*map(nnscratch.tensor, (one[:, :-1], one[:, 1:])))) for one in drawn]
        )
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    assert losses[0][0] != losses[0][-1]
