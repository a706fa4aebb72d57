"""What the record of a duet says: in words, of memory, and for a gate in CI."""
