"""Which machine a run is of: its facts, and the key that runs of one machine have in common."""
