"""Distributions and special functions that the standard library lacks."""
