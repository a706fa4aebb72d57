"""The faults that the tests inject and what becomes of each; ``docs/reliability.md`` is made of it."""

from __future__ import annotations

from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"

WORKER: dict[str, tuple[str, str]] = {  # workload of workloads/hostile.py → what it does, what its family fails with
    "killed": ("SIGKILL, as the kernel sends it when memory runs out", "the worker was killed by SIGKILL"),
    "segfault": ("reads address 0", "the worker was killed by SIGSEGV"),
    "abort": ("calls abort()", "the worker was killed by SIGABRT"),
    "abort_in_thread": ("another thread of it aborts", "the worker was killed by SIGABRT"),
    "bus_error": ("SIGBUS", "the worker was killed by SIGBUS"),
    "illegal_instruction": ("SIGILL, an instruction that the CPU lacks", "the worker was killed by SIGILL"),
    "floating_point": ("SIGFPE", "the worker was killed by SIGFPE"),
    "terminated": ("SIGTERM to the worker alone", "the worker was killed by SIGTERM"),
    "hung_up": ("SIGHUP to the worker alone", "the worker was killed by SIGHUP"),
    "trapped": ("SIGTRAP", "the worker was killed by SIGTRAP"),
    "real_time_signal": ("a signal without a name", "the worker was killed by signal"),
    "cpu_time": ("exceeds its limit of CPU time", "the worker was killed by SIGXCPU"),
    "stack": ("overflows the C stack", "the worker was killed by SIGSEGV"),
    "exit_0": ("ends with exit code 0", "the worker ended with exit code 0 and no answer"),
    "exit_7": ("ends with exit code 7", "the worker ended with exit code 7 and no answer"),
    "sys_exit": ("calls sys.exit", "the worker ended with exit code 3 and no answer"),
    "interrupted": ("raises KeyboardInterrupt", "the worker ended with exit code 1 and no answer"),
    "closes_its_pipe": ("closes its pipe and hangs", "closed its channel and went on running; it was killed"),
    "garbage": (
        "sends something else than messages",
        "the worker sent what is no message (what begins with b'GET /",
    ),
    "no_pickle": ("sends a message that is no pickle", "the worker sent what is no message (a pickle that ends in"),
    "unknown_class": (
        "sends a pickle of a class that does not exist",
        "the worker sent what is no message (a pickle that ends in ModuleNotFoundError",
    ),
    "wrong_type": ("sends a number instead of a message", "the worker sent a message of type int"),
    "endless_message": ("announces a message of 2⁶² bytes", "the worker sent what is no message (what begins with"),
    "half_a_message": ("sends half a message and ends", "the worker sent what is no message (the first 8 bytes of one"),
    "half_a_message_and_hangs": (
        "sends half a message and hangs",
        "the worker reported nothing for 4 s and was killed",
    ),
    "hangs": ("hangs", "the worker reported nothing for 4 s and was killed"),
    "hangs_in_c": ("hangs in C code with Python's lock held", "the worker reported nothing for 4 s and was killed"),
    "hangs_with_children": (
        "hangs with a process of its own",
        "the worker reported nothing for 4 s and was killed",
    ),
    "raises": ("raises an exception", "ZeroDivisionError: division by zero (hostile.py:"),
    "recursion": ("recurses without end", "RecursionError: maximum recursion depth exceeded"),
    "host_memory": ("asks for 64 GiB where 8 may be had", "out of memory"),
    "descriptors": ("opens more files than it may", "OSError: [Errno 24] Too many open files"),
    "file_size": ("writes a file beyond its limit", "OSError: [Errno 27] File too large"),
    "megabytes": ("prints 100 MB", "RuntimeError: printed 100 MB"),
    "stops_its_output": ("closes stdout and stderr", "ZeroDivisionError"),
    "deletes_its_folder": ("deletes its temporary folder", "ZeroDivisionError"),
}

RUN: tuple[tuple[str, str, str], ...] = (  # what is done to the run, what becomes of it, the test of tests/faults
    (
        "pytest is killed by SIGKILL",
        "the journal holds every finished family; --resume measures the others",
        "test_killed_then_resumed_it_holds_the_same_cases_and_what_was_measured_before",
    ),
    (
        "the journal's last line is torn off",
        "it is left out with a warning, and measured again",
        "test_whatever_is_torn_off_the_lines_before_it_stand",
    ),
    (
        "a bit of the journal flips",
        "that line is left out with a warning, and measured again",
        "test_whatever_is_torn_off_the_lines_before_it_stand",
    ),
    (
        "--resume with other options",
        "refused with exit code 4, the differences listed",
        "test_killed_then_resumed_it_holds_the_same_cases_and_what_was_measured_before",
    ),
    (
        "killed after the last family, before the JSON",
        "--resume writes the JSON to the last digit as it would have been",
        "test_from_its_whole_journal_a_run_is_the_same_to_the_last_digit",
    ),
    (
        "a new run where an unfinished one lies",
        "its journal is kept under another name",
        "test_an_unfinished_journal_is_kept_when_all_is_measured_anew",
    ),
    (
        "two runs write the same file",
        "the second is refused",
        "test_an_unfinished_journal_is_kept_when_all_is_measured_anew",
    ),
    (
        "the disk is full while the journal is written",
        "the run goes on with a warning; the journal holds what it held",
        "test_a_full_disk_ends_the_journal_and_not_the_run",
    ),
    (
        "the disk is full while the JSON is written",
        "the file holds what it held before, the journal stays",
        "test_a_full_disk_leaves_the_json_as_it_was",
    ),
    (
        "Ctrl-C",
        "the placement is finished, what there is is written, exit code 130",
        "test_once_what_there_is_is_written_and_the_rest_can_be_resumed",
    ),
    (
        "SIGTERM, as a CI's time-out sends it",
        "the same, exit code 143",
        "test_once_what_there_is_is_written_and_the_rest_can_be_resumed",
    ),
    (
        "two signals",
        "it stops at once, the journal is intact",
        "test_twice_it_stops_at_once_and_the_journal_is_intact",
    ),
    (
        "another run is measuring on the machine",
        "it is waited for, unless this one is to refuse, or to go on and say so in its record",
        "test_the_second_waits_until_the_first_is_killed_refuses_or_goes_on_and_says_so",
    ),
    (
        "a link lies where the lock would be",
        "it is not followed",
        "test_a_link_in_its_place_is_not_followed",
    ),
    (
        "the workers of three workloads die in a row",
        "the run stops with what it has",
        "test_three_workloads_in_a_row_without_an_answer_end_the_run",
    ),
)

HEAD = """# What becomes of a run when something goes wrong

Each fault is injected by a test with a real process and a real signal (`pytest tests/faults`); this table is
made of what those tests hold true (`pytest tests/faults --write-table`). After each of them no process, no
shared memory and no temporary folder is left; the folder of a run that was killed by SIGKILL is removed by the next.

"""


def document() -> str:
    """The text of ``docs/reliability.md``."""
    lines = [f"## A workload does it to its worker: {len(WORKER)} faults", ""]
    lines += ["Its family fails with the reason and the last lines of its output; the run goes on.", ""]
    lines += ["| fault | what the family fails with |", "| --- | --- |"]
    lines += [f"| {fault} | {words} … |" for fault, words in WORKER.values()]
    lines += ["", f"## It happens to the run: {len(RUN)} faults", "", "| fault | what becomes of it |", "| --- | --- |"]
    lines += [f"| {fault} | {words} |" for fault, words, _ in RUN]
    return HEAD + "\n".join(lines) + "\n"
