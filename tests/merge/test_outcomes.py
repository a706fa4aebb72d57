"""What becomes of a case that several parts speak of: for any statuses, any order and any grouping."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.merge.made_parts import about, copy, named, part, records
from torchduet.bench.merge.merging import merged
from torchduet.bench.merge.outcomes import is_wrong
from torchduet.bench.record.schema import KEY

FAMILY = "mlp.train_step[layers=784-100-10,batch=100]"
STATUSES = ("wrong", "measured", "failed", "skipped", "unreached", "absent")  # of which the first counts
REASONS = {"wrong": "its result is wrong: 0.3", "failed": "its worker died", "skipped": "takes too long"}
CASES = tuple(records(part(1, families=(FAMILY,))))[1:4]  # without the reference


def with_statuses(seed: int, statuses: tuple[str, ...]) -> Any:
    """A part of one family, in which three cases have these statuses."""
    document = copy(part(seed, families=(FAMILY,)))
    run = document[KEY]
    run |= {"failed": [], "skipped": [], "unreached": []}
    for case, status in zip(CASES, statuses, strict=True):
        record = records(document)[case]
        if status == "measured":
            continue
        document["benchmarks"] = [one for one in document["benchmarks"] if one["extra_info"][KEY] is not record]
        if status == "unreached":
            run["unreached"].append(case)
        elif status != "absent":
            entry = {"case": record["case"], "reason": f"{case}: {REASONS[status]}"}
            run["skipped" if status == "skipped" else "failed"].append(entry)
    return document


def status_of(document: Any, case: str) -> str:
    """The status of a case in a document, in which it has only one."""
    found = []
    if case in records(document):
        found.append("measured")
    for entry in about(document)["failed"]:
        if entry["case"]["id"] == case:
            found.append("wrong" if is_wrong(entry) else "failed")
    found += ["skipped" for entry in about(document)["skipped"] if entry["case"]["id"] == case]
    found += ["unreached" for name in about(document)["unreached"] if name == case]
    assert len(found) <= 1
    return found[0] if found else "absent"


@given(
    st.lists(st.tuples(*[st.sampled_from(STATUSES)] * len(CASES)), min_size=3, max_size=3),
    st.permutations(range(3)),
)
def test_one_status_counts_whatever_the_order_and_the_grouping(
    statuses: list[tuple[str, ...]], order: list[int]
) -> None:
    documents = [with_statuses(seed + 1, of) for seed, of in enumerate(statuses)]
    flat = merged(named(*documents))
    first, second, third = (documents[at] for at in order)
    nested = merged(named(merged(named(first, second)), third))
    for number, case in enumerate(CASES):
        expected = min((of[number] for of in statuses), key=STATUSES.index)
        assert status_of(flat, case) == expected
        assert status_of(nested, case) == expected
        if expected == "measured":
            measured_in = [at for at, of in enumerate(statuses) if of[number] == "measured"]
            assert records(flat)[case]["parts"] == records(nested)[case]["parts"] == measured_in
            failed_in = {f"node-{at + 1}" for at, of in enumerate(statuses) if of[number] == "failed"}
            for document in (flat, nested):
                notes = [note for note in records(document)[case]["notes"] if note.startswith("failed in another part")]
                assert set(re.findall(r"node-\d", " ".join(notes))) == failed_in
