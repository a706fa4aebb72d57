"""``docs/`` as a site: every link and anchor leads somewhere, and nothing is loaded from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.docs.built_site import built
from tests.docs.markdown import ROOT, pages

NOT_IN_A_TREE = re.compile(r"!!python/\S+")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("site"))


def test_every_page_is_written_and_says_its_title(site: Path) -> None:
    for page in (Path(name) for name in pages() if name.startswith("docs/")):
        at = page.relative_to("docs").with_suffix(".html")
        html = (site / (at.with_name("index.html") if at.name == "README.html" else at)).read_text("utf-8")
        title = (ROOT / page).read_text("utf-8").splitlines()[0].removeprefix("# ")
        assert re.sub(r"`", "", title) in re.sub(r"<[^>]+>", "", html.partition("<h1")[2]), page


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        html = page.read_text("utf-8")
        assert re.findall(r"<(?:script|img|iframe|link)[^>]*(?:src|href)=\"?(?:https?:)?//[^>]*>", html) == [], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\((?:https?:)?//|@import", sheet.read_text("utf-8")), sheet


def test_tables_are_tables_and_bars_have_no_backslash(site: Path) -> None:
    for page in site.glob("*.html"):
        html = page.read_text("utf-8")
        prose = re.sub(r"<(pre|code|script|style|svg)\b.*?</\1>", "", html, flags=re.S)
        assert not re.search(r"<p>\s*\||\| ?---", prose), page
        assert r"quick\|default" not in html


def test_the_notebook_is_a_page_with_its_outputs(site: Path) -> None:
    html = (site / "notebook-outputs.html").read_text("utf-8")
    assert html.count("<svg") > 6
    assert "load_ext" in html
    assert 'href="notebook-outputs.html"' in (site / "notebook.html").read_text("utf-8")


def test_a_link_out_of_the_folder_leads_to_the_repository(site: Path) -> None:
    assert "/blob/main/CONTRIBUTING.md" in (site / "suite-files.html").read_text("utf-8")


def test_the_navigation_has_every_page() -> None:
    tree = yaml.safe_load(NOT_IN_A_TREE.sub("", (ROOT / ".mkdocs.yml").read_text("utf-8")))
    named = set(re.findall(r"[\w/-]+\.md", str(tree["nav"])))
    assert named == {name.removeprefix("docs/") for name in pages() if name.startswith("docs/")} | {
        "notebook-outputs.md"
    }
