"""Checks that the packages that only the history needs are installed, before anything is read."""

from __future__ import annotations

from importlib.util import find_spec

from torchduet.suites.extras import install

PACKAGES = ("pyarrow", "ruptures", "scipy")  # the extra ``history`` in pyproject.toml


class DependencyMissing(Exception):
    """Packages that are not installed; the message is one line: which, and how to install them."""


def require() -> None:
    """Return if all packages of the extra ``history`` are installed.

    Raises:
        DependencyMissing: at least one is not.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise DependencyMissing(
            f"history: needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed; "
            f"{install('history', ' '.join(PACKAGES))}"
        )
