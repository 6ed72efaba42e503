"""Other libraries' weights: safetensors files, in PyTorch's and Hugging Face's names.

The module ``saved`` has what is ``nnscratch.save`` and ``nnscratch.load``.
"""
