"""Timing: placements, alternation, pacing, stopping, clocks, devices, compilation."""
