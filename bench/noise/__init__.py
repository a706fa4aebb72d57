"""Causes of noise, grades, withheld verdicts, and what would help."""
