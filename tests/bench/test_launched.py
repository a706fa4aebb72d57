"""The variables of torchrun, and of scripts that set the same, are recognised, or refused in one line."""

import pytest

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.host.launch.processes import Processes
from torchduet.bench.host.launch.variables import LaunchError, launched, set_by_torchrun
from torchduet.bench.host.machine import Gpu, Machine
from torchduet.bench.plan.availability import unavailable
from torchduet.bench.plan.threads import threads_for

BY_HAND = {"RANK": "3", "WORLD_SIZE": "4", "MASTER_ADDR": "node1", "MASTER_PORT": "29500"}
TORCHRUN = BY_HAND | {
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "GROUP_RANK": "1",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
    "TORCHELASTIC_RUN_ID": "none",
    "TORCHELASTIC_RESTART_COUNT": "2",
}


def test_torchrun_is_recognised() -> None:
    own = launched(TORCHRUN)
    assert own is not None
    assert (own.rank, own.world, own.local_rank, own.node, own.attempt) == (3, 4, 1, "1", 2)
    assert (own.address, own.port, own.agent_hosts, own.torchrun) == ("node1", 29500, True, True)


def test_a_script_need_not_say_which_rank_is_where() -> None:
    own = launched(BY_HAND)
    assert own is not None
    assert (own.rank, own.world, own.local_rank, own.node, own.attempt) == (3, 4, None, "", 0)
    assert not own.agent_hosts
    assert not own.torchrun


@pytest.mark.parametrize(
    "environment",
    [{}, {"MASTER_ADDR": "node1", "MASTER_PORT": "29500"}, {"LOCAL_RANK": "0"}, {"RANK": "", "WORLD_SIZE": ""}],
)
def test_a_process_without_rank_and_world_size_was_started_alone(environment: dict[str, str]) -> None:
    assert launched(environment) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"WORLD_SIZE": ""}, "RANK is set, and WORLD_SIZE is not"),
        ({"RANK": ""}, "WORLD_SIZE is set, and RANK is not"),
        ({"MASTER_ADDR": "", "MASTER_PORT": ""}, "MASTER_ADDR, MASTER_PORT are not"),
        ({"RANK": "4"}, "RANK=4 and WORLD_SIZE=4 contradict"),
        ({"RANK": "-1"}, "RANK=-1: use a whole number"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE=two: use a whole number"),
        ({"WORLD_SIZE": "0", "RANK": "0"}, "RANK=0 and WORLD_SIZE=0 contradict"),
        ({"MASTER_PORT": "0"}, "MASTER_PORT=0: use a port"),
        ({"MASTER_PORT": "70000"}, "MASTER_PORT=70000: use a port"),
        ({"LOCAL_RANK": "2", "LOCAL_WORLD_SIZE": "2"}, "LOCAL_RANK=2 and LOCAL_WORLD_SIZE=2 contradict"),
        ({"LOCAL_RANK": "7"}, "LOCAL_RANK=7 and WORLD_SIZE=4 contradict"),
        ({"LOCAL_WORLD_SIZE": "5"}, "LOCAL_WORLD_SIZE=5 and WORLD_SIZE=4 contradict"),
    ],
)
def test_partial_or_contradictory_variables_are_refused_in_one_line(changes: dict[str, str], words: str) -> None:
    with pytest.raises(LaunchError, match=words) as error:
        launched(BY_HAND | changes)
    assert "\n" not in str(error.value)


def test_workers_do_not_see_what_a_library_would_form_a_group_by() -> None:
    hidden = set_by_torchrun(TORCHRUN | {"OMP_NUM_THREADS": "1", "HOME": "/root"})
    assert {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "OMP_NUM_THREADS"} <= set(hidden)
    assert "HOME" not in hidden


@pytest.mark.parametrize("environment", [BY_HAND | {"OMP_NUM_THREADS": "1"}, TORCHRUN | {"OMP_NUM_THREADS": "4"}])
def test_a_number_of_threads_that_the_user_has_set_stays(environment: dict[str, str]) -> None:
    assert "OMP_NUM_THREADS" not in set_by_torchrun(environment)


def machine(gpus: int = 0, processes: Processes | None = None) -> Machine:
    return Machine(
        torch="2.9",
        cuda=None,
        gpus=(Gpu("a GPU", (9, 0), 1 << 30, triton=True),) * gpus,
        no_cuda="" if gpus else "no GPU",
        no_cpu_compiler="",
        cpu="a CPU",
        cpu_capability="AVX2",
        cores=2,
        memory_bytes=1 << 30,
        governor=None,
        processes=processes,
    )


def case(ranks: int, device: str = "cpu") -> Case:
    return Case("x", "x", "sum", "a sum", (), "all", True, device, "eager", "fp32", ranks=ranks)


FOUR_ON_TWO = Processes(number=4, here=2, nodes=2, torchrun=True)


def test_the_started_processes_limit_the_ranks_and_not_the_cores() -> None:
    assert unavailable(machine(), case(4)) is not None
    assert unavailable(machine(processes=FOUR_ON_TWO), case(4)) is None
    obstacle = unavailable(machine(processes=FOUR_ON_TWO), case(8))
    assert obstacle is not None
    assert obstacle.why == "8 ranks need 8 processes of torchrun; it has started 4"


def test_each_process_of_a_machine_needs_a_gpu_of_its_own() -> None:
    assert unavailable(machine(gpus=2, processes=FOUR_ON_TWO), case(4, "cuda")) is None
    obstacle = unavailable(machine(gpus=1, processes=FOUR_ON_TWO), case(2, "cuda"))
    assert obstacle is not None
    assert "2 ranks need 2 CUDA GPUs; there are 1" in obstacle.why


def test_threads_are_shared_by_the_processes_of_one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchduet.bench.plan.threads.cores", lambda: 8)
    family = Family((case(4),), (case(4),))
    assert threads_for(family, 8) == 2
    assert threads_for(family, 8, machine(processes=FOUR_ON_TWO)) == 4


def test_the_record_says_who_has_started_how_many_processes() -> None:
    facts = machine(processes=FOUR_ON_TWO).facts()
    assert (facts["started_by"], facts["processes"], facts["nodes"]) == ("torchrun", 4, 2)
    assert "nodes" not in machine().facts()
