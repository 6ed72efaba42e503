"""Checks of a training before it costs time: its data, its forward, its gradients, its steps."""
