"""Images in memory as bytes, of which a batch at a time becomes numbers for a model."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nnscratch.data.augmentation import Transform
from nnscratch.data.dataset import Dataset
from nnscratch.data.loader import DataLoader
from nnscratch.tensors import Tensor

_Array = npt.NDArray[Any]


class ImageDataset(Dataset):
    """Images and labels; whole batches are augmented and converted together.

    In bytes they take a quarter of the memory that they would in float32.

    Args:
        images: (N, height, width) or (N, channels, height, width).
        labels: (N,), or None.
        convert: makes the numbers that a model takes of images (n, channels, height, width).
        transform: changes them first, such as those of `nnscratch.data.augmentation`.

    >>> images = np.zeros((5, 8, 8), np.uint8)
    >>> data = ImageDataset(images, np.arange(5), lambda x: x.astype(np.float32) / 255)
    >>> X, y = next(iter(data.loader(2)))
    >>> X.shape, X.dtype, y.tolist()
    ((2, 1, 8, 8), dtype('float32'), [0, 1])
    """

    def __init__(
        self,
        images: _Array,
        labels: _Array | None,
        convert: Callable[[_Array], _Array],
        transform: Transform | None = None,
    ) -> None:
        self.images = images if images.ndim == 4 else images[:, None]
        self.labels = labels
        self.convert, self.transform = convert, transform

    def __len__(self) -> int:
        """The number of images, N."""
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        """One image, as the model takes it, and its label if it has any."""
        batch = self._batch([range(len(self))[index]])
        return tuple(part[0] for part in batch) if self.labels is not None else batch[0][0]

    def __getitems__(self, indices: Sequence[int]) -> list[_Array]:
        """The images at some indices together, and their labels if they have any."""
        return self._batch(indices)

    def _batch(self, indices: Sequence[int]) -> list[_Array]:
        chosen = self.images[np.asarray(indices, np.int64)]
        if self.transform is not None:
            chosen = self.transform(chosen)
        made = self.convert(chosen)
        return [made] if self.labels is None else [made, self.labels[np.asarray(indices, np.int64)]]

    def loader(self, batch_size: int, **options: Any) -> DataLoader:
        """Return a loader of batches, with the options of `DataLoader`."""
        return DataLoader(self, batch_size, collate_fn=_as_tensors, **options)


def _as_tensors(parts: list[Any]) -> list[Tensor]:
    return [Tensor(part) for part in parts]
