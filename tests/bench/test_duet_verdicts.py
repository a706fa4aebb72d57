"""From pairs to verdicts: how often identical sides are called different, and different ones found."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from torchduet.bench.duet.visiting import needs_of
from torchduet.bench.record.duets.words import headline, ordered, stages
from torchduet.bench.record.moderation import Prior, Visits, fit
from torchduet.bench.record.statistics import CONFIDENCE, THRESHOLD
from torchduet.bench.record.visits.sides import (
    MIN_PAIRS,
    Judgement,
    first_pair,
    judged,
    p_value,
    pair_of,
    with_pair,
    with_verdicts,
)

LOG_THRESHOLD = math.log1p(THRESHOLD)
SLOWER = -math.log(1.05)
WITHIN = 0.004  # standard error of a pair by its placements


def deviations(rng: random.Random, number: int, typical: float, degrees: float = 4.0) -> list[float]:
    """Standard deviations between the pairs of each case, which differ from case to case."""
    return [typical * math.sqrt(degrees / (2 * rng.gammavariate(degrees / 2, 1))) for _ in range(number)]


def pair(rng: random.Random, effect: float, deviation: float) -> float:
    """A pair's log ratio; one in 14 is off by another tenth, either way, as on a machine that others share."""
    off = rng.choice([-1, 1]) * rng.expovariate(10) if rng.random() < 1 / 14 else 0.0
    return rng.gauss(effect, math.hypot(deviation, WITHIN)) + off


def duet(rng: random.Random, effects: Sequence[float], typical: float, pairs: int) -> tuple[dict[str, Judgement], int]:
    """A whole duet in rounds: a case that is settled has no further pairs; the verdicts, and how many were settled."""
    spread = deviations(rng, len(effects), typical)
    values: list[list[float]] = [[] for _ in effects]
    settled: set[int] = set()
    level = 1 - (1 - CONFIDENCE) / len(effects)
    visits: dict[str, Visits] = {}
    prior: Prior | None = None
    for number in range(1, pairs + 1):
        for case, effect in enumerate(effects):
            if case not in settled:
                values[case].append(pair(rng, effect, spread[case]))
        if number >= 4:
            visits = {str(case): Visits(tuple(of), (WITHIN,) * len(of)) for case, of in enumerate(values)}
            prior = fit([(str(case // 2), visits[str(case)]) for case in range(len(effects))])
            settled = {case for case in range(len(effects)) if needs_of(visits[str(case)], prior, level) <= 1}
    return judged(visits, prior), len(settled)


def different(judgements: Mapping[str, Judgement]) -> dict[str, str]:
    return {name: one.verdict for name, one in judgements.items() if one.verdict in ("faster", "slower")}


@pytest.mark.parametrize("typical", [0.008, 0.02])
def test_identical_sides_are_hardly_ever_called_different(typical: float) -> None:
    rng = random.Random(3)
    false = [different(duet(rng, [0.0] * 28, typical, 12)[0]) for _ in range(25)]
    assert not any(false)  # at most 1 % of the duets may have one: 0.25 of 25


def test_not_even_where_every_case_lies_at_the_threshold() -> None:
    rng = random.Random(4)
    false = [different(duet(rng, [LOG_THRESHOLD] * 28, 0.01, 12)[0]) for _ in range(25)]
    assert sum("faster" in found.values() for found in false) <= 1  # 98 % of such counts, at 1 % of the duets
    assert not any("slower" in found.values() for found in false)


def test_slow_downs_of_five_per_cent_are_found_among_many_cases() -> None:
    rng = random.Random(5)
    effects = [0.0] * 20 + [SLOWER] * 20
    found, same, settled = 0, 0, 0
    for _ in range(10):
        judgements, number = duet(rng, effects, 0.008, 16)
        found += list(different(judgements).values()).count("slower")
        same += sum(judgements[str(case)].verdict == "same" for case in range(20))
        settled += number
    assert found >= 0.93 * 10 * 20
    assert same >= 0.85 * 10 * 20
    assert settled >= 0.85 * 10 * 40


def test_holm_judges_the_surest_at_the_strictest_level_and_keeps_interval_and_verdict_together() -> None:
    scatter = (-0.01, 0.01, -0.007, 0.007, -0.003, 0.003, -0.012, 0.012)
    cases = {
        name: Visits(tuple(centre + by * wide for by in scatter), (None,) * len(scatter))
        for name, centre, wide in (("nothing", 0.0, 0.3), ("large", 0.2, 1.0), ("barely", 0.04, 1.0))
    }
    assert 0.005 < p_value(cases["barely"], None) < 0.01
    found = judged(cases, None)
    assert {name: one.verdict for name, one in found.items()} == {
        "large": "faster",
        "nothing": "same",
        "barely": "unclear",
    }
    assert found["large"].confidence == pytest.approx(1 - 0.01 / 3)
    assert found["nothing"].confidence == CONFIDENCE
    assert found["barely"].confidence == pytest.approx(1 - 0.01 / 2)  # at 99 % it would lie beyond the threshold
    assert judged({"barely": cases["barely"]}, None)["barely"].verdict == "faster"


def test_a_p_value_is_the_level_at_which_the_interval_reaches_the_threshold() -> None:
    visits = Visits((0.05, 0.06, 0.055, 0.052, 0.058), (0.001,) * 5)
    prior = Prior(0.005, 4.0, 20, "run")
    p = p_value(visits, prior)
    assert 0 < p < 0.01
    (one,) = judged({"a": visits}, prior, 1 - p * 1.001).values()
    assert one.verdict == "faster"
    assert one.estimate.low == pytest.approx(LOG_THRESHOLD, rel=1e-2)
    (one,) = judged({"a": visits}, prior, 1 - p * 0.999).values()
    assert one.verdict == "unclear"


def test_too_few_pairs_allow_no_verdict() -> None:
    prior = Prior(0.001, 50.0, 20, "run")
    for number in range(1, MIN_PAIRS):
        visits = Visits((0.5,) * number, (0.001,) * number)
        assert p_value(visits, prior) == 1
        assert judged({"a": visits}, prior)["a"].verdict == "unclear"
    assert judged({"a": Visits((0.5,) * MIN_PAIRS, (0.001,) * MIN_PAIRS)}, prior)["a"].verdict == "faster"


def test_only_widths_and_the_size_of_the_effect_say_that_a_case_needs_more_pairs() -> None:
    prior = Prior(0.005, 10.0, 20, "run")
    values = (0.003, 0.004, 0.005, 0.004, 0.003, 0.004)
    of = Visits(values, (0.001,) * 6)
    mirrored = Visits(tuple(-value for value in values), (0.001,) * 6)
    assert needs_of(of, prior, 0.9998) == pytest.approx(needs_of(mirrored, prior, 0.9998))
    assert needs_of(of, prior, 0.9998) < 1 < needs_of(Visits((0.0, 0.1, -0.1), (0.001,) * 3), prior, 0.9998)
    assert needs_of(Visits((0.0,), (None,)), None, 0.99) == math.inf


def blocks(*ratios: float) -> tuple[list[list[float]], list[list[float]]]:
    """Two placements of A and B, whose ratios A/B are these."""
    return [[ratio * 1e-3 for ratio in ratios]] * 2, [[1e-3 for _ in ratios]] * 2


def test_a_pair_is_its_placements_medians() -> None:
    base, against = blocks(1.0, 2.0, 90.0)
    assert pair_of(base, against) == (pytest.approx(math.log(2)), 0.0)


def test_a_record_grows_by_pairs_and_is_judged_together_with_the_others() -> None:
    def record(ratio: float, family: str) -> Any:
        against = first_pair(*blocks(ratio, ratio * 1.001))
        for step in range(5):
            against = with_pair(against, *blocks(ratio * (1 + step * 1e-3), ratio))
        return {"case": {"family": family}, "against": against}

    records = {f"w{number}": record(1.0, f"w{number}") for number in range(6)} | {"fast": record(1.3, "fast")}
    found = with_verdicts(records, None)
    assert found["fast"]["against"]["verdict"] == "faster"
    assert found["w0"]["against"]["verdict"] == "same"
    of = found["fast"]["against"]
    assert (of["stage"], of["pairs"]) == ("confirmed", 6)
    assert len(of["blocks"]) == len(of["base_blocks"]) == len(of["pair_ratios"]) == len(of["pair_errors"]) == 6
    assert of["blocks"][0] == [1e-3] * 4
    assert of["interval"]["visits"] == 6
    assert of["low"] < 1.3 < of["high"] * 1.001
    assert records["fast"]["against"]["verdict"] == "unclear"  # is not changed
    old = {"case": {"family": "w"}, "against": {"verdict": "slower"}}
    assert with_verdicts({"old": old}, None) == {}  # type: ignore[dict-item]


def test_the_threshold_of_a_duet_says_what_matters() -> None:
    def record(threshold: float) -> Any:
        against = first_pair(*blocks(0.95, 0.95 * 1.001), threshold)
        for step in range(5):
            against = with_pair(against, *blocks(0.95 * (1 + step * 1e-3), 0.95))
        return {"case": {"family": "w"}, "against": against}

    verdicts = {
        threshold: with_verdicts({"w": record(threshold)}, None)["w"]["against"]["verdict"] for threshold in (0.02, 0.1)
    }
    assert verdicts == {0.02: "slower", 0.1: "same"}
    narrow = Visits((-0.05, -0.051, -0.049, -0.0505), (1e-3,) * 4)
    assert needs_of(narrow, None, 0.999, 0.1) < needs_of(narrow, None, 0.999, 0.02)


def test_the_answer_in_words() -> None:
    base, against = ({"label": f"torch {torch}", "torch": torch} for torch in ("2.12.0", "2.13.0"))
    duet: Any = {"base": base, "against": against, "screened": 4, "confirmed": 2}
    duet["confidence"] = 0.99
    verdicts = {"same": 1.0, "slower": 0.9, "faster": 1.3, "unclear": 1.01}
    records: list[Any] = [
        {"case": {"id": f"a.{verdict}"}, "against": {"verdict": verdict, "ratio": ratio}}
        for verdict, ratio in verdicts.items()
    ]
    said = headline(duet, records)
    assert said == (
        "With torch 2.13.0, 1 of 4 cases is slower and 1 faster than with torch 2.12.0: a.slower takes 1.11 times as "
        "long; 1 is the same, 1 is unclear."
    )
    assert [one["against"]["verdict"] for one in ordered(records)] == ["slower", "faster", "unclear", "same"]
    assert "2 that looked different were measured again" in stages(duet)
    for record in records[1:3]:  # of a writer that confirmed some cases by further pairs alone
        record["against"]["note"] = "looked different, but there was no time; raise --budget"
    assert stages(duet, records).endswith("2 more looked different, but there was no time; raise --budget.")
    for number, record in enumerate(records):
        record["against"] |= {"pairs": 2 + number, "pair_ratios": [1.0], "stage": "confirmed" if number else "screened"}
    assert stages(duet, records) == (
        "Each case was measured in 2 to 5 pairs of fresh processes; slower and faster, by more than 2 %, hold at 99 % "
        "for all 4 together. "
        "1 case has too few pairs for a verdict; raise --budget."
    )
