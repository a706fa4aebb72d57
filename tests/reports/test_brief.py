"""The report in brief: answers first, at most 60 lines, nothing in a name can leave its cell."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.reports.rich import make_rich_run
from tests.reports.sample import empty_run, make_run
from tests.reports.test_duet import make_duet
from tests.reports.with_gpu import make_gpu_run
from torchduet.__main__ import main
from torchduet.bench.record.schema import KEY
from torchduet.reports.markdown.run import MAX_LINES, markdown
from torchduet.reports.read.run_file import from_json


def test_answers_come_first_as_a_table() -> None:
    lines = markdown(from_json(make_run())).splitlines()
    assert lines[0].startswith("## Torchduet: `torch.compile` pays off in ")
    assert "run.json" in lines[4]
    head = lines.index("| knob | worth it? | verdicts | best and worst |")
    assert head < 8
    assert lines[head + 2].startswith("| `torch.compile` | ")
    assert all(line.count(" | ") == 3 for line in lines[head:] if line.startswith("| "))


def test_one_case_is_counted_in_the_singular() -> None:
    document = make_run()
    del document["benchmarks"][1:]
    document[KEY]["failed"] = [{"case": document["benchmarks"][0]["extra_info"][KEY]["case"], "reason": "no memory"}]
    text = markdown(from_json(document))
    assert "; 1 case in " in text
    assert "- 1 case failed: no memory" in text
    assert "| tensor_ops.add\\[n=65536\\] cpu eager fp32 | 18.3 µs | " in text  # its time
    assert "Nothing was compared" not in text


@pytest.mark.parametrize("make", [partial(make_run, copies=6), make_rich_run, empty_run, make_gpu_run])
def test_it_is_short_whatever_the_run(make: Callable[[], Any]) -> None:
    text = markdown(from_json(make()))
    assert len(text.splitlines()) <= MAX_LINES


def test_a_duet_says_which_cases_moved_and_how_surely() -> None:
    document = make_duet(make_run())
    lines = markdown(from_json(document)).splitlines()
    place = lines.index("| case | torch 2.12.0 | torch 2.13.0 | base / new | interval | verdict |")
    assert lines[place - 2].startswith("**With torch 2.13.0, ")
    assert "pairs of fresh processes" in lines[place - 2]
    assert all(
        line.endswith((" slower |", " faster |", " same |", " unclear |"))
        for line in lines[place + 2 :]
        if line.startswith("| ")
    )
    assert "Nothing was compared." not in lines


def test_very_many_reasons_are_cut_off_with_a_word() -> None:
    document = make_run()
    case = document["benchmarks"][0]["extra_info"][KEY]["case"]
    document[KEY]["failed"] = [{"case": case | {"id": f"c{n}"}, "reason": f"reason{n}"} for n in range(200)]
    document[KEY]["warnings"] = [f"warning {n}" for n in range(200)]
    text = markdown(from_json(document))
    assert len(text.splitlines()) <= MAX_LINES
    assert "failed for 194 more reasons, see the report" in text


def test_the_gpus_crossing_is_said_and_hostile_names_are_text() -> None:
    assert "the GPU begins to win between n=256 and 1,024" in markdown(from_json(make_gpu_run()))
    document = make_run()
    document[KEY]["warnings"] = ["a|b <script>\n# heading"]
    assert "- Warning: a\\|b &lt;script&gt; \\# heading" in markdown(from_json(document))


def test_it_goes_to_a_file_to_stdout_or_beside_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run.json"
    run.write_text(json.dumps(make_run()))
    assert main(["render", str(run), "--markdown", "-"]) == 0
    printed = capsys.readouterr().out
    assert printed == markdown(from_json(make_run()))
    assert main(["render", str(run), "--markdown", str(tmp_path / "brief.md")]) == 0
    assert (tmp_path / "brief.md").read_text() == printed
    assert {path.name for path in tmp_path.iterdir()} == {"run.json", "brief.md"}
    assert main(["render", str(run), "-o", str(tmp_path / "r.html"), "--markdown", str(tmp_path / "b.md")]) == 0
    assert (tmp_path / "r.html").exists()
    assert (tmp_path / "b.md").exists()
    assert main(["render", str(run), "--markdown", str(run)]) == 2
    assert "is the run's own file" in capsys.readouterr().err
