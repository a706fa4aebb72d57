"""The process that measures on one machine of a fleet: it carries out its driver's orders."""
