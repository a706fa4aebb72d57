"""A run in brief as Markdown."""
