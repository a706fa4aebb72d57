"""Passes beside the timing: operators, memory, energy, ceilings, profiles."""
