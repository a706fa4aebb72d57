"""Duets in the tests of a user's project; :mod:`torchduet.pytest_plugin` gives them to pytest."""
