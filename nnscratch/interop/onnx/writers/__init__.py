"""How each formula is written as ONNX operators, by families; see ``table``."""
