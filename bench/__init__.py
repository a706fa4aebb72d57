"""How it is timed: cases, their alternation, processes, noise, records, and the pytest side."""
