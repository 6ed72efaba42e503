"""Moving batches of any structure to a device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from nnscratch.array.device import Device
from nnscratch.array.upload import Upload
from nnscratch.graph.nested import leaves, mapped
from nnscratch.tensors import Tensor


def uploaded(batches: Iterable[Any], device: Device) -> Iterator[Any]:
    """Yield batches with their tensors moved to a device.

    Copies to a GPU go through pinned memory, and overlap with computing on the batch before.
    """
    upload = None
    try:
        for batch in batches:
            arrays = [item.array for item in leaves(batch) if isinstance(item, Tensor)]
            on_host = all(type(one) is np.ndarray for one in arrays)
            if device.type == "cpu" and on_host:
                yield batch
            elif device.type == "cuda" and on_host:
                upload = upload or Upload(device)
                yield _in_the_place_of(batch, upload(arrays))
            else:
                yield mapped(lambda item: _moved(item, device), batch)
    finally:
        if upload is not None:
            upload.close()


def _in_the_place_of(batch: Any, arrays: list[Any]) -> Any:
    """Return a batch with its tensors replaced by tensors of the given arrays, in order."""
    there = iter(arrays)
    return mapped(lambda one: Tensor(next(there)) if isinstance(one, Tensor) else one, batch)


def _moved(item: Any, device: Any) -> Any:
    return item.to(device=device) if isinstance(item, Tensor) else item
