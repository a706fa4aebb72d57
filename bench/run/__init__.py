"""A run: its session, progress and records, and how it is resumed."""
