"""The longer examples begin as they should: a few steps of each, not to the end."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import nnscratch
from nnscratch.data import CharacterTokenizer
from nnscratch.models import GPT2, GPT2Config, generate

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch):
    """A function that loads an example, which may import another beside it."""
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def by_name(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield by_name
    sys.modules.pop("cartpole", None)


def test_a_cart_moves_as_its_equations_say(load) -> None:
    game = load("cartpole").CartPole(3, seed=0)
    game.reset()
    game.state = np.array([[0.0, 0.0, 0.0, 0.0], [2.39, 1.0, 0.0, 0.0], [0.0, 0.0, 0.2, 1.0]])
    state, fallen = game.step(np.array([1, 1, 0]))
    # From rest: 10 N on 1.1 kg, and the pole's moment of inertia; speeds change, places not yet.
    twist = -(10.0 / 1.1) / (0.5 * (4.0 / 3.0 - 0.1 / 1.1))
    np.testing.assert_allclose(state[0, 3], 0.02 * twist)
    np.testing.assert_allclose(state[0, 1], 0.02 * (10.0 - 0.05 * twist) / 1.1)
    assert state[0, 0] == state[0, 2] == 0.0
    assert fallen.tolist() == [False, True, True]


def test_reinforce_gets_better(load) -> None:
    lengths = load("cartpole_reinforce").train(updates=12, say=False)
    assert len(lengths) == 12
    assert np.mean(lengths[-3:]) > 1.5 * np.mean(lengths[:3])


def test_a_deep_q_network_takes_its_steps(load, capsys) -> None:
    program = load("cartpole_dqn")
    program.train(steps=140, say=True)
    assert capsys.readouterr().out == ""  # the first report comes behind 500 steps
    memory = program.Memory()
    memory.add(*(np.ones(shape) for shape in ((3, 4), 3, (3, 4), 3)))
    drawn = memory.draw(np.random.default_rng(0))
    assert [tuple(one.shape) for one in drawn] == [(128, 4), (128,), (128, 4), (128,)]
    network = program.q_network()
    assert 5 < program.evaluate(network, seed=0, carts=5) < 500


def test_a_small_gpt_learns_from_pythons_help(load) -> None:
    # Among 103 characters a guess costs 6.69 bits.
    assert load("char_gpt").train(steps=8, width=16, layers=1, say=False) < 6.6


def test_a_small_gpt_writes_without_dropout(load) -> None:
    nnscratch.manual_seed(0)
    tokenizer = CharacterTokenizer.fit("abcdefgh")
    model = GPT2(GPT2Config(tokenizer.size, 16, 16, 1, n_head=2, dropout=0.9)).eval()
    nnscratch.manual_seed(1)
    expected = tokenizer.decode(list(generate(model, tokenizer.encode("ab"), 12, temperature=0.8)))
    nnscratch.manual_seed(1)
    assert load("char_gpt").sample(model, tokenizer, "ab", 12) == "ab" + expected
    assert model.training
