"""A table as CSV that no spreadsheet runs as formulas."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# What Excel, LibreOffice and Google Sheets take for the beginning of a formula (OWASP, CSV Injection). A quote that
# stands before one already gets another, so that taking one away always gives the name back.
FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")


def as_csv(table: pd.DataFrame) -> str:
    """The table as CSV: a line of names, then the rows; text that a spreadsheet would run is made harmless."""
    made = table.copy(deep=False)
    for name in made:
        if made[name].dtype.name == "category":
            made[name] = made[name].cat.rename_categories(harmless_text)
        elif made[name].dtype.name in ("str", "object"):
            made[name] = made[name].map(harmless_text, na_action="ignore")
    return made.rename(columns=harmless_text).to_csv(index=False, lineterminator="\n")


def harmless_text(text: str) -> str:
    """Text that no spreadsheet takes for a formula: with a quote before it where one would."""
    return f"'{text}" if FORMULA.match(text) else text
