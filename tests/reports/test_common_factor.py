"""A run that is slower or faster as a whole says so first, with the factor and what shows its cause."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.reports.plain_sample import FUNCTIONS, MORE, make_plain
from tests.reports.remeasured import remeasured
from torchduet.__main__ import main
from torchduet.bench.record.schema import KEY
from torchduet.reports.compare.brief import markdown
from torchduet.reports.compare.common_words import sentence
from torchduet.reports.compare.comparison import Comparison
from torchduet.reports.compare.match import compare
from torchduet.reports.compare.page import render
from torchduet.reports.compare.text import headline, terminal
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.read.pytest_benchmark import from_pytest_benchmark
from torchduet.reports.read.run_file import from_json


def plain(factor: float, functions: tuple[str, ...] = FUNCTIONS + MORE, seed: int = 2) -> Any:
    names = (*functions, "test_scan[10]", "test_scan[1000]")
    document = make_plain(seed, functions=functions, slower=dict.fromkeys(names, factor))
    for benchmark in document["benchmarks"]:
        if benchmark["params"]:
            stats = benchmark["stats"]
            stats |= {key: value * factor for key, value in stats.items() if isinstance(value, float)}
            stats["data"] = [factor * value for value in stats["data"]]
    return document


def of_plain(base: Any, new: Any) -> Comparison:
    return compare(from_pytest_benchmark(base, "a.json"), [from_pytest_benchmark(new, "b.json")], Thresholds())[0]


def of_ours(base: Any, new: Any) -> Comparison:
    return compare(from_json(base, "a.json"), [from_json(new, "b.json")], Thresholds())[0]


@pytest.mark.parametrize("factor", [10.0, 1.3, 0.1])
def test_a_plain_run_that_moved_as_a_whole_says_the_factor_first(factor: float) -> None:
    comparison = of_plain(plain(1.0, seed=1), plain(factor))
    assert comparison.common is not None
    assert comparison.common.shift == pytest.approx(-math.log(factor), abs=0.02)
    words = f"took {factor:.3g} times as long" if factor > 1 else "was 10.0 times as fast"
    for output in (terminal([comparison]), markdown([comparison])):
        assert "Everything" in output.splitlines()[0]
        assert "machine, build or clock" in output
        assert "nothing can be said of single cases" in output
    page = render([comparison], 0.05)
    assert "machine, build or clock" in page
    assert headline(comparison).split("; ")[0].rpartition(" ")[0].startswith(f"Everything {words.split(' ')[0]}")
    assert not comparison.of("slower")
    assert not comparison.of("faster")


def test_an_unclear_case_says_how_it_did_beside_the_others() -> None:
    comparison = of_plain(plain(1.0, seed=1), plain(10.0))
    finding = comparison.of("unclear")[0].time
    assert finding is not None
    assert "beside the common factor it took" in finding.why


@pytest.mark.parametrize("changed", [3, 8])
def test_a_part_of_the_cases_is_no_common_factor(changed: int) -> None:
    slower = dict.fromkeys((FUNCTIONS + MORE)[:changed], 2.0)
    assert of_plain(make_plain(1), make_plain(2, slower=slower)).common is None


def test_cases_that_moved_by_different_factors_have_none_in_common() -> None:
    slower = {name: 1.2 * 1.4**place for place, name in enumerate(FUNCTIONS + MORE)}
    assert of_plain(make_plain(1), make_plain(2, slower=slower)).common is None


@pytest.mark.parametrize("seed", range(2, 8))
def test_the_same_code_twice_has_no_common_factor(seed: int) -> None:
    assert of_plain(make_plain(1), make_plain(seed)).common is None


def test_few_cases_say_that_their_code_may_be_the_cause() -> None:
    comparison = of_plain(plain(1.0, ("test_a",), seed=1), plain(9.8, ("test_a",)))
    assert "All 3 cases took 9.8" in sentence(comparison)
    assert "or the code that they share" in sentence(comparison)
    assert of_plain(plain(1.0, ("test_a",), seed=1), plain(1.2, ("test_a",))).common is None


def test_pilots_that_took_as_much_longer_show_the_machine(shared_document: Any) -> None:
    base = remeasured(shared_document, 1)
    said = sentence(of_ours(base, remeasured(shared_document, 2, machine=1.5)))
    assert "the machine or its clock, not the code" in said


def test_pilots_that_did_not_move_show_what_all_cases_share(shared_document: Any) -> None:
    base = remeasured(shared_document, 1)
    families = {one["extra_info"][KEY]["case"]["family"] for one in base["benchmarks"]}
    new = remeasured(shared_document, 2, slower=dict.fromkeys(families, 1.3))
    new[KEY]["machine"]["torch"] = "2.99.0"
    comparison = of_ours(base, new)
    said = sentence(comparison)
    assert "not the machine, but what all cases share" in said
    assert f"PyTorch {base[KEY]['machine']['torch']} → 2.99.0" in said
    assert "the verdicts on single cases contain this factor" in said
    assert comparison.of("slower")


@pytest.mark.parametrize(
    ("factor", "fail_on", "code"),
    [(10.0, "slower", 1), (10.0, "all-slower", 1), (1.0, "all-slower", 0), (0.1, "all-slower", 0), (0.1, "slower", 0)],
)
def test_fail_on_has_a_word_for_a_whole_run(
    factor: float, fail_on: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.json").write_text(json.dumps(plain(1.0, seed=1)))
    Path("b.json").write_text(json.dumps(plain(factor)))
    assert main(["compare", "a.json", "b.json", "--fail-on", fail_on]) == code


def test_a_slow_machine_fails_all_slower_and_hides_what_is_slower_beside_it(
    shared_document: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.json").write_text(json.dumps(remeasured(shared_document, 1)))
    Path("b.json").write_text(json.dumps(remeasured(shared_document, 2, machine=1.5)))
    assert main(["compare", "a.json", "b.json", "--fail-on", "slower"]) == 3
    error = capsys.readouterr().err
    assert "b.json is slower as a whole" in error
    assert "no verdict is possible on any case of b.json" in error
    assert main(["compare", "a.json", "b.json", "--fail-on", "all-slower"]) == 1
