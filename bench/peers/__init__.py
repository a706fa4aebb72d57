"""Runs other benchmarking tools on the same functions as Torchduet: identical copies and known slow-downs.

``torchduet peers run -o peers.json`` runs them all and prints the table; it needs the extra ``peers``.
"""
