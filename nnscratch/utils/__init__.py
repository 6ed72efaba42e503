"""``utils.data``, where PyTorch has its loader and data sets."""

from nnscratch.utils import data

__all__ = ["data"]
