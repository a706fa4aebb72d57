"""Measures functions of the calling program: at first in its own process, then in fresh ones."""
