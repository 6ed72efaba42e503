"""Spoken digits: 3,000 recordings of six people who say "zero" to "nine".

Run it by `python docs/examples/spoken_digits.py --data FOLDER`, where FOLDER is `recordings` of the
Free Spoken Digit Dataset, with files such as 7_jackson_32.wav:

    git clone https://github.com/Jakobovski/free-spoken-digit-dataset

As its authors say, recordings 0 to 4 of every person and digit are the test. NumPy turns each into
a picture, a logarithmic mel spectrogram, and a small convolutional network looks at these.
"""

from __future__ import annotations

import argparse
import time
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import nnscratch
from nnscratch import nn, optim
from nnscratch.nn import functional as F

RATE, WINDOW, HOP, BANDS, FRAMES = 8000, 256, 80, 40, 64
BATCH = 64


def read(path: Path) -> np.ndarray:
    """Return a recording of 16 bits and one channel, from -1 to 1."""
    with wave.open(str(path)) as file:
        form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        if form != (1, 2, RATE):
            raise ValueError(f"{path}: expected one channel, 2 bytes and {RATE} Hz, got {form}")
        content = file.readframes(file.getnframes())
    return np.frombuffer(content, "<i2").astype(np.float32) / np.float32(32768)


def mel_filters() -> np.ndarray:
    """Return triangles (BANDS, frequencies), evenly spaced where the ear takes pitch for even.

    That is on the mel scale, m = 2595 log10(1 + f / 700).
    """
    mels = np.linspace(0.0, 2595 * np.log10(1 + RATE / 2 / 700), BANDS + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    frequencies = np.fft.rfftfreq(WINDOW, 1 / RATE)
    low, middle, high = (edges[i : i + BANDS, None] for i in range(3))
    rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    return np.maximum(0.0, np.minimum(rising, falling))


def spectrogram(sound: np.ndarray) -> np.ndarray:
    """Return log(energy) of a sound (T,) in each band and frame, (BANDS, FRAMES), mean 0.

    A frame is WINDOW samples under a Hann window, HOP behind the one before. A short sound is
    followed by silence, of a long one the beginning is taken: 64 frames are 0.66 seconds.
    """
    length = WINDOW + (FRAMES - 1) * HOP
    padded = np.pad(sound[:length], (0, max(0, length - len(sound))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW))) ** 2
    made = np.log(mel_filters() @ power.T + 1e-6)
    return ((made - made.mean()) / (made.std() + 1e-6)).astype(np.float32)


def load(folder: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the spectrograms (N, 1, BANDS, FRAMES), the digits (N,), and which are of the test."""
    paths = sorted(Path(folder).glob("[0-9]_*_*.wav"))
    if not paths:
        raise FileNotFoundError(
            f"{folder}: no recordings such as 7_jackson_32.wav; get them by `git clone "
            "https://github.com/Jakobovski/free-spoken-digit-dataset` and give --data "
            "free-spoken-digit-dataset/recordings"
        )
    names = [path.stem.split("_") for path in paths]
    sounds = np.stack([spectrogram(read(path)) for path in paths])[:, None]
    digits = np.array([int(name[0]) for name in names])
    return sounds, digits, np.array([int(name[-1]) < 5 for name in names])


def network() -> nn.Module:
    """Return three convolutions, the mean over all times and bands, and a linear layer."""
    layers: list[nn.Module] = []
    for before, channels in ((1, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(before, channels, 3, padding=1), nn.BatchNorm2d(channels)]
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, 10)
    )


def moved(sounds: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return spectrograms that begin up to eight frames earlier or later."""
    shifts = random.integers(-8, 9, len(sounds))
    return np.stack([np.roll(one, by, -1) for one, by in zip(sounds, shifts, strict=True)])


def accuracy(model: nn.Module, sounds: np.ndarray, digits: np.ndarray) -> float:
    """Return the share of recordings that a model takes for what they are."""
    model.eval()
    with nnscratch.no_grad():
        scores = model(nnscratch.tensor(sounds)).numpy()
    model.train()
    return float((scores.argmax(1) == digits).mean())


def train(data: str, epochs: int = 15, say: bool = True) -> float:
    """Train a network, and return the share of the test's recordings that it understands.

    Args:
        data: the folder of the recordings.
        epochs: how often to go through them.
        say: whether to print a line each epoch.
    """
    nnscratch.manual_seed(0)
    random = np.random.default_rng(0)
    sounds, digits, held_out = load(data)
    learned, answers = sounds[~held_out], digits[~held_out]
    model = network()
    optimizer = optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    steps = epochs * -(-len(learned) // BATCH)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
    if say:
        print(f"{len(learned):,} recordings to learn from, {held_out.sum():,} for the test")

    @nnscratch.compile
    def step(x: nnscratch.Tensor, y: nnscratch.Tensor) -> nnscratch.Tensor:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    found = 0.0
    for epoch in range(1, epochs + 1):
        began, total = time.perf_counter(), 0.0
        order = random.permutation(len(learned))
        for start in range(0, len(learned), BATCH):
            rows = order[start : start + BATCH]
            x = nnscratch.tensor(moved(learned[rows], random))
            total += float(step(x, nnscratch.tensor(answers[rows]))) * len(rows)
            schedule.step()
        seconds = time.perf_counter() - began
        found = accuracy(model, sounds[held_out], digits[held_out])
        if say:
            print(f"epoch {epoch:2d}: loss {total / len(learned):.4f}, "
                  f"{found:.2%} of the test's recordings, {seconds:.0f} s")  # fmt: skip
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="the folder of the recordings")
    parser.add_argument("--epochs", type=int, default=15, help="(%(default)s)")
    given = parser.parse_args(arguments)
    print(f"{train(given.data, given.epochs):.2%} of the test's recordings")


if __name__ == "__main__":
    main()
