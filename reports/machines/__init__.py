"""Puts the runs of several machines side by side: which machine for what, by time, price and energy."""
