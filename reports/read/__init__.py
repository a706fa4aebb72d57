"""Readers of run files, journals and pytest-benchmark files; each file is checked before use."""
