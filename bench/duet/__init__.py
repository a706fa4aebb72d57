"""Times B against A: two interpreters, or two versions of a file, as two live processes in alternation."""
