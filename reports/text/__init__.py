"""Words, units, escaping and what is printed."""
