"""A side of a duet that is a git revision: its files, which modules it imports from them, and what has changed."""
