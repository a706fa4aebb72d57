"""Conclusions from the tables: answers, advice, claims, trust, noise."""
