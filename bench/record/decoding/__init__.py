"""Decodes files of runs."""
