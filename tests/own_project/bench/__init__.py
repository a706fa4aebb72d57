"""The project’s own benchmarks, which have nothing to do with Torchduet."""
