"""Modules: parameters and their names."""
