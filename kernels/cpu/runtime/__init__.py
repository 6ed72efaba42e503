"""What loads and runs the kernels of a CPU, and computes nothing of a network itself.

``kernel`` says what a kernel is and ``cache`` compiles it, ``table`` lays out programs of kernels,
``eager`` calls a single one, ``pool`` and ``driver`` run them on threads, of which ``threads`` says
how many. ``blas`` finds
NumPy's library, ``product_choice`` measures which products it gets; ``processor`` has what depends
on the processor. ``intrinsics`` and ``parts`` are what the text of kernels is made of.
"""
