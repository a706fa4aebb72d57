"""Read a file: run files, journals, pytest-benchmark files; each checked before use."""
