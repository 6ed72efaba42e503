"""The training loop, metrics, callbacks and checkpoints."""
