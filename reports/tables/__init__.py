"""Tidy tables of a run: cases, comparisons, samples and baselines."""
