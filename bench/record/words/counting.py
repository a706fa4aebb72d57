"""Counted nouns: one function for the singular and the plural, everywhere."""

from __future__ import annotations


def plural(number: int, noun: str, many: str = "") -> str:
    """``1 case``, ``1,024 cases``, ``0 cases``.

    Args:
        noun: in the singular; a verb may follow it: ``plural(n, "case is", "cases are")``.
        many: the plural, if it is not the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else many or f'{noun}s'}"


def of_all(number: int, total: int, noun: str, many: str = "") -> str:
    """``3 of 7 cases``, ``all 7 cases``, ``both cases``, ``none of 7 cases``; of a single one ``the case``.

    Args:
        noun, many: as of ``plural``.
    """
    if number == total <= 2:
        return f"the {noun}" if total == 1 else f"both {many or f'{noun}s'}"
    share = "all" if number == total else f"{number:,} of" if number else "none of"
    return f"{share} {plural(total, noun, many)}"
