"""The project’s own reports, which have nothing to do with Torchduet."""
