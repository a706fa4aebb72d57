"""Other benchmarking tools beside this one, on the same functions: identical copies and known slow-downs.

``torchduet peers -o peers.json`` runs them all and writes the table; needs the extra ``peers``.
"""
