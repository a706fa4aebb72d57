"""Several runs side by side, the comparison in brief, the same run twice, and the data that the page draws."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from tests.reports.many import make_many
from tests.reports.remeasured import ids, remeasured
from torchduet.__main__ import main
from torchduet.bench.record.schema import KEY
from torchduet.reports.compare.brief import MAX_LINES, markdown
from torchduet.reports.compare.comparison import Comparison
from torchduet.reports.compare.details import MAX_BLOCKS, STEPS, embedded
from torchduet.reports.compare.match import compare
from torchduet.reports.compare.matrix import matrix, what_differs
from torchduet.reports.compare.page import FIRST_ROWS, MAX_TABLE_ROWS, render
from torchduet.reports.compare.text import terminal
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.read.run_file import from_json
from torchduet.reports.text.escaping import cell

SQUARE = "matmul.square[n=512] cpu eager fp32"
ADD = "tensor_ops.add[n=65536] cpu eager fp32"


def compared(base: Any, *others: Any) -> list[Comparison]:
    named = [from_json(one, f"{place}.json") for place, one in enumerate(others, 1)]
    return compare(from_json(base, "base.json"), named, Thresholds())


@pytest.fixture(scope="module")
def several(shared_document: Any) -> list[Comparison]:
    """Against the base: a case that is slower, the same on another PyTorch where another is faster, and nothing."""
    second = remeasured(shared_document, 3, slower={SQUARE: 1.2, ADD: 0.8})
    second[KEY]["machine"]["torch"] = "2.12.0"
    second[KEY]["options"]["tier"] = "full"
    second["benchmarks"] = [one for one in second["benchmarks"] if "gelu" not in one["param"]]
    return compared(
        remeasured(shared_document, 1),
        remeasured(shared_document, 2, slower={SQUARE: 1.3}),
        second,
        remeasured(shared_document, 4),
    )


def test_what_is_slower_in_any_run_stands_first(several: list[Comparison]) -> None:
    lines = matrix(several)
    assert [line.case["id"] for line in lines if line.moved] == [SQUARE, ADD]
    assert [line.case["id"] for line in lines[:2]] == [SQUARE, ADD]
    assert [one.verdict for one in lines[0].changes if one] == ["slower", "slower", "same"]
    assert lines[0].most_urgent == 0
    assert lines[1].most_urgent == 1
    missing = next(line for line in lines if "gelu" in line.case["id"])
    assert "missing" in missing.verdicts
    assert missing.measured


def test_a_column_says_what_sets_its_run_apart(several: list[Comparison]) -> None:
    assert [what_differs(one) for one in several] == [
        ["same machine, versions and settings"],
        ["PyTorch 2.12.0"],  # which cases were asked for is no such thing
        ["same machine, versions and settings"],
    ]


def test_the_terminal_shows_the_runs_side_by_side_first(several: list[Comparison]) -> None:
    lines = terminal(several).splitlines()
    assert lines[0] == "3 runs against base.json: 2 of 57 cases are slower or faster in at least one"
    assert "  2.json: PyTorch 2.12.0" in lines
    head = next(place for place, line in enumerate(lines) if line.startswith("  Case"))
    assert lines[head].split() == ["Case", "1.json", "2.json", "3.json"]
    assert lines[head + 1].split()[-6:-1:2] == ["▼", "▼", "■"]
    assert lines[head + 1].startswith(f"  {SQUARE}  ")
    assert lines[head + 2].split()[-6::2] == ["■", "▲", "■"]
    assert len({len(line) for line in lines[head : head + 3]}) == 1


def test_markdown_shows_the_runs_side_by_side_first(several: list[Comparison]) -> None:
    lines = markdown(several).splitlines()
    assert lines[0] == "### 3 runs against base.json: 2 of 57 cases are slower or faster in at least one"
    assert lines[2].startswith("| Case | 1.json (same machine, versions and settings) | 2.json (PyTorch 2.12.0) |")
    assert lines[4].startswith(f"| {cell(SQUARE)} | ▼ 0.")


@pytest.mark.parametrize("number", [1, 2, 5, 70])
def test_markdown_keeps_to_60_lines_and_ends_what_it_begins(shared_document: Any, number: int) -> None:
    everything = dict.fromkeys(ids(shared_document), 1.3)
    run = remeasured(shared_document, 2, slower=everything)
    run[KEY]["machine"]["torch"] = "2.12.0"
    run["benchmarks"] = run["benchmarks"][:-9]
    (one,) = compared(remeasured(shared_document, 1), run)
    lines = markdown([one] * number).splitlines()
    assert len(lines) <= MAX_LINES
    assert lines.count("</details>") == sum("<details>" in line for line in lines)
    assert "slower" in lines[0] or "moved" in lines[0]
    assert any("more" in line and "-o compare.html" in line for line in lines)


@pytest.fixture
def files(shared_document: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, seed in (("base", 1), ("new", 2)):
        (tmp_path / f"{name}.json").write_text(json.dumps(remeasured(shared_document, seed)), "utf-8")
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_markdown_is_written_to_a_file_or_printed_in_place_of_the_text(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "base.json", "new.json", "--markdown", "c.md"]) == 0
    assert capsys.readouterr().out.startswith("new.json against base.json")
    text = (files / "c.md").read_text("utf-8")
    assert re.match(r"### No change is shown in \d+ cases: \d+ unchanged, \d+ unclear", text)
    for arguments in (["--markdown", "-"], ["--format", "markdown"]):
        assert main(["compare", "base.json", "new.json", *arguments]) == 0
        assert capsys.readouterr().out == text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--markdown", "new.json"], "is the run's own file"),
        (["--markdown", "none/c.md"], "there is no folder"),
        (["-o", "c", "--markdown", "./c"], "choose two files"),
    ],
)
def test_markdown_that_cannot_be_written_is_refused(
    files: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    before = (files / "new.json").read_bytes()
    assert main(["compare", "base.json", "new.json", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
    assert (files / "new.json").read_bytes() == before


def test_the_same_run_twice_is_no_comparison(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads((files / "base.json").read_text())
    (files / "copy.json").write_text(json.dumps(document, indent=1))
    document["benchmarks"].pop()
    (files / "part.json").write_text(json.dumps(document))
    for arguments, says in (
        (["base.json", "base.json"], "base.json: is the same run as base.json: their contents are the same"),
        (["base.json", "copy.json"], "copy.json: is the same run as base.json: their contents are the same"),
        (
            ["base.json", "new.json", "part.json"],
            "part.json: is the same run as base.json: both began at 2026-03-02T10",
        ),
        (["new.json", "base.json", "part.json"], "part.json: is the same run as base.json"),
    ):
        assert main(["compare", *arguments]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith(f"error: {says}")
        assert "there is nothing to compare" in err


def test_runs_begun_at_the_same_second_on_two_machines_are_two_runs(files: Path) -> None:
    document = json.loads((files / "base.json").read_text())
    document[KEY]["machine"]["cpu"] = "Another CPU"
    document["benchmarks"].pop()
    (files / "other.json").write_text(json.dumps(document))
    assert main(["compare", "base.json", "other.json"]) == 0


def test_samples_are_given_as_ten_thousandths_of_the_bases_time(several: list[Comparison]) -> None:
    data = json.loads(embedded(several))
    place, one = next((place, one) for place, one in enumerate(data["cases"]) if one[0] == SQUARE)
    base = next(record for record in several[0].base.records if record["case"]["id"] == SQUARE)
    new = next(record for record in several[0].new.records if record["case"]["id"] == SQUARE)
    row = next(row for row in data["runs"][0]["rows"] if row[0] == place)
    for record, (samples, blocks) in ((base, one[-3:-1]), (new, row[-3:-1])):
        scale = base["timing"]["seconds"]
        for rounds, sample, steps in zip(record["timing"]["blocks"], samples, blocks, strict=True):
            seconds = [scale * (1 + step / STEPS) for step in steps]
            assert seconds == pytest.approx(rounds, abs=scale / STEPS)
            assert scale * (1 + sample / STEPS) == pytest.approx(sorted(rounds)[len(rounds) // 2], abs=scale / STEPS)
    facts = row[-1]
    assert facts["calls"] == [108, new["timing"]["calls_per_block"]]
    assert facts["time"] == pytest.approx([new["timing"]["low"], new["timing"]["high"]], rel=1e-4)
    assert "speedup" not in facts  # it is the reference
    assert "interrupted" not in facts  # the run does not say


def test_blocks_are_given_where_they_are_not_too_many() -> None:
    def blocks(cases: int) -> list[Any]:
        data = json.loads(embedded(compared(make_many(cases), make_many(cases, 2))))
        return [one[-2] for one in data["cases"]]

    assert all(len(one) == 20 for one in blocks(40))
    assert MAX_BLOCKS < 1000 * 2 * 20 * 10
    assert set(map(str, blocks(1000))) == {"0"}


def test_nothing_in_the_data_ends_its_element(shared_document: Any) -> None:
    text = json.dumps(shared_document).replace("square", "<!--<script></script>\\u2028")
    base, new = (remeasured(json.loads(text), seed) for seed in (1, 2))
    data = embedded(compared(base, new))
    assert "<" not in data
    assert any("<!--<script></script>" in case[0] for case in json.loads(data)["cases"])


def test_a_large_page_holds_the_rows_that_moved_and_is_compact() -> None:
    cases = MAX_TABLE_ROWS + 800
    runs = [make_many(cases, seed, changed=seed > 1, placements=8) for seed in (1, 2)]
    for one in runs:
        one["benchmarks"] = random.Random(1).sample(one["benchmarks"], cases)
    page = render(compared(*runs), 0.05)
    body = page[page.index('<table class="cases"') : page.index('<script type="application/json"')]
    verdicts = [part.split('"')[0] for part in body.split('data-verdict="')[1:]]
    assert len(verdicts) == FIRST_ROWS
    order = [("slower", "faster", "unclear", "same").index(verdict) for verdict in verdicts]
    assert order == sorted(order)
    assert verdicts[0] == "slower"
    assert len(page) < 1000 * cases + 400_000
