"""What all pages share: the folder of templates, filters for numbers, and the policy that a page loads nothing."""

from __future__ import annotations

import base64
import hashlib
import marshal
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from importlib.metadata import version
from importlib.util import cache_from_source
from pathlib import Path
from types import CodeType
from typing import Any

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup, escape

from torchduet.bench.files.atomic import write_atomically
from torchduet.bench.record.schema import KEY, VERDICTS
from torchduet.reports.tables.withheld import is_withheld
from torchduet.reports.text import units
from torchduet.reports.text.escaping import short, visible

TEMPLATES = Path(__file__).parents[1] / "templates"
SYMBOLS = {"faster": "▲", "slower": "▼", "same": "■", "unclear": "○", "suspected": "?"}


def content_policy(script: str) -> str:
    """The Content-Security-Policy: nothing is loaded, and no other script runs."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def fixed(*scripts: str, styles: Sequence[str] = ()) -> dict[str, str]:
    """The values that every page's template needs: the style, its scripts as one, and the policy for them.

    Args:
        scripts: names of files in the folder of templates, in the order in which they run.
        styles: of style sheets beside the one of all pages.
    """
    script = "\n".join((TEMPLATES / name).read_text("utf-8") for name in scripts)
    style = "\n".join((TEMPLATES / name).read_text("utf-8") for name in ("report.css", *styles))
    return {"csp": content_policy(script), "css": Markup(style), "script": Markup(script)}


class _Compiled(BytecodeCache):
    """Keeps compiled templates as Python keeps compiled modules, in its folder for them, if it may write there.

    Compiling them takes as long as rendering a run of 70 cases.
    """

    def __init__(self) -> None:
        self._folder = Path(cache_from_source(str(TEMPLATES / "template.py"))).parent
        self._code: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._code.get((bucket.key, bucket.checksum)) or self._read(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code is None:
            return
        self._code[bucket.key, bucket.checksum] = bucket.code
        if not sys.dont_write_bytecode:
            with suppress(OSError):
                self._folder.mkdir(parents=True, exist_ok=True)
                write_atomically(marshal.dumps((bucket.checksum, bucket.code)), self._file(bucket))

    def _file(self, bucket: Bucket) -> Path:
        return self._folder / f"{bucket.key}.jinja2-{version('jinja2')}.{sys.implementation.cache_tag}.pyc"

    def _read(self, bucket: Bucket) -> CodeType | None:
        try:
            checksum, code = marshal.loads(self._file(bucket).read_bytes())
        except (OSError, EOFError, ValueError, TypeError):  # none, or not one that was written whole
            return None
        if checksum != bucket.checksum or not isinstance(code, CodeType):
            return None
        self._code[bucket.key, bucket.checksum] = code
        return code


_CACHE = _Compiled()


def environment() -> Environment:
    """Jinja's environment for all pages, with the filters that write numbers."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
        bytecode_cache=_CACHE,
    )
    environment.filters.update(
        prose=prose,
        seconds=units.seconds,
        duration=units.duration,
        date=date,
        ratio=units.ratio,
        percent=units.percent,
        rate=units.rate,
        count=units.count,
        small=units.small,
        breakable=breakable,
        size=units.size,
        quantity=units.quantity,
        missing=lambda value: _number(value) is None,
    )
    environment.tests["missing"] = lambda value: _number(value) is None
    environment.globals.update(
        symbols=SYMBOLS,
        verdicts=VERDICTS,
        ratio_interval=lambda low, high: units.ratio_interval(_number(low), _number(high)),
        seconds_interval=lambda low, high: units.seconds_interval(_number(low), _number(high)),
        raw=_raw,
        plural=units.plural,
        is_withheld=is_withheld,
        KEY=KEY,
    )
    return environment


def _visible(value: Any) -> Any:
    """Text with its control characters as escapes, so that no name can change how the page reads."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def prose(text: str) -> Markup:
    """A sentence as HTML: text between backticks as code, no line break between a number and its unit."""
    pieces = []
    for index, piece in enumerate(visible(text).split("`")):
        if index % 2:
            attribute = Markup(' class="option"') if piece.startswith("--") else ""
            pieces.append(Markup("<code{}>{}</code>").format(attribute, short(piece)))
        else:
            joined = re.sub(
                r"(?<=\d) (?=(?:%|ns|µs|ms|s|min|h|million|billion|[KMG]iB|[kMGT]?B/s|ranks?)\b|%)", "\u00a0", piece
            )
            pieces.append(escape(joined))
    return Markup("").join(pieces)


def breakable(name: str) -> Markup:
    """A name that may be broken after an underscore; one of over 300 letters is shortened in its middle.

    Its writing direction is isolated from that of the text around it.
    """
    full = visible(name, spaces=False)
    shown = short(full)
    title = Markup(' title="{}"').format(full) if shown != full else ""
    return Markup("<bdi{}>{}</bdi>").format(title, Markup("_<wbr>").join(shown.split("_")))


def _number(value: Any) -> float | None:
    return None if value is None or value != value else float(value)  # only NaN differs from itself


def _raw(value: Any) -> str:
    """A number as a sort key; the empty text sorts last."""
    number = _number(value)
    return "" if number is None else repr(number)


def date(started: str) -> str:
    """The start of a run in words; the file's text unchanged if it is no date."""
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        return started
    return f"{moment.day} {moment:%B %Y, %H:%M %Z}".strip()  # not every system supports %-d
