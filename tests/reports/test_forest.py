"""Forest plots: labels are whole or shortened to fit, and marks stand between named ticks."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from torchduet.reports.charts import label_fit
from torchduet.reports.charts.forest import forest
from torchduet.reports.charts.label_fit import fitted, text_width, wrapped
from torchduet.reports.charts.model import Bar
from torchduet.reports.charts.ratio_axis import axis
from torchduet.reports.html.environment import SYMBOLS

LONG = "matrix_product batch=1000 · einsum instead of mm · channels_last · compile-model · 2 workers"
RATIOS = st.floats(min_value=1e-6, max_value=1e6)


def bar(ratio: float = 1.3, label: str = "n=512", verdict: str = "faster", width: float = 0.02) -> Bar:
    return Bar("matmul.square", label, ratio, ratio * (1 - width), ratio * (1 + width), verdict)


@given(st.lists(RATIOS, min_size=1, max_size=8), st.sampled_from([110.0, 310.0]))
def test_every_mark_stands_between_two_named_ticks(ratios: list[float], points: float) -> None:
    bars = [bar(ratio) for ratio in ratios]
    low, high, named = axis(bars, points)
    assert low < named[0] <= min(ratios)
    assert max(ratios) <= named[-1] < high
    assert 1.0 in named


def test_ticks_leave_room_for_their_labels() -> None:
    bars = [bar(ratio) for ratio in (0.002, 0.7, 1.04, 9.5)]
    _, _, named = axis(bars, 310)
    assert 3 <= len(named) <= 9
    assert named[0] == 0.002


def test_a_very_wide_interval_does_not_stretch_the_axis() -> None:
    low, high, _ = axis([bar(1.1, width=0.999)], 310)
    assert low > 0.4
    assert high < 3


@pytest.mark.parametrize("narrow", [False, True])
def test_a_long_label_is_wrapped_rather_than_cut(narrow: bool) -> None:
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", forest([bar(label=LONG)], 0.02, "f", narrow=narrow))
    start = next(place for place, text in enumerate(texts) if LONG.startswith(text))
    assert LONG.endswith(texts[start + 1].split("…")[-1])
    assert len(texts[start]) > 20


def test_both_drawings_say_ratio_and_interval() -> None:
    for narrow in (False, True):
        drawn = forest([bar()], 0.02, "f", narrow=narrow)
        assert "1.30×" in drawn
        assert "1.27 to 1.33" in drawn


@given(st.text(max_size=120), st.floats(min_value=20, max_value=400))
def test_a_fitted_line_fits(text: str, points: float) -> None:
    line = fitted(text, points)
    assert text_width(line) <= points or line == "…"
    assert "\n" not in line
    assert len(wrapped(text, points)) <= 2


def test_a_shortened_name_keeps_its_end() -> None:
    assert fitted(LONG, 200).endswith("2 workers")
    assert "…" in fitted(LONG, 200)


def test_a_line_is_as_wide_as_matplotlib_would_draw_it_whatever_was_drawn_before() -> None:
    label_fit.text_width.cache_clear()
    label_fit._advance.cache_clear()
    forest([bar(label="drawn at another size")], 0.02, "f")
    for bold, weight in ((False, "normal"), (True, "bold")):
        font = FontProperties(family=label_fit.FONT, size=label_fit.FONT_POINTS, weight=weight)
        for text in ("0.818 to 0.819", LONG, "1.31×"):
            drawn, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
            assert text_width(text, bold=bold) == pytest.approx(drawn, rel=0.01)


def test_full_width_letters_are_an_em_wide() -> None:
    assert text_width("平方") == 22


def test_marks_look_as_the_symbols_in_the_text() -> None:
    assert SYMBOLS == {"faster": "▲", "slower": "▼", "same": "■", "unclear": "○", "suspected": "?"}
    filled = forest([bar(1.0, verdict="same")], 0.02, "f")
    hollow = forest([bar(1.0, verdict="unclear")], 0.02, "f")
    assert "var(--card)" not in filled
    assert "var(--card)" in hollow


def test_a_drawing_carries_nothing_but_what_is_drawn() -> None:
    drawn = forest([bar(), bar(verdict="same")], 0.02, "f")
    assert "<g" not in drawn.replace("<g clip-path", "")
    ElementTree.fromstring(drawn)
