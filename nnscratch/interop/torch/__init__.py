"""PyTorch's files without PyTorch, and the twin of a PyTorch module.

``load`` and ``save`` read and write ``.pt`` and ``.pth``; ``from_torch`` makes a module of ours of one
of PyTorch's. ``nnscratch.load`` reads these files too; ``nnscratch.save`` writes safetensors.
"""

from nnscratch.interop.torch.writing import write_torch as save

__all__ = ["save"]
