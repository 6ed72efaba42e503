"""The cases that every implementation of a formula must pass."""
