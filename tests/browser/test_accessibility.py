"""axe-core finds nothing to object to in any page, wide or narrow, light or dark, folded or unfolded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.pages import violations

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_axe_finds_no_violation(short_page: Page, scheme: Any, width: int) -> None:
    short_page.emulate_media(color_scheme=scheme)
    short_page.set_viewport_size({"width": width, "height": 900})
    short_page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert violations(short_page) == []
