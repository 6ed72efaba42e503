"""A model as one file of Python that needs NumPy alone, and gives the same numbers.

>>> import tempfile
>>> from pathlib import Path
>>> from nnscratch import nn, randn
>>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
>>> with tempfile.TemporaryDirectory() as folder:
...     export(model, randn(1, 4), f"{folder}/model.py")
...     text = Path(folder, "model.py").read_text()
>>> "import numpy as np" in text, "import nnscratch" in text
(True, False)
"""

from nnscratch.interop.standalone.exporting import Exported, export, exported

__all__ = ["Exported", "export", "exported"]
