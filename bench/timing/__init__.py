"""The heart: placements, alternation, pacing, stopping, clocks, devices, compilation."""
