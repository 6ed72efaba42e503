"""PyTorch's address of the loader and the data sets, ``utils.data``."""

from nnscratch.utils import data

__all__ = ["data"]
