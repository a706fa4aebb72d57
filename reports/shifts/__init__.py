"""By how much cases differ between two runs: samples and visits, the machine's own changes, and the spread of runs."""
