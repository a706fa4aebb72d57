"""The parts of the check: what a result consists of, what it is compared with, and how exact it can be."""
