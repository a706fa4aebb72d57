"""This machine and this process: counters, NVML, clocks, signals, locks, temporary files."""
