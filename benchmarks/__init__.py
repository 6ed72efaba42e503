"""The whole benchmark: ``python -m benchmarks``. The quick one is ``nnscratch bench``."""
