"""Who is measured: the same networks in nnscratch, PyTorch, JAX and NumPy; no clock runs here."""
