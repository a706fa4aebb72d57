"""Words for settings, numbers with units, escaping, and output."""
