"""How many places in a device's memory the inputs of a case had, from the worker to the record."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
import torch

from tests.bench.caching_allocator import CachingAllocator
from tests.bench.made_visits import entries, family, first_records, visited_records
from tests.bench.test_duet_cores import CASE as DUET_CASE
from tests.bench.test_duet_cores import FakeWorker
from tests.bench.test_slabs import MIB, made, on
from torchduet import Suite
from torchduet.bench.cases.case import Case, Family
from torchduet.bench.duet.pairs import Ledger, Pace
from torchduet.bench.duet.placements import time_blocks
from torchduet.bench.duet.record import entries_of
from torchduet.bench.duet.stages import SideStages
from torchduet.bench.inputs import addresses
from torchduet.bench.inputs.addresses import Addresses
from torchduet.bench.inputs.placements import Placements
from torchduet.bench.record.marks import FEW_PLACES, address_sets, marks
from torchduet.bench.record.visits.entry import VisitEntry, with_visit
from torchduet.bench.timing.callables import Prepared, prepare
from torchduet.bench.timing.clock import CpuClock
from torchduet.bench.timing.family_inputs import FamilyInputs
from torchduet.bench.timing.timed_case import TimedCase

PAIR = family("w", "eager", "compile")


@pytest.fixture
def on_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors in the host's memory count as if they were in a device's."""
    monkeypatch.setattr(addresses, "HOST", "no such device")


def prepared(*inputs: Any, device: str = "cuda:0") -> Prepared:
    suite = Suite("s")
    workload = suite.compare("w", {"w": lambda *of: of[0] + 1}, inputs=lambda _: inputs)
    case = Case("s", "s", "w", "", (), "w", True, device, "eager", "fp32")
    return prepare(workload, case, inputs)


@pytest.mark.usefixtures("on_device")
def test_each_placement_of_a_case_counts_by_the_addresses_of_all_its_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    model = CachingAllocator()
    on(model, monkeypatch)
    x, y = made(model, 4 * MIB), made(model, 4 * MIB)
    case, placements = prepared(x, [y]), Placements((x, [y]), random.Random(0))
    for _ in range(8):
        placements.fresh()
        case.next_placement()
    assert case.context.addresses.distinct(8) == 8
    assert case.context.addresses.distinct(3) == 3
    case.next_placement()
    case.next_placement()  # they have not moved
    assert case.context.addresses.distinct(10) == 8


@pytest.mark.usefixtures("on_device")
def test_inputs_that_are_made_anew_are_looked_for_again() -> None:
    count = Addresses()
    x = torch.ones(5)
    count.add((x,))
    del x
    kept = torch.ones(7)
    count.add((kept,))
    assert count.distinct(2) is not None
    assert count._tensors[0]() is kept


@pytest.mark.usefixtures("on_device")
@pytest.mark.parametrize(("fresh", "expected"), [(False, {"3": 1}), (True, {})])
def test_a_side_of_a_duet_says_where_inputs_lay_that_it_moves_itself(fresh: bool, expected: dict[str, int]) -> None:
    suite = Suite("s")
    workload = suite.compare("w", {"w": lambda x: x + 1}, inputs=lambda _: (torch.ones(4),), fresh=fresh)
    case = prepared(torch.ones(4))
    family_of_case = Family((case.case,), (case.case,))
    stages = SideStages.__new__(SideStages)
    stages.inputs = FamilyInputs(family_of_case, workload, random.Random(0))
    case.next_placement()
    case.next_placement()
    run = TimedCase(case, CpuClock(), placements=[[], []])
    assert stages.address_sets({3: run}) == expected


def test_the_hosts_memory_does_not_count() -> None:
    case = prepared(torch.ones(5), device="cpu")
    case.next_placement()
    assert case.context.addresses.distinct(1) is None
    of_host = prepared(torch.ones(5))
    of_host.next_placement()
    assert of_host.context.addresses.distinct(1) is None


@pytest.mark.parametrize(("visits", "sets", "few"), [(1, 2, True), (3, 2, True), (4, 2, False), (1, 8, False)])
def test_a_case_whose_placements_were_at_few_addresses_has_a_mark(visits: int, sets: int, few: bool) -> None:
    records = visited_records(PAIR, visits, placements=8, address_sets=sets)
    for record in records.values():
        assert [visit["address_sets"] for visit in record["timing"]["visits"]] == [sets] * visits
        assert address_sets(record["timing"]) == (sets * visits, 8 * visits)
        assert (FEW_PLACES in marks(record)) == few


def test_a_case_with_few_placements_or_in_the_hosts_memory_has_none() -> None:
    for record in first_records(PAIR, placements=7, address_sets=2).values():
        assert FEW_PLACES not in marks(record)
    for record in first_records(PAIR, placements=8).values():
        assert "address_sets" not in record["timing"]["visits"][0]
        assert address_sets(record["timing"]) is None
        assert FEW_PLACES not in marks(record)


def test_a_visit_of_an_earlier_journal_has_no_count() -> None:
    (entry, _) = entries(PAIR, 1, address_sets=3).values()
    stored = msgspec.json.encode(entry)
    assert msgspec.json.decode(stored, type=VisitEntry).address_sets == 3
    older = msgspec.json.decode(stored.replace(b',"address_sets":3', b""), type=VisitEntry)
    assert older.address_sets is None
    (record, _) = first_records(PAIR, address_sets=3).values()
    assert address_sets(with_visit(record, older, 5.0)["timing"]) == (3, 3)


class OnAccelerator(FakeWorker):
    """Says how many sets of addresses its placements had."""

    def turn(self, message: dict[str, Any], kind: object) -> dict[str, Any]:
        return super().turn(message, kind) | {"address_sets": {"0": (5, 2)[self.side]}}


@pytest.mark.parametrize(("kind", "expected"), [(OnAccelerator, 2), (FakeWorker, None)])
def test_a_pair_has_the_count_of_the_side_with_fewer(kind: type[FakeWorker], expected: int | None) -> None:
    pair: Any = [kind(side, []) for side in (0, 1)]
    ledger = Ledger([DUET_CASE], paces={DUET_CASE: Pace(1, 1, 3, 2, 1e-3)})
    taken = time_blocks(pair, [DUET_CASE], ledger, random.Random(0))
    for worker in pair:
        worker.end()
    (entry,) = entries_of(taken).values()
    assert entry.address_sets == expected
