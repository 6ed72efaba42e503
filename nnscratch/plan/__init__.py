"""A step recorded once, then replayed."""
