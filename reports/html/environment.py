"""What all pages share: where their templates lie, how these write numbers, and what a page may load (nothing)."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime
from pathlib import Path
from types import CodeType
from typing import Any

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup, escape

from torchduet.bench.record.schema import KEY, VERDICTS
from torchduet.reports.text import units
from torchduet.reports.text.escaping import short, visible

TEMPLATES = Path(__file__).parents[1] / "templates"
SYMBOLS = {"faster": "▲", "slower": "▼", "same": "■", "unclear": "○"}


def content_policy(script: str) -> str:
    """The Content-Security-Policy: nothing from anywhere, no script but this one."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def fixed(*scripts: str) -> dict[str, str]:
    """What every page has, for its template: the style, its scripts as one, and the policy that lets no other run.

    Args:
        scripts: files among the templates, in the order in which they are to run.
    """
    script = "\n".join((TEMPLATES / name).read_text("utf-8") for name in scripts)
    style = (TEMPLATES / "report.css").read_text("utf-8")
    return {"csp": content_policy(script), "css": Markup(style), "script": Markup(script)}


class _Compiled(BytecodeCache):
    """Templates as they were compiled before in this process: that takes as long as to fill them in."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._kept.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code is not None:
            self._kept[bucket.key, bucket.checksum] = bucket.code


_COMPILED = _Compiled()


def environment() -> Environment:
    """Where templates come from, and how they write numbers."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
        bytecode_cache=_COMPILED,
    )
    environment.filters.update(
        prose=prose,
        seconds=units.seconds,
        duration=units.duration,
        ratio=units.ratio,
        percent=units.percent,
        count=units.count,
        small=units.small,
        breakable=breakable,
        size=units.size,
        quantity=units.quantity,
        missing=lambda value: _number(value) is None,
    )
    environment.globals.update(
        symbols=SYMBOLS,
        verdicts=VERDICTS,
        ratio_interval=lambda low, high: units.ratio_interval(_number(low), _number(high)),
        seconds_interval=lambda low, high: units.seconds_interval(_number(low), _number(high)),
        raw=_raw,
        KEY=KEY,
    )
    return environment


def _visible(value: Any) -> Any:
    """What is written into the page, its control characters as escapes: no name can steer how the page reads."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def prose(text: str) -> Markup:
    """A sentence as HTML: what stands between backticks as code, numbers kept with their units."""
    pieces = []
    for place, piece in enumerate(visible(text).split("`")):
        if place % 2:
            whole = Markup(' class="option"') if piece.startswith("--") else ""
            pieces.append(Markup("<code{}>{}</code>").format(whole, short(piece)))
        else:
            kept = re.sub(r"(?<=\d) (?=(?:%|ns|µs|ms|s|min|h|million|billion)\b|%)", "\u00a0", piece)
            pieces.append(escape(kept))
    return Markup("").join(pieces)


def breakable(name: str) -> Markup:
    """A name that may go on in the next line after an underscore; one of over 300 letters is shortened in its middle.

    It stands apart from the direction of what surrounds it.
    """
    whole = visible(name, spaces=False)
    shown = short(whole)
    title = Markup(' title="{}"').format(whole) if shown != whole else ""
    return Markup("<bdi{}>{}</bdi>").format(title, Markup("_<wbr>").join(shown.split("_")))


def _number(value: Any) -> float | None:
    return None if value is None or value != value else float(value)  # NaN alone differs from itself


def _raw(value: Any) -> str:
    """A number for sorting by; empty sorts last."""
    number = _number(value)
    return "" if number is None else repr(number)


def date(started: str) -> str:
    """When a run began, in words; as it stands in the file if that is no date."""
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        return started
    return f"{moment.day} {moment:%B %Y, %H:%M %Z}".strip()  # not every system knows %-d
