"""Slowed copies of cases: extra work of a known length in each of their blocks."""
