"""Turns a drawn figure into SVG for the page: unique ids, the page's colours, no style sheet.

Figures are drawn in sentinel colours. They are replaced here by the page's CSS variables, so that a chart follows
light, dark and print.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

# Sentinel colours that matplotlib draws in; VARIABLES gives the page's variable for each.
INK, MUTED, RULE, BAND = "#010203", "#020304", "#030405", "#040506"
VERDICT_COLOURS = {"faster": "#050607", "slower": "#060708", "same": "#070809", "unclear": "#08090a"}
LINE_COLOURS = ("#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04", "#0a0b05", "#0a0b06")
PAPER = "#0b0c0d"
VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    BAND: "var(--band)",
    PAPER: "var(--card)",
    **{colour: f"var(--{verdict})" for verdict, colour in VERDICT_COLOURS.items()},
    **{colour: f"var(--line-{index + 1})" for index, colour in enumerate(LINE_COLOURS)},
}
STYLE: Any = {"svg.fonttype": "none", "font.size": 11, "path.simplify": True, "axes.linewidth": 0.8}


def to_svg(figure: Figure, prefix: str) -> str:
    """The figure as an SVG element: no prolog, no style sheet, ids with the prefix, the page's colours."""
    buffer = io.StringIO()
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    with warnings.catch_warnings(), rc_context({"svg.hashsalt": prefix}):
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the browser's fonts draw the text
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    for useless in (r"<metadata>.*?</metadata>", r"<style[^>]*>.*?</style>", r"<!--.*?-->", r"<defs>\s*</defs>"):
        text = re.sub(useless, "", text, flags=re.DOTALL)
    # The page's style sheet sets the size of a point.
    text = re.sub(r' width="([\d.]+)pt"| height="[\d.]+pt"', _as_variable, text, count=2)
    return _tags_only(text, prefix)


def _as_variable(size: re.Match[str]) -> str:
    return f' style="--points: {float(size.group(1)):.0f}"' if size.group(1) else ""


def _tags_only(text: str, prefix: str) -> str:
    """Rewrite the tags only: the text between them is names, which may look like anything."""

    open_groups: list[bool] = []  # for each open group, whether it is kept

    def rewritten(match: re.Match[str]) -> str:
        tag = match.group()
        if re.match(r"</?g\b", tag):
            # Matplotlib puts everything into a group; groups with an id and nothing else are left out.
            if tag == "</g>":
                return tag if open_groups.pop() else ""
            id_only = re.fullmatch(r'<g(?: id="[^"]*")?/?>', tag) is not None
            if not tag.endswith("/>"):
                open_groups.append(not id_only)
            if id_only:
                return ""
        tag = re.sub(r'\bid="', f'id="{prefix}-', tag)
        tag = re.sub(r"(url\(|href=\")#", rf"\g<1>#{prefix}-", tag)
        tag = re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number.group()):.2f}", tag)
        tag = re.sub(r"font: (?:(\w+) )?([\d.]+px) [^;\"]*", r"font-weight: \1; font-size: \2", tag)  # before 3.10
        tag = re.sub(r"font-family: [^;\"]*;? ?|font-weight: ; ", "", tag)
        tag = re.sub(r' transform="rotate\(-?0 [^"]*"', "", tag)
        return re.sub(r"#0[0-9a-f]{5}", lambda colour: VARIABLES.get(colour.group(), colour.group()), tag)

    return re.sub(r"\n\s*", "\n", re.sub(r"<[^>]*>", rewritten, text))
