"""Images, as JSON, arrays or tensors, in the values of the training's."""

from __future__ import annotations

from itertools import chain
from typing import Any

import msgspec
import numpy as np

from nnscratch.cli.images import ImagePreprocessor, valued
from nnscratch.cli.serving.reading import (
    Array,
    BadRequestError,
    ReadRows,
    not_too_many,
    rows_in,
    some_of,
)
from nnscratch.errors import DataError


class _GreyImages(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    images: list[list[list[int]]]


class ImageReader:
    """Reads images in the values of the training's.

    Args:
        pre: the run's preprocessing.
        flat: whether the network takes rows of pixels.
    """

    key = "images"

    def __init__(self, pre: ImagePreprocessor, flat: bool) -> None:
        self.pre, self.flat = pre, flat
        grey = pre.channels == 1
        kind = list[list[float]] if grey else list[list[list[float]]]
        self._decoder = msgspec.json.Decoder(kind)
        self._all = msgspec.json.Decoder(_GreyImages)
        self._shape = pre.shape[1:] if grey else pre.shape
        self._dtype = np.dtype(pre.pixels)
        self._whole = self._dtype.kind == "u"
        self._full = self._whole and pre.white == np.iinfo(pre.pixels).max

    def from_json(self, body: bytes, most: int) -> ReadRows:
        """Read ``{"images": [[[row of pixels], ...], ...]}``.

        Raises:
            BadRequestError: if the body as a whole is wrong.
        """
        usual = self._usual(body, most)
        if usual is not None:
            return self.from_array(usual)
        images: list[Any] = []
        errors: dict[int, str] = {}
        given = rows_in(body, self.key, most)
        for number, raw in enumerate(given):
            try:
                image = np.array(self._decoder.decode(raw), np.float64)
                self._check(image)
                images.append(image)
            except (msgspec.MsgspecError, RecursionError, DataError) as error:
                errors[number] = str(error)
            except ValueError:
                errors[number] = f"expected an image of {self.pre.size}, got rows of other lengths"
        return self._read(images, len(given), errors)

    def _usual(self, body: bytes, most: int) -> Array | None:
        """Return the grey images of a body that is as most are, uint8, quickly; None of others.

        They are whole numbers from 0 to 255, and nothing is said twice: there is no second colon.
        """
        if not self._full or self.pre.channels > 1 or self._dtype != np.uint8:
            return None
        if body.find(b":", body.find(b":") + 1) >= 0:
            return None
        try:
            images = self._all.decode(body).images
            if not 0 < len(images) <= most:
                return None
            rows = [*map(bytes, chain.from_iterable(images))]  # refuses other numbers
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return None
        _, height, width = self.pre.shape
        if {*map(len, images)} != {height} or {*map(len, rows)} != {width}:
            return None
        return np.frombuffer(b"".join(rows), np.uint8).reshape(len(images), height, width)

    def _check(self, image: Array) -> None:
        if image.shape != self._shape:
            raise DataError(f"expected an image of {self.pre.size}, got the shape {image.shape}")
        if not np.isfinite(image).all():
            raise DataError("a pixel is NaN or infinite")
        low, high = float(image.min()), float(image.max())
        if self._whole and (low < 0 or high > self.pre.white):
            raise DataError(
                f"expected pixels from 0 to {self.pre.white}, as in training; got {low:g} to "
                f"{high:g}"
            )

    def from_array(self, array: Array) -> ReadRows:
        """Read an array (N, height, width) or (N, channels, height, width).

        As in ``nnscratch predict`` its dtype says what the values mean: floats are from 0 to 1
        unless the training's were.

        Raises:
            BadRequestError: if it has another shape.
        """
        if array.ndim == 4 and self.pre.channels == 1 and array.shape[1] == 1:
            array = array[:, 0]
        if array.shape[1:] != self._shape:
            raise BadRequestError(
                400, f"expected images (N, {self._shape}), got the shape {array.shape}"
            )
        images: list[Any] = []
        errors: dict[int, str] = {}
        alike = self._whole and array.dtype == self._dtype
        if alike and (self._full or array.max() <= self.pre.white):
            # What is there most often, at once.
            return ReadRows(len(array), self._features(array), errors)
        for number, image in enumerate(array):
            try:
                if array.dtype.kind == "f" and not np.isfinite(image).all():
                    raise DataError("a pixel is NaN or infinite")
                image = valued(image[None], "the image", self.pre)[0]
                self._check(image)
                images.append(image)
            except DataError as error:
                errors[number] = str(error)
        return self._read(images, len(array), errors)

    def from_tensors(self, given: dict[str, Any], most: int) -> ReadRows:
        """Read the tensor "images".

        Raises:
            BadRequestError: if there is another one, or its shape is another.
        """
        if set(given) != {self.key}:
            raise BadRequestError(400, f"expected one input {self.key!r}, got {some_of(given)}")
        array = np.asarray(given[self.key])
        if array.dtype.kind not in "biuf":
            raise BadRequestError(400, f"input {self.key!r} holds no numbers")
        not_too_many(array, most)
        return self.from_array(array)

    def _read(self, images: list[Any], count: int, errors: dict[int, str]) -> ReadRows:
        if not images:
            return ReadRows(count, np.zeros((0, self.pre.features_count), np.float32), errors)
        return ReadRows(count, self._features(np.stack(images)), errors)

    def _features(self, images: Array) -> Array:
        return self.pre.features(images) if self.flat else self.pre.batch(images)

    def example(self) -> dict[str, Any]:
        """Return a body with one image, all of it of the training's mean."""
        level = [round(mean * self.pre.white) for mean in self.pre.mean]
        image: Any = [[[one] * self.pre.width for _ in range(self.pre.height)] for one in level]
        return {self.key: [image[0] if self.pre.channels == 1 else image]}

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of an image."""
        made: dict[str, Any] = {"type": "number"}
        for size in reversed(self._shape):
            made = {"type": "array", "items": made, "minItems": size, "maxItems": size}
        return made

    def tensors(self) -> list[dict[str, Any]]:
        """Return the one tensor."""
        kind = {"uint8": "UINT8", "uint16": "UINT16"}.get(self.pre.pixels, "FP32")
        return [{"name": self.key, "datatype": kind, "shape": [-1, *self._shape]}]
