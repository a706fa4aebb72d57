"""The file: its schema, the statistics it holds, its journal. The one part of ``bench`` that ``reports`` reads."""
