"""Judges many runs of one machine in the order of time: what changed, when, by how much, and how sure that is."""
