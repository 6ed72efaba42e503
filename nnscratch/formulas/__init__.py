"""The mathematics: pure functions on arrays, each beside its equation."""
