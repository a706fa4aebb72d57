"""What makes one side of a duet another environment: variables and named settings, and whether they took effect."""
