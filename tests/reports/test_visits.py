"""What is compared from blocks rests on visits, and every output says what that covers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.reports.in_visits import in_visits, without_visits
from tests.reports.rendered import page_of, with_details
from tests.reports.rich import make_rich_run
from tests.reports.sample import make_run
from tests.reports.test_duet import make_duet
from torchduet.bench.record.moderation import Prior, fit
from torchduet.bench.record.schema import KEY, Record
from torchduet.bench.record.visits.intervals import ratios_of
from torchduet.reports.findings.visits import VisitsFound, visits
from torchduet.reports.html.run_page import render
from torchduet.reports.markdown.run import markdown
from torchduet.reports.read.run_file import Run, from_json
from torchduet.reports.tables.pairs import PairRatio, pair_ratio, ratio_of_meters
from torchduet.reports.tables.visits import number_of_visits, prior_of, visit_numbers


def records_of(run: Run) -> dict[str, Record]:
    return {record["case"]["id"]: record for record in run.records}


def copied(document: Any) -> Any:
    return json.loads(json.dumps(document))


def older_run() -> Any:
    return make_run(visits=0)


def first_pair(run: Run) -> tuple[Record, Record]:
    """A reference and the case that is compared with it."""
    case = next(record for record in run.records if record["speedups"])
    return records_of(run)[case["speedups"][0]["against"]], case


def words_of(page: str) -> str:
    """The page's text, as it is read aloud."""
    words: list[str] = []

    class Text(HTMLParser):
        inside = ""

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            self.inside = tag
            words.extend(value for name, value in attrs if name == "aria-label" and value)

        def handle_data(self, data: str) -> None:
            if self.inside not in ("script", "style"):
                words.append(data)

    Text().feed(page)
    return " ".join(" ".join(words).split())


@pytest.mark.parametrize("make", [make_run, make_rich_run])
def test_a_comparison_from_blocks_is_the_recorded_one(make: Callable[[], Any]) -> None:
    run = from_json(make())
    by_id, prior, found = records_of(run), prior_of(run), 0
    for record in run.records:
        for speedup in record["speedups"]:
            pair = pair_ratio(by_id[speedup["against"]], record, prior)
            assert pair is not None
            recorded = (speedup["ratio"], speedup["low"], speedup["high"])
            assert (pair.ratio, pair.low, pair.high) == pytest.approx(recorded, rel=1e-9)
            assert (pair.verdict, pair.visits, pair.placements) == (speedup["verdict"], 4, 12)
            found += 1
    assert found > 90


def test_a_comparison_with_a_turned_back_side_is_its_inverse(run: Run) -> None:
    baseline, case = first_pair(run)
    forth, back = (pair_ratio(*sides, prior_of(run)) for sides in ((baseline, case), (case, baseline)))
    assert forth is not None
    assert back is not None
    assert (back.ratio, back.low, back.high) == pytest.approx((1 / forth.ratio, 1 / forth.high, 1 / forth.low))  # type: ignore[operator]


def test_a_file_without_visits_is_compared_by_its_placements() -> None:
    run = from_json(older_run())
    baseline, case = first_pair(run)
    pair = pair_ratio(baseline, case, prior_of(run))
    assert pair is not None
    assert pair.visits == 0
    assert (pair.low, pair.high) == (case["speedups"][0]["low"], case["speedups"][0]["high"])


def without_visit(record: Any, number: int) -> None:
    """The record as if its case had failed in that visit."""
    timing = record["timing"]
    start = sum(visit["placements"] for visit in timing["visits"][:number])
    del timing["blocks"][start : start + timing["visits"][number]["placements"]]
    del timing["visits"][number]


def test_a_visit_in_which_one_side_failed_is_left_out(document: Any) -> None:
    run = from_json(document)
    baseline, case = first_pair(run)
    without_visit(case, 1)
    pair = pair_ratio(baseline, case, None)
    without_visit(baseline, 1)
    assert pair == pair_ratio(baseline, case, None)
    assert isinstance(pair, PairRatio)
    assert (pair.visits, pair.placements) == (3, 9)


def test_a_visit_with_other_numbers_of_rounds_is_left_out(document: Any) -> None:
    baseline, case = first_pair(from_json(document))
    case["timing"]["blocks"][4].pop()
    pair = pair_ratio(baseline, case, None)
    assert pair is not None
    assert pair.visits == 3


def test_sides_without_a_common_visit_are_not_compared(document: Any) -> None:
    baseline, case = first_pair(from_json(document))
    for visit in case["timing"]["visits"]:
        visit["at"] += 0.5
    assert pair_ratio(baseline, case, None) is None


def test_one_visit_has_an_interval_by_what_the_others_taught(document: Any) -> None:
    baseline, case = first_pair(from_json(document))
    for record in (baseline, case):
        for _ in range(3):
            without_visit(record, 1)
    alone = pair_ratio(baseline, case, None)
    moderated = pair_ratio(baseline, case, Prior(0.01, 10.0, 20, "run"))
    assert alone is not None
    assert moderated is not None
    assert (alone.low, alone.verdict) == (None, "unclear")
    assert moderated.low is not None
    assert moderated.low < moderated.ratio / 1.03


def test_visits_that_do_not_add_up_are_none(document: Any) -> None:
    run = from_json(document)
    baseline, case = first_pair(run)
    case["timing"]["visits"][0]["placements"] += 1
    assert number_of_visits(case) == 0
    assert visit_numbers(case) == [0] * 12
    pair = pair_ratio(baseline, case, prior_of(run))
    assert pair is not None
    assert pair.visits == 0


def test_a_record_of_a_run_without_a_prior_is_moderated_by_the_runs_own_families(document: Any) -> None:
    recorded = prior_of(from_json(copied(document)))
    del document[KEY]["visits"]["priors"]
    assert prior_of(from_json(document)) == recorded
    assert recorded is not None
    assert recorded.source == "run"


def test_few_families_with_several_visits_speak_for_themselves(document: Any) -> None:
    del document[KEY]["visits"]["priors"]
    document["benchmarks"] = document["benchmarks"][:4]  # of two families
    run = from_json(document)
    assert fit([(record["case"]["family"], ratios_of(record["speedups"][0])) for record in run.records[1::2]]) is None
    assert prior_of(run) is None
    assert prior_of(from_json(without_visits(document))) is None


def test_phases_are_compared_over_visits_and_epochs_over_placements(rich: Run) -> None:
    steps = [record for record in rich.records if record["case"]["workload"] == "to_accuracy"]
    phase, epochs = (ratio_of_meters(*steps[:2], name, prior_of(rich)) for name in ("training epoch", "epochs"))
    assert phase is not None
    assert epochs is not None
    assert (phase.visits, epochs.visits) == (4, 0)
    assert (epochs.low, epochs.high) == (1 / 3, 1 / 3)


def test_a_phase_with_a_missing_value_is_not_attributed_to_visits(rich_document: Any) -> None:
    run = from_json(copied(rich_document))
    steps = [record for record in run.records if record["case"]["workload"] == "to_accuracy"]
    for step in steps[:2]:
        meter = step["meters"]["training epoch"]
        meter["not_finite"] = 1
        meter["values"].pop()
    assert ratio_of_meters(*steps[:2], "training epoch", prior_of(run)) is None


def found_in(document: Any) -> VisitsFound:
    found = visits(from_json(document))
    assert found is not None
    return found


def test_how_much_visits_differ_is_said_with_its_source(document: Any) -> None:
    priors = document[KEY]["visits"]["priors"] = [
        {"of": "speedups", "deviation": 0.019, "degrees": 3.0, "families": 22, "source": "run"},
        {"of": "times", "deviation": 0.03, "degrees": None, "families": 40, "source": "machine"},
    ]
    sentences = found_in(document).sentences
    between = "the standard deviation between visits, beyond what the placements within a visit explain, is"
    assert sentences[0] == f"Speed-ups: {between} 1.9 %, as 22 families of this run show."
    assert sentences[1] == f"Times per call: {between} 3 %, as earlier runs on this machine (40 families) show."
    priors[0].update(source="typical")
    assert "is taken to be 1.9 %: a built-in figure, measured on other machines." in found_in(document).sentences[0]
    priors[0].update(source="run", deviation=0.0)
    words = "visits differ by no more than the placements within them explain, as 22 families of this run show."
    assert found_in(document).sentences[0] == f"Speed-ups: {words}"


def test_intervals_that_rest_on_their_own_visits_are_counted(document: Any) -> None:
    document = in_visits(without_visits({**document, "benchmarks": document["benchmarks"][:4]}))
    found = found_in(document)
    assert found.number == "4 visits to each measured family"
    assert found.sentences[0].startswith("2 intervals rest on their own visits alone (Student’s t)")
    assert "In the median comparison a visit’s speed-up scatters by " in found.sentences[1]


def test_cases_that_were_visited_once_are_counted() -> None:
    found = found_in(make_run(placements=3, visits=1))
    assert found.number == "1 visit to each measured family"
    assert not found.spread
    assert "56 cases were visited once: how much their visits differ is taken from the above" in found.sentences[-1]


def test_numbers_of_visits_that_differ_are_a_range(document: Any) -> None:
    record = document["benchmarks"][0]["extra_info"][KEY]
    for _ in range(2):
        without_visit(record, 1)
    assert found_in(document).number == "2 to 4 visits to each measured family, 4 in the median"


def test_a_duet_and_an_older_file_have_no_such_section(shared_document: Any) -> None:
    assert visits(from_json(make_duet(shared_document))) is None
    assert visits(from_json(older_run())) is None


def test_the_brief_says_what_intervals_rest_on() -> None:
    assert (
        "- Intervals are at 99 %, over 4 visits to each measured family: they cover other processes and minutes."
        in markdown(from_json(make_run()))
    )
    assert "visits" not in markdown(from_json(older_run()))


def test_the_page_says_what_an_interval_covers() -> None:
    words = words_of(with_details(page_of(make_run)))
    assert "This run made 4 visits to each measured family , spread over the run, each by a fresh process." in words
    assert "covers the value that runs of the same code on this machine find on average" in words
    assert "The next run’s interval overlaps with it" in words
    assert re.search(r"Visit The measurement of a family by one fresh process", words)
    assert "or no interval after too few visits, or" in words
    assert re.search(r"4 visits, 12 placements × 9 rounds, [\d,]+ calls? per block; stopped because", words)
    assert "Visits, lowest to highest" in words


def test_nothing_on_the_page_takes_placements_for_what_an_interval_rests_on() -> None:
    for make in (make_run, make_rich_run):
        words = words_of(with_details(page_of(make)))
        assert not re.search(r"(fewer than \d+|at least \d+|times as many|too few) placements", words)


def test_the_page_of_an_older_file_says_what_its_intervals_do_not_cover() -> None:
    words = words_of(with_details(page_of(older_run)))
    assert "The next run may lie outside" in words
    assert "or fewer than 8 placements, or" in words
    assert not re.search(r"\d visits?\b", words)


@pytest.mark.parametrize(("kept", "words"), [(True, "the limit of visits"), (False, "the limit of placements")])
def test_a_limit_is_that_of_visits_where_there_are_any(kept: bool, words: str, document: Any) -> None:
    document["benchmarks"] = document["benchmarks"][:1]
    document["benchmarks"][0]["extra_info"][KEY]["timing"]["stop"] = "limit"
    page = with_details(render(from_json(document if kept else without_visits(document))))
    assert f"stopped because {words} was reached" in page


def test_an_unknown_reason_to_stop_is_shown_as_it_is(document: Any) -> None:
    document["benchmarks"] = document["benchmarks"][:1]
    document["benchmarks"][0]["extra_info"][KEY]["timing"]["stop"] = "{0} {stop}"
    assert "stopped because {0} {stop}; clock" in with_details(render(from_json(document)))


def test_a_deviation_beyond_all_bounds_is_no_error(document: Any) -> None:
    document[KEY]["visits"]["priors"][0].update(deviation=1e99)
    run = from_json(document)
    pair = pair_ratio(*first_pair(run), prior_of(run))
    assert pair is not None
    assert pair.verdict == "unclear"
    assert math.isfinite(pair.ratio)
