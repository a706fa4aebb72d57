"""A case, the registry of knobs, and the three outcomes: measured, skipped, failed."""
