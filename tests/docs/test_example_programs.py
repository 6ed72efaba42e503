"""The longer examples begin as they should: a few steps of each, not to the end."""

from __future__ import annotations

import importlib.util
import itertools
import sys
import wave
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from example_data import write_clothes, write_recordings

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
    assert load("char_gpt").train(epochs=0.02, width=16, layers=1, say=False) < 6.6


def test_a_small_gpt_learns_from_a_text_of_ones_own(load, tmp_path, capsys) -> None:
    (tmp_path / "own.txt").write_text("to be, or not to be\n" * 400)
    load("char_gpt").main(["--data", str(tmp_path / "own.txt"), "--epochs", "2"])
    out = capsys.readouterr().out
    assert out.startswith("8,000 characters, 9 of them different; ")
    # A guess costs 3.2 bits.
    assert float(out.splitlines()[-1].split()[0]) < 3.0


def test_networks_for_clothes(load) -> None:
    program = load("fashion_mnist")
    images = np.zeros((2, 28, 28), np.uint8)
    counts = {}
    for name, recipe in program.RECIPES.items():
        model = recipe.make().eval()
        with nnscratch.no_grad():
            assert model(nnscratch.tensor(program.pixels(images))).shape == (2, 10)
        counts[name] = sum(parameter.numel() for parameter in model.parameters())
    # He and others say 0.27 million for three colours.
    assert counts["resnet"] == 272_186
    # Thirteen convolutions of 3 x 3 with their biases, as many normalisations, and 512 scores.
    sizes = [1, *[64] * 2, *[128] * 2, *[256] * 3, *[512] * 6]
    convolutions = sum(9 * a * b + 3 * b for a, b in itertools.pairwise(sizes))
    assert counts["vgg16"] == convolutions + 5130


def test_clothes_are_moved_and_mirrored(load) -> None:
    program = load("fashion_mnist")
    images = np.zeros((400, 28, 28), np.uint8)
    images[:, 10, 5] = 200
    moved = program.shifted(images, np.random.default_rng(0))
    _, rows, columns = np.nonzero(moved)
    assert len(rows) == 400
    assert set(rows) == {8, 9, 10, 11, 12}
    assert set(columns) == {*range(3, 8), *range(20, 25)}


def test_clothes_are_learned(load, tmp_path, capsys) -> None:
    load("fashion_mnist").main(
        ["--data", str(write_clothes(tmp_path)), "--epochs", "2", "--limit", "500"]
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "cnn: 1,200,074 parameters, 500 images, 8 steps"
    first, last = (float(line.partition("loss ")[2].partition(",")[0]) for line in lines[1:3])
    assert last < first


def test_a_tone_is_in_its_band(load) -> None:
    program = load("spoken_digits")
    time = np.arange(4000) / program.RATE
    middles = np.linspace(0.0, 2595 * np.log10(1 + 4000 / 700), program.BANDS + 2)[1:-1]
    for band in (12, 20, 33):
        tone = np.sin(2 * np.pi * 700 * (10 ** (middles[band] / 2595) - 1) * time)
        picture = program.spectrogram(tone.astype(np.float32))
        assert picture.shape == (40, 64)
        assert (picture[:, :40].argmax(0) == band).all()
        # Half a second of sound, and silence behind it.
        assert picture[:, 50:].max() < picture[band, :40].min()


def test_spoken_digits_are_learned(load, tmp_path, capsys) -> None:
    load("spoken_digits").main(["--data", str(write_recordings(tmp_path)), "--epochs", "3"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "150 recordings to learn from, 50 for the test"
    first, last = (float(line.partition("loss ")[2].partition(",")[0]) for line in lines[1:4:2])
    assert last < 0.9 * first


def test_recordings_that_cannot_be_used(load, tmp_path) -> None:
    program = load("spoken_digits")
    with pytest.raises(
        FileNotFoundError, match=r"no recordings such as 7_jackson_32\.wav; get them"
    ):
        program.load(str(tmp_path))
    with wave.open(str(tmp_path / "1_a_0.wav"), "wb") as file:
        file.setparams((2, 2, 44100, 0, "NONE", ""))
    with pytest.raises(ValueError, match=r"1_a_0\.wav: expected one channel, 2 bytes and 8000 Hz"):
        program.load(str(tmp_path))


def test_a_small_gpt_writes_without_dropout(load) -> None:
    nnscratch.manual_seed(0)
    tokenizer = CharacterTokenizer.fit("abcdefgh")
    model = GPT2(GPT2Config(tokenizer.size, 16, 16, 1, n_head=2, dropout=0.9)).eval()
    nnscratch.manual_seed(1)
    expected = tokenizer.decode(list(generate(model, tokenizer.encode("ab"), 12, temperature=0.8)))
    nnscratch.manual_seed(1)
    assert load("char_gpt").sample(model, tokenizer, "ab", 12) == "ab" + expected
    assert model.training
