"""CIFAR-10 and CIFAR-100 in their binary version: small colour images with a label each.

A record is a byte for the label (CIFAR-100: one for the coarse and one for the fine label), then
3072 bytes: 32 x 32 pixels of red, then green, then blue, row by row. Source: A. Krizhevsky (2009),
Learning Multiple Layers of Features from Tiny Images.
"""

import re
from pathlib import Path

import numpy as np

from nnscratch.data._io import FilePath, open_data_file, read_at_most, some
from nnscratch.data.images import ImageFolder, LabelledImages, sorted_names
from nnscratch.errors import DataError

_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE
_CIFAR10 = re.compile(r"(data_batch_\d+|test_batch)\.bin")
_CIFAR100 = re.compile(r"(train|test)\.bin")
# The files of the version for Python, which are pickles.
_PICKLED = re.compile(r"(data_batch_\d+|test_batch|batches\.meta)")
_MOST = 1 << 30


def has_cifar(names: list[str]) -> bool:
    """Say whether a folder with these files holds CIFAR, in whatever version."""
    return any(p.fullmatch(name) for name in names for p in (_CIFAR10, _CIFAR100, _PICKLED)) or {
        "train",
        "test",
        "meta",
    } <= set(names)


def load_cifar(path: FilePath) -> ImageFolder:
    """Load a folder with the binary files of CIFAR-10 or CIFAR-100, or one of such files.

    CIFAR-10: `data_batch_1.bin` to `data_batch_5.bin` (those that are there) and `test_batch.bin`,
    with `batches.meta.txt` for the names; CIFAR-100: `train.bin` and `test.bin`, with
    `fine_label_names.txt`. The test set and the names may be absent.

    Returns:
        The sets, images (N, 3, 32, 32) uint8.

    Raises:
        DataError: a file is missing, cut off, no CIFAR, or a Python pickle, which is never read.
    """
    folder = Path(path)
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror})") from error
    of_10 = [name for name in names if _CIFAR10.fullmatch(name)]
    of_100 = [name for name in names if _CIFAR100.fullmatch(name)]
    if not of_10 and not of_100:
        raise DataError(
            f"{folder}: this is the version of CIFAR for Python: its files are pickles, which can "
            "run any program when they are read. Take the binary version "
            "(cifar-10-binary.tar.gz or cifar-100-binary.tar.gz), or write the arrays with "
            'numpy.savez("cifar.npz", x_train=..., y_train=..., x_test=..., y_test=...)'
        )
    if of_10 and of_100:
        raise DataError(f"{folder}: both CIFAR-10 and CIFAR-100 in one folder: name one of them")
    chosen, labels, meta = (
        (of_10, 1, "batches.meta.txt") if of_10 else (of_100, 2, "fine_label_names.txt")
    )
    classes = 10 if of_10 else 100
    parts = {
        "train": [folder / name for name in chosen if not name.startswith("test")],
        "test": [folder / name for name in chosen if name.startswith("test")],
    }
    if not parts["train"]:
        wanted = "data_batch_1.bin" if of_10 else "train.bin"
        raise DataError(f"{folder}: no {wanted} to train on; found {some(chosen)}")
    named = _names(folder / meta, classes)
    made = {}
    for what, files in parts.items():
        if files:
            read = [_read(file, labels, classes) for file in files]
            own, ordered = np.concatenate([one[1] for one in read]), named
            if named:
                own, ordered = sorted_names(own, named)
            images = np.concatenate([one[0] for one in read])
            made[what] = LabelledImages(f"{folder.name}/{what}", images, own, 255, ordered)
    lacking = sorted({f"data_batch_{i}.bin" for i in range(1, 6)} - set(names)) if of_10 else []
    notes = (
        [f"{len(lacking)} of the 5 files to train on are not there, the first is {lacking[0]!r}"]
        if lacking
        else []
    )
    return ImageFolder(folder.resolve().name, made["train"], made.get("test"), notes=tuple(notes))


def _read(file: Path, labels: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    record = labels + _PIXELS
    handle, size = open_data_file(file)
    with handle:
        if size == 0 or size % record or size > _MOST:
            raise DataError(
                f"{file}: {size:,} bytes, which are not records of {record:,} bytes (a label and "
                f"32 x 32 pixels in three colours): cut off, or another kind of file"
            )
        rows = np.frombuffer(read_at_most(handle, size, size), np.uint8).reshape(-1, record)
    found = rows[:, labels - 1]
    if int(found.max()) >= classes:
        row = int(np.argmax(found >= classes))
        raise DataError(
            f"{file}: record {row + 1:,} has the label {int(found[row])}, expected 0 to "
            f"{classes - 1}: another kind of file"
        )
    return rows[:, labels:].reshape(-1, 3, _SIDE, _SIDE), found.astype(np.int64)


def _names(file: Path, classes: int) -> tuple[str, ...]:
    """The names of the classes, none where the file is missing or has another number of them."""
    if not file.is_file():
        return ()
    handle, _ = open_data_file(file)
    with handle:
        text = bytes(read_at_most(handle, 1 << 16)).decode("utf-8", "replace")
    names = tuple(line.strip() for line in text.splitlines() if line.strip())
    return names if len(names) == len(set(names)) == classes else ()
