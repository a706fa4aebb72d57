"""What is measured apart from timing: operators, memory, energy, ceilings, profiles."""
