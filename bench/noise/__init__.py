"""Causes of noise, grades, verdicts withheld, and what would help."""
