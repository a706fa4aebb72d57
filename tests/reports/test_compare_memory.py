"""Peak memory beside time in comparisons of runs: what is listed, what is counted."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.reports.many import make_many
from tests.reports.remeasured import remeasured
from torchduet.bench.record.schema import KEY
from torchduet.reports.compare.brief import MAX_LINES, markdown
from torchduet.reports.compare.comparison import Comparison
from torchduet.reports.compare.details import embedded
from torchduet.reports.compare.listed import moved
from torchduet.reports.compare.match import compare
from torchduet.reports.compare.page import MAX_TABLE_ROWS, render
from torchduet.reports.compare.text import headline, terminal
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.read.run_file import from_json
from torchduet.reports.text.escaping import cell, inline

MIB = 2**20
SQUARE = "matmul.square[n=512] cpu eager fp32"
SOFTMAX = "tensor_ops.softmax[n=65536] cpu eager fp32"
ADD = "tensor_ops.add[n=65536] cpu eager fp32"


def with_peaks(document: Any, peaks: Mapping[str, int], default: int | None = MIB) -> Any:
    """The document with the peak memory of each case; None: of those that are named only."""
    for one in document["benchmarks"]:
        record = one["extra_info"][KEY]
        if (peak := peaks.get(record["case"]["id"], default)) is not None:
            record["peak_bytes"] = peak
    return document


def compared(base: Any, new: Any) -> Comparison:
    return compare(from_json(base, "base.json"), [from_json(new, "new.json")], Thresholds())[0]


@pytest.fixture(scope="session")
def base(shared_document: Any) -> Any:
    return with_peaks(remeasured(shared_document, 1), {})


@pytest.fixture(scope="session")
def new(shared_document: Any) -> Any:
    """One case is slower and needs more, one only needs more, one needs less."""
    peaks = {SQUARE: 2 * MIB, SOFTMAX: 3 * MIB, ADD: MIB // 2}
    return with_peaks(remeasured(shared_document, 3, slower={SQUARE: 1.3}), peaks)


@pytest.fixture(scope="session")
def grown(base: Any, new: Any) -> Comparison:
    return compared(base, new)


def row_of(text: str, case: str) -> str:
    (row,) = (line for line in text.splitlines() if line.strip("| ").removeprefix("same | ").startswith(case))
    return row


def test_the_headline_counts_cases_that_need_more_memory(grown: Comparison) -> None:
    assert headline(grown) == (
        "matmul.square[n=512] eager fp32 takes 1.31 times as long, 50 cases unchanged, 5 unclear; "
        "2 cases need more memory"
    )


def test_a_case_that_only_needs_more_memory_is_listed_with_both_peaks(grown: Comparison) -> None:
    groups = {name: [change.case["id"] for change in group] for name, group in moved(grown).items()}
    assert set(groups) == {"slower", "speed-up alone", "memory alone"}
    assert groups["slower"] == [SQUARE]
    assert groups["memory alone"] == [SOFTMAX]
    text = terminal([grown])
    assert "Need more memory, and no change of their time is shown (1)" in text
    assert "1.00 MiB → 3.00 MiB" in row_of(text, SOFTMAX)
    assert "1.00 MiB → 2.00 MiB" in row_of(text, SQUARE)
    assert (
        "2 cases need more memory and 1 case needs less memory: the peak of a call differs by more than 5 %, " in text
    )
    heads = [line for line in text.splitlines() if line.lstrip().startswith("Case ")]
    assert [line.count("Memory") for line in heads] == [1, 0, 1, 0, 0]


def test_markdown_has_the_column_too_and_stays_short(grown: Comparison) -> None:
    text = markdown([grown])
    assert text.startswith(f"### {inline(headline(grown))}\n")
    assert "| Verdict | Case | Base | New | Base / new | Speed-up | Memory | Noise |" in text
    assert f"| slower | {cell(SQUARE)} |" in text
    assert f"| same | {cell(SOFTMAX)} |" in text
    assert "| 1.00 MiB → 3.00 MiB |" in text
    assert all(len(markdown([grown] * number).splitlines()) <= MAX_LINES for number in (2, 5, 70))


def test_the_page_lists_it_and_has_it_in_the_table_of_every_case(grown: Comparison) -> None:
    page = render([grown], 0.05)
    assert "<h3>Need more memory, and no change of their time is shown</h3>" in page
    assert page.count('<th scope="col" class="num">Memory</th>') == 2
    assert page.count('data-key="memory"') == 1
    cells = re.findall(r'<td class="num memory" data-v="([^"]*)">([^<]*B → [^<]*B)</td>', page)
    assert {(float(added), words) for added, words in cells} == {
        (MIB, "1.00 MiB → 2.00 MiB"),
        (2 * MIB, "1.00 MiB → 3.00 MiB"),
        (-MIB / 2, "1.00 MiB → 512 KiB"),
    }
    assert "<dt>Memory</dt>" in page


def test_rows_that_the_script_makes_have_it_as_well() -> None:
    cases = MAX_TABLE_ROWS + 10
    runs = [make_many(cases, seed, placements=8) for seed in (1, 2)]
    record = runs[1]["benchmarks"][-1]["extra_info"][KEY]
    record["peak_bytes"] = record["peak_bytes"] * 2 + MIB
    one = compared(*runs)
    data = json.loads(embedded([one]))
    assert data["memory"] is True
    texts = [data["texts"][row[-8]] for row in data["runs"][0]["rows"]]
    assert sum(map(bool, texts)) == 1
    assert 'data-key="memory"' in render([one], 0.05)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {}),  # the same in all
        ({SQUARE: 100 * MIB}, {SQUARE: 104 * MIB}),  # by less than 5 %
        ({SQUARE: 1000}, {SQUARE: 60_000}),  # by less than 64 KiB
    ],
)
def test_without_a_change_of_memory_nothing_mentions_it(
    base: Any, shared_document: Any, before: dict[str, int], after: dict[str, int]
) -> None:
    one = compared(with_peaks(json.loads(json.dumps(base)), before), with_peaks(remeasured(shared_document, 2), after))
    for text in (terminal([one]), markdown([one])):
        assert "emory" not in text
    assert ">Memory<" not in render([one], 0.05)
    assert json.loads(embedded([one]))["memory"] is False


def test_runs_without_peaks_are_compared_as_before(shared_document: Any) -> None:
    one = compared(remeasured(shared_document, 1), with_peaks(remeasured(shared_document, 2), {}))
    assert "emory" not in terminal([one])
    assert all(change.memory is None for change in one.changes)


def test_a_case_without_allocation_in_the_base_has_grown(shared_document: Any) -> None:
    base, new = (with_peaks(remeasured(shared_document, seed), {SQUARE: peak}) for seed, peak in ((1, 0), (2, MIB)))
    assert "0 B → 1.00 MiB" in row_of(terminal([compared(base, new)]), SQUARE)


def test_memory_is_compared_between_devices_and_versions_alike(base: Any, new: Any) -> None:
    other = json.loads(json.dumps(new))
    other[KEY]["machine"] |= {"torch": "2.13.0", "cpu": "Another CPU"}
    assert headline(compared(base, other)).endswith("; 2 cases need more memory")
