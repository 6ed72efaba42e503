"""PyTorch's files without PyTorch, and the twin of a PyTorch module.

``save`` writes what ``torch.load`` reads, and ``nnscratch.load`` reads what ``torch.save`` wrote;
``from_torch`` makes a module of ours of one of PyTorch's.
"""

from nnscratch.interop.torch.twins import from_torch
from nnscratch.interop.torch.writing import write_torch as save

__all__ = ["from_torch", "save"]
