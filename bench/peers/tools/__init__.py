"""The tools, one module each: ``run(trial)`` measures every case once and returns the answers of the tool."""
