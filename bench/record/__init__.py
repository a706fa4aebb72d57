"""The run's file: its schema, its statistics, its journal. ``reports`` imports this part of ``bench``."""
