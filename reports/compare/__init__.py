"""Finished runs held against each other: what moved from one to the other, and how sure that is."""
