"""Processes: the launcher, the worker, and their messages."""
