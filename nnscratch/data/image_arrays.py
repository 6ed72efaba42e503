"""Images and labels in one .npz file, under the names that people give them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from nnscratch.data._io import FilePath, some
from nnscratch.data.images import ImageFolder, LabelledImages, sorted_names
from nnscratch.data.npz import DEFAULT_MAX_BYTES, read_npz
from nnscratch.errors import DataError

_Array = npt.NDArray[Any]

_IMAGES = ("images", "image", "imgs", "x", "data", "pixels", "features", "arr_0")
_LABELS = ("labels", "label", "y", "target", "targets", "classes", "arr_1")
_NAMES = ("class_names", "label_names", "target_names", "names")
_PARTS = {
    "train": ("train", "training", "tr"),
    "test": ("test", "testing", "te"),
    "validation": ("val", "valid", "validation", "dev"),
}
_CHANNELS = (1, 3, 4)
_MOST_SIDE = 1 << 14


def load_image_arrays(
    path: FilePath, *, max_bytes: int = DEFAULT_MAX_BYTES, narrow: bool = True
) -> ImageFolder:
    """Load images and their labels from an `.npz` file.

    The arrays are found by their names: `x_train`, `y_train`, `x_test`, `y_test` (and `x_val`,
    `y_val`), `train_images` and `train_labels` and so on, or `images` and `labels`, `x` and `y`,
    `data` and `target` for one set; `class_names` may hold the names of the classes.

    Images are (N, height, width), (N, height, width, channels) or (N, channels, height, width),
    with 1, 3 or 4 channels; whole numbers, or floating-point ones. Labels are (N,) or (N, 1) whole
    numbers or text, or (N, classes) with a single 1 in each row.

    Args:
        path: the file.
        max_bytes: how many bytes the arrays may have.
        narrow: whether integers of 32 and 64 bits become uint8, or uint16 if those of any set are
            beyond 255.

    Returns:
        The sets, images (N, height, width) or (N, channels, height, width) in their dtype; floats
        become float32.

    Raises:
        DataError: the file cannot be read, or its arrays are no images and labels; the message
            says what the file holds.
    """
    file, arrays = str(path), read_npz(path, max_bytes=max_bytes)
    images = _found(arrays, _IMAGES)
    labels = _found(arrays, _LABELS)
    if "train" not in images:
        if set(images) != {""} and not ("" in images and len(images) == 1):
            raise DataError(f"{file}: no images to train on{_holds(arrays)}")
        images, labels = {"train": images[""]}, {"train": labels[""]} if "" in labels else {}
    if "test" not in images and "validation" in images:
        images["test"] = images.pop("validation")
        if "validation" in labels:
            labels["test"] = labels.pop("validation")
    names = _class_names(arrays, file)
    pairs = {}
    for part, name in images.items():
        if part not in labels:
            raise DataError(f"{file}: {name!r} has no labels{_holds(arrays)}")
        where = f"{file}: {name!r}"
        pairs[part] = (
            as_images(arrays[name], where),
            _as_labels(arrays[labels[part]], f"{file}: {labels[part]!r}"),
        )
        count = len(pairs[part][0]), len(pairs[part][1])
        if count[0] != count[1]:
            raise DataError(
                f"{where} holds {count[0]:,} images, but {labels[part]!r} {count[1]:,} labels"
            )
    if any(pair[1].dtype.kind == "U" for pair in pairs.values()):
        names = tuple(np.unique(pairs["train"][1].astype(str)).tolist())  # 3 and "3" are one
        pairs = {part: (x, _indices(y, names, f"{file}: {labels[part]!r}"))
                 for part, (x, y) in pairs.items()}  # fmt: skip
    white = _white([pair[0] for pair in pairs.values()])
    made = {}
    for part, (x, y) in pairs.items():
        ordered = names
        if narrow and x.dtype.kind in "iu" and x.dtype.itemsize > 2:
            x = x.astype(np.uint8 if white == 255 else np.uint16)
        if names:
            if y.size and int(y.max()) >= len(names):
                raise DataError(
                    f"{file}: {labels[part]!r} has the label {int(y.max())}, but there are "
                    f"{len(names)} names of classes"
                )
            y, ordered = sorted_names(y, names)
        made[part] = LabelledImages(f"{file}: {images[part]!r}", x, y, white, ordered)
    called = file.replace("\\", "/").rpartition("/")[2].removesuffix(".npz")
    return ImageFolder(called, made["train"], made.get("test"), made.get("validation"))


def unlabelled_images(path: FilePath, *, max_bytes: int = DEFAULT_MAX_BYTES) -> _Array | None:
    """The images of an `.npz` file that has no labels, None where it has.

    Raises:
        DataError: it has several arrays of images, or none.
    """
    arrays = read_npz(path, max_bytes=max_bytes)
    if _found(arrays, _LABELS):
        return None
    found = [*_found(arrays, _IMAGES).values()] or [*arrays]
    if len(found) != 1:
        raise DataError(f"{path}: which array is meant is not clear{_holds(arrays)}")
    return as_images(arrays[found[0]], f"{path}: {found[0]!r}")


def as_images(values: _Array, where: str) -> _Array:
    """An array as images (N, height, width) or (N, channels, height, width).

    Floats become float32, and booleans 0 and 255 in uint8; integers keep their dtype.

    Raises:
        DataError: it has another shape, no images, or values that are no finite numbers.
    """
    if values.dtype.kind not in "buif":
        raise DataError(f"{where}: expected images in numbers, found {values.dtype}")
    if values.ndim == 2:
        raise DataError(
            f"{where}: expected images (N, height, width), found rows of {values.shape[1]:,} "
            "values: reshape them, as with images.reshape(-1, 28, 28), and save them again"
        )
    if values.ndim == 4 and values.shape[1] in _CHANNELS and values.shape[3] not in _CHANNELS:
        made = values
    elif values.ndim == 4 and values.shape[3] in _CHANNELS:
        # Where both could be channels, the last are: nobody keeps images of 1, 3 or 4 columns.
        made = np.ascontiguousarray(np.moveaxis(values, 3, 1))
    elif values.ndim == 4:
        raise DataError(
            f"{where}: expected images (N, height, width, channels) or (N, channels, height, "
            f"width) with 1, 3 or 4 channels, found the shape {values.shape}"
        )
    elif values.ndim == 3:
        made = values
    else:
        raise DataError(f"{where}: expected images (N, height, width), found {values.shape}")
    if 0 in made.shape or max(made.shape[2:]) > _MOST_SIDE:
        raise DataError(f"{where}: no images: the shape is {values.shape}")
    made = checked_pixels(made, where)
    return made[:, 0] if made.ndim == 4 and made.shape[1] == 1 else made


def checked_pixels(made: _Array, where: str) -> _Array:
    """Return images (N, ...) as ``as_images`` does, whatever their shape.

    Raises:
        DataError: if a value is no finite number, or none that a pixel can have.
    """
    if not len(made):
        raise DataError(f"{where}: no images")
    if made.dtype.kind == "b":
        made = made.astype(np.uint8) * np.uint8(255)
    if made.dtype.kind == "f":
        finite = np.isfinite(made).reshape(len(made), -1).all(axis=1)
        if not finite.all():
            raise DataError(
                f"{where}: image {int(np.argmin(finite)) + 1:,} holds NaN or infinity "
                f"({int((~finite).sum()):,} such images); take them out, or fill them"
            )
        made = made.astype(np.float32, copy=False)
        if float(np.abs(made).max()) > 65535.0:
            raise DataError(f"{where}: pixels of up to {float(np.abs(made).max()):g} are no images")
    elif int(made.max()) > 65535 or int(made.min()) < 0:
        raise DataError(
            f"{where}: pixels from {int(made.min()):,} to {int(made.max()):,}; expected whole "
            "numbers from 0 to 255 (or 65,535), or floating-point numbers"
        )
    return made


def _as_labels(values: _Array, where: str) -> _Array:
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2 and values.dtype.kind in "buif":
        one_hot = ((values == 0) | (values == 1)).all() and (values.sum(axis=1) == 1).all()
        if not one_hot:
            raise DataError(
                f"{where}: expected a label for each image, found the shape {values.shape}: an "
                "image can be of one class only"
            )
        values = values.argmax(axis=1)
    if values.ndim != 1:
        raise DataError(f"{where}: expected labels (N,), found the shape {values.shape}")
    if values.dtype.kind == "S":
        values = _decoded(values, where)
    if values.dtype.kind == "U":
        for name in np.unique(values).tolist():
            if any("\ud800" <= letter <= "\udfff" for letter in name):
                raise DataError(
                    f"{where}: expected text, found {name!r}, which has half a character"
                )
        return values
    if values.dtype.kind == "f":
        whole = np.isfinite(values) & (values == np.floor(values))
        if not whole.all():
            raise DataError(
                f"{where}: label {int(np.argmin(whole)) + 1:,} is {values[np.argmin(whole)]:g}; "
                "expected whole numbers or text"
            )
    if values.dtype.kind not in "buif":
        raise DataError(f"{where}: expected labels in whole numbers or text, found {values.dtype}")
    return values.astype(np.int64)


def _decoded(values: _Array, where: str) -> _Array:
    try:
        return np.char.decode(values, "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{where}: expected text in UTF-8, found the bytes {error.object[:20]!r}; save text "
            "(str), not bytes in another encoding"
        ) from None


def _indices(values: _Array, names: tuple[str, ...], where: str) -> npt.NDArray[np.int64]:
    place = {name: index for index, name in enumerate(names)}
    listed = [str(one) for one in values.tolist()]
    strange = sorted({one for one in listed if one not in place})
    if strange:
        raise DataError(f"{where}: labels that training never shows: {some(strange, 5)}")
    return np.array([place[one] for one in listed], np.int64)


def _found(arrays: dict[str, _Array], wanted: tuple[str, ...]) -> dict[str, str]:
    """The names of arrays by part: "train", "test", "validation", or "" where none is said."""
    parts = {word: part for part, words in _PARTS.items() for word in words}
    found: dict[str, str] = {}
    ranks: dict[str, int] = {}
    for name in arrays:
        words = name.lower().replace("-", "_").split("_")
        if name.lower() in wanted:
            part, rest = "", name.lower()
        else:
            said = [word for word in words if word in parts]
            rest = "_".join(word for word in words if word not in parts)
            part = parts[said[0]] if len(said) == 1 else "?"
            # xtrain and trainx, without a line between them.
            for word, meant in parts.items():
                if not said and name.lower() in (f"x{word}", f"y{word}", f"{word}x", f"{word}y"):
                    part, rest = meant, name.lower().replace(word, "")
        if part == "?" or rest not in wanted:
            continue
        rank = wanted.index(rest)
        if part not in found or rank < ranks[part]:
            found[part], ranks[part] = name, rank
    return found


def _class_names(arrays: dict[str, _Array], where: str) -> tuple[str, ...]:
    for name, values in arrays.items():
        if name.lower() in _NAMES and values.ndim == 1 and values.dtype.kind in "US":
            texts = _decoded(values, f"{where}: {name!r}") if values.dtype.kind == "S" else values
            listed = tuple(str(one) for one in texts.tolist())
            if len(set(listed)) == len(listed):
                return listed
    return ()


def _white(arrays: list[_Array]) -> int:
    """The largest value that a pixel can have, as the values of all sets show."""
    highest = max(float(one.max()) for one in arrays)
    if arrays[0].dtype.kind == "f" and highest <= 1.0:
        return 1
    return 255 if highest <= 255.0 else 65535


def _holds(arrays: dict[str, _Array]) -> str:
    listed = [f"{name} {values.shape}" for name, values in arrays.items()]
    return (
        "; expected arrays x_train, y_train (and x_test, y_test), or images and labels; the file "
        f"holds {', '.join(listed[:8])}"
    )
