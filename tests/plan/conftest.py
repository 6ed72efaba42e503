"""With kernels and without."""

import pytest

from nnscratch.formulas import registry
from nnscratch.kernels.cpu import CpuKernel


@pytest.fixture(params=["references", "kernels"])
def kernels(request, monkeypatch):
    """With references alone, and with every kernel that accepts the arrays, eagerly too."""
    monkeypatch.setattr(CpuKernel, "worthwhile", lambda *_: True)
    with registry.use_kernels("off" if request.param == "references" else "auto"):
        yield request.param
