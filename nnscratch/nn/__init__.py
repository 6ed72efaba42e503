"""Modules: layers and losses with parameters and names, and no mathematics of their own."""

from nnscratch.nn.linear import Linear
from nnscratch.nn.module import Module
from nnscratch.nn.parameter import Parameter

__all__ = ["Linear", "Module", "Parameter"]
