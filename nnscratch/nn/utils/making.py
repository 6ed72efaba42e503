"""Modules whose parameters are not drawn when they are made."""

from __future__ import annotations

from typing import Any, TypeVar

from nnscratch.nn.module import Module

Made = TypeVar("Made", bound=Module)


def skip_init(module_cls: type[Made], *args: Any, **kwargs: Any) -> Made:
    """Make a module whose parameters are to be filled by whoever asked for it.

    PyTorch's leaves them as the memory was. They are drawn as usual here, which is no slower than
    what follows, and nobody reads memory that was not written.

    >>> from nnscratch import nn
    >>> skip_init(nn.Linear, 3, 2)
    Linear(in_features=3, out_features=2, bias=True)
    """
    return module_cls(*args, **kwargs)
