"""The sections of the report: each is listed once, shown where it has something to say, and led to."""

import re

import pytest

from tests.reports.sample import make_run
from torchduet.reports.html import run_page
from torchduet.reports.html.environment import TEMPLATES
from torchduet.reports.html.layout import SECTIONS, Section
from torchduet.reports.html.run_page import render
from torchduet.reports.read.run_file import from_json


@pytest.mark.parametrize("section", SECTIONS, ids=[section.id for section in SECTIONS])
def test_a_template_shows_the_section_under_its_own_anchor(section: Section) -> None:
    template = (TEMPLATES / section.template).read_text("utf-8")
    found = re.findall(r'<section id="([^"{]+)" aria-labelledby="([^"]+)"', template)
    assert found[0] == (section.id, f"{section.id}-h")
    assert all(label == f"{anchor}-h" for anchor, label in found)


def test_the_navigation_leads_to_the_sections_in_their_order() -> None:
    page = render(from_json(make_run()))
    shown = re.findall(r'<section id="([\w-]+)"', page)
    navigation = page[page.index("<nav") : page.index("</nav>")]
    assert re.findall(r'href="#([^"]+)"', navigation) == [one for one in shown if one not in ("details", "glance")]
    order = [section.id for section in SECTIONS]
    assert shown == sorted(shown, key=order.index)
    assert len(shown) > 8


def test_a_section_is_one_line_and_is_left_out_where_it_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    run = from_json(make_run())
    full = render(run)
    extra = Section("trust", "Once more", "more", lambda of: len(of.run.records))
    monkeypatch.setattr(run_page, "SECTIONS", (*SECTIONS, extra))
    assert '<a href="#trust">Once more</a>' in render(run)
    nothing = Section("trust", "Once more", "more", lambda _: None)
    monkeypatch.setattr(run_page, "SECTIONS", (*SECTIONS, nothing))
    assert render(run) == full
