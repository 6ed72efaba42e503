"""``nnscratch serve``: predictions over HTTP."""
