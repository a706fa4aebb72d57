"""Data sets and loaders that several suites share: images to train on, their files, loading with workers."""
