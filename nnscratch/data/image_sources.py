"""Reading images from whatever people have: IDX, CIFAR, .npz, folders of image files."""

import zipfile
from dataclasses import replace
from pathlib import Path

from nnscratch.data._io import FilePath, some
from nnscratch.data.cifar import has_cifar, load_cifar
from nnscratch.data.idx import has_idx, load_idx_folder
from nnscratch.data.image_arrays import load_image_arrays
from nnscratch.data.image_files import Size, is_image, resized
from nnscratch.data.image_folders import load_image_folder
from nnscratch.data.images import ImageFolder, LabelledImages
from nnscratch.errors import DataError


def load_images(path: FilePath, *, size: Size | None = None) -> ImageFolder:
    """Load labelled images of any kind.

    Args:
        path: a folder of IDX files, of CIFAR's binary files, or with a folder of image files for
            each class; or an `.npz` file.
        size: height and width to bring every image to; None to leave arrays as they are, and to
            choose one for image files of several sizes.

    Returns:
        The training set, and test and validation sets where there are any.

    Raises:
        DataError: what is there is none of these, or damaged; the message says what to name.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for index, name in enumerate(("night", "day")):
    ...         Path(folder, name).mkdir()
    ...         Image.new("L", (8, 8), 255 * index).save(Path(folder, name, "1.png"))
    ...     images = load_images(folder)
    >>> images.train.class_names, images.train.labels, images.train.images[:, 0, 0, 0]
    (('day', 'night'), array([0, 1]), array([255,   0], dtype=uint8))
    """
    place = Path(path)
    if not place.is_dir():
        if is_npz(place):
            return _brought(load_image_arrays(place), size)
        refuse_npy(place)
        raise DataError(_other_file(place))
    names = _file_names(place)
    if has_idx(names):
        return _brought(load_idx_folder(place), size)
    if has_cifar(names):
        return _brought(load_cifar(place), size)
    _refuse_one_above(place)
    return load_image_folder(place, size=size)


def _refuse_one_above(folder: Path) -> None:
    """Raise a DataError if it is not the folder itself, but one in it that holds such files."""
    for inside in sorted(one for one in folder.iterdir() if one.is_dir()):
        names = _file_names(inside)
        if has_idx(names) or has_cifar(names):
            raise DataError(f"{folder}: the files with the images are in {inside}: name that one")


def holds_image_files(folder: Path) -> bool:
    """Say whether a folder is one of image files, and not of IDX or CIFAR files."""
    names = _file_names(folder)
    return not has_idx(names) and not has_cifar(names)


def holds_idx(folder: Path) -> bool:
    """Say whether a folder is one of IDX files."""
    return has_idx(_file_names(folder))


def _file_names(folder: Path) -> list[str]:
    try:
        return sorted(one.name for one in folder.iterdir() if one.is_file())
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror})") from error


def is_of_images(path: Path) -> bool:
    """Say whether a file is one of images, which `load_images` reads or says what to name."""
    if not path.is_file():
        return False
    name = path.name
    known = is_image(name) or has_idx([name]) or has_cifar([name]) or name.lower().endswith(".npy")
    return known or is_npz(path)


def refuse_npy(path: FilePath) -> None:
    """Raise a DataError if a file is a single array, which has no labels beside it."""
    if str(path).lower().endswith(".npy"):
        raise DataError(
            f"{path}: this is a single array (.npy): save images, and labels if there are any, in "
            'one file with numpy.savez("images.npz", images=..., labels=...)'
        )


def is_npz(path: Path) -> bool:
    """Say whether a file is an archive of NumPy arrays, by its name or by what is in it."""
    if path.suffix.lower() == ".npz":
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def _other_file(path: Path) -> str:
    if not path.exists():
        return f"{path}: there is no such file or folder"
    if is_image(path.name):
        return (
            f"{path}: this is one image: name a folder that has a folder of images for each class"
        )
    if has_idx([path.name]) or has_cifar([path.name]):
        return f"{path}: this is one of several files: name their folder, {path.parent}"
    return (
        f"{path}: expected images: a folder (IDX files, CIFAR's binary files, or a folder of image "
        f"files for each class) or an .npz file; {some([path.name])} is none of them"
    )


def _brought(folder: ImageFolder, size: Size | None) -> ImageFolder:
    """The same with every image brought to another size."""

    def part(images: LabelledImages) -> LabelledImages:
        assert size is not None
        return replace(images, images=resized(images.images, size))

    if size is None or folder.train.shape[1:] == size:
        return folder
    note = f"images of {folder.train.shape[1]} x {folder.train.shape[2]} are brought to {size[0]} x"
    return replace(
        folder,
        train=part(folder.train),
        test=None if folder.test is None else part(folder.test),
        validation=None if folder.validation is None else part(folder.validation),
        notes=(*folder.notes, f"{note} {size[1]} pixels"),
    )
