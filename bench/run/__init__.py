"""A run: the session, its progress, its records, and resuming."""
