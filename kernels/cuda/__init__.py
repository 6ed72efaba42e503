"""Kernels for the GPU, in CUDA C++."""
