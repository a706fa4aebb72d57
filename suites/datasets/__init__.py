"""Data sets and loaders that several suites use: images to train on, their files, loading with workers."""
