"""The clocks of GPUs: in words, locked for a run, and unlocked whatever happens."""
