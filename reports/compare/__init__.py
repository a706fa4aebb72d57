"""Compares finished runs: which cases became slower or faster from one to the other, and how sure that is."""
