"""pytest and pytest-benchmark: options, items, output."""
