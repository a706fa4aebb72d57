"""The driver of a fleet, with machines that answer at once: whatever happens to them, every family is measured once."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bench.fleet.pretended import SUITE, Cluster, Machine
from torchduet.bench.fleet import messages
from torchduet.bench.fleet.admission import FleetError
from torchduet.bench.fleet.driver import Driver
from torchduet.bench.fleet.journal import FleetJournal, Header, Log
from torchduet.bench.fleet.options import FleetOptions
from torchduet.bench.fleet.result import Result, words
from torchduet.bench.fleet.words import no_machine
from torchduet.bench.host.signals import StopRequest

HEADER = Header(options={}, sources={}, started="")


class Fleet:
    """A driver with pretended machines, and what came of it."""

    def __init__(self, cluster: Cluster, path: Path, journal: FleetJournal | None = None, **options: Any) -> None:
        self.cluster, self.path = cluster, path
        self.journal = journal or FleetJournal.create(path / "fleet.journal", HEADER)
        self.files: dict[str, list[dict[str, Any]]] = {}
        self.lines: list[str] = []
        self.shown: list[str] = []
        self.stop = StopRequest()
        self.stop.graceful = True
        self.driver = Driver(
            FleetOptions(given={}, **{"split": True, **options}),
            cluster,
            self.journal,
            self._keep,
            stop_request=self.stop,
            say=self.lines.append,
            show=self.shown.append,
            now=cluster.now,
        )

    def run(self) -> Result:
        result = self.driver.run()
        left = [process.machine.host for process in self.cluster.processes.values()]
        assert set(left) <= {"hangs"}, "every machine is released"
        return result

    def measured(self) -> Counter[str]:
        """How often each family is in the journal."""
        entries = [entry for log in self.journal.logs.values() for entry in self.journal.entries(log)]
        return Counter(entry["name"] for entry in entries if entry["kind"] == "family")

    def _keep(self, log: Log, document: dict[str, Any]) -> None:
        self.files.setdefault(log.planned.host, []).append(document)


ONCE = Counter(dict.fromkeys(SUITE, 1))


def test_machines_of_one_kind_share_the_suite_and_each_has_its_file(tmp_path: Path) -> None:
    a, b = Machine("a"), Machine("b")
    fleet = Fleet(Cluster([a, b]), tmp_path)
    result = fleet.run()
    assert fleet.measured() == ONCE
    assert {"long"} <= set(a.measured)
    assert len(a.measured) < len(SUITE)
    assert not result.unreached
    assert fleet.files.keys() == {"a", "b"}
    assert "[4/4 families] · 2 machines" in " ".join(fleet.shown)


def test_each_kind_measures_the_whole_suite(tmp_path: Path) -> None:
    machines = [Machine("a", "1111", "A100"), Machine("b", "2222", "H100"), Machine("c", "2222", "H100")]
    fleet = Fleet(Cluster(machines), tmp_path, each="accelerator")
    fleet.run()
    assert fleet.measured() == Counter(dict.fromkeys(SUITE, 2))
    assert set(machines[0].measured) == set(SUITE)
    assert {*machines[1].measured, *machines[2].measured} == set(SUITE)


def test_without_split_one_machine_of_a_kind_measures_and_another_takes_its_place_when_it_dies(tmp_path: Path) -> None:
    a, b = Machine("a"), Machine("b")
    cluster = Cluster([a, b])
    cluster.dies(a, at=10.0)
    fleet = Fleet(cluster, tmp_path, split=False)
    result = fleet.run()
    assert a.measured == ["long"]
    assert sorted(b.measured) == ["last", "middle", "short"]
    assert not result.unreached
    assert "a died; middle is queued again" in fleet.lines


def test_a_machine_with_the_same_accelerator_but_another_key_is_not_mixed_with_the_others(tmp_path: Path) -> None:
    machines = [Machine("a", "1111", "A100"), Machine("b", "2222", "A100"), Machine("c", "2222", "A100")]
    fleet = Fleet(Cluster(machines), tmp_path, each="accelerator")
    fleet.run()
    assert machines[0].measured == []
    assert any(line.startswith("a takes no part: it is another machine with the same acc") for line in fleet.lines)


def test_a_machine_that_joins_takes_part(tmp_path: Path) -> None:
    a, late = Machine("a"), Machine("late")
    cluster = Cluster([a])
    cluster.joins(late, at=3.0)
    fleet = Fleet(cluster, tmp_path)
    fleet.run()
    assert late.measured
    assert fleet.measured() == ONCE


def test_a_new_kind_that_joins_measures_its_own_suite(tmp_path: Path) -> None:
    cluster = Cluster([Machine("a")])
    other = Machine("late", "2222", "H100")
    cluster.joins(other, at=3.0)
    fleet = Fleet(cluster, tmp_path)
    fleet.run()
    assert set(other.measured) == set(SUITE)


def test_a_machine_whose_process_has_died_goes_on_with_what_it_had_measured(tmp_path: Path) -> None:
    a = Machine("a")
    cluster = Cluster([a])
    cluster.dies(a, at=10.0)
    cluster.joins(a, at=12.0)
    fleet = Fleet(cluster, tmp_path)
    fleet.run()
    assert fleet.measured() == ONCE
    assert len(fleet.journal.logs) == 1
    (document,) = fleet.files["a"]
    assert len(document["benchmarks"]) == len(SUITE)


def test_a_family_that_kills_its_machines_is_given_up_with_that_reason(tmp_path: Path) -> None:
    machines = [Machine(name, dies_with=("middle",)) for name in "abcd"]
    fleet = Fleet(Cluster(machines), tmp_path)
    result = fleet.run()
    assert result.failed == {"CPU aaaa (aaaa)": {"middle": "3 machines were lost while they measured middle"}}
    assert fleet.measured() == ONCE - Counter(["middle"])
    assert "it is given up" in " ".join(fleet.lines)
    assert "middle has failed: 3 machines were lost" in words(result)[0]


def test_a_machine_that_is_taken_away_sends_what_it_has_and_its_family_is_not_measured_twice(tmp_path: Path) -> None:
    a, b = Machine("a"), Machine("b")
    cluster = Cluster([a, b])
    cluster.is_taken_away(a, at=2.0)
    fleet = Fleet(cluster, tmp_path)
    fleet.run()
    assert any(isinstance(order, messages.Stop) for order in a.orders)
    assert fleet.measured() == ONCE
    assert "a" in fleet.files


def test_a_machine_on_which_nothing_works_leaves_the_rest_to_others(tmp_path: Path) -> None:
    fleet = Fleet(Cluster([Machine("a", stops_after=1), Machine("b")]), tmp_path)
    result = fleet.run()
    assert fleet.measured() == ONCE
    assert not result.unreached
    assert "a measures no more: three workloads gave no answer" in fleet.lines


@pytest.mark.parametrize("each", ["machine", "accelerator"])
def test_other_versions_are_named_and_refused_before_anything_is_measured(tmp_path: Path, each: str) -> None:
    other = {"torch": "2.12", "python": "3.12.1", "torchduet": "0.1.0"}
    machines = [Machine("a"), Machine("b", versions=other), Machine("c")]
    fleet = Fleet(Cluster(machines), tmp_path, each=each)
    with pytest.raises(FleetError) as error:
        fleet.run()
    assert "torch: 2.12 on b, 2.13 on a and c" in str(error.value)
    assert "python: 3.11.7 on a and c, 3.12.1 on b" in str(error.value)
    assert not any(machine.measured for machine in machines)


def test_a_machine_with_other_versions_that_joins_takes_no_part(tmp_path: Path) -> None:
    late = Machine("late", versions={"torch": "2.12"})
    cluster = Cluster([Machine("a")])
    cluster.joins(late, at=3.0)
    fleet = Fleet(cluster, tmp_path)
    fleet.run()
    assert late.measured == []
    assert "late takes no part: its versions are not those of the fleet: torch: 2.12 on late, 2.13 on a" in fleet.lines


def test_builds_of_one_release_of_pytorch_may_differ_between_kinds_but_not_within_one(tmp_path: Path) -> None:
    builds = {build: {**Machine("a").versions, "torch": f"2.13.0+{build}"} for build in ("cpu", "cu130")}
    cpu, gpu = Machine("cpu", "1111", versions=builds["cpu"]), Machine("gpu", "2222", "H100", versions=builds["cu130"])
    assert not Fleet(Cluster([cpu, gpu]), tmp_path).run().unreached
    (tmp_path / "again").mkdir()
    with pytest.raises(FleetError, match=r"torch: 2\.13\.0\+cpu on other, 2\.13\.0\+cu130 on gpu"):
        Fleet(Cluster([cpu, gpu, Machine("other", "2222", "H100", versions=builds["cpu"])]), tmp_path / "again").run()


def test_a_gpus_driver_is_compared_between_machines_that_have_one(tmp_path: Path) -> None:
    versions = Machine("a").versions
    machines = [Machine("cpu"), Machine("a", versions={**versions, "driver": "550"})]
    Fleet(Cluster(machines), tmp_path).run()
    machines += [Machine("b", versions={**versions, "driver": "570"})]
    (tmp_path / "again").mkdir()
    with pytest.raises(FleetError, match="driver: 550 on a, 570 on b"):
        Fleet(Cluster(machines), tmp_path / "again").run()


def test_a_machine_that_cannot_measure_is_left_out_and_named(tmp_path: Path) -> None:
    broken = Machine("broken", problem="no folder for temporary files can be written to: make room there")
    fleet = Fleet(Cluster([broken, Machine("a")]), tmp_path)
    assert not fleet.run().unreached
    assert f"broken takes no part: {broken.problem}" in fleet.lines


def test_where_no_machine_can_measure_each_reason_is_given(tmp_path: Path) -> None:
    machines = [Machine("a", problem="--when-busy refuse: cuda:0 is used"), Machine("b", problem="no torch")]
    with pytest.raises(FleetError) as error:
        Fleet(Cluster(machines), tmp_path).run()
    assert "a: --when-busy refuse: cuda:0 is used" in str(error.value)
    assert "b: no torch" in str(error.value)


def test_a_case_that_no_machine_has_is_refused_and_one_that_some_have_is_not(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="no case of any machine matches"):
        Fleet(Cluster([Machine("a", unmatched=["x"]), Machine("b", unmatched=["x"])]), tmp_path).run()
    (tmp_path / "again").mkdir()
    gpu_only = Machine("cpu", "1111", unmatched=["* cuda *"], families={})
    fleet = Fleet(Cluster([gpu_only, Machine("gpu", "2222")]), tmp_path / "again")
    assert not fleet.run().unreached
    assert "cpu takes no part: the options select no case that it can measure" in fleet.lines


def test_a_fleet_without_a_machine_waits_the_stated_time_and_ends_with_what_it_has(tmp_path: Path) -> None:
    a = Machine("a")
    cluster = Cluster([a])
    cluster.dies(a, at=10.0)
    fleet = Fleet(cluster, tmp_path, wait_seconds=300.0)
    result = fleet.run()
    assert 310 <= cluster.time < 320
    assert result.unreached == {"CPU aaaa (aaaa)": ["middle", "short", "last"]}
    assert words(result) == ["CPU aaaa (aaaa): 3 of 4 families are not measured: middle, short and last"]
    assert "3 families wait for a machine, at most 5 min more (--wait)" in " ".join(fleet.shown)


def test_a_machine_that_comes_back_within_that_time_measures_the_rest(tmp_path: Path) -> None:
    a, b = Machine("a"), Machine("b")
    cluster = Cluster([a])
    cluster.dies(a, at=10.0)
    cluster.joins(b, at=200.0)
    fleet = Fleet(cluster, tmp_path, wait_seconds=300.0)
    assert not fleet.run().unreached
    assert fleet.measured() == ONCE


def test_a_cluster_without_machines_says_for_how_long_it_was_waited(tmp_path: Path) -> None:
    cluster = Cluster()
    cluster.busy = {"a": "is used by others"}
    with pytest.raises(FleetError, match=r"no machine took part within 1 min \(--wait\): a is used by others"):
        Fleet(cluster, tmp_path, wait_seconds=60.0).run()


def test_a_cluster_that_has_no_machine_at_all_is_said_at_once_with_what_to_do(tmp_path: Path) -> None:
    cluster = Cluster()
    cluster.without_machines = no_machine("10.0.0.5:6379")
    fleet = Fleet(cluster, tmp_path, wait_seconds=60.0)
    seen: list[tuple[list[str], str]] = []
    cluster.calls(lambda: seen.append((list(fleet.lines), fleet.shown[-1])), at=1.0)
    why = "the cluster has no machine with CPUs: ray start --address 10.0.0.5:6379 on another machine"
    with pytest.raises(FleetError, match=rf"no machine took part within 1 min \(--wait\): {why}"):
        fleet.run()
    ((lines, shown),) = seen
    assert lines == [f"waiting for a machine, at most 1 min more (--wait): {why}"]
    assert why in shown
    assert fleet.lines == lines, "said once"


def test_a_cluster_that_has_lost_its_machines_says_so_again(tmp_path: Path) -> None:
    a, b, cluster = Machine("a"), Machine("b"), Cluster()

    def has_none(text: str) -> Callable[[], None]:
        return lambda: setattr(cluster, "without_machines", text)

    cluster.without_machines = no_machine("10.0.0.5:6379")
    cluster.joins(a, at=20.0)
    cluster.calls(has_none(""), at=19.0)
    cluster.dies(a, at=25.0)
    cluster.calls(has_none(cluster.without_machines), at=24.0)
    cluster.joins(b, at=50.0)
    cluster.calls(has_none(""), at=49.0)
    fleet = Fleet(cluster, tmp_path, wait_seconds=60.0)
    assert not fleet.run().unreached
    assert sum("the cluster has no machine with CPUs" in line for line in fleet.lines) == 2


def test_a_machine_that_never_describes_itself_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    fleet = Fleet(Cluster([Machine("a"), Machine("hangs", describing=1e6)]), tmp_path, wait_seconds=60.0)
    assert not fleet.run().unreached
    assert fleet.cluster.time < 300
    (tmp_path / "again").mkdir()
    fleet = Fleet(Cluster([Machine("hangs", describing=1e6)]), tmp_path / "again", wait_seconds=60.0)
    with pytest.raises(FleetError, match=r"no machine took part within 1 min \(--wait\): hangs is starting"):
        fleet.run()


def test_ctrl_c_lets_every_machine_send_what_it_has(tmp_path: Path) -> None:
    a, b = Machine("a"), Machine("b")
    cluster = Cluster([a, b])
    fleet = Fleet(cluster, tmp_path)
    cluster.calls(lambda: setattr(fleet.stop, "number", signal.SIGINT), at=4.0)
    result = fleet.run()
    assert result.stopped == "stopped by SIGINT"
    assert fleet.files.keys() == {"a", "b"}
    assert result.unreached
    assert cluster.time < 20


def test_a_machine_that_does_not_answer_a_stop_request_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    a = Machine("a", families={"long": 1e4})
    cluster = Cluster([a])
    fleet = Fleet(cluster, tmp_path)
    cluster.calls(lambda: setattr(fleet.stop, "number", signal.SIGTERM), at=4.0)
    fleet.driver.run()
    assert cluster.time < 60


def test_machines_share_the_budget_by_what_they_have_measured(tmp_path: Path) -> None:
    a, b = Machine("a", budget=60.0), Machine("b", budget=60.0)
    Fleet(Cluster([a, b]), tmp_path).run()
    firsts = [order.seconds for order in a.orders if isinstance(order, messages.Measure)]
    assert firsts[0] == pytest.approx(30.0)
    parts = {
        machine.host: order.seconds
        for machine in (a, b)
        for order in machine.orders
        if isinstance(order, messages.Visit)
    }
    assert sum(parts.values()) == pytest.approx(60.0)
    assert parts["a"] == pytest.approx(60.0 * sum(SUITE[name] for name in a.measured) / sum(SUITE.values()))


def test_where_the_time_is_too_short_for_all_suites_take_turns(tmp_path: Path) -> None:
    a = Machine("a", budget=1.0, least=2.0)
    Fleet(Cluster([a]), tmp_path).run()
    assert a.measured == sorted(SUITE)


def test_one_machine_of_a_kind_makes_the_warm_starts_that_a_tier_chooses(tmp_path: Path) -> None:
    machines = [Machine("a"), Machine("b"), Machine("c", "2222")]
    Fleet(Cluster(machines), tmp_path).run()
    begun = {m.host: order for m in machines for order in m.orders if isinstance(order, messages.Begin)}
    assert [begun[host].warm_starts for host in "abc"] == [True, False, True]


def test_a_killed_driver_is_continued_nothing_is_measured_again_and_machines_that_are_gone_keep_theirs(
    tmp_path: Path,
) -> None:
    a, gone = Machine("a"), Machine("gone")
    cluster = Cluster([a, gone])
    fleet = Fleet(cluster, tmp_path)
    cluster.calls(lambda: (_ for _ in ()).throw(SystemExit), at=7.5)  # as SIGKILL: nothing is done after it
    with pytest.raises(SystemExit):
        fleet.run()
    before = {"a": list(a.measured), "gone": list(gone.measured)}
    assert before == {"a": [], "gone": ["middle", "last"]}
    fleet.journal.close()
    journal = FleetJournal.reopen(fleet.path / "fleet.journal")
    b = Machine("b")
    again = Fleet(Cluster([a, b]), tmp_path, journal)
    result = again.run()
    assert again.measured() == ONCE
    assert not result.unreached
    assert len(journal.logs) == 3
    continued = [order for order in a.orders if isinstance(order, messages.Begin)][-1]
    assert [entry["kind"] for entry in continued.entries] == ["run", "began"]


def test_a_fleet_of_other_versions_does_not_continue_it(tmp_path: Path) -> None:
    fleet = Fleet(Cluster([Machine("a")]), tmp_path)
    fleet.run()
    fleet.journal.close()
    journal = FleetJournal.reopen(fleet.path / "fleet.journal")
    with pytest.raises(FleetError, match=r"torch: 2\.12 on b, 2\.13 on a"):
        Fleet(Cluster([Machine("b", versions={"torch": "2.12"})]), tmp_path, journal).run()


def test_entries_that_the_disk_does_not_take_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet(Cluster([Machine("a"), Machine("b")]), tmp_path)

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("torchduet.bench.record.journal.os.write", full)
    assert not fleet.run().unreached
    assert fleet.measured() == ONCE
    warnings = [line for line in fleet.lines if "cannot be resumed" in line]
    assert len(warnings) == 1
    assert "No space left on device" in warnings[0]


EVENTS = st.lists(
    st.tuples(st.sampled_from(["dies", "joins", "is_taken_away"]), st.integers(0, 5), st.floats(0.0, 40.0)), max_size=12
)


@settings(deadline=None, max_examples=80)
@given(
    kinds=st.lists(st.sampled_from(["1111", "2222"]), min_size=1, max_size=6),
    suite=st.dictionaries(st.sampled_from("abcdefghij"), st.floats(0.1, 20.0), min_size=1),
    events=EVENTS,
    split=st.booleans(),
)
def test_whatever_happens_each_kind_measures_each_family_once_or_says_that_it_has_not(
    tmp_path_factory: pytest.TempPathFactory,
    kinds: list[str],
    suite: dict[str, float],
    events: list[tuple[str, int, float]],
    split: bool,
) -> None:
    machines = [Machine(f"m{number}", kind, families=suite) for number, kind in enumerate(kinds)]
    cluster = Cluster(machines)
    alive = dict.fromkeys(range(len(machines)), True)
    for what, number, at in sorted(events, key=lambda event: event[2]):
        index = number % len(machines)
        if what == "joins" and not alive[index]:
            cluster.joins(machines[index], at)
            alive[index] = True
        elif what != "joins" and alive[index]:
            getattr(cluster, what)(machines[index], at)
            alive[index] = False
    fleet = Fleet(cluster, tmp_path_factory.mktemp("fleet"), split=split, wait_seconds=50.0)
    try:
        result = fleet.run()
    except FleetError:  # all machines died before any of them had described itself
        assert not any(machine.measured for machine in machines)
        return
    for name, kind in result.kinds.items():
        done = Counter(
            entry["name"]
            for log in fleet.journal.logs.values()
            if log.planned.machine == kind.machine
            for entry in fleet.journal.entries(log)
            if entry["kind"] == "family"
        )
        left = set(result.unreached.get(name, ()))
        failed = set(result.failed.get(name, ()))
        assert max(done.values(), default=1) == 1, "nothing measured is measured twice"
        assert set(done) | left | failed >= set(suite)
        assert not set(done) & (left | failed)
