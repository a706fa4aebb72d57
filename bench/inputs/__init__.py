"""A workload's inputs in memory: what is reachable from them, where it lies, and how it is put back."""
