"""Of several ranks that fail, the one that failed by itself first is to blame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from torchduet.bench.host.child_processes import last_lines
from torchduet.bench.ranks import pool as pools
from torchduet.bench.ranks.blame import REFUSED_ELSEWHERE, of_all, waited_for_another
from torchduet.bench.ranks.failures import RanksError
from torchduet.bench.ranks.messages import Did, Do, Order, decode, encode
from torchduet.bench.ranks.pool import Pool

ORDER = Order(
    cases=[], ranks=3, store="", prefix="", seed="", threads=1, folder="", data=None, checks=True, number=0, timeout=1.0
)
CLOSED = "it raised RuntimeError: [gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:36843"
TIMED_OUT = "it raised RuntimeError: [gloo/unbound_buffer.cc:78] Timed out waiting 15000ms for recv operation"
OWN = "it raised ValueError: no"
Event = tuple[int, Did | bytes | None]


@dataclass
class Fakes:
    """Ranks whose answers come in a given order, one at a time: rank and answer, bytes, or None at its end."""

    events: Sequence[Event]
    sent: int = 0
    computed: float = 0.0
    number: int = 0
    came: list[Event] = field(default_factory=list)

    def send(self, data: bytes) -> None:
        self.sent, self.number = self.sent + 1, decode(data, Do).number
        self.came = [*self.events]

    def receive(self, seconds: float) -> Mapping[int, bytes | None]:
        del seconds
        if not self.came:
            return {}
        rank, event = self.came.pop(0)
        if isinstance(event, Did):
            event = encode(Did(number=self.number, error=event.error, skip=event.skip))
        return {rank: event}

    def ended(self, rank: int) -> str:
        return f"was killed by SIG{rank}"

    def cpu_seconds(self, rank: int) -> float:
        del rank
        return self.computed

    def last_output(self, rank: int) -> str:
        return f"lines of {rank}"

    def dump(self, rank: int) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANSWER_SECONDS", "AFTER_ERROR_SECONDS", "DUMP_SECONDS"):
        monkeypatch.setattr(pools, name, 0.05)


def fine(rank: int) -> Event:
    return rank, Did(number=0)


def failed(rank: int, error: str = OWN) -> Event:
    return rank, Did(number=0, error=error)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([failed(0, CLOSED), failed(2, CLOSED), (1, None)], "rank 1 of 3 was killed by SIG1"),
        ([(2, None)], "rank 2 of 3 was killed by SIG2"),
        ([failed(2), (0, None)], f"rank 2 of 3: {OWN}"),
        ([fine(0), failed(2), failed(1)], f"rank 2 of 3: {OWN}"),
        ([failed(0, CLOSED), failed(2)], f"rank 2 of 3: {OWN}"),
        ([failed(0, REFUSED_ELSEWHERE), failed(1, "its result is wrong")], "rank 1 of 3: its result is wrong"),
        ([failed(0, TIMED_OUT), failed(2, TIMED_OUT)], "rank 1 of 3 did not answer in time"),
        ([failed(0, TIMED_OUT), fine(1), fine(2)], "rank 0 of 3 waited in vain for another"),
        ([failed(rank, TIMED_OUT) for rank in range(3)], "rank 0 of 3 waited in vain for another"),
        ([fine(0)], "rank 1 and 1 more of 3 ranks did not answer in time"),
        ([fine(0), (1, Did(number=0, skip="it lacks y"))], "rank 1 of 3: it lacks y"),
        ([fine(0), (1, b"\xc1")], "rank 1 of 3 sent something that is not an answer"),
    ],
)
def test_the_first_that_failed_by_itself(events: Sequence[Event], words: str) -> None:
    members = Fakes(events)
    pool = Pool(ORDER, members)
    with pytest.raises(RanksError) as error:
        pool.ask("call")
    first, *lines = str(error.value).split("\n")
    assert first.startswith(words)
    assert lines == ["Its last output:", f"lines of {first.split()[1]}"]
    with pytest.raises(RanksError) as again:  # at once: nobody is asked
        pool.ask("call")
    assert str(again.value) == str(error.value)
    assert members.sent == 1
    pool.close()
    assert members.sent == 1


def test_a_wait_in_vain_after_a_suspension_is_no_deadlock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "suspended", lambda _: 30.0)
    with pytest.raises(RanksError, match="the ranks were suspended for longer than they wait for each other"):
        Pool(ORDER, Fakes([failed(0, TIMED_OUT), fine(1), fine(2)])).ask("call")
    with pytest.raises(RanksError, match=r"^rank 1 of 3 was killed by SIG1"):
        Pool(ORDER, Fakes([(1, None)])).ask("call")


def test_what_all_ranks_refuse_leaves_them_in_step() -> None:
    members = Fakes([failed(2), failed(0), failed(1)])
    assert [did.error for did in Pool(ORDER, members).ask("call")] == [OWN] * 3


def test_a_rank_that_ends_after_its_answer_is_missed_by_the_next_message() -> None:
    members = Fakes([fine(1), (1, None), fine(0), fine(2)])
    pool = Pool(ORDER, members)
    pool.ask("call")
    members.events = [fine(0), fine(2)]
    with pytest.raises(RanksError, match="rank 1 of 3 was killed by SIG1"):
        pool.ask("call")


def test_a_group_that_cannot_be_formed_is_named_so() -> None:
    members = Fakes([failed(rank) for rank in range(3)])
    with pytest.raises(RanksError, match=f"the process group could not be formed: rank 0 of 3: {OWN}"):
        Pool(ORDER, members).join()


def test_one_reason_for_all() -> None:
    assert of_all(["", "", ""]) == ""
    assert of_all([OWN, OWN]) == OWN
    assert of_all([REFUSED_ELSEWHERE, OWN]) == f"in rank 1 of 2, {OWN}"
    assert waited_for_another(CLOSED)
    assert waited_for_another(TIMED_OUT)
    assert not waited_for_another(OWN)


def test_no_control_character_of_an_output_is_quoted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("a\tb\nred: \x1b[31m\x07\u202e\n", "utf-8")
    assert last_lines(log) == "a       b\nred: \\x1b[31m\\x07\\u202e"
