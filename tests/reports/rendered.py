"""Pages of made-up runs that several tests look at, made once each; and runs with less in them, for pages of their own.

Most of what the tests of the reports take is drawing charts: whoever needs only a part of a page, or any page, draws
few of them.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from torchduet.reports.html.run_page import render
from torchduet.reports.read.run_file import from_json


@cache
def page_of(make: Callable[[], Any]) -> str:
    """The report of what a function makes, as HTML."""
    return render(from_json(make()))


def with_details(page: str) -> str:
    """A page with the details of its cases as its script shows them, in place of their packed form."""
    packed = re.search(r'data-packed="([^"]*)"', page)
    if packed is None:
        return page
    details = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    shown = "".join(f'<div id="details-of-{anchor}">{html}</div>' for anchor, html in details.items())
    return page.replace(packed[0], "") + re.sub(r' id="case-h"| autofocus', "", shown)


def a_part(document: Any, whole: str = "matmul.square") -> Any:
    """The run with every workload at its first size alone, but one at all of them: nothing of a page goes missing."""
    first: dict[str, str] = {}
    kept = [
        one
        for one in document["benchmarks"]
        if one["group"].startswith(whole)
        or first.setdefault(one["group"].partition("[")[0], one["group"]) == one["group"]
    ]
    return {**document, "benchmarks": kept}
