"""Bridges: scikit-learn, safetensors, PyTorch, Keras, ONNX."""
