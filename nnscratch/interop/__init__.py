"""Other libraries: safetensors files, in PyTorch's and Hugging Face's names; scikit-learn; ONNX.

``sklearn`` has networks as scikit-learn's estimators, ``onnx`` reads and writes ONNX models;
``saved`` has what is ``nnscratch.save`` and ``nnscratch.load``.
"""
