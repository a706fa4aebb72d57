"""The page is one valid, self-contained file that says what the run says, whatever the names in it."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.reports.rendered import a_part, page_of, with_details
from tests.reports.rich import make_rich_run
from tests.reports.sample import empty_run, make_run
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.speedups import counted
from torchduet.reports.charts.bars import Step, waterfall
from torchduet.reports.findings.advice import answers
from torchduet.reports.findings.claims import judge
from torchduet.reports.html.case_details import speedups_of
from torchduet.reports.html.environment import prose
from torchduet.reports.html.rows_chart import rows_chart
from torchduet.reports.html.run_page import render
from torchduet.reports.html.sections import suites
from torchduet.reports.read.run_file import Run, from_json
from torchduet.reports.tables.frames import frames
from torchduet.reports.tables.roofline import bounds

HOSTILE = "<script>alert(1)</script>\"'&$x_1$ {{7*7}} \u202e🦆 --></style>"


class Page(HTMLParser):
    """What a test wants to know of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.tags if name in attributes]


def make_older() -> Any:
    return make_run(visits=0)


@pytest.fixture(scope="module", params=[make_older, make_run, make_rich_run], ids=["older", "plain", "rich"])
def make(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """A run of an older file, a plain one, and one with everything that a file can have."""
    made: Callable[[], Any] = request.param
    return made


@pytest.fixture(scope="module")
def measured(make: Callable[[], Any]) -> Run:
    return from_json(make())


@pytest.fixture(scope="module")
def page(make: Callable[[], Any]) -> Page:
    return Page(with_details(page_of(make)))


@pytest.fixture(scope="module")
def plain_page() -> Page:
    return Page(with_details(page_of(make_run)))


@pytest.fixture(scope="module")
def rich_page() -> Page:
    return Page(with_details(page_of(make_rich_run)))


@pytest.fixture(scope="module")
def hostile() -> Page:
    text = json.dumps(a_part(make_rich_run()))
    for name in ("square", "mlp", "784-100-10", "Unsupported", "batch_1000", "decoded", "epochs", "1/s"):
        text = text.replace(name, json.dumps(HOSTILE)[1:-1])
    return Page(with_details(render(from_json(json.loads(text)))))


def test_a_page_of_fifty_cases_is_read_in_a_sitting() -> None:
    """5,000 words and 600 kB are the limits of a page of the quick tier, which has about as many cases."""
    source = page_of(make_run)
    page = Page(source)
    style, script = (source[source.index(f"<{tag}>") : source.index(f"</{tag}>")] for tag in ("style", "script"))
    words = sum(any(map(str.isalpha, word)) for word in page.text.split())
    code = sum(any(map(str.isalpha, word)) for text in (style, script) for word in text.split())
    assert words - code <= 5_000
    assert len(source.encode()) <= 600_000


def test_nothing_is_loaded_from_anywhere(page: Page) -> None:
    for name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
        assert all(value.startswith(("#", "data:")) for value in page.attributes(name)), name
    css = page.source[page.source.index("<style>") : page.source.index("</style>")]
    assert "url(" not in css
    assert "@import" not in css
    assert {tag for tag, _ in page.tags}.isdisjoint({"iframe", "object", "embed", "img", "base"})


def test_the_policy_lets_no_script_run_but_the_pages_own(page: Page) -> None:
    (policy,) = [attributes["content"] for _, attributes in page.tags if "http-equiv" in attributes]
    script = re.search(r"<script>(.*)</script>", page.source, re.DOTALL)
    assert script
    digest = base64.b64encode(hashlib.sha256(script.group(1).encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}';" in policy
    assert page.source.count("<script") == 1
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_ids_are_unique_and_every_link_within_the_page_has_a_target(page: Page) -> None:
    ids = Counter(page.attributes("id"))
    assert [name for name, number in ids.items() if number > 1] == []
    links = [value[1:] for name in ("href", "xlink:href") for value in page.attributes(name) if value.startswith("#")]
    assert [link for link in links if "=" not in link and link not in ids] == []
    used = re.findall(r"url\(#([^)]*)\)", page.source)
    assert set(used) <= set(ids)
    for name in ("aria-labelledby",):
        assert set(page.attributes(name)) <= set(ids)


def test_headings_do_not_skip_a_level(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_every_chart_has_a_text_alternative(page: Page) -> None:
    drawings = [attributes for tag, attributes in page.tags if "drawing" in attributes.get("class", "").split()]
    assert len(drawings) >= 3
    assert all(one["role"] == "img" and len(one["aria-label"]) > 40 for one in drawings)


def test_every_table_has_a_caption_and_scoped_headers(page: Page) -> None:
    tags = [tag for tag, _ in page.tags]
    assert tags.count("table") == tags.count("caption")
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")


def test_every_case_has_a_row_and_details(page: Page, measured: Run) -> None:
    rows = [attributes for tag, attributes in page.tags if tag == "tr" and "data-verdict" in attributes]
    assert len(rows) == len(measured.records)
    ids = set(page.attributes("id"))
    assert {f"case-{place + 1}" for place in range(len(measured.records))} <= ids


def test_what_was_not_measured_is_said_with_its_reason(page: Page, measured: Run) -> None:
    for one in (*measured.about["failed"], *measured.about["skipped"], *measured.about["unavailable"]):
        assert one["reason"] in page.text
    assert measured.about["warnings"][0] in page.text


def test_graph_breaks_are_shown_with_their_reason(page: Page) -> None:
    assert "Unsupported: optimizer step hooks" in page.text


def test_rates_are_of_what_is_counted(document: Any) -> None:
    records = [benchmark["extra_info"][KEY] for benchmark in document["benchmarks"]]
    counting = [record for record in records if "samples" in record["cost"]]
    suite = counting[0]["case"]["suite"]
    counting = [record for record in counting if record["case"]["suite"] == suite]
    assert len(counting) > 1

    def column() -> tuple[str, set[str]]:
        run = from_json(document)
        (entry,) = (entry for entry in suites(run, frames(run)) if entry["name"] == suite)
        page = render(run)
        named = {unit for unit in ("tokens", "images") if f'<span class="quiet">{unit}</span>' in page}
        return entry["rates"][-1][1], named

    assert column() == ("samples/s", set())
    for record in counting:
        record["cost"]["unit"] = "tokens"
    assert column() == ("tokens/s", set())
    counting[0]["cost"]["unit"] = "images"
    assert column() == ("per second", {"tokens", "images"})


def test_names_are_text_wherever_they_appear(hostile: Page) -> None:
    assert hostile.source.count("<script") == 1
    assert "alert(1)</script>" not in hostile.source.split("<script>")[0]
    assert hostile.source.count("</style>") == 1
    assert "<script>alert(1)</script>" in hostile.text
    assert "$x_1$ 49" not in hostile.text
    assert "{{7*7}}" in hostile.text


def test_names_in_charts_are_text_and_no_formula() -> None:
    drawn = waterfall([Step(HOSTILE, 0.0, 1.0, "", HOSTILE)], "w")
    assert any("$x_1$" in text for text in re.findall(r"<text[^>]*>([^<]*)</text>", drawn))
    assert "<script" not in drawn


def test_charts_take_their_colours_from_the_page(page: Page) -> None:
    drawn = "".join(re.findall(r"<svg.*?</svg>", page.source, re.DOTALL))
    assert "var(--muted)" in drawn
    assert "var(--line-1)" in drawn
    assert re.findall(r"#[0-9a-f]{6}", drawn) == []
    assert "<style" not in drawn
    assert "<metadata" not in drawn


def test_colours_in_names_are_left_alone() -> None:
    text = json.dumps(a_part(make_run())).replace("square", "#010203")
    assert "#010203" in Page(render(from_json(json.loads(text)))).text


def test_a_run_in_which_nothing_was_measured_has_a_page() -> None:
    page = Page(render(from_json(empty_run())))
    assert "Nothing was measured: 1 failed, 1 skipped." in page.text
    assert "wrong result" in page.text


def test_a_run_with_nothing_to_compare_shows_its_times(document: Any) -> None:
    document["benchmarks"] = document["benchmarks"][:1]
    page = Page(render(from_json(document)))
    assert "There is nothing to compare: 1 case measured" in page.text
    assert "tensor_ops" in page.text


@pytest.mark.parametrize(("placements", "visits"), [(1, 0), (7, 0), (8, 0), (1, 1), (2, 2), (3, 1)])
def test_few_placements_make_a_page(placements: int, visits: int) -> None:
    document = a_part(make_run(placements=placements, visits=visits, noise=0.05))
    assert "unclear" in Page(render(from_json(document))).text


def test_very_wide_intervals_stay_within_their_chart(document: Any) -> None:
    for one in document["benchmarks"]:
        for held in one["extra_info"][KEY]["speedups"]:
            held.update(low=held["ratio"] / 1e6, high=held["ratio"] * 1e6, verdict="unclear")
    assert "unclear" in Page(render(from_json(a_part(document)))).text


def test_a_forest_plot_has_a_row_for_every_comparison_however_many() -> None:
    found = answers(frames(from_json(make_run(copies=3))).comparisons)
    many = max(found, key=lambda one: len(one.rows))
    ratios = [entry.row.ratio for entry in rows_chart(many.rows).rows]
    assert len(ratios) == len(many.rows) > 60
    assert ratios == sorted(ratios, reverse=True)


def test_prose_keeps_numbers_with_their_units() -> None:
    assert str(prose("±2 % of `a<b`")) == "±2\u00a0% of <code>a&lt;b</code>"
    assert "6.2\u00a0s of" in prose("its 6.2 s of")
    assert "3 same" in prose("3 same")


def test_a_view_of_the_tables_says_that_its_speed_up_is_another(page: Page) -> None:
    assert "The speed-up there is over the family’s reference" in page.text
    assert "A speed-up is over the family’s reference" in page.text


def test_an_option_is_not_broken_across_lines() -> None:
    assert str(prose("(`--budget 8m`)")) == '(<code class="option">--budget 8m</code>)'


def test_notes_of_a_case_stand_in_its_details(document: Any) -> None:
    document["benchmarks"][0]["extra_info"][KEY]["notes"] = ["compiled after 1 other case"]
    text = with_details(render(from_json(a_part(document))))
    assert text.index("compiled after 1 other case") > text.index('id="details-of-case-1"')


def test_a_file_without_ceilings_says_why_there_is_no_roofline(plain_page: Page) -> None:
    assert "roofline" not in plain_page.attributes("id")
    assert "No roofline is drawn: this file holds no ceilings" in plain_page.text


def test_every_part_of_a_rich_run_has_its_section_and_a_link_from_the_top(rich_page: Page) -> None:
    for name in ("claims", "paths", "loaders", "roofline"):
        assert name in rich_page.attributes("id")
        assert f"#{name}" in rich_page.attributes("href")
    assert "No roofline" not in rich_page.text
    assert "Williams" in rich_page.text


def test_every_claim_that_was_judged_is_on_the_page_and_the_others_are_counted(rich: Run, rich_page: Page) -> None:
    judged = [one for one in judge(rich) if one.findings]
    for one in judged:
        assert f"claim-{one.claim.key}" in rich_page.attributes("id")
        assert one.claim.statement.replace("`", "")[-20:] in rich_page.text
    assert f"{len(judge(rich)) - len(judged)} other claims need other cases" in rich_page.text


def test_a_suite_of_ones_own_has_no_claims(document: Any) -> None:
    text = json.dumps(a_part(document))
    for suite in ("tensor_ops", "matmul", "einsum", "mlp"):
        text = text.replace(f'"{suite}"', '"mine"')
    assert "claims" not in Page(render(from_json(json.loads(text)))).attributes("id")


def test_a_comparison_of_a_knob_with_the_reference_is_listed_once() -> None:
    document = make_run()
    record = next(one["extra_info"][KEY] for one in document["benchmarks"] if one["extra_info"][KEY]["speedups"])
    (speedup, *_) = record["speedups"]
    record["speedups"] = [{**speedup, "knob": "reference"}, {**speedup, "knob": "mode"}]
    assert [one["knob"] for one in speedups_of(record)] == ["mode"]
    record["speedups"] = [{**speedup, "knob": "reference"}, {**speedup, "knob": "mode", "against": "another case"}]
    assert speedups_of(record) == record["speedups"]


def test_a_case_is_copied_as_markdown_and_as_a_command(plain_page: Page) -> None:
    copied = [attributes["data-copy"] for tag, attributes in plain_page.tags if "data-copy" in attributes]
    tables = [text for text in copied if text.startswith("**")]
    assert len(tables) == len(make_run()["benchmarks"])
    assert any("| against | speed-up | 99 % interval | verdict |" in text for text in tables)
    assert sum(text.startswith("torchduet run --case ") for text in copied) == len(tables)


def test_shares_above_the_ceiling_are_flagged(rich: Run, rich_page: Page) -> None:
    flagged = [attributes for tag, attributes in rich_page.tags if tag == "abbr" and "class" not in attributes]
    assert len(flagged) == sum(bound.too_high for bound in bounds(rich).values()) > 0
    assert all("above its ceiling" in attributes["title"] for attributes in flagged)
    assert "which is above its ceiling: the cost or the ceiling is wrong" in rich_page.text


def test_meters_stand_in_details_and_beside_the_table_in_their_units(rich_page: Page) -> None:
    words = rich_page.text
    assert "Meters of 4 cases: what they measure beside their time" in words  # export: size, set-up, first call
    assert "set up before in 610 ms" in words
    assert "at most 4.00 MiB beyond the inputs" in words
    assert re.search(r"samples per second: 4,\d\d0/s", words)


def test_a_download_says_which_comparisons_the_headline_does_not_count(plain_page: Page) -> None:
    run = from_json(make_run())
    counted_here = sum(len(counted(record)) for record in run.records)
    rows = len(frames(run).comparisons)
    assert f"{counted_here} comparisons:" in plain_page.text
    assert rows > counted_here
    assert f"comparisons ({rows}, {rows - counted_here} of them of several knobs at once) as CSV" in plain_page.text


def test_options_that_were_not_given_are_one_row() -> None:
    document = a_part(make_run())
    document[KEY]["options"] = {"tier": "quick", "suite": None, "threads": 1, "mode": None}
    environment = Page(render(from_json(document))).text.partition("Environment Machine")[2]
    assert "tier quick threads 1 other options default" in environment
    assert environment.count("default") == 1


def test_workers_are_a_filter_only_where_they_are_a_knob(plain_page: Page, rich_page: Page) -> None:
    assert "filter-workers" in rich_page.attributes("id")
    assert "filter-workers" not in plain_page.attributes("id")
