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
    "closes_its_pipe": ("closes its pipe and hangs", "closed its channel and kept running; it was killed"),
    "garbage": (
        "sends something else than messages",
        "the worker sent something that is not a message (it begins with b'GET /",
    ),
    "no_message": (
        "sends a message that cannot be decoded",
        "the worker sent something that is not a message (",
    ),
    "pickle": (
        "sends a pickle that would run a command: it does not run",
        "the worker sent something that is not a message (",
    ),
    "unknown_class": (
        "sends a pickle of a class that does not exist",
        "the worker sent something that is not a message (",
    ),
    "wrong_type": (
        "sends a number instead of a message",
        "the worker sent something that is not a message (Expected `object`, got `int`",
    ),
    "endless_message": (
        "announces a message of 2⁶² bytes",
        "the worker sent something that is not a message (it begins with",
    ),
    "half_a_message": (
        "sends half a message and ends",
        "the worker sent something that is not a message (only its first 8 bytes arrived",
    ),
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

MESSAGES: dict[str, tuple[str, str]] = {  # message of tests/bench/test_received.py → what it is, what is said of it
    "missing_keys": ("a result that lacks keys", "something that is not a message (Object missing required field"),
    "unknown_keys": ("a result with keys of no meaning", "something that is not a message (Object contains unknown"),
    "other_types": ("values of other types", "something that is not a message (Expected `array`, got `str`"),
    "nan": ("times that are NaN", "something that is not a message (Expected `float`"),
    "negative": ("negative times", "something that is not a message (Expected `float`"),
    "huge": ("times beyond any clock", "something that is not a message (Expected `float`"),
    "another_case": (
        "a case that it was not asked for",
        "is not a message (it names a case that is none",
    ),
    "case_twice": ("a case twice", "something that is not a message (it names a case twice"),
    "nesting": ("200,000 lists within each other", "something that is not a message (maximum recursion depth"),
    "millions": ("a list that would hold 2³² values", "something that is not a message ("),
    "escapes": ("a reason with escape sequences of a terminal", r"\x1b]0;title\x07\x1b[2J"),
}

FAMILY, CASE, NOTHING = "the family", "the case", "nothing"  # what it costs
_KILLED = "rank 1 of 2 was killed by SIGKILL"
_SILENT = "rank 1 of 2 did not answer in time: do all ranks take part in the same collectives, in the same order?"
_NO_GROUP = "the process group could not be formed: "
RANKS: dict[str, tuple[str, str, str]] = {  # workload of workloads/ranks.py → what happens, the reason, what it costs
    "joining": ("SIGKILL to one rank while the process group is formed", f"{_NO_GROUP}{_KILLED}", FAMILY),
    "preparing": ("SIGKILL in the first call of the first case", _KILLED, FAMILY),
    "second_first_call": ("SIGKILL in another first call", _KILLED, FAMILY),
    "warming_up": ("SIGKILL in the warm-up", _KILLED, FAMILY),
    "deciding": ("SIGKILL between warm-up and timing", _KILLED, FAMILY),
    "moving_inputs": ("SIGKILL while inputs are moved", _KILLED, FAMILY),
    "settling": ("SIGKILL in the untimed calls of a placement", _KILLED, FAMILY),
    "in_a_block": ("SIGKILL in a timed block", _KILLED, FAMILY),
    "in_the_control": ("SIGKILL in the control, which times each case alone", _KILLED, FAMILY),
    "in_the_memory_pass": ("SIGKILL while the peak of memory is measured", _KILLED, FAMILY),
    "verifying": ("SIGKILL in the check after the timing", _KILLED, FAMILY),
    "finishing": ("SIGKILL when the results are collected", _KILLED, FAMILY),
    "leaves_a_child": ("SIGKILL to one rank, whose child holds its pipe open", _KILLED, FAMILY),
    "segfaults": ("one rank reads address 0", "rank 1 of 2 was killed by SIGSEGV", FAMILY),
    "aborts": ("one rank calls abort()", "rank 1 of 2 was killed by SIGABRT", FAMILY),
    "exits": ("one rank calls os._exit(7)", "rank 1 of 2 ended with exit code 7 and no answer", FAMILY),
    "exits_with_0": ("one rank calls os._exit(0)", "rank 1 of 2 ended with exit code 0 and no answer", FAMILY),
    "sys_exit": ("one rank calls sys.exit(3)", "rank 1 of 2 ended with exit code 3 and no answer", FAMILY),
    "is_interrupted": (
        "one rank raises KeyboardInterrupt",
        "rank 1 of 2 ended with exit code 1 and no answer",
        FAMILY,
    ),
    "closes_files": ("one rank closes all of its files", "rank 1 of 2 was killed by SIGABRT", FAMILY),
    "raises_before": ("one rank raises before its collective", "rank 1 of 2: it raised ValueError: not", FAMILY),
    "raises_after": ("one rank raises after its collective", "rank 1 of 2: it raised ValueError: not", FAMILY),
    "raises_later": ("one rank raises in a later call", "rank 1 of 2: it raised ValueError: not", FAMILY),
    "raises_in_all": ("every rank raises in the first call", "it raised ValueError: not in this rank (ranks.py", CASE),
    "raises_in_all_later": (
        "every rank raises in a later call",
        "it raised ValueError: not in this rank (ranks.py",
        CASE,
    ),
    "lacks_something_in_one": ("one rank raises Unavailable", "rank 1 of 2: this rank lacks something", FAMILY),
    "memory_in_one": ("one rank asks for 1 PiB", "rank 1 of 2: out of memory", FAMILY),
    "control_characters": (
        "one rank prints control characters, and raises with some",
        r"rank 1 of 2: it raised ValueError: \x1b]0;title\x07",
        FAMILY,
    ),
    "megabytes": ("every rank prints 100 MB", "it raised RuntimeError: printed 100 MB", CASE),
    "sleeps": ("one rank sleeps", _SILENT, FAMILY),
    "sleeps_joining": ("one rank sleeps before it joins the group", f"{_NO_GROUP}{_SILENT}", FAMILY),
    "sleeps_in_all": ("every rank sleeps", "rank 0 and 1 more of 2 ranks did not answer in time", FAMILY),
    "hangs_in_c": ("one rank hangs in C code with Python's lock held", _SILENT, FAMILY),
    "is_stopped": ("one rank is stopped (SIGSTOP)", _SILENT, FAMILY),
    "skips_a_collective": ("one rank leaves a collective out", "waited in vain for another", FAMILY),
    "makes_one_more": ("one rank makes one collective more", "waited in vain for another", FAMILY),
    "waits_in_all": ("every rank waits for a message of the other", "waited in vain for another", FAMILY),
    "unequal_counts": ("ranks give a collective tensors of unequal sizes", "of 2 was killed by SIGABRT", FAMILY),
    "wrong_in_one": ("the result of one rank is wrong", "in rank 1 of 2, its result is wrong", CASE),
    "another_shape_in_one": (
        "the result of one rank has another shape",
        "in rank 1 of 2, it returned other shapes than the float64 reference: (7,), not (8,)",
        CASE,
    ),
    "turns_nan_in_one": (
        "the result of one rank turns NaN while it is timed",
        "in rank 1 of 2, its result turned NaN while it was being timed",
        CASE,
    ),
    "store_is_a_folder": (
        "there is a folder in place of the file by which the ranks find each other",
        "by which the ranks find each other, cannot be written: [Errno 21] Is a directory",
        FAMILY,
    ),
    "store_without_a_folder": (
        "that file cannot be made",
        "by which the ranks find each other, cannot be written: [Errno 2] No such file or directory",
        FAMILY,
    ),
    "store_on_a_full_disk": (
        "the disk is full",
        "by which the ranks find each other, cannot be written: No space left on device",
        FAMILY,
    ),
    "shard_is_no_tuple": ("shard= returns no tuple", "shard= returned Tensor; return a tuple", FAMILY),
    "shard_raises_in_one": (
        "shard= raises in one rank",
        "rank 1 of 2: its inputs could not be made: it raised IndexError",
        FAMILY,
    ),
    "shard_of_other_shapes": ("shard= returns other shapes in one rank", "of 2 was killed by SIGABRT", FAMILY),
    "joint_raises": ("joint= raises", "for the check, it raised AttributeError", FAMILY),
    "alone_raises": ("the implementation that is alone raises", "it raised AttributeError", FAMILY),
    "changes_its_folder": ("one rank changes its working directory", "", NOTHING),
    "leaves_a_thread": ("one rank leaves a thread running", "", NOTHING),
}

RUN: tuple[tuple[str, str, str], ...] = (  # what happens to the run, the result, the test of tests/faults
    (
        "pytest is killed by SIGKILL",
        "the journal holds every finished family; --resume measures the others",
        "test_killed_then_resumed_it_holds_the_same_cases_and_what_was_measured_before",
    ),
    (
        "a worker or a rank is killed by SIGKILL, and later the run",
        "its family fails, and --resume measures that anew, too",
        "test_families_of_which_a_process_was_killed_are_tried_again_wherever_they_are",
    ),
    (
        "the last line of the journal is incomplete",
        "it is left out with a warning, and measured again",
        "test_the_torn_end_of_a_journal_is_left_out_and_said",
    ),
    (
        "a bit of the journal flips",
        "that line is left out with a warning, and measured again",
        "test_whatever_is_torn_off_the_lines_before_it_stand",
    ),
    (
        "--resume with other options",
        "refused with exit code 4, the differences listed",
        "test_with_other_options_it_is_refused",
    ),
    (
        "killed after the last family, before the JSON",
        "--resume writes the JSON that the run would have written, to the last digit",
        "test_from_its_whole_journal_a_run_is_the_same_to_the_last_digit",
    ),
    (
        "a new run writes the file of an unfinished one",
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
        "the run continues with a warning; the journal keeps its earlier lines",
        "test_a_full_disk_ends_the_journal_and_not_the_run",
    ),
    (
        "the disk is full while the JSON is written",
        "the file keeps its earlier contents, the journal stays",
        "test_a_full_disk_leaves_the_json_as_it_was",
    ),
    (
        "Ctrl-C",
        "the placement is finished, the results so far are written, exit code 130",
        "test_once_what_there_is_is_written_and_the_rest_can_be_resumed",
    ),
    (
        "Ctrl-C while families are visited again",
        "every family has an interval, from the visits so far; `--resume` adds further visits",
        "test_after_ctrl_c_during_later_visits_every_family_has_an_interval",
    ),
    (
        "the worker of a later visit to a family dies",
        "that visit is lost, and the family gets no more; the visits before it count, and a warning names it",
        "test_a_later_visit_whose_worker_dies_costs_only_itself_and_is_named",
    ),
    (
        "SIGTERM, as a CI's time-out sends it",
        "the same, exit code 143",
        "test_once_what_there_is_is_written_and_the_rest_can_be_resumed",
    ),
    (
        "two signals",
        "the run ends at once, the journal is intact",
        "test_twice_it_stops_at_once_and_the_journal_is_intact",
    ),
    (
        "Ctrl-Z, and `fg` later",
        "the worker is suspended and continued, too; no budget is used meanwhile; the record says for how long",
        "test_ctrl_z_stops_the_worker_too_and_the_run_says_so",
    ),
    (
        "Ctrl-Z, and then pytest is killed",
        "the worker is continued, and ends with its children",
        "test_after_pytest_was_stopped_and_killed_while_a_worker_hangs",
    ),
    (
        "the worker is stopped in the middle of a block (SIGSTOP, cpulimit)",
        "the block is left out and timed again; the record of the case counts such blocks, and its noise names them",
        "test_blocks_in_which_a_worker_was_stopped_are_left_out_and_it_is_said",
    ),
    (
        "the machine is suspended in the middle of a block (fake)",
        "the same; the record of the run says for how long",
        "test_a_block_in_which_the_machine_was_suspended_is_taken_again",
    ),
    (
        "the machine's clock is set back or forward (fake)",
        "no duration depends on it; the record of the run says by how much it was set",
        "test_a_suspended_machine_and_a_clock_that_was_set_are_told_apart",
    ),
    (
        "another run is measuring on the machine",
        "this run waits for it, or refuses, or continues and notes it in its record (`--when-busy`)",
        "test_the_second_waits_until_the_first_is_killed_refuses_or_goes_on_and_says_so",
    ),
    (
        "there is a link in place of the lock file",
        "it is not followed",
        "test_a_link_in_its_place_is_not_followed",
    ),
    (
        "the workers of three workloads die in a row",
        "the run ends early, with the results so far",
        "test_three_workloads_in_a_row_without_an_answer_end_the_run",
    ),
    (
        "a duet (`--against…`) is killed",
        "both sides end; with `--resume` it continues with further pairs, if both sides are what they were",
        "test_a_duet_goes_on_with_further_pairs_and_loses_none",
    ),
    (
        "one side of a duet dies or hangs in a block",
        "the pair is lost; the cases say which side and why, or keep the pairs before it",
        "test_a_side_that_ends_or_hangs_in_a_block_is_named",
    ),
    (
        "one side of a duet is stopped in the middle of a block (SIGSTOP, cpulimit)",
        "both sides take the turn again; the record of the case counts it",
        "test_a_side_that_is_suspended_meanwhile_takes_the_turn_again",
    ),
)

PROCESSES: tuple[tuple[str, str, str], ...] = (  # the same for signals, and for the processes of a run
    (
        "SIGTERM or SIGHUP while the run waits for another run",
        "it ends at once with exit code 143 or 129",
        "test_while_it_waits_for_another_run",
    ),
    (
        "SIGTERM while the process that forks workers is stopped (SIGSTOP)",
        "the run ends within 10 s with exit code 143",
        "test_while_the_process_that_forks_workers_is_stopped",
    ),
    (
        "SIGTERM to all processes of a run (`timeout`) while its first worker starts",
        "the same; the case is not measured, and none has failed",
        "test_a_signal_to_the_process_group_fails_no_case_while_the_first_worker_starts",
    ),
    (
        "SIGTERM while a side of a duet hangs in its first call",
        "the same; the results so far are written",
        "test_while_a_side_of_a_duet_hangs_in_its_first_call",
    ),
    (
        "SIGTERM while git hangs (`--against-rev`)",
        "the run ends at once, and so do git and what it has started",
        "test_while_git_hangs",
    ),
    (
        "SIGTERM or SIGHUP to `torchduet against`",
        "it is passed on to the measurement or to the rendering, whose exit code is that of the command",
        "test_while_torchduet_against_measures_or_renders",
    ),
    (
        "Ctrl-C or SIGTERM while a report is written",
        "the file is as it was, exit code 130 or 143",
        "test_a_report_that_is_being_written_leaves_nothing",
    ),
    (
        "SIGTERM or SIGHUP, and what the run waits for does not come",
        "it is given up after 7.5 s; a run that has not ended after 9.5 s is ended",
        "test_after_one_signal_it_ends_whatever_it_waits_for",
    ),
    (
        "SIGTERM in the middle of a long call of C code",
        "the run is ended after 9.5 s; its temporary folder is removed",
        "test_sigterm_during_a_call_in_c_ends_it_too",
    ),
    (
        "SIGHUP is ignored, as under nohup",
        "it stays ignored",
        "test_a_signal_that_was_ignored_stays_so",
    ),
    (
        "Ctrl-C again and again while the run ends",
        "its last steps are finished",
        "test_ctrl_c_twice_while_it_ends_disturbs_nothing",
    ),
    (
        "Ctrl-C while modules are imported",
        "the process ends without a traceback",
        "test_ctrl_c_while_it_imports_prints_no_traceback",
    ),
    (
        "a run is killed by SIGKILL",
        "nothing but its own folder is left in the temporary folder, no `pymp-…`; the next run removes it",
        "test_of_a_run_killed_by_sigkill_only_its_own_folder_is_left_which_the_next_removes",
    ),
    (
        "the process that forks workers, or the tracker of shared memory, is killed",
        "it is started again as it was",
        "test_a_killed_helper_is_started_again_as_it_was",
    ),
    (
        "the process that forks workers is stopped (SIGSTOP)",
        "it is killed after 10 minutes without an answer, which costs one worker, and started again",
        "test_a_stopped_fork_server_costs_one_worker",
    ),
    (
        "a workload starts a process in a session of its own, and leaves it",
        "it is killed at the end of the run",
        "test_processes_that_a_workload_leaves_in_a_session_of_their_own_are_ended",
    ),
    (
        "no process can be started (EAGAIN), or there is no room for its files",
        "the family fails with the reason; after three workloads in a row the run ends early",
        "test_a_worker_that_cannot_be_started_says_why",
    ),
    (
        "the run is started with SIGCHLD ignored, or with an umask that forbids it its own files",
        "neither has an effect",
        "test_where_sigchld_was_ignored_it_is_not_any_more_nor_does_the_umask_forbid_own_files",
    ),
    (
        "the run may open few files (`ulimit -n`)",
        "the limit is raised as far as the system allows; where that is too little, it is refused with exit code 4",
        "test_a_small_limit_of_open_files_is_raised_or_named",
    ),
    (
        "no more processes and threads may be started (`ulimit -u`, a container's limit)",
        "refused with exit code 4 in one line with the number that can be; nothing is measured",
        "test_where_no_more_processes_and_threads_may_be_started_a_run_is_refused",
    ),
    (
        "another user has made `torchinductor_<user>` in the shared temporary folder",
        "it is not used: all temporary files of a run's processes are in a folder of its own",
        "test_headers_are_precompiled_in_the_runs_own_folder",
    ),
)
COMMAND: tuple[tuple[str, str, str], ...] = (  # the same for what is typed, and for where it is typed
    (
        "an option, a path or one of Torchduet's environment variables is given and empty, as from a variable that CI "
        "did not set",
        "refused in one line that names it, exit code 4 of a run and 2 of other commands; nothing is measured",
        "test_what_is_given_and_empty_is_refused",
    ),
    (
        "a threshold of 401, 5,001 or 60,000 digits, or after 60,000 blanks",
        "refused in one line, exit code 2",
        "test_a_threshold_of_any_length_is_refused_in_one_line",
    ),
    (
        "a pyproject.toml with such numbers, 20,000 nested brackets, a blank glob, bytes that are no text, or of 1 MiB",
        "refused in one line that names the file, exit code 2",
        "test_settings_that_cannot_be_read_are_refused_in_one_line",
    ),
    (
        "a fault of Torchduet itself in a command",
        "exit code 70, never 1; one line names a new private file with the traceback",
        "test_a_fault_of_ours_ends_with_70_and_its_traceback_is_in_a_private_file",
    ),
    ("Ctrl-C in a command", "one line, exit code 130", "test_no_error_at_all_ends_with_1"),
    (
        "a file needs more memory than its process, its cgroup or the machine has",
        "refused in one line before it is decoded, exit code 2",
        "test_a_file_too_large_for_the_memory_there_is_is_refused",
    ),
    (
        "a command's standard output is full",
        "one line, exit code 2",
        "test_a_standard_output_that_is_full_ends_with_2_and_one_line",
    ),
    (
        "a command's standard streams are closed",
        "files are written as usual; a table for standard output ends with 2 and one line",
        "test_closed_streams_cost_what_is_printed_there_alone",
    ),
    (
        "the reader of a command's output ends (`| head -1`)",
        "nothing is printed any more; the exit code is that of the whole command",
        "test_a_reader_that_ends_changes_no_exit_code",
    ),
    (
        "the standard output of a run is full, closed, or its reader ends",
        "all is measured and written; one line on standard error. Exit code 2 if there is no `--benchmark-json` and "
        "the output is lost",
        "test_a_run_is_measured_and_written_whatever_becomes_of_its_output",
    ),
    (
        "a locale C, or one that does not exist, an odd time zone, a terminal of one column, `PYTHONWARNINGS=error`, "
        "`PYTHONOPTIMIZE=2`",
        "commands print and write the same",
        "test_odd_surroundings_change_nothing",
    ),
    (
        "10,000 mutated files, thresholds, settings and command lines (`nox -s fuzz`)",
        "exit code 0, 1 and 3 only with `--fail-on` and a printed comparison, or 2 with one line",
        "test_mutated_files_and_command_lines_have_true_exit_codes",
    ),
)
SIDES: dict[str, tuple[str, str]] = {  # of test_sides.py or workloads/sides.py → what it does, what is said
    "hello_junk": ("its interpreter sends junk", "sent something that is not a message (JSON is malformed"),
    "hello_list": (
        "its interpreter sends a list",
        "sent something that is not a message (Expected `object`, got `array`",
    ),
    "hello_keys": (
        "its interpreter sends a message that lacks keys",
        "sent something that is not a message (Object missing required",
    ),
    "hello_types": (
        "its interpreter sends values of other types",
        "sent something that is not a message (Expected `int`, got `str`",
    ),
    "hello_protocol": ("its interpreter sends the number of another protocol", "has protocol 2, this Torchduet has 1"),
    "hello_nested": ("its interpreter sends 60,000 lists within each other", "sent something that is not a message ("),
    "hello_utf8": ("its interpreter sends what is no UTF-8", "sent something that is not a message ("),
    "hello_long_version": (
        "its interpreter sends a version of 200 digits",
        "is not a message (Expected `str` of length",
    ),
    "hello_escapes": ("its interpreter sends escape sequences of a terminal", "is \\x1b[2Jgone and more"),
    "hello_endless": (
        "its interpreter sends endless output without a line's end",
        "more than 16 MiB without the end of a line",
    ),
    "closes_and_hangs": (
        "its interpreter closes its connection and hangs",
        "it closed its connection and kept running",
    ),
    "hangs": ("its interpreter hangs at its start", "did not answer within 1 s; its last output: still starting"),
    "too_old": ("its interpreter is Python 3.8", "did not start: Python 3.8 is too old: 3.11 or newer is needed"),
    "python_2": ("its interpreter is Python 2", "did not start: SyntaxError: invalid syntax"),
    "no_python": ("its interpreter is another program", "did not start: usage: \\x1b[1mls\\x1b[0m [-l]"),
    "silent": ("its interpreter ends at once", "did not start: it ended with exit code 0"),
    "dies": ("its interpreter dies at its start", "did not start: it ended with exit code -11"),
    "junk": ("its worker sends junk", "sent something that is not a message (JSON is malformed"),
    "escapes": ("its worker sends escape sequences of a terminal", "failed: \\x1b]0;title\\x07 gone"),
    "missing_keys": (
        "its worker sends a message that lacks keys",
        "sent something that is not a message (Object missing required field",
    ),
    "unchecked": (
        "its worker sends a result that was not checked",
        "not a message (a case has no check or no first call",
    ),
    "too_many": (
        "its worker sends more results than it was asked for",
        "not a message (it has 2 cases where 1 were asked for",
    ),
    "too_few": ("its worker sends fewer results", "not a message (it has 0 cases where 1 were asked for"),
    "endless": (
        "its worker sends endless output without a line's end",
        "not a message (more than 16 MiB without the end of a line",
    ),
    "closes": ("its worker closes its connection and hangs", "was killed by SIGKILL"),
    "prints": ("its worker prints a message to its output", ""),
    "nan": ("its worker sends times that are NaN", "sent something that is not a message (JSON is malformed"),
    "negative": ("its worker sends negative times", "sent something that is not a message (Expected `float` >="),
    "another_case": (
        "its worker sends a result of a case that it was not asked for",
        "not a message (it names case 7, which",
    ),
    "few_blocks": ("its worker sends fewer blocks than it was asked for", "not a message (it has 0 blocks where"),
    "no_blocks": ("its worker sends no blocks", "not a message (it has no blocks"),
    "twice": ("its worker sends an answer twice", "sent something that is not a message ("),
    "no_token": ("its worker sends the other worker junk", "reported nothing for"),
    "token_without_end": ("its worker sends the other worker turns that would never end", "reported nothing for"),
}

GPU: tuple[tuple[str, str, str], ...] = (  # the same for a GPU, faked at the interfaces of torch and NVML
    (
        "an error after which every CUDA call fails (illegal access, failed assertion), in a first call, a warm-up or "
        "a timed block",
        "the case that caused it fails with it; the others of its family are measured again, in a new worker",
        "test_an_error_that_stays_is_blamed_on_the_case_that_made_it",
    ),
    (
        "a case runs out of the GPU's memory",
        "it fails with this reason; the memory that the allocator held is free for later cases",
        "test_out_of_the_gpus_memory_costs_one_case_and_its_neighbours_get_what_it_held",
    ),
    (
        "a call cannot be captured in a CUDA graph",
        "its case fails with the reason; the others are measured in a new worker",
        "test_a_family_goes_on_in_a_new_worker_without_what_could_not_be_captured",
    ),
    (
        "NVML loses the GPU in the middle of a run",
        "the samples so far are kept, the record says when and why they end; the run continues",
        "test_a_gpu_that_nvml_loses_in_the_middle_keeps_its_samples_and_the_run_goes_on",
    ),
    (
        "the GPU's energy counter is lost while a case's energy is measured",
        "its energy is missing, with the reason; its times are kept",
        "test_energy_that_was_lost_in_the_middle_says_why",
    ),
)
PLACES: tuple[tuple[str, str, str], ...] = (  # what is in place of a file or folder, the result, the test
    (
        "a pipe (FIFO), a socket or a device is named as the file of a run",
        "refused in one line, at once; nothing is waited for",
        "test_a_report_of_what_is_no_file_is_refused",
    ),
    (
        "`torchduet compare <(…) run.json`",
        "the same: a pipe of the shell is no file",
        "test_a_pipe_of_a_shell_is_refused",
    ),
    (
        "a pipe, a folder, a loop of links or a dangling link lies among the files of a history",
        "it is left out; what is no file is listed with the reason",
        "test_a_history_leaves_it_out",
    ),
    (
        "a pipe, a socket or a device is in place of the journal",
        "refused in one line; it stays",
        "test_a_journal_that_is_none_is_refused",
    ),
    (
        "a folder, a loop of links or a dangling link is in place of the journal",
        "the same",
        "test_a_folder_or_a_link_to_nothing_in_place_of_a_journal_is_refused",
    ),
    (
        "a pipe, a socket, a device or a folder is in place of the lock file",
        "nothing is waited for; the run says that other runs are not detected",
        "test_a_lock_that_is_no_file_is_not_waited_for",
    ),
    (
        "a pipe is in the temporary folder of a killed run",
        "it is not waited for",
        "test_the_mark_of_a_folder_of_a_run_that_is_a_pipe_is_not_waited_for",
    ),
    (
        "a pipe, a socket, a device or a folder is in place of a trace, `pyproject.toml`, a suite file, `--data` or a "
        "file of the user's cache",
        "refused in one line that names it; of the cache, a warning",
        "test_every_other_reader_refuses_it",
    ),
    (
        "a file becomes a pipe while it is opened",
        "refused",
        "test_a_file_that_becomes_a_pipe_while_it_is_opened_is_refused",
    ),
    (
        "the file of a run is replaced, or grows, while it is read",
        "it is read as it was or as it is; one that is incomplete is refused",
        "test_a_run_that_is_replaced_and_grows_while_it_is_read_is_one_of_both",
    ),
    (
        "names with a newline, a leading dash, 255 bytes or bytes that are not UTF-8",
        "read and written like any other; printed in one line",
        "test_any_name_of_a_file_can_be_read_and_written",
    ),
    (
        "a file without the permission to read it",
        "refused in one line",
        "test_a_file_that_may_not_be_read_is_refused",
    ),
    (
        "the file of a run is to be a pipe, a socket, a device, a folder, a loop of links, or a link into a "
        "folder that does not exist",
        "refused before the run, exit code 4",
        "test_a_place_that_takes_no_run_is_refused_before_it",
    ),
    (
        "the same for a report, a table or a comment",
        "refused before the work, exit code 2; pipes and devices are written to",
        "test_a_place_that_takes_no_report_is_refused_before_it",
    ),
    (
        "`--benchmark-json` is `/dev/stdout` or `/dev/null`",
        "refused: a run has a journal beside its file",
        "test_a_run_is_not_written_to_a_device",
    ),
    (
        "a report to `/dev/stdout`, which a shell has opened to add to a file",
        "it is added; the file keeps what it has",
        "test_a_report_to_standard_output_is_added_to_what_a_shell_has_opened",
    ),
    (
        "a report to a pipe that nobody reads",
        "given up after 5 s",
        "test_a_pipe_is_written_to_once_it_has_a_reader",
    ),
    (
        "the output is a link, or has hard links",
        "a link is followed and stays; a hard link keeps the earlier content",
        "test_links_are_followed_and_hard_links_keep_the_earlier_content",
    ),
    (
        "another process writes the output's file while its place is tried",
        "that file is kept",
        "test_a_file_of_another_process_that_appears_meanwhile_is_kept",
    ),
    (
        "a name that no file can have: too long, or too long for its journal, below a file, or with a null byte",
        "refused before the run",
        "test_a_name_that_no_file_can_have_is_refused",
    ),
    (
        "a folder of another user, as in a clone that belongs to root, or his file in a shared folder",
        "refused before the run",
        "test_a_folder_of_another_user_is_refused_and_his_file_in_a_shared_one",
    ),
    (
        "the lock file belongs to another user",
        "it is used; one that may not be read is named in a warning",
        "test_the_lock_of_another_user_is_used_unless_it_is_private",
    ),
    (
        "the file system of the results is full, or read-only, or the file is mounted alone",
        "refused before the run; an existing file is not changed",
        "test_a_full_and_a_read_only_file_system_are_refused",
    ),
    (
        "the disk fills, a quota is used up, or the folder is replaced during the run",
        "the result is written to the working folder, else to the temporary one; exit code 2, the journal stays",
        "test_a_result_that_cannot_be_written_at_the_end_is_written_elsewhere",
    ),
    (
        "the disk fills while a report is written",
        "the same; the other reports of the command are written",
        "test_a_report_that_cannot_be_written_at_the_end_is_written_elsewhere_and_the_others_are",
    ),
    (
        "the folder of traces fails during the run",
        "traces are written to another, with a warning",
        "test_a_folder_of_traces_that_fails_is_replaced_by_another",
    ),
    (
        "the disk fills while a trace is written",
        "its case has no profile, with the reason; no half trace stays",
        "test_a_disk_that_fills_while_a_trace_is_written_leaves_no_half_trace",
    ),
    (
        "SIGKILL or SIGTERM while a report is written",
        "the earlier one stays; the temporary file is removed when a file is next written in that folder",
        "test_a_kill_while_a_report_is_written_leaves_the_earlier_one_and_is_swept",
    ),
    (
        "several processes write one file at once",
        "one of them wins, with a whole file",
        "test_many_writers_of_one_file_leave_one_whole_file",
    ),
    (
        "two `--resume` of one journal at once",
        "the second is refused, also if the first has just finished",
        "test_two_that_resume_one_journal_at_once_do_not_both",
    ),
    (
        "a `--resume` that waits (`--when-busy wait`) until another has finished the same run",
        "refused with exit code 4; the finished run stays",
        "test_a_resume_that_waited_until_another_had_finished_the_run_measures_nothing",
    ),
    (
        "the storage of `--benchmark-autosave` cannot be written, from the beginning or at the end",
        "refused before the run; or the run's own file is written nevertheless, exit code 2",
        "test_the_storage_of_pytest_benchmark_is_tried_before_the_run_and_may_fail_at_its_end",
    ),
    (
        "the working folder was removed",
        "a report is refused in one line",
        "test_a_working_folder_that_was_removed_is_one_line",
    ),
    (
        "a file system without locks, as NFS may be",
        "files are written; other runs are not detected there",
        "test_a_file_system_without_locks_is_written_to",
    ),
    (
        "no folder for temporary files has room",
        "refused before the run, in one line",
        "test_without_a_folder_for_temporary_files_nothing_begins",
    ),
    (
        "the disk of temporary files fills during the run",
        "the family fails with the reason",
        "test_a_family_whose_worker_gets_no_folder_fails_with_the_reason",
    ),
    (
        "it does not take the output of a worker",
        "that output is lost; nothing fails for that",
        "test_a_worker_whose_output_a_full_disk_does_not_take_goes_on",
    ),
    (
        "it fills while inductor compiles",
        "the case fails; its reason names the full disk",
        "test_a_case_that_fails_as_the_temporary_disk_is_full_says_so",
    ),
    (
        "another program removes the run's temporary folder",
        "it is made again",
        "test_the_folder_of_a_run_that_another_program_removed_is_made_again",
    ),
    (
        "a user without a home folder: no HOME, no entry of passwd",
        "nothing is kept for later runs",
        "test_the_users_cache_folder_of_a_user_without_a_home",
    ),
    (
        "`--data openml:…` without network, or with a server that is silent",
        "refused in one line, after 20 s of silence at most for each attempt",
        "test_a_server_that_is_silent_ends_the_download",
    ),
)
BESIDE = (
    "test_compile",
    "test_left_behind",
    "test_pauses",
    "test_resume",
    "test_graph",
    "test_duet",
)  # of tests/bench

HEAD = """# What happens to a run when something goes wrong

A test injects each fault with a real process and a real signal (`pytest tests/faults`), except for GPUs, clocks and
suspended machines, which are fakes. `pytest tests/faults --write-table` writes these tables from the results that the
tests check. After each fault no process, no shared memory and no temporary folder is left; the next run removes the
folder of a run that was killed by SIGKILL.

"""

OF_RANKS = """\
Where one rank fails, the ranks are no longer in step, and the family fails. The reason names the rank that failed by
itself first, and quotes the last lines of its output. What every rank raises, or a result that is refused, costs its
case alone. In a later visit, the fault costs that visit.

The death of a rank is noticed at once. A collective gives up after 15 s. A rank that does not answer within 20 s, and
ten times the time of its calls, is given up; its stack is among its last lines. A first call is waited for as long as
its ranks compute, up to 150 s. After Ctrl-Z and `fg`, a collective that was suspended for longer than 15 s may give up:
the reason then says so. The tests wait for less."""


OF_MESSAGES = """\
Messages hold plain values. They are decoded into the types that are expected, at most 32 MiB at once, and name cases by
their positions in the family. These were given to the code that receives them, without a process."""

OF_SIDES = """\
An interpreter that cannot be a side ends the run before anything is measured, with one line that names it. A worker of
a side that sends what it should not is killed: its case fails with the reason, or keeps the pairs before it, and the
side is named. Nothing that a side sends runs in pytest's process, grows without bound, or reaches a terminal as it is.

An interpreter is waited for up to 180 s, a worker up to 600 s. The tests wait for less."""
NOT_NEEDED = "nothing: the case is timed"


TAIL = """
## What is not covered

Windows has no signals to stop a process, and Torchduet has no file locks there: two runs do not detect each other.
SIGQUIT ends a run at once, as SIGKILL does. SIGTERM does not end a run while the file of a suite hangs in C code with
Python's lock held when pytest imports it.

## Long runs

`nox -s soak` kills processes of a run at 30 random moments (pytest, the process that forks workers, workers and their
children) and resumes the run each time, and measures 5,000 families with real workers;
`nox -s fuzz` lets the readers read 10,000 mutated files, and tries 10,000 command lines. Short versions of all are
part of the tests.
"""


def document() -> str:
    """The text of ``docs/reliability.md``."""
    lines = [f"## A workload causes it in its worker: {len(WORKER)} faults", ""]
    lines += ["Its family fails with the reason and the last lines of its output; the run continues.", ""]
    lines += ["| fault | reason of the failed family |", "| --- | --- |"]
    lines += [f"| {fault} | {words} … |" for fault, words in WORKER.values()]
    lines += ["", f"## A workload sends it over its worker's pipe: {len(MESSAGES)} faults", "", OF_MESSAGES, ""]
    lines += ["| message | what is said |", "| --- | --- |"]
    lines += [f"| {fault} | {words} … |" for fault, words in MESSAGES.values()]
    lines += ["", f"## A workload of several processes causes it in its ranks: {len(RANKS)} faults", "", OF_RANKS, ""]
    lines += ["| fault | reason | it costs |", "| --- | --- | --- |"]
    lines += [f"| {fault} | {reason and f'{reason} …'} | {cost} |" for fault, reason, cost in RANKS.values()]
    lines += ["", f"## It happens to the run: {len(RUN)} faults", "", "| fault | result |", "| --- | --- |"]
    lines += [f"| {fault} | {words} |" for fault, words, _ in RUN]
    for title, faults in (
        ("Signals, and the processes of a run", PROCESSES),
        ("It happens to files and places", PLACES),
        ("It happens to a command line", COMMAND),
    ):
        lines += ["", f"## {title}: {len(faults)} faults", "", "| fault | result |", "| --- | --- |"]
        lines += [f"| {fault} | {words} |" for fault, words, _ in faults]
    lines += ["", f"## The other side of a duet causes it: {len(SIDES)} faults", "", OF_SIDES, ""]
    lines += ["| fault | what is said |", "| --- | --- |"]
    lines += [f"| {fault} | {f'{words} …' if words else NOT_NEEDED} |" for fault, words in SIDES.values()]
    lines += ["", f"## It happens to a GPU: {len(GPU)} faults", "", "| fault | result |", "| --- | --- |"]
    lines += [f"| {fault} | {words} |" for fault, words, _ in GPU]
    return HEAD + "\n".join(lines) + "\n" + TAIL
