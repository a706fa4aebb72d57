"""A knob that only the registry has an entry for is read, compared and shown like those that came first."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.reports.remeasured import remeasured
from tests.reports.sample import make_run
from torchduet.bench.record.knobs import BY_NAME, KNOBS
from torchduet.bench.record.schema import KEY
from torchduet.reports.compare.details import embedded
from torchduet.reports.compare.match import compare
from torchduet.reports.compare.page import render as render_comparison
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.findings.advice import answers
from torchduet.reports.html.heatmap import heatmap
from torchduet.reports.html.run_page import render
from torchduet.reports.read.fast_decode import decode_typed
from torchduet.reports.read.run_file import Run, from_json
from torchduet.reports.tables.baselines import baseline_of
from torchduet.reports.tables.flat import table_of
from torchduet.reports.tables.frames import frames

NEW, TURNED, AT_REST = "memory_format", "channels_last", "contiguous"


def with_the_new_knob(document: Any) -> Any:
    """The run as it would be if what was compiled had been laid out otherwise instead."""
    text = json.dumps(document)
    for precision in ("fp32", "bf16"):
        text = text.replace(f"cpu compile {precision}", f"cpu eager {precision} {TURNED}")
    changed = json.loads(text)
    for one in changed["benchmarks"]:
        record = one["extra_info"][KEY]
        if record["case"]["mode"] == "compile":
            record["case"] |= {"mode": "eager", "settings": {NEW: TURNED}}
            record["compile"] = None
        for held in record["speedups"]:
            if (held["knob"], held["value"]) == ("mode", "compile"):
                held |= {"knob": NEW, "value": TURNED, "baseline": AT_REST}
    return changed


@pytest.fixture(scope="module")
def changed() -> Any:
    return with_the_new_knob(make_run())


@pytest.fixture(scope="module")
def turned(changed: Any) -> Run:
    return from_json(changed)


def test_a_file_from_before_says_the_references_setting(run: Run) -> None:
    table = table_of(run, "cases")
    assert set(table[NEW]) == {AT_REST}
    page = render(run)
    assert BY_NAME[NEW].heading not in page
    before, _, claims = page.partition('<section id="claims"')  # some of which are about channels_last
    assert TURNED not in before + claims.partition("<section id=")[2]


def test_it_has_an_answer_of_its_own(turned: Run) -> None:
    (answer,) = [one for one in answers(frames(turned).comparisons) if one.knob == NEW]
    assert (answer.title, answer.value, answer.baseline) == ("`channels_last`", TURNED, AT_REST)
    assert answer.sentences[0].startswith("Best: `")
    assert answer.baseline == "contiguous"


def test_it_has_a_column_in_the_heat_map_and_in_the_tables(turned: Run) -> None:
    drawn = heatmap(turned)
    assert drawn is not None
    assert (TURNED, AT_REST) in drawn.columns
    page = render(turned)
    assert BY_NAME[NEW].heading in page
    assert f'data-{NEW}="{TURNED}"' in page
    assert f'id="filter-{NEW}"' in page
    assert set(table_of(turned, "cases")[NEW]) == {TURNED, AT_REST}
    assert set(table_of(turned, "comparisons")["knob"]) >= {NEW}


def test_its_record_passes_the_fast_reader_whole(changed: Any) -> None:
    document = decode_typed(json.dumps(changed).encode())
    assert document is not None
    records = [one["extra_info"]["torchduet"] for one in document["benchmarks"]]
    assert {NEW: TURNED} in [record["case"].get("settings") for record in records]


def test_a_baseline_without_a_record_is_read_from_its_words(turned: Run) -> None:
    record = next(record for record in turned.records if record["case"].get("settings"))
    held = next(one for one in record["speedups"] if one["knob"] == "reference")
    found = baseline_of(record, held, {}).settings
    assert found is not None
    assert found[NEW] == AT_REST
    alone: Any = {**held, "value": held["baseline"], "baseline": held["value"]}
    rest = next(
        one for one in turned.records if one["case"]["reference"] and one["case"]["family"] in record["case"]["family"]
    )
    found = baseline_of(rest, alone, {}).settings
    assert found is not None
    assert found[NEW] == TURNED


def test_runs_are_compared_by_it(changed: Any) -> None:
    base, new = (from_json(remeasured(copy.deepcopy(changed), seed), f"{seed}.json") for seed in (1, 2))
    (one,) = compare(base, [new], Thresholds(0.05))
    page = render_comparison([one], 0.05)
    assert f'id="filter-{NEW}"' in page
    assert f'data-{NEW}="{TURNED}"' in page
    data = json.loads(embedded([one]))
    place = data["filters"].index(NEW)
    assert {data["texts"][case[1][place]] for case in data["cases"]} == {TURNED, AT_REST}


def test_every_entry_can_be_spoken_of() -> None:
    for knob in KNOBS:
        assert knob.heading
        assert knob.about
        assert knob.titled("2", "1")
