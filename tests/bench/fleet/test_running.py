"""A fleet from its options to its files, with machines that answer at once: its folder, its exit code, what it says."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.bench.fleet.pretended import SUITE, Cluster, Machine
from torchduet.bench.fleet import driver, running
from torchduet.bench.fleet.nodes import ClusterError, Nodes
from torchduet.bench.fleet.options import FleetOptions
from torchduet.bench.fleet.running import Asked, Reports, measure

GIVEN: dict[str, Any] = {"tier": "quick", "suite": None, "data": None, "threads": None, "budget": None, "case": None}


def merge(paths: Sequence[Path], target: Path) -> None:
    """Stands for the merging, which has tests of its own: what the files name as not reached."""
    runs = [json.loads(path.read_bytes())["torchduet"] for path in paths]
    unreached = [case for run in runs for case in run["unreached"]]
    target.write_text(json.dumps({"torchduet": {"unreached": unreached}}), "utf-8")


class Command:
    """``torchduet fleet``, in a folder of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder / "fleet", capsys
        self.rendered: list[str] = []
        self.render_code = 0
        self.refused: list[str] = []
        monkeypatch.chdir(folder)
        monkeypatch.setattr(running, "merge", merge)  # made-up runs are none that could be merged
        monkeypatch.setattr(running, "package", lambda folder: folder)

    def run(self, cluster: Cluster, *, resume: bool = False, given: dict[str, Any] | None = None, **own: Any) -> int:
        """Run it; its machines are those of the cluster, whose clock is the driver's."""

        def connect(*_: Any) -> Nodes:
            return cluster

        made = driver.Driver

        def on_its_clock(*positional: Any, **named: Any) -> driver.Driver:
            return made(*positional, **named, now=cluster.now)

        options = FleetOptions(given={**GIVEN, **(given or {})}, **{"split": True, "wait_seconds": 30.0, **own})
        asked = Asked(options, "auto", self.folder, resume=resume)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(running, "Driver", on_its_clock)
            return measure(asked, Reports(lambda _: {}, self._render, self._answer), self._refuse, connect)

    def says(self) -> str:
        return self._capsys.readouterr().err

    def prints(self) -> list[str]:
        return self._capsys.readouterr().out.splitlines()

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())

    def _render(self, run: str, page: str) -> int:
        self.rendered.append(run)
        if not self.render_code:
            Path(page).write_text("a page")
        return self.render_code

    def _answer(self, run: str) -> list[str]:
        return [f"the answer of {Path(run).name}"]

    def _refuse(self, error: Exception | str) -> int:
        self.refused.append(str(error))
        return 2


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path, monkeypatch, capsys)


def ending_at(cluster: Cluster, seconds: float, how: Callable[[], None]) -> Cluster:
    cluster.calls(how, at=seconds)
    return cluster


def cluster_of(hosts: Sequence[str], **about: Any) -> Cluster:
    return Cluster([Machine(host, **about) for host in hosts])


def test_all_files_are_written_and_the_journal_is_removed(command: Command) -> None:
    cluster = cluster_of(["a", "b"])
    assert command.run(cluster) == 0
    assert command.files() == ["machines/a-aaaa.json", "machines/b-aaaa.json", "merged.json", "report.html"]
    assert cluster.closed
    assert command.rendered == [str(command.folder / "merged.json")]
    assert command.prints() == ["the answer of merged.json", "", str(command.folder / "merged.json")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_while_it_connects_leaves_nothing(command: Command, number: signal.Signals) -> None:
    def connect(*_: Any) -> Nodes:
        signal.raise_signal(number)
        raise AssertionError

    asked = Asked(FleetOptions(given=GIVEN, split=True), "auto", command.folder, resume=False)
    assert measure(asked, Reports(lambda _: {}, lambda *_: 0, lambda _: []), lambda _: 2, connect) == 128 + number
    assert not command.folder.exists()


def test_a_page_that_cannot_be_written_is_an_error_beside_whole_results(command: Command) -> None:
    command.render_code = 2
    assert command.run(cluster_of(["a"])) == 2
    merged = command.folder / "merged.json"
    assert f"error: the page is not in its place; torchduet render {merged} -o" in command.says()
    assert command.files() == ["machines/a-aaaa.json", "merged.json"]


def test_results_of_another_fleet_are_not_touched(command: Command) -> None:
    assert command.run(cluster_of(["a"])) == 0
    before = (command.folder / "merged.json").read_bytes()
    assert command.run(cluster_of(["b"])) == 2
    assert command.refused == [f"-o {command.folder}: holds the results of a fleet already; name a new folder"]
    assert (command.folder / "merged.json").read_bytes() == before


def test_what_is_not_reached_is_said_with_how_to_go_on_and_a_machine_that_comes_later_measures_it(
    command: Command,
) -> None:
    a = Machine("a")
    cluster = Cluster([a])
    cluster.is_taken_away(a, at=10.0)
    assert command.run(cluster) == 1
    said = command.says()
    assert "2 of 4 families are not measured: short and last" in said
    assert "give the same options and --resume" in said
    run = json.loads((command.folder / "machines" / "a-aaaa.json").read_bytes())["torchduet"]
    assert len(run["unreached"]) == 2
    assert command.run(cluster_of(["b"])) == 2
    assert "give --resume, or name a new folder" in command.refused[0]
    assert command.run(cluster_of(["a"]), resume=True) == 0
    assert "resumed from" in command.says()
    assert json.loads((command.folder / "merged.json").read_bytes())["torchduet"]["unreached"] == []
    assert "fleet.journal" not in command.files()


def unfinished(command: Command, **options: Any) -> None:
    a = Machine("a")
    cluster = Cluster([a])
    cluster.is_taken_away(a, at=10.0)
    assert command.run(cluster, **options) == 1


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"given": {"tier": "full"}}, "tier: quick there, full here"),
        ({"given": {"case": ["a", "b"]}}, "case: none there, a, b here"),
        ({"split": False}, "split: True there, False here"),
        ({"each": "accelerator"}, "each: machine there, accelerator here"),
    ],
)
def test_another_fleet_is_not_continued(command: Command, changed: dict[str, Any], says: str) -> None:
    unfinished(command)
    before = command.files()
    assert command.run(cluster_of(["a"]), resume=True, **changed) == 2
    assert "is of another fleet: " in command.refused[0]
    assert says in command.refused[0]
    assert command.files() == before


def test_a_fleet_of_a_suite_that_was_edited_is_not_continued(command: Command, tmp_path: Path) -> None:
    suite = tmp_path / "suite" / "mine.py"
    suite.parent.mkdir()
    suite.write_text("1\n")
    unfinished(command, given={"suite": [str(suite)]})
    suite.write_text("2\n")
    assert command.run(cluster_of(["a"]), resume=True, given={"suite": [str(suite)]}) == 2
    assert command.refused[0].endswith("is of another fleet: source mine.py: it has been edited")


def test_nothing_is_left_where_nothing_could_be_measured(command: Command) -> None:
    assert command.run(cluster_of(["a"], problem="no folder for temporary files")) == 2
    assert command.refused == ["no machine can take part: a: no folder for temporary files"]
    assert not command.folder.exists()


def test_a_cluster_that_is_lost_keeps_what_was_measured(command: Command) -> None:
    def lost() -> None:
        raise ClusterError("the cluster cannot be reached any more: it is gone")

    cluster = ending_at(cluster_of(["a"]), 10.0, lost)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torchduet.bench.fleet.results.Results._of_log", lambda *_: None)
        assert command.run(cluster) == 2
    said = command.says()
    assert "error: the cluster cannot be reached any more: it is gone" in said
    assert "give the same options and --resume" in said
    assert command.run(cluster_of(["a"]), resume=True) == 0


def test_a_second_signal_ends_at_once_and_keeps_the_journal(command: Command) -> None:
    def twice() -> None:
        raise KeyboardInterrupt

    cluster = ending_at(cluster_of(["a"]), 10.0, twice)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torchduet.bench.fleet.results.Results._of_log", lambda *_: None)
        assert command.run(cluster) == 2
    assert "stopped at once" in command.says()
    assert "fleet.journal" in command.files()


def test_a_folder_that_cannot_be_written_is_one_line(command: Command) -> None:
    command.folder.write_text("a file")
    assert command.run(cluster_of(["a"])) == 2
    assert command.refused == [f"-o {command.folder}: cannot be written: File exists; name another folder"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_another_user_is_one_line(command: Command) -> None:
    command.folder.mkdir(mode=0o500)
    assert command.run(cluster_of(["a"])) == 2
    assert "cannot be written: Permission denied" in command.refused[0]


def test_each_family_is_in_one_file(command: Command) -> None:
    assert command.run(cluster_of(["a", "b", "c"])) == 0
    found = [
        benchmark["extra_info"]["torchduet"]["case"]["id"]
        for path in (command.folder / "machines").iterdir()
        for benchmark in json.loads(path.read_bytes())["benchmarks"]
    ]
    assert len(found) == len(set(found)) == len(SUITE)
