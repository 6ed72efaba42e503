"""ONNX: models of others as modules, and ours written for others.

``load`` makes a module of a file, ``export`` writes a file, ``backend`` is a backend as the
``onnx`` package defines one. They need that package alone: ``pip install 'nnscratch[onnx]'``.
"""

from nnscratch.errors import ConfigurationError

try:
    import onnx as _onnx
except ImportError as error:
    raise ConfigurationError(
        "nnscratch.interop.onnx needs the onnx package; install it: pip install 'nnscratch[onnx]'"
    ) from error

from nnscratch.interop.onnx import backend
from nnscratch.interop.onnx.exporting import export, to_onnx
from nnscratch.interop.onnx.loading import load
from nnscratch.interop.onnx.module import OnnxModel

__all__ = ["OnnxModel", "backend", "export", "load", "to_onnx"]

if tuple(map(int, _onnx.__version__.split(".")[:2])) < (1, 17):
    raise ConfigurationError(
        f"nnscratch.interop.onnx needs onnx 1.17 or newer, got {_onnx.__version__}; update it: "
        "pip install -U onnx"
    )
