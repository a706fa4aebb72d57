"""The state of a process that changes speed or results: reads it, compares it, and puts it back."""
