"""Modules: layers and losses with parameters and names, and no mathematics of their own."""

from typing import TYPE_CHECKING, Any

from nnscratch.nn import activation_modules, activations, functional, init, utils
from nnscratch.nn.activations import *  # noqa: F403
from nnscratch.nn.containers import ModuleDict, ModuleList, ParameterList, Sequential
from nnscratch.nn.layers import Dropout, Flatten, Identity, Unflatten
from nnscratch.nn.linear import Linear
from nnscratch.nn.losses import (
    BCELoss,
    BCEWithLogitsLoss,
    CosineEmbeddingLoss,
    CrossEntropyLoss,
    HingeEmbeddingLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from nnscratch.nn.module import Module
from nnscratch.nn.parameter import Parameter

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "Identity",
    "KLDivLoss",
    "L1Loss",
    "Linear",
    "MSELoss",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "Parameter",
    "ParameterList",
    "Sequential",
    "SmoothL1Loss",
    "Unflatten",
    "functional",
    "init",
    "utils",
]
__all__ += activations.__all__

__all__ += activation_modules.__all__

if TYPE_CHECKING:
    from nnscratch.nn.activation_modules import *  # noqa: F403
else:

    def __getattr__(name: str) -> Any:
        """Return the module of an activation, which is made when somebody asks for it."""
        try:
            return getattr(activation_modules, name)
        except AttributeError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None

    def __dir__() -> list[str]:
        return sorted({*globals(), *dir(activation_modules)})
