"""axe-core finds nothing to object to in any page, wide or narrow, light or dark, folded or unfolded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.pages import thin_out, violations

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_axe_finds_no_violation(either: Page, scheme: Any, width: int) -> None:
    either.emulate_media(color_scheme=scheme)
    either.set_viewport_size({"width": width, "height": 900})
    either.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert violations(either) == []


def test_a_page_is_thinned_out_of_what_stands_there_often_and_of_nothing_else(rich_page: Page) -> None:
    """Every class that anything has is still there to be tried."""
    every = "[...document.querySelectorAll('body *')].map(one => `${one.tagName}.${one.getAttribute('class')}`)"
    before = rich_page.evaluate(every)
    thin_out(rich_page)
    after = rich_page.evaluate(every)
    assert set(after) == set(before)
    assert len(after) < len(before) / 3
