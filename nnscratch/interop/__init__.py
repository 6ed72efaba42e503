"""Other libraries: their files, their models and their habits.

``weights`` reads and writes weights of every kind of file; ``torch`` has PyTorch's files and the
twin of a PyTorch module, ``keras`` Keras' model files; ``comparing`` shows where a model and its
equal in another library part. ``safetensors`` has the functions of the library of that name;
``sklearn`` has networks as scikit-learn's estimators, ``onnx`` reads and writes ONNX models;
``saved`` has what is ``nnscratch.save`` and ``nnscratch.load``.
"""
