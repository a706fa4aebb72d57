"""A suite on several machines: the queue of families, and what a fleet costs, simulated."""
