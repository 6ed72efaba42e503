"""Image files of any kind that Pillow reads, as arrays of bytes; Pillow is imported when needed."""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from nnscratch.data._io import FilePath, open_data_file
from nnscratch.errors import ConfigurationError, DataError
from nnscratch.kernels.cpu.runtime.threads import limit

ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".gif", ".webp"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif", ".tga", ".ico"),
)
"""How the names of image files end, in lower case."""
# Endings of pictures that Pillow cannot decode, and what to do with them.
_OTHERS = {
    ".heic": "export them as JPEG or PNG",
    ".heif": "export them as JPEG or PNG",
    ".svg": "draw them as PNG",
    ".raw": "develop them as JPEG or PNG",
    ".dng": "develop them as JPEG or PNG",
    ".cr2": "develop them as JPEG or PNG",
    ".nef": "develop them as JPEG or PNG",
    ".psd": "export them as PNG",
    ".dcm": "export them as PNG",
}
# Modes of Pillow without colour. Those of 16 bits begin with "I;16".
_GREY = ("1", "L", "LA", "La", "I", "F")
_MOST_PIXELS = 1 << 28
_MOST_NAMED = 5
_ORIENTATION = 0x0112

Bytes = npt.NDArray[np.uint8]
Size = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True)
class Header:
    """What the header of an image file says.

    Args:
        size: height and width, as it is to be looked at.
        grey: whether the file has no colours.
        frames: how many pictures it holds.
    """

    size: Size
    grey: bool
    frames: int = 1


def is_image(name: str) -> bool:
    """Say whether a file is an image, by the ending of its name."""
    return name.lower().endswith(ENDINGS)


def what_else(name: str) -> str | None:
    """What to do with a picture of a kind that cannot be read, None for any other file."""
    return _OTHERS.get(os.path.splitext(name)[1].lower())


def pillow() -> ModuleType:
    """The library that decodes images.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import PIL.Image
        import PIL.ImageOps
    except ImportError:
        raise ConfigurationError(
            'image files need Pillow, which is not installed: pip install "nnscratch[cli]"'
        ) from None
    return PIL


def read_image(path: FilePath, *, channels: int | None = None, size: Size | None = None) -> Bytes:
    """Read one image file.

    An image is turned as its camera says (EXIF). Palettes become the colours they stand for,
    transparency becomes white, 16 bits a pixel become 8, and of several pictures in one file the
    first is taken.

    Args:
        path: the file: JPEG, PNG, BMP, GIF, WebP, TIFF and whatever else Pillow reads.
        channels: 1 for grey, 3 for red, green and blue; None for what the file has.
        size: height and width to bring it to: scaled until both are reached, and the middle cut
            out, so that nothing is distorted; None to leave it as it is.

    Returns:
        (channels, height, width) uint8, from 0 (black) to 255.

    Raises:
        DataError: the file is missing, no image, or damaged; the message names it.
        ConfigurationError: Pillow is not installed.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "two.pgm")
    ...     _ = path.write_bytes(b"P5 2 1 255 " + bytes([0, 200]))
    ...     read_image(path)
    array([[[  0, 200]]], dtype=uint8)
    """
    with _quiet():
        return _decoded(path, channels, size)


def read_images(paths: Sequence[FilePath], channels: int, size: Size) -> Bytes:
    """Read image files into one array, by several threads.

    Returns:
        (N, channels, height, width) uint8.

    Raises:
        DataError: naming the first five of the files that cannot be read.
    """
    made = np.empty((len(paths), channels, *size), np.uint8)

    def read(index: int) -> str | None:
        try:
            made[index] = _decoded(paths[index], channels, size)
        except DataError as error:
            return str(error)
        return None

    _raise_first(_by_threads(read, range(len(paths))), len(paths))
    return made


def read_headers(paths: Sequence[FilePath]) -> list[Header]:
    """Read the headers of image files, without decoding them.

    Raises:
        DataError: naming the first five of the files that are no images.
    """
    found: list[Header | None] = [None] * len(paths)

    def read(index: int) -> str | None:
        try:
            with _opened(paths[index]) as image:
                found[index] = _header(image)
        except DataError as error:
            return str(error)
        return None

    _raise_first(_by_threads(read, range(len(paths))), len(paths))
    return [one for one in found if one is not None]


def resized(images: npt.NDArray[Any], size: Size) -> npt.NDArray[Any]:
    """Bring images (N, height, width) or (N, channels, height, width) to another size.

    Scaled until both sides are reached, and the middle cut out, as `read_image` does; in the dtype
    that they have.
    """
    if images.shape[-2:] == size:
        return images
    library = pillow()
    flat = images.reshape(-1, *images.shape[-2:])
    flat = flat if flat.dtype == np.uint8 else flat.astype(np.float32)
    made = np.empty((len(flat), *size), flat.dtype)

    def convert(index: int) -> None:
        made[index] = _fitted(library, library.Image.fromarray(flat[index]), size)

    _by_threads(convert, range(len(flat)))
    return made.reshape(*images.shape[:-2], *size).astype(images.dtype, copy=False)


def _by_threads(work: Any, items: Sequence[int]) -> list[Any]:
    from concurrent.futures import ThreadPoolExecutor

    # Pillow releases the GIL while it decodes and scales.
    with _quiet(), ThreadPoolExecutor(limit()) as pool:
        return list(pool.map(work, items))


def _raise_first(messages: list[str | None], count: int) -> None:
    wrong = [one for one in messages if one is not None]
    if not wrong:
        return
    if len(wrong) == 1:
        raise DataError(f"{wrong[0]}; mend it, or take it out of the folder")
    more = f"; and {len(wrong) - _MOST_NAMED:,} more" if len(wrong) > _MOST_NAMED else ""
    raise DataError(
        f"{len(wrong):,} of {count:,} image files cannot be read: "
        f"{'; '.join(wrong[:_MOST_NAMED])}{more}; mend them, or take them out of the folder"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    # Pillow warns of what it can read all the same; the size of an image is checked below.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _opened(path: FilePath) -> Iterator[Any]:
    """Open an image; whatever goes wrong with it in the block is a DataError with its name."""
    name = os.fspath(path)
    library = pillow()
    mend = what_else(name)
    if mend is not None:
        raise DataError(f"{name}: images of this kind cannot be read: {mend}")
    handle, size = open_data_file(path)
    with handle:
        if not size:
            raise DataError(f"{name}: the file is empty")
        try:
            with library.Image.open(handle) as image:
                width, height = image.size
                if width * height > _MOST_PIXELS:
                    raise DataError(f"{name}: {width:,} x {height:,} pixels are too many")
                yield image
        except DataError:
            raise
        except library.UnidentifiedImageError:
            handle.seek(0)
            start = handle.read(8)
            raise DataError(
                f"{name}: no image of a kind that Pillow reads; it begins with the bytes "
                f"{start.hex(' ')}"
            ) from None
        # For a damaged or hostile file its decoders raise nearly anything.
        except Exception as error:
            reason = str(error).partition("\n")[0][:200] or type(error).__name__
            raise DataError(f"{name}: the image is damaged or cut off ({reason})") from error


def _header(image: Any) -> Header:
    width, height = image.size
    # Orientations from 5 on lie on their side.
    turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    grey = image.mode in _GREY or image.mode.startswith("I;16")
    return Header(
        (width, height) if turned else (height, width), grey, int(getattr(image, "n_frames", 1))
    )


def _decoded(path: FilePath, channels: int | None, size: Size | None) -> Bytes:
    library = pillow()
    with _opened(path) as image:
        if channels is None:
            channels = 1 if _header(image).grey else 3
        if size is not None and image.format == "JPEG":
            # A large photograph is decoded at a half, a quarter or an eighth of its size at once.
            image.draft(None, (2 * max(size), 2 * max(size)))
        turned = library.ImageOps.exif_transpose(image)
        plain = _without_alpha(library, _in_bytes(library, turned, os.fspath(path)))
        plain = plain.convert("L" if channels == 1 else "RGB")
        array = np.asarray(plain if size is None else _fitted(library, plain, size))
    return array[None] if channels == 1 else np.ascontiguousarray(np.moveaxis(array, 2, 0))


def _fitted(library: Any, image: Any, size: Size) -> Any:
    height, width = size
    if image.size == (width, height):
        return image
    return library.ImageOps.fit(image, (width, height), library.Image.Resampling.BILINEAR)


def _in_bytes(library: Any, image: Any, name: str) -> Any:
    """An image with at most 8 bits a channel.

    Raises:
        DataError: its pixels are numbers of another range than those of images.
    """
    if image.mode != "F" and not image.mode.startswith("I"):
        return image
    values = np.asarray(image).astype(np.float64)
    low, high = float(values.min()), float(values.max())
    if not (0.0 <= low and high <= 65535.0):
        raise DataError(
            f"{name}: the pixels are from {low:g} to {high:g}; expected 0 to 1, 0 to 255, or 0 to "
            "65,535"
        )
    if image.mode == "F" and high <= 1.0:
        values *= 255.0
    elif image.mode.startswith("I;16") or high > 255.0:
        values /= 257.0
    return library.Image.fromarray((values + 0.5).astype(np.uint8))


def _without_alpha(library: Any, image: Any) -> Any:
    """An image on a white ground, where it is transparent."""
    if not image.has_transparency_data:
        return image
    seen = image.convert("RGBA")
    ground = library.Image.new("RGBA", seen.size, (255, 255, 255, 255))
    return library.Image.alpha_composite(ground, seen)
