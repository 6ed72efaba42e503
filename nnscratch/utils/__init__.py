"""``utils.data``, where PyTorch has its loader and data sets."""

from nnscratch.absent import refuse_absent_names
from nnscratch.utils import data

__all__ = ["data"]

refuse_absent_names(__name__)
