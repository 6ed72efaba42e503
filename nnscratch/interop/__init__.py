"""Other libraries: safetensors files, in PyTorch's and Hugging Face's names; scikit-learn.

``sklearn`` has networks as scikit-learn's estimators; ``saved`` has what is ``nnscratch.save`` and
``nnscratch.load``.
"""
