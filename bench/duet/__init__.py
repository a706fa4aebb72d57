"""How B is timed against A: two interpreters, or two versions of a file, in alternation as two live workers."""
