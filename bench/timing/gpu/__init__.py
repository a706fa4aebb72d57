"""What is measured of a GPU while a case is timed on it."""
