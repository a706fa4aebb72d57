"""Writes a table as CSV in which a spreadsheet runs no formula."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# The beginning of a formula for Excel, LibreOffice and Google Sheets (OWASP, CSV Injection). Text that begins with
# quotes before such a beginning gets one more, so removing one quote always restores the text.
FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")


def as_csv(table: pd.DataFrame) -> str:
    """The table as CSV: a line of names, then the rows; text that a spreadsheet would run as a formula is escaped."""
    escaped = table.copy(deep=False)
    for name in escaped:
        if escaped[name].dtype.name == "category":
            escaped[name] = escaped[name].cat.rename_categories(escape_formula)
        elif escaped[name].dtype.name in ("str", "object"):
            escaped[name] = escaped[name].map(escape_formula, na_action="ignore")
    return escaped.rename(columns=escape_formula).to_csv(index=False, lineterminator="\n")


def escape_formula(text: str) -> str:
    """Text that no spreadsheet takes for a formula: text that looks like one gets a quote before it."""
    return f"'{text}" if FORMULA.match(text) else text
