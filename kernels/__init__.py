"""Faster implementations of the formulas: ``nnscratch.kernels.cpu`` (Numba), ``.cuda`` (CUDA C++).

A kernel never has a formula of its own: each one implements a formula of ``nnscratch.formulas``
whose reference, in plain array code, stays the definition of what is right.
"""
