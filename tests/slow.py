"""Which tests carry the marker ``slow``: ``nox -s tests`` leaves them out, ``nox -s tests-all`` runs them.

Each takes seconds of the CPU's time and is of a kind of which others stay in the quick run: the same fault by another
signal, the same page in another browser window, one more operator. ``name[2:]`` keeps the first two cases of a test
with parameters, ``name[id]`` is one of them, ``*`` stands for all tests of the file, and ``-name`` for one
that stays.
"""

from __future__ import annotations

from collections.abc import Mapping

_AGREE, _BF16 = "test_every_implementation_agrees_with_float64", "test_bf16_is_within_its_tolerance"
_PURE = "test_pure_bf16_is_within_its_tolerance"
_OF_SECONDS = (  # workloads that take seconds at their smallest size
    *("dataloader.options", "dataloader.train_epoch", "export.infer", "generative.discriminator_step"),
    *("export.infer_compiled", "export.start_compiled"),
    *("mlp.train_784_4096_4096_10", "recurrent.infer_gru", "recurrent.infer_lstm", "recurrent.train_lstm"),
    *("speech.train_wav2vec2", "training.epoch", "training.to_accuracy", "transformers.decode_attention"),
    *(
        "transformers.fine_tune",
        "transformers.generate",
        "transformers.fine_tune_dropout",
        "transformers.fine_tune_head",
    ),
    *("transformers.greedy", "transformers.padding", "vision.train_classifier", "vision.train_vgg"),
    "vision.train_yolos",
)
_OF_SECONDS_IN_BF16 = (
    *("convnet.train_resnet", "generative.discriminator_step", "generative.iteration", "generative.wgan_critic_step"),
    *("mlp.train_784_4096_4096_10", "speech.train_wav2vec2", "training.to_accuracy", "transformers.fine_tune"),
    *("transformers.fine_tune_dropout", "vision.infer_classifier", "vision.train_classifier", "vision.train_vgg"),
    *("vision.train_yolo", "vision.train_yolos"),
)
_OF_SECONDS_IN_PURE_BF16 = (
    *("convnet.train_resnet", "mlp.train_784_4096_4096_10", "recurrent.infer_gru"),
    *("recurrent.infer_lstm", "recurrent.train_gru", "recurrent.train_lstm", "transformers.fine_tune_dropout"),
    *("transformers.fine_tune_head", "transformers.padding", "vision.infer_classifier", "vision.train_classifier"),
    "vision.train_vgg",
)

_OF_A_RANK = "test_a_fault_of_a_rank_costs_its_family_or_less_in_bounded_time"
_OF_A_WORKER = "test_a_familys_items_fail_with_the_reason"

SLOW: Mapping[str, tuple[str, ...]] = {
    "bench/test_case_globs.py": (
        "test_an_id_selects_its_case_and_globs_add_up",
        "test_a_case_of_another_tier_names_that_tier",
        "test_a_run_continues_with_the_same_cases_however_they_are_selected",
        "test_a_run_that_is_refused_leaves_an_unfinished_journal_where_it_is",
        "test_an_id_after_k_is_answered_with_case",
        "test_every_option_with_a_glob_refuses_one_that_matches_nothing",
    ),
    "bench/test_changed_inputs.py": ("test_a_compiled_call_is_given_them_too",),
    "bench/test_check_kinds.py": (
        "test_compiled_code_within_a_reference_is_recorded_and_perturbed",
        "test_compiled_models_pass",
    ),
    "bench/test_compile.py": (
        "test_a_workload_that_recompiles_fails_and_its_family_goes_on",
        "test_what_torch_says_that_it_does_not_support_is_skipped_with_its_words",
        "test_where_torch_compiles_nothing_its_reason_is_the_cases",
    ),
    "bench/test_compiled_already.py": (
        "test_a_compiled_model_is_called_uncompiled_in_eager_and_compiled_in_the_other_modes",
    ),
    "bench/test_conversions.py": ("test_it_is_measured_eager_and_compiled_from_the_option_to_the_answer",),
    "bench/test_device.py": (
        "test_a_device_that_is_not_here_is_said_in_one_line[1:]",
        "test_a_third_device_is_measured_through_to_the_report",
        "test_a_device_with_sizes_of_its_own_is_the_reference_there_and_computes_float64_where_that_takes_long",
    ),
    "bench/test_device_time.py": (
        "test_a_call_that_raises_behind_a_delay_keeps_its_other_times",
        "test_a_call_that_waits_for_the_device_has_no_device_time_and_leaves_the_others_theirs",
        "test_a_case_without_work_for_the_device_has_no_ratio",
        "test_cases_on_two_devices_have_no_speed_up_of_kernels",
        "test_each_visit_adds_its_own_ratio_of_the_kernels",
        "test_rounds_in_which_a_context_switch_outlasts_the_delay_are_left_out_for_all",
        "test_it_takes_a_tenth_of_the_time_and_a_few_rounds_of_each_placement",
        "test_short_kernels_are_not_told_apart_by_their_numbers_of_calls",
    ),
    "bench/test_duet.py": (
        "test_a_later_pair_times_the_cases_in_the_same_way",
        "test_a_run_finds_the_slow_down_and_renders",
        "test_a_side_is_stopped_while_it_waits_only_if_it_would_use_a_core[1:]",
        "test_a_side_that_ends_or_hangs_in_a_block_is_named[1:]",
        "test_a_side_that_is_suspended_meanwhile_takes_the_turn_again",
        "test_an_empty_side_is_an_error[1:]",
        "test_when_pytest_is_killed_both_sides_end",
    ),
    "bench/test_gpu_clocks.py": (
        "test_a_run_that_may_not_lock_them_ends_with_one_line_before_it_measures",
        "test_a_run_unlocks_the_clocks_before_it_ends_and_records_that_they_were_locked",
        "test_a_run_that_is_ended_by_a_signal_unlocks_the_clocks",
        "test_the_clocks_are_unlocked_when_the_process_is_killed[3:]",
    ),
    "bench/test_gpu_environment.py": ("test_pytest_refuses_a_busy_gpu_before_anything_is_measured",),
    "bench/test_gpu_model.py": (
        "test_a_case_that_works_on_after_its_stream_fails_and_says_why",
        "test_two_cases_that_the_device_limits_are_the_same_though_their_launches_differ",
    ),
    "bench/test_interpreters.py": (
        "test_workers_come_from_all_interpreters_in_turn_and_none_outlives_the_run",
        "test_a_fork_server_imports_the_packages_of_the_suites_that_are_measured_and_of_no_others",
    ),
    "bench/test_later_visit.py": ("test_what_the_first_visit_has_compiled_is_loaded",),
    "bench/test_left_behind.py": (
        "test_after_errors_in_a_worker_and_forgotten_iterators",
        "test_after_ctrl_c_while_a_worker_hangs[1:]",
        "test_after_pytest_was_stopped_and_killed_while_a_worker_hangs",
        "test_after_the_time_out_of_a_worker_that_hangs",
    ),
    "bench/test_levels.py": (
        "test_an_interpreter_makes_visits_and_a_later_one_loads_what_was_compiled",
        "test_an_interpreter_that_ends_is_reported",
    ),
    "bench/test_once.py": (
        "test_a_compiled_case_of_a_users_file_is_compiled_before_it_is_called",
        "test_calls_can_last_for_a_time",
        "test_inputs_are_put_back_before_each_call_in_one_process",
        "test_pytest_refuses_the_options_that_need_no_pytest",
    ),
    "bench/test_once_ids.py": (
        "test_ids_that_a_run_reports_name_their_cases[gpus-transformers]",
        "test_all_ids_that_a_run_reports_name_their_cases",
    ),
    "bench/test_peers.py": (
        "test_torch_timer_compares_unlike_pairs",
        "test_torch_timer_finds_much_more_work",
    ),
    "bench/test_process_state.py": ("test_importing_a_users_suite_changes_nothing_in_the_pytest_process",),
    "bench/test_profile_pass.py": (
        "test_with_workers_waiting_is_told_from_starting_them",
        "test_without_workers_what_is_waited_for_is_loading_itself",
        "test_tensorboards_plugin_opens_the_traces",
    ),
    "bench/test_ranks.py": (
        "test_a_duet_times_cases_in_ranks",
        "test_copies_of_cases_in_ranks_are_timed_against_them",
        "test_inputs_that_differ_between_ranks_are_named",
    ),
    "bench/test_recompilation.py": ("test_a_workload_whose_data_choose_another_branch_later_says_so",),
    "bench/test_remembered.py": ("test_what_computes_its_result_is_never_accused",),
    "bench/test_reproduce.py": (
        "test_a_duet_of_an_interpreter_with_itself_gives_false_alarms",
        "test_a_duet_of_two_versions_has_no_false_alarms",
        "test_two_real_runs_are_repeated_and_a_third_records_how_they_agreed",
    ),
    "bench/test_run.py": (
        "test_a_used_up_budget_skips_the_rest_with_the_reason",
        "test_a_wrong_option_is_one_clear_line[2:]",
        "test_asking_for_what_no_workload_has_is_answered",
        "test_benchmark_disable_checks_without_timing",
        "test_dash_k_collect_only_and_the_reference_that_was_not_selected",
        "test_two_files_with_one_suites_name_are_refused",
        "test_what_a_workload_asks_for_reaches_it_and_what_it_notes_is_recorded",
        "test_what_the_machine_cannot_run_is_skipped_with_the_reason",
    ),
    "bench/test_run_command.py": (
        "test_a_file_that_is_not_written_is_named[1:]",
        "test_a_cache_folder_that_cannot_be_written_is_no_matter",
    ),
    "bench/test_run_output.py": ("test_verbose_run_has_the_header_of_pytest",),
    "bench/test_self_check.py": ("test_a_run_against_itself_leaves_its_figures_to_the_runs_after_it",),
    "bench/test_sharded_runs.py": (
        "test_the_shards_together_are_the_suite[1:]",
        "test_a_hash_seed_changes_nothing",
        "test_a_shard_is_continued_as_the_same_shard_only",
        "test_a_machine_with_a_gpu_has_the_same_shards_as_one_without",
        "test_a_glob_for_profiles_may_match_cases_of_another_shard",
        "test_a_shard_gets_its_part_of_the_tiers_budget",
    ),
    "bench/test_torchrun.py": ("*", "-test_one_machine", "-test_contradictory_variables_are_an_error_of_usage"),
    "bench/test_unguarded.py": (
        "test_a_script_without_a_guard_is_not_run_by_its_workers",
        "test_each_worker_as_a_new_interpreter_runs_no_script_either",
        "test_nor_do_the_processes_of_a_duet",
    ),
    "bench/test_user_files.py": (
        "test_loaders_of_every_start_method_find_the_file_and_what_is_beside_it",
        "test_a_file_is_imported_once_for_all_workers",
        "test_a_file_that_cannot_be_imported_is_a_usage_error_of_one_line[1:]",
        "test_a_file_that_changes_the_folder_and_the_start_method_is_measured",
        "test_a_file_that_leaves_something_behind_is_imported_by_each_worker",
        "test_a_long_first_call_decides_nothing",
        "test_workers_do_without_the_server_where_it_cannot_fork_them",
    ),
    "bench/test_user_kernels.py": (
        "test_without_a_gpu_the_kernels_are_skipped_with_the_reason_and_the_others_are_checked",
        "test_the_triton_kernel_computes_the_same_in_tritons_interpreter",
    ),
    "bench/test_warm_starts.py": ("test_a_run_records_cold_and_warm_starts",),
    "browser/test_accessibility.py": ("test_axe_finds_no_violation[2:]",),
    "browser/test_cards.py": (
        "test_cards_fit_and_run_nothing_and_axe_finds_no_violation[2:]",
        "test_the_notebooks_theme_decides[4:]",
    ),
    "browser/test_compare.py": (
        "test_a_case_is_opened_read_and_closed_by_the_keyboard[1:]",
        "test_an_address_of_no_case_opens_none[2:]",
        "test_an_open_case_fits_and_stands_out[2:]",
        "test_an_open_case_is_printed_alone[1:]",
        "test_axe_finds_no_violation_in_an_open_case[1:]",
        "test_back_closes_a_case_and_forward_opens_it[1:]",
        "test_hostile_names_stay_text[1:]",
        "test_the_runs_are_told_apart_without_colour[1:]",
    ),
    "browser/test_history.py": ("test_axe_finds_no_violation_in_a_history[1:]",),
    "browser/test_machines.py": ("test_hostile_names_stay_text",),
    "browser/test_profile.py": ("test_axe_finds_no_violation_in_a_profile[1:]",),
    "browser/test_report.py": (
        "test_a_jump_ends_at_its_target_whatever_is_laid_out_on_the_way",
        "test_a_broken_address_shows_everything[2:]",
        "test_everything_fits_on_a4[1:]",
        "test_nothing_of_a_forest_chart_is_cut_or_must_be_scrolled_to[2:]",
        "test_text_stands_out_from_its_background[2:]",
        "test_the_page_itself_never_scrolls_sideways[3:]",
    ),
    "docs/test_pages.py": ("test_a_command_that_measures_nothing_runs[1:]",),
    "bench/fleet/test_on_ray.py": (
        "test_a_killed_driver_leaves_nothing_running_and_is_continued",
        "test_a_node_is_killed_another_joins_and_all_families_are_measured_once",
        "test_ctrl_c_writes_what_there_is_and_says_how_to_go_on",
    ),
    "duet/test_against.py": (
        "test_bad_input_is_one_line",
        "test_a_module_that_the_base_lacks_says_what_to_do",
        "test_a_package_that_the_base_cannot_import_says_so",
        "test_a_stop_request_keeps_what_was_measured_and_leaves_nothing",
        "test_a_workload_that_the_base_lacks_is_left_out_and_says_so",
        "test_no_change_is_green",
        "test_the_action_of_github_finds_it",
    ),
    "duet/test_imported.py": (
        "test_a_build_that_fails_is_one_clear_line",
        "test_a_compiled_package_is_built_at_the_revision",
        "test_a_compiled_part_of_the_working_tree_is_refused_even_if_the_package_does_without[1:]",
        "test_a_copy_of_any_layout_is_refused[1:]",
        "test_an_installed_copy_that_is_out_of_date_is_refused_with_build",
    ),
    "faults/test_duet_resumed.py": ("*",),
    "faults/test_isolation.py": (
        "test_a_familys_items_fail_with_the_reason",
        *(
            f"-test_a_familys_items_fail_with_the_reason[{kept}]"
            for kept in (
                "killed",
                "exit_7",
                "closes_its_pipe",
                "garbage",
                "hangs",
                "raises",
                "host_memory",
                "megabytes",
            )
        ),
        "test_three_workloads_in_a_row_without_an_answer_end_the_run",
    ),
    "faults/test_later_visits.py": ("*",),
    "faults/test_long_runs.py": ("*",),
    "faults/test_ranks.py": (
        _OF_A_RANK,
        *(f"-{_OF_A_RANK}[{kept}]" for kept in ("in_a_block", "exits", "raises_later", "skips_a_collective")),
        "test_a_rank_that_is_killed_in_a_later_visit_costs_that_visit",
        "test_a_rank_that_is_killed_while_the_first_is_profiled_costs_the_profiles",
        "test_a_stop_request_during_the_passes_after_the_timing_costs_no_result",
        "test_after_sigterm_in_the_control_the_results_are_written_and_nothing_is_left",
        "test_no_rank_outlives_pytest",
        "test_other_families_of_a_run_are_intact",
        "test_ranks_that_compute_for_long_are_waited_for",
        "test_the_last_lines_of_a_rank_that_was_killed_are_quoted",
        "-test_the_last_lines_of_a_rank_that_was_killed_are_quoted[in_a_block]",
        "test_the_stack_of_a_rank_that_does_not_answer_is_quoted",
    ),
    "faults/test_resume.py": (
        "test_ctrl_z_stops_the_worker_too_and_the_run_says_so",
        "test_from_its_whole_journal_a_run_is_the_same_to_the_last_digit",
        "test_killed_then_resumed_it_holds_the_same_cases_and_what_was_measured_before",
        "test_nothing_is_left_behind",
        "test_once_what_there_is_is_written_and_the_rest_can_be_resumed",
        "test_the_report_of_its_journal_says_that_it_was_stopped",
        "test_the_torn_end_of_a_journal_is_left_out_and_said",
        "test_twice_it_stops_at_once_and_the_journal_is_intact",
        "test_with_other_options_it_is_refused",
    ),
    "faults/test_signals.py": ("test_while_a_side_of_a_duet_hangs_in_its_first_call",),
    "faults/test_two_runs.py": ("test_the_second_waits_until_the_first_is_killed_refuses_or_goes_on_and_says_so",),
    "library/test_compare.py": (
        "test_functions_that_cannot_be_taken_along_are_measured_here",
        "test_sizes_and_precisions",
        "test_a_fresh_process_that_computes_something_else_is_not_used",
        "test_a_result_that_differs_for_other_values_is_noted",
        "test_compiled_by_its_author",
        "test_ctrl_c_prints_what_was_found_and_goes_on",
        "test_programs_in_odd_places",
        "test_programs_without_a_main_guard[1:]",
    ),
    "library/test_from_torch_benchmark.py": ("test_the_programs_run",),
    "library/test_shipped.py": (
        "test_a_function_of_an_installed_package_goes_by_import",
        "test_switches_are_as_in_the_program",
        "test_what_inputs_and_closures_share_is_shared_there",
    ),
    "library/test_timer.py": (
        "test_a_row_is_compared_in_alternation",
        "test_results_that_differ_are_no_comparison",
    ),
    "merge/test_real_runs.py": ("*",),
    "notebook/test_docs.py": ("*",),
    "notebook/test_kernel.py": (
        "test_of_the_progress_nothing_stays_and_nothing_is_said",
        "test_a_terminal_is_left_clean",
        "test_progress_is_left_out_if_it_is_not_wanted",
    ),
    "notebook/test_magic.py": (
        "test_a_cell_has_a_side_per_line_or_per_part",
        "test_o_returns_it_as_well_and_q_returns_it_only",
        "test_an_expression_may_begin_with_a_minus",
        "test_braces_and_dollars_are_left_as_they_are",
    ),
    "own_tests/test_own_project.py": ("test_a_project_with_a_layer_of_its_own",),
    "own_tests/test_page.py": (
        "test_a_command_runs[1:]",
        "test_the_files_pass_with_what_they_say_themselves",
        "test_the_strict_test_passes_or_is_not_sure",
    ),
    "own_tests/test_plugin.py": (
        "test_what_is_unclear_fails_only_where_that_is_asked_for",
        "test_a_file_that_cannot_be_written_fails_the_session",
        "test_a_wrong_value_is_one_line_that_names_the_option[1:]",
        "test_beside_other_tests_of_xdist_duets_are_skipped",
        "test_ctrl_c_ends_pytest_with_the_duets_so_far",
        "test_disabled_benchmarks_check_results_and_time_nothing",
        "test_duets_are_skipped_before_anything_is_imported[1:]",
        "test_duets_stand_beside_the_benchmarks_of_pytest_benchmark",
        "test_functions_reach_fresh_processes_by_import_and_by_their_code",
        "test_the_file_of_a_session_is_read_by_all_commands",
        "test_torchduets_own_runs_are_as_without_the_plugin",
        "test_with_one_worker_of_xdist_duets_are_measured",
        "test_without_pytest_benchmark_and_without_a_terminal",
    ),
    "own_tests/test_withheld.py": ("test_a_duet_is_measured_once_more",),
    "reports/test_bad_input.py": ("test_a_benchmark_of_very_many_rounds_is_judged_by_its_batches",),
    "reports/test_command.py": ("test_names_beyond_the_charts_font_raise_no_warning",),
    "reports/test_compare_sides.py": (
        "test_a_large_page_holds_the_rows_that_moved_and_is_compact",
        "test_blocks_are_given_where_they_are_not_too_many",
    ),
    "reports/test_compare_visits.py": ("test_runs_of_the_same_code_raise_no_alarm[1:]",),
    "reports/test_helper_process.py": ("test_a_script_without_a_guard_is_not_run_by_the_second_process[1:]",),
    "reports/test_history_command.py": ("test_charts_of_a_second_process_are_those_drawn_here",),
    "reports/test_machines_page.py": ("test_hundreds_of_machines_have_a_column_each",),
    "reports/test_journal.py": ("test_rendering_it_loads_no_more_of_what_measures_than_rendering_a_run",),
    "suites/test_aot_inductor.py": ("test_a_package_computes_what_the_model_does_and_starts_from_a_copy",),
    "suites/test_data.py": (
        "test_the_option_is_checked_before_anything_is_measured",
        "test_the_option_reaches_the_worker_and_the_record",
    ),
    "suites/test_distributed_steps.py": ("*",),
    "suites/test_finetuning.py": (
        "test_the_comparison_with_the_trainer_sees_another_setting",
        "test_the_loss_falls_over_repeated_steps",
        "test_three_steps_give_the_parameters_that_the_trainer_of_transformers_gives",
    ),
    "suites/test_generative.py": (
        "test_a_step_without_an_optimizer_s_or_with_a_gradient_of_zero_is_refused",
        "-test_a_step_without_an_optimizer_s_or_with_a_gradient_of_zero_is_refused[wgan_critic_step]",
    ),
    "suites/test_offline.py": (
        "test_where_transformers_is_missing_what_needs_it_says_what_to_install",
        "test_no_implementation_reaches_for_the_network",
    ),
    "suites/test_suites.py": (
        *(f"{_AGREE}[{name}]" for name in _OF_SECONDS),
        *(f"{_BF16}[{name}]" for name in _OF_SECONDS_IN_BF16),
        "test_no_training_diverges_while_it_is_timed",
        "-test_no_training_diverges_while_it_is_timed[train_vgg]",
        *(f"{_PURE}[{name}]" for name in _OF_SECONDS_IN_PURE_BF16),
        *(f"test_pure_fp16_of_inference_is_within_its_tolerance[recurrent.infer_{name}]" for name in ("gru", "lstm")),
    ),
    "test_gpu_sessions.py": ("test_these_files_are_collected_without_what_other_tests_need",),
    "test_platforms.py": (
        "test_a_run_measures_with_a_new_interpreter_for_each_worker",
        "test_every_module_is_imported[1:]",
        "test_reports_are_the_same",
    ),
    "test_readme.py": ("test_the_model_is_measured_as_the_readme_says",),
    "test_several_processes.py": (
        "test_its_report_has_what_the_page_explains",
        "test_the_example_has_every_case_that_the_page_describes",
    ),
    "test_wheel.py": (
        "test_a_source_distribution_is_complete_and_builds_the_same_wheel",
        "test_built_in_suites_are_selected_as_in_a_clone",
        "test_paths_are_relative_to_the_users_folder",
        "test_the_other_side_of_a_duet_needs_nothing_of_ours",
    ),
    "suites/test_tokenizers.py": (
        "test_a_batch_is_encoded_by_a_thread_per_core_and_a_single_text_by_one",
        "test_the_pool_has_the_threads_that_were_asked_for_before_its_first_use",
    ),
}
