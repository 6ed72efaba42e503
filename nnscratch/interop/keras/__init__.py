"""Keras 3's files, read and written through h5py, without Keras.

``load_model`` makes a module of a ``.keras`` file; ``save_model`` writes one that Keras loads.
``nnscratch.interop.weights`` reads and writes ``.weights.h5``.
"""

from nnscratch.interop.keras.files import load_model
from nnscratch.interop.keras.writing import save_model

__all__ = ["load_model", "save_model"]
