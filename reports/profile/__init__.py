"""Explains why a case takes as long as it does, from the traces of ``pytest bench/ --profile``."""
