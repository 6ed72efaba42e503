"""Folders of image files: a folder for each class, perhaps within ones for training and test."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnscratch.data._io import FilePath, some
from nnscratch.data.image_files import (
    Bytes,
    Header,
    Size,
    is_image,
    read_headers,
    read_images,
    what_else,
)
from nnscratch.data.images import ImageFolder, LabelledImages, sorted_names
from nnscratch.errors import DataError

DEFAULT_MAX_BYTES = 4 << 30
LARGEST = 96
"""The largest side of images that are kept as they are, where no size is asked for."""
USUAL = 64
"""The size of others, in pixels."""
_PARTS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
}


@dataclass(frozen=True)
class ClassFolders:
    """The image files of a folder that has one folder for each class.

    Args:
        path: the folder.
        files: the image files of each class, by its name.
        others: files of other kinds.
    """

    path: Path
    files: dict[str, list[Path]]
    others: tuple[Path, ...] = ()


def load_image_folder(
    path: FilePath, *, size: Size | None = None, max_bytes: int = DEFAULT_MAX_BYTES
) -> ImageFolder:
    """Load a folder of image files, with a folder for each class.

    The classes are the names of the folders, as in `flowers/rose/1.jpg`, or one level below in
    `flowers/train/rose/1.jpg` and `flowers/test/rose/2.jpg`; `val` or `valid` beside both is for
    the validation, and without a `test` it is the test set. Image files in folders deeper down
    belong to the class above them. What is hidden is passed over.

    Images of one size of at most 96 pixels stay as they are; others are brought to 64 x 64, as
    `read_image` does. They are grey if all files are.

    Args:
        path: the folder.
        size: height and width of every image, instead.
        max_bytes: the most that all images may take (4 GiB).

    Returns:
        The sets, images (N, channels, height, width) uint8, and what was decided in its notes.

    Raises:
        DataError: there are no classes, fewer than two, one without images, files that cannot be
            read, or more images than fit; the message names them.
        ConfigurationError: Pillow is not installed.
    """
    folder = Path(path)
    parts = _parts(folder)
    names = [*parts["train"].files]
    if len(names) < 2:
        raise DataError(
            f"{parts['train'].path}: classification needs two classes or more, and the only folder "
            f"with images in it is {names[0]!r}"
        )
    for part in parts.values():
        strange = sorted(set(part.files) - set(names))
        if strange:
            raise DataError(
                f"{part.path}: no images to train on show {some(strange, 5)}: the classes are "
                f"{some(names, 10)}"
            )
    files = {
        what: [f for name in part.files.values() for f in name] for what, part in parts.items()
    }
    headers = {what: read_headers(listed) for what, listed in files.items()}
    every = [header for listed in headers.values() for header in listed]
    chosen, notes = _size_for(every, size)
    grey = all(header.grey for header in every)
    needed = len(every) * chosen[0] * chosen[1] * (1 if grey else 3)
    if needed > max_bytes:
        raise DataError(
            f"{folder}: {len(every):,} images of {_by(chosen)} take {needed / 2**30:.1f} GiB, more "
            f"than the limit of {max_bytes / 2**30:.1f}; choose a smaller size, such as --size 64"
        )
    arrays = {what: read_images(listed, 1 if grey else 3, chosen) for what, listed in files.items()}
    if not grey and all(_is_grey(array) for array in arrays.values()):
        arrays = {what: array[:, :1].copy() for what, array in arrays.items()}
    made = {}
    for what, part in parts.items():
        counts = [len(listed) for listed in part.files.values()]
        labels = np.repeat([names.index(name) for name in part.files], counts)
        labels, ordered = sorted_names(labels, names)
        made[what] = LabelledImages(
            f"{folder.name}/{what}",
            arrays[what],
            labels,
            255,
            ordered,
            tuple(str(file) for file in files[what]),
        )
    notes += _notes(parts, every)
    where = folder.resolve().name
    return ImageFolder(where, made["train"], made.get("test"), made.get("validation"), tuple(notes))


def class_folders(folder: Path) -> ClassFolders:
    """Find the image files of each class in a folder.

    Raises:
        DataError: the folder cannot be listed, or a class has no images.
    """
    files: dict[str, list[Path]] = {}
    others: list[Path] = []
    empty = []
    for entry in _entries(folder):
        if not entry.is_dir():
            others.append(entry)
            continue
        listed, rest = _below(entry)
        others += rest
        if listed:
            files[entry.name] = listed
        else:
            empty.append(entry.name)
            _refuse_kinds(rest)
    if empty and files:
        raise DataError(
            f"{folder / empty[0]}: a class without images: no file in it ends as those of images "
            "do (.jpg, .png, ...); take the folder away, or put images into it"
        )
    return ClassFolders(folder, files, tuple(others))


def files_to_judge(folder: Path) -> tuple[list[Path], list[str] | None]:
    """The image files of a folder for a model that is trained, and the classes they lie in.

    Of parts for training and test the latter are taken; without any the classes are None.

    Raises:
        DataError: the folder cannot be listed, or holds no image files.
    """
    entries = _entries(folder)
    parts = {_PARTS.get(entry.name.lower()): entry for entry in entries if entry.is_dir()}
    for what in ("test", "validation", "train") if "train" in parts else ():
        if what in parts:
            return files_to_judge(parts[what])
    files: list[Path] = []
    classes: list[str] = []
    for entry in entries:
        own = _below(entry)[0] if entry.is_dir() else [entry] if is_image(entry.name) else []
        files += own
        classes += [entry.name if entry.is_dir() else ""] * len(own)
    if not files:
        _refuse_kinds([entry for entry in entries if not entry.is_dir()])
        raise DataError(f"{folder}: no image files in it: none ends as they do (.jpg, .png, ...)")
    return files, None if "" in classes else classes


def _parts(folder: Path) -> dict[str, ClassFolders]:
    found: dict[str, Path] = {}
    entries = [one for one in _entries(folder) if one.is_dir()]
    for entry in entries:
        what = _PARTS.get(entry.name.lower())
        if what in found:
            raise DataError(f"{folder}: {found[what].name!r} and {entry.name!r} are one part twice")
        if what is not None:
            found[what] = entry
    if "train" not in found:
        own = class_folders(folder)
        if not own.files:
            raise DataError(_without_classes(folder, own))
        return {"train": own}
    beside = [one.name for one in entries if one not in found.values()]
    if any(class_folders(folder).files.get(name) for name in beside):
        raise DataError(
            f"{folder}: {some(beside, 5)} beside {found['train'].name!r}: expected either a folder "
            "for each class, or folders train and test (and val) with the classes in them"
        )
    if "test" not in found and "validation" in found:
        found["test"] = found.pop("validation")
    made = {what: class_folders(entry) for what, entry in found.items()}
    for part in made.values():
        if not part.files:
            raise DataError(_without_classes(part.path, part))
    return {"train": made.pop("train"), **made}


def _without_classes(folder: Path, found: ClassFolders) -> str:
    _refuse_kinds(list(found.others))
    images = [one.name for one in found.others if is_image(one.name)]
    start = f"{folder}: no folders of image files, one for each class"
    example = (
        "; expected FOLDER/cat/1.jpg, FOLDER/dog/2.jpg and so on, or IDX files such as "
        "train-images-idx3-ubyte"
    )
    if images:
        return f"{start}: {some(images, 3)} lie in no folder of a class{example}"
    names = [one.name for one in found.others]
    return f"{start}; it holds {some(names, 5) or 'nothing'}{example}"


def _entries(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except FileNotFoundError:
        raise DataError(f"{folder}: there is no such folder") from None
    except NotADirectoryError:
        raise DataError(f"{folder}: expected a folder of images, but this is a file") from None
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror})") from error
    return [_named(one) for one in entries if not _hidden(one.name)]


def _named(path: Path) -> Path:
    """Return a path in a folder of images, whose name becomes a class or stands in tables.

    Raises:
        DataError: the name is no text.
    """
    try:
        path.name.encode()
    except UnicodeEncodeError:
        raise DataError(
            f"{path}: expected names in UTF-8, and this one is in another encoding; rename it"
        ) from None
    return path


def _hidden(name: str) -> bool:
    # Also what archives made on a Mac, and Windows, leave behind.
    return name.startswith((".", "__MACOSX")) or name in ("Thumbs.db", "desktop.ini")


def _below(folder: Path) -> tuple[list[Path], list[Path]]:
    """The image files and the other files in a folder and those below it."""
    images: list[Path] = []
    others: list[Path] = []
    for where, inside, names in os.walk(folder):
        inside[:] = sorted(name for name in inside if not _hidden(name))
        for name in sorted(names):
            if not _hidden(name):
                path = _named(Path(where, name))
                (images if is_image(name) else others).append(path)
    return images, others


def _refuse_kinds(files: list[Path]) -> None:
    for one in files:
        mend = what_else(one.name)
        if mend is not None:
            raise DataError(f"{one}: images of this kind cannot be read: {mend}")


def _size_for(headers: list[Header], size: Size | None) -> tuple[Size, list[str]]:
    sizes = Counter(header.size for header in headers)
    (most, _), smallest = sizes.most_common(1)[0], min(sizes, key=lambda one: one[0] * one[1])
    if size is not None:
        same = len(sizes) == 1 and most == size
        return size, [] if same else [f"images are brought to {_by(size)} pixels"]
    if len(sizes) == 1 and max(most) <= LARGEST:
        return most, []
    largest = max(sizes, key=lambda one: one[0] * one[1])
    which = (
        f"all images are {_by(most)}"
        if len(sizes) == 1
        else f"the images are of {len(sizes):,} sizes, from {_by(smallest)} to {_by(largest)}"
    )
    side = min(USUAL, max(largest))
    return (side, side), [
        f"{which}: each is scaled, and its middle cut out, to {side} x {side} pixels; --size "
        "chooses another size"
    ]


def _by(size: Size) -> str:
    return f"{size[0]} x {size[1]}"


def _is_grey(images: Bytes) -> bool:
    red, green, blue = images[:, 0], images[:, 1], images[:, 2]
    return bool(np.array_equal(red, green) and np.array_equal(green, blue))


def _notes(parts: dict[str, ClassFolders], headers: list[Header]) -> list[str]:
    notes = []
    others = [one for part in parts.values() for one in part.others if not is_image(one.name)]
    if others:
        notes.append(
            f"other files are passed over ({len(others):,}): {some([o.name for o in others], 3)}"
        )
    loose = [one for part in parts.values() for one in part.others if is_image(one.name)]
    if loose:
        notes.append(
            f"images in no folder of a class are passed over ({len(loose):,}): "
            f"{some([one.name for one in loose], 3)}"
        )
    several = sum(header.frames > 1 for header in headers)
    if several:
        notes.append(f"of files with several pictures ({several:,}) the first is taken")
    return notes
