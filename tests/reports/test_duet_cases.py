"""The page and the tables of a duet have both sides of every case; the page says where the time went on both."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.reports.made_duet import duet_of
from tests.reports.rendered import with_details
from tests.reports.test_page import Page
from torchduet.bench.record.schema import KEY
from torchduet.reports.findings.duet import level
from torchduet.reports.html.run_page import render
from torchduet.reports.html.sections import parts
from torchduet.reports.markdown.comment import comment
from torchduet.reports.markdown.run import markdown
from torchduet.reports.read.run_file import from_json
from torchduet.reports.tables.flat import table_of


def row_of(page: str, anchor: str) -> list[str]:
    """The cells of a case in the table of every case, as text."""
    row = page[page.index(f'<tr id="{anchor}"') :]
    return [" ".join(Page(cell).text.split()) for cell in re.split(r"<t[hd]", row[: row.index("</tr>")])[1:]]


def test_every_case_has_both_sides_their_ratio_and_the_verdict_that_it_is_filtered_by(document: Any) -> None:
    made = duet_of(document, "slower", "same", "unclear few", "faster")
    against = [one["extra_info"][KEY]["against"] for one in made["benchmarks"]]
    against[0]["confidence"] = 0.9975
    against[1].update(ratio=0.99, low=0.985, high=1.01, base_seconds=251e-6, seconds=249e-6)
    page = render(from_json(made))
    heads = re.findall(r'data-key="\w+" data-label="([^"]+)"', page)
    assert heads[:7] == ["Case", "main", "yours", "Base / new", "99 % interval", "Verdict", "Pairs"]
    slower, same = row_of(page, "case-1"), row_of(page, "case-2")
    assert [text.rpartition(">")[2].strip() for text in slower[1:6]] == [
        *("1.00 ms", "1.08 ms", "0.93×", "0.91 to 0.93 at 99.75 %", "▼ slower"),
    ]
    assert same[1].endswith("251 µs")
    assert same[2].endswith("249 µs")
    assert same[3].endswith("0.99× ‡")
    assert row_of(page, "case-3")[4].endswith("none")
    assert page.count("‡ Base/new is from neighbouring blocks, so that drift cancels") == 1
    assert re.findall(r'<tr id="case-\d"[^>]* data-verdict="(\w+)"', page) == ["slower", "same", "unclear", "faster"]
    assert all(f'<option value="{verdict}">' in page for verdict in ("slower", "same", "unclear", "faster"))
    assert ">reference<" not in page
    details = with_details(page)
    assert "main <strong>251 µs</strong>, yours <strong>249 µs</strong> per call" in details
    assert "main 251 µs, yours 249 µs per call; base / new 0.99× (0.98 to 1.01), same" in details
    assert "‡ base/new is from neighbouring blocks" in markdown(from_json(made))
    assert "from neighbouring blocks, which the medians do not show" not in comment(from_json(made))


def test_the_tables_of_a_duet_have_both_times_and_the_ratio_of_the_new_side(document: Any) -> None:
    made = duet_of(document, "slower", "same")
    made[KEY]["against"]["base"].update(rev=None, env={"X": "1"}, label="X=1")
    made[KEY]["against"]["against"].update(label="without X", python=made[KEY]["against"]["base"]["python"])
    row = table_of(from_json(made), "cases").iloc[0]
    # X is what side A has, so that A is the new side and its times are the new ones.
    assert row["new_seconds"] == pytest.approx(1e-3)
    assert row["base_seconds"] == pytest.approx(1.1e-3, rel=0.1)
    assert row["ratio"] == pytest.approx(row["base_seconds"] / row["new_seconds"])
    assert (row["verdict"], row["against"]) == ("faster", "without X")
    assert "new_seconds" not in table_of(from_json(document), "cases")


def test_where_the_time_of_a_duet_went_is_said_of_its_stages_and_of_an_earlier_file_together(document: Any) -> None:
    made = duet_of(document, "slower")
    seconds = {"total": 40.0, "startup": 2.0, "compiling": 0.0, "checking": 0.0, "warming": 30.0, "timed": 1.0}
    made[KEY]["seconds"] = seconds
    earlier = {words: value for words, value, _ in parts(from_json(made))}
    assert earlier == {
        "Starting up": 2.0,
        "Beside the blocks: starting processes, first calls, checks, warming up, handing over": 30.0,
        "Timed blocks of both sides": 1.0,
        "Everything else": 7.0,
    }
    made[KEY]["seconds"] = {**seconds, "warming": 6.0, "interpreters": 20.0, "handing_over": 3.0, "peak_memory": 1.0}
    now = {words: value for words, value, _ in parts(from_json(made))}
    assert now["Starting fresh interpreters on both sides"] == 20.0
    assert now["Handing over to the other side, and warming up before a block"] == 3.0
    assert sum(now.values()) == 40.0


@pytest.mark.parametrize(
    ("confidence", "words"), [(0.99, "99 %"), (0.9975, "99.75 %"), (1 - 0.01 / 300, "99.9967 %"), (0.995, "99.5 %")]
)
def test_a_level_is_given_with_what_it_leaves(confidence: float, words: str) -> None:
    assert level(confidence) == words


def test_controls_are_counted_beside_the_cases_and_named(document: Any) -> None:
    page = render(from_json(duet_of(document, "slower", "same", "same control")))
    assert "2 cases and 1 control:" in Page(page).text
    assert [row_of(page, f"case-{number}")[0].endswith("control") for number in (1, 2, 3)] == [False, False, True]
