"""ONNX's operators by families, each as a function on tensors; see ``table``."""
