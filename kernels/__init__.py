"""Faster implementations of formulas."""
