"""Names from a file made harmless where they are printed."""

from __future__ import annotations

import re


def cell(text: str) -> str:
    """Text that cannot end its cell of a Markdown table, start HTML or steer a terminal."""
    text = re.sub(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\s]+", " ", text).strip()
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def plain(text: str) -> str:
    """A line that cannot steer a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
