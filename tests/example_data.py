"""Small data of the forms that the programs in docs/examples read."""

import wave

import numpy as np
from command_line import write_idx


def write_clothes(folder):
    """Write IDX files with images 28 x 28, each with a bright square that says its class."""
    source = np.random.default_rng(0)
    for part, count in (("train", 640), ("t10k", 100)):
        labels = np.arange(count) % 10
        images = source.integers(0, 60, (count, 28, 28))
        for image, label in zip(images, labels, strict=True):
            row, column = 4 + 10 * (label % 2), 2 + 5 * (label // 2)
            image[row : row + 8, column : column + 4] += 180
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)
    return folder


def write_recordings(folder):
    """Write recordings: each digit is a tone of its own."""
    source = np.random.default_rng(0)
    for digit in range(10):
        for index in range(20):
            time = np.arange(int(source.integers(2400, 6000))) / 8000
            tone = np.sin(2 * np.pi * 200 * 1.3**digit * time + source.uniform(0, 6))
            sound = (8000 * tone + source.normal(0, 200, len(time))).astype("<i2")
            with wave.open(str(folder / f"{digit}_nobody_{index}.wav"), "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                file.writeframes(sound.tobytes())
    return folder
