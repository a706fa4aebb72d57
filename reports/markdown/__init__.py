"""Summaries of a run as Markdown."""
