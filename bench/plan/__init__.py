"""Before the start: options, selection, budget, and the checks that can be made early."""
