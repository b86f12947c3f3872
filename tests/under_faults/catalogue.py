"""The catalogue of faults, 1 to 72 and a few more: what brings each about, and which test sees the answer.

``by`` names faults of ``faults.CATALOGUE``, ``by means of`` says what else it takes. Then come the tests, as
``file: test``. ``not yet`` is what a good library does besides and this one will, ``not here`` what these
tests do without, and why.
"""

TABLE = """
1 transient exception
    by transient_error
    errors: a_transient_error_is_ridden_out_within_the_budget_and_settled_once
2 permanent exception: bad input
    by permanent_error, poison_row, input_nan, server_error
    errors: bad_input_is_neither_tried_again_nor_held_against_the_model_nor_papered_over
    answers: a_poison_row_fails_its_batch_once_and_is_no_fault_of_the_model
    answers: an_input_with_holes_is_its_senders_fault
    errors: a_server_that_fails_every_time_is_left_alone_and_answered_for
3 hang in Python
    by hang
    time: a_task_that_hangs_is_cancelled_at_the_limit_and_gives_its_seat_back
4 hang in native code that gives up the interpreter's lock
    by hang
    time: threads_that_hang_are_left_behind_up_to_a_bound_and_then_calls_are_refused
    threads: awaited_calls_of_plain_functions_leave_no_more_threads_behind_than_the_bound
5 hang in native code that holds the interpreter's lock
    by hold_gil
    time: code_that_holds_the_interpreters_lock_is_found_late_and_breaks_nothing
    not yet: isolation, as only another process could cut it short
6 event loop blocked by a plain model call
    by block
    time: a_limit_fires_right_after_a_model_lets_go_of_its_event_loop
    time: a_plain_function_that_blocks_does_not_block_the_loop_that_awaits_it
    loops: a_plain_function_under_a_guard_may_be_awaited_while_its_loop_goes_on
    not yet: an event that tells of a loop's lag
7 slow: a heavy tail
    by slow
    time: answers_that_take_too_long_too_often_open_the_breaker
    time: a_tail_of_slow_answers_is_cut_at_the_limit
    not yet: a hedge
8 slow, then as before
    by slow_for_a_while, outage, flapping
    time: a_model_that_was_slow_and_recovers_is_back_with_the_first_probe
    errors: after_an_outage_the_first_probe_brings_the_traffic_back
    errors: a_backend_that_flaps_costs_one_probe_each_time_it_is_down
9 NaN or infinite output
    by nan, inf, zeroed, poison_row_nan
    answers: a_wrong_answer_is_a_failure_that_is_tried_again_counted_and_answered_elsewhere
    answers: rows_whose_answers_a_poison_row_spoiled_are_not_served
    not yet: a contract that checks answers by itself; the user's check inside the guard does
10 wrong shape, type or order of rows
    by wrong_shape, wrong_dtype, shuffled_rows
    answers: a_wrong_answer_is_a_failure_that_is_tried_again_counted_and_answered_elsewhere
    answers: the_error_of_a_wrong_answer_does_not_show_it
    not yet: a contract, as for 9
11 partial batch
    by partial_batch
    answers: a_wrong_answer_is_a_failure_that_is_tried_again_counted_and_answered_elsewhere
    answers: a_batch_that_comes_back_short_is_asked_for_again_as_a_whole
    not yet: a batcher that asks for the missing rows alone
12 all-constant output, and drift
    by constant, output_drift, input_drift
    answers: a_dead_model_that_says_the_same_to_everything_is_seen_by_who_looks_at_several_rows
    answers: drift_passes_through_the_policies_untouched
    not yet: drift detectors
13 silently stale answer
    by stale
    answers: a_stale_answer_is_told_by_the_number_of_its_request
    not yet: a cache, whose answers carry their age
14 segfault in native code
    by segfault
    processes: a_worker_that_dies_is_an_error_that_is_counted_and_the_next_call_works
    processes: a_pool_whose_worker_really_dies_is_a_crash_that_is_counted_and_the_next_one_serves
    not yet: isolation of a model in a process; a pool of the user's is guarded
15 abort in native code
    by abort
    processes: a_worker_that_dies_is_an_error_that_is_counted_and_the_next_call_works
    processes: a_pool_whose_worker_really_dies_is_a_crash_that_is_counted_and_the_next_one_serves
    not yet: isolation of a model in a process; a pool of the user's is guarded
16 os._exit or sys.exit in the callee
    by exit_process, system_exit
    processes: a_worker_that_dies_is_an_error_that_is_counted_and_the_next_call_works
    processes: a_pool_whose_worker_really_dies_is_a_crash_that_is_counted_and_the_next_one_serves
    errors: an_exit_passes_through_everything_and_is_not_tried_again
    not yet: isolation of a model in a process; a pool of the user's is guarded
17 MemoryError
    by out_of_memory
    by means of RLIMIT_AS in a forked child
    errors: what_does_not_fit_into_memory_is_not_tried_again_and_is_answered_elsewhere
    errors: the_way_of_an_error_works_while_memory_is_really_exhausted
18 the system's killer of processes when memory is short
    by kill_9
    by means of its signal, without the killer: a limit on a group of processes needs root
    processes: a_worker_that_dies_is_an_error_that_is_counted_and_the_next_call_works
    processes: a_pool_whose_worker_really_dies_is_a_crash_that_is_counted_and_the_next_one_serves
    not yet: isolation of a model in a process; a pool of the user's is guarded
19 GPU out of memory
    by gpu_out_of_memory
    errors: a_full_gpu_is_not_asked_again_and_a_smaller_model_answers
    errors: an_error_that_was_handled_holds_no_input
    not yet: a batcher that halves a batch
20 input pinned by error objects
    by gpu_out_of_memory, server_error, hang
    errors: an_error_that_was_handled_holds_no_input
    errors: a_time_out_holds_no_input_once_its_thread_has_ended
    ../memory: arguments_and_results_are_not_kept_alive_past_the_call
21 fork while locks are held
    by hang
    by means of os.fork while another thread hangs and a third holds the locks
    processes: a_child_that_is_forked_while_a_call_hangs_and_locks_are_held_may_use_every_policy_at_once
22 fork with warm or hung helper threads
    by hang
    by means of os.fork
    processes: a_child_that_is_forked_while_its_threads_are_all_hung_starts_with_none_of_them
    ../policies/timeout_threads: a_forked_child_makes_threads_of_its_own
23 spawned workers
    by means of a fresh interpreter that is given a pickle, as multiprocessing does
    processes: policies_travel_to_a_process_that_was_spawned_as_configuration_and_work_there
24 SIGINT in a call, a sleep, a wait for a lock
    by interrupt
    by means of setitimer, for the wait for a lock
    signals: a_signal_in_the_middle_of_a_call_passes_and_gives_everything_back
    signals: a_signal_in_the_wait_between_two_attempts_passes_too
    signals: a_signal_in_the_wait_for_a_seat_passes_and_leaves_no_place_in_the_queue
    signals: a_signal_in_an_awaited_call_ends_the_program_and_leaves_nothing_taken
25 SIGTERM handler that raises SystemExit
    by terminate
    signals: a_signal_in_the_middle_of_a_call_passes_and_gives_everything_back
    signals: a_signal_in_the_wait_between_two_attempts_passes_too
    not yet: a drain of the calls in flight
26 signal handler that uses the policy
    by signal_storm
    signals: a_handler_that_uses_the_policy_it_interrupts_neither_deadlocks_nor_loses_a_seat
    signals: a_handler_that_comes_while_the_last_probe_is_being_counted_is_refused_for_no_time_at_all
    keys: keys_that_a_handler_enters_while_one_is_being_forgotten_do_no_harm
    keys: a_key_that_a_handler_had_forgotten_before_it_was_in_use_is_remembered_again
27 storms of EINTR
    by signal_storm
    signals: waits_that_are_interrupted_again_and_again_take_as_long_as_they_should
28 interpreter's end with a hung call
    by hang
    by means of a program that ends
    shutdown: an_interpreter_with_hung_calls_exits
29 calls while the interpreter ends
    by means of a program that ends, with an atexit hook, and with daemon threads
    shutdown: calls_while_the_interpreter_ends_are_answered_or_cleanly_refused
    shutdown: a_daemon_thread_that_goes_on_calling_ends_with_the_interpreter
30 event loop closed with calls pending
    by hang
    by means of loop.close()
    loops: a_loop_that_is_closed_with_calls_pending_leaves_no_seat_taken
    loops: a_thread_that_ends_after_the_loop_that_waited_for_it_gives_its_seat_back
31 loop change between calls
    by server_error
    by means of a loop for each call
    loops: a_policy_goes_from_loop_to_loop_with_what_it_knows
32 several loops in threads
    by means of two loops of asyncio and one of trio, with slow answers
    loops: loops_in_several_threads_share_one_limit
33 decorated at import, without a loop
    by means of a guarded function of the test's module
    loops: what_was_decorated_at_import_works_on_any_loop
34 trio, nested scopes of anyio
    by hang
    loops: scopes_around_and_inside_a_call_each_end_their_own
35 uvloop, or a loop without asyncio's insides
    by hang
    by means of a loop of another make
    loops: a_loop_of_another_make_serves_as_well
    not here: uvloop itself, which is no dependency of the tests
36 outer cancel at every await
    by hang
    cancellation: a_cancellation_at_any_await_of_a_call_in_trouble_gives_everything_back
    ../drivers/cancellation: a_cancellation_at_any_await_gives_everything_back
37 cancel coincides with the deadline
    by hang
    cancellation: a_cancellation_that_comes_with_the_deadline_wins_on_asyncio
    cancellation: a_cancellation_that_comes_with_the_deadline_wins_on_trio
38 double cancel, cancel during cleanup
    by hang
    by means of task.cancel() twice
    cancellation: a_cancellation_at_any_await_of_a_call_in_trouble_gives_everything_back
    cancellation: a_second_cancellation_in_the_middle_of_the_cleanup_of_the_first_loses_no_seat
39 callee swallows its cancellation
    by stubborn
    cancellation: a_task_that_swallows_its_cancellation_is_left_behind_after_its_grace_and_counted
    cancellation: without_a_grace_and_on_trio_who_swallows_its_cancellation_is_late_and_no_more
40 callee raises a cancellation itself
    by cancelled
    cancellation: a_cancellation_that_the_callee_raises_itself_teaches_nothing_and_harms_nobody_else
    cancellation: a_future_that_was_cancelled_elsewhere_is_an_error_like_any_other_to_a_plain_call
    not yet: coalesced calls, whose followers it could kill
41 helper thread dies
    by means of PyThreadState_SetAsyncExc
    threads: an_idle_worker_that_was_killed_from_outside_is_replaced_and_its_call_is_answered
    threads: an_idle_worker_that_was_killed_is_no_longer_counted_on
    threads: a_worker_that_is_killed_around_a_call_ends_that_call_and_is_no_longer_counted_on
    threads: a_worker_that_is_killed_as_it_is_handed_a_job_passes_it_on
    threads: a_worker_that_is_killed_after_its_call_has_ended_leaves_the_answer_alone
    threads: a_worker_that_is_killed_in_the_middle_of_a_call_ends_that_call_and_serves_on
    ../promises: nothing_is_injected_into_a_running_thread
42 thread start fails
    by thread_start_fails
    threads: a_thread_that_cannot_be_started_is_a_refusal_and_costs_no_seat
    threads: a_thread_that_cannot_be_started_for_an_awaited_call_is_a_refusal_too
43 context variables, or modes of a thread, lost
    by means of a ContextVar, and numpy's error state
    ../policies/timeout_threads: context_variables_reach_the_model_and_its_own_do_not_come_back
    ../policies/timeout_threads: numpys_error_state_reaches_the_model
44 monkey-patching, as gevent does
    by means of time.sleep is replaced
    threads: waits_go_through_whatever_has_replaced_the_sleep_of_the_standard_library
    not here: gevent itself, which is no dependency of the tests, and changes a process for good
45 wall clock an hour off
    by wall_clock_back, wall_clock_forward
    clocks: the_wall_clock_has_no_say_in_waits_limits_and_open_times
    clocks: a_date_to_come_back_at_is_never_waited_for_longer_than_the_cap
46 monotonic clock stands still or steps back
    by monotonic_back, server_error
    clocks: a_monotonic_clock_that_steps_back_opens_nothing_early_and_holds_nothing_for_ever
    clocks: a_clock_that_stands_still_still_counts_and_earns_nothing
47 leap, suspend
    by suspend
    clocks: a_machine_that_was_suspended_finds_its_limits_passed_and_its_breakers_ready
48 store down at start
    by means of an error
    stores: a_store_in_trouble_costs_no_more_than_its_limit_and_then_nothing
    not yet: state that is shared through a store; a user's own read of one is guarded
49 store hangs
    by means of a hang
    stores: a_store_in_trouble_costs_no_more_than_its_limit_and_then_nothing
    not yet: state that is shared through a store; a user's own read of one is guarded
50 store is slow by 200 ms
    by means of latency
    stores: a_store_in_trouble_costs_no_more_than_its_limit_and_then_nothing
    not yet: state that is shared through a store; a user's own read of one is guarded
51 store cut off, then healed
    by means of a hang for a while
    stores: a_store_that_was_cut_off_and_comes_back_is_used_again_and_not_before
    not yet: state that is shared through a store; a user's own read of one is guarded
52 store flushed
    by means of nothing in place of the answer
    stores: a_store_in_trouble_costs_no_more_than_its_limit_and_then_nothing
    not yet: state that is shared through a store; a user's own read of one is guarded
53 store failed over, read-only
    by means of its error
    stores: a_store_in_trouble_costs_no_more_than_its_limit_and_then_nothing
    not yet: state that is shared through a store; a user's own read of one is guarded
54 store gives garbage or another type
    by means of garbage in place of the answer
    stores: a_store_in_trouble_costs_no_more_than_its_limit_and_then_nothing
    not yet: state that is shared through a store; a user's own read of one is guarded
55 store is busy, full, or has lost its scripts
    by means of its errors
    stores: a_store_in_trouble_costs_no_more_than_its_limit_and_then_nothing
    not yet: state that is shared through a store; a user's own read of one is guarded
56 kill -9 in the middle of writing state; torn, foreign, newer files
    by means of a snapshot cut at every byte, and others
    stores: a_snapshot_that_is_torn_at_any_byte_is_refused_and_leaves_a_cold_start
    stores: a_snapshot_that_is_foreign_or_newer_is_refused_and_leaves_what_was_there
    not yet: snapshots in files; where one is kept, and how, is the user's
57 disk full, read-only or slow
    by means of errors and latency of what a listener writes
    stores: a_listener_that_cannot_write_its_file_disturbs_no_call
    stores: a_listener_that_is_slow_to_write_holds_up_its_own_call_alone
    not yet: snapshots in files, as for 56
58 thundering herd on recovery
    by outage
    load: of_a_herd_that_waits_for_a_model_to_recover_only_the_probes_reach_it
    load: breakers_that_opened_together_do_not_probe_together
    not yet: a cache, whose entries could run out together
59 cold start
    by slow_start
    time: a_cold_start_is_cut_at_the_limit_and_does_not_open_the_breaker
    time: a_warm_up_teaches_a_disabled_breaker_nothing
60 retry storm, layered retries
    by outage
    errors: layers_of_retries_do_not_multiply
    errors: a_budget_that_layers_share_caps_a_storm_of_retries
61 key flood
    by means of keys without number, one of them sick
    keys: a_flood_of_keys_is_bounded_and_the_sick_one_is_not_forgotten
62 key injection and collision
    by means of parts that join to the same text, objects that print the same, addresses used again
    keys: a_key_is_its_parts_and_never_their_text
    keys: objects_that_print_the_same_are_different_keys
    keys: a_key_in_use_keeps_its_identity_from_being_given_to_another
63 hash flooding; hashes that raise, lie or change
    by means of classes with such hashes
    keys: keys_that_all_collide_cost_no_more_than_the_bound_on_keys
    keys: a_key_whose_hash_changes_is_never_found_again_and_does_no_harm
    keys: a_key_that_fails_fails_its_own_call_and_no_other
    keys: a_key_that_cannot_be_hashed_is_refused_by_its_type_alone
64 huge payload
    by server_error
    by means of an argument that writes down whatever looks into it
    hostile: a_huge_payload_is_handed_on_and_never_looked_into
65 huge or raising text
    by huge_error, unprintable_error
    hostile: a_hostile_exception_is_tried_again_counted_and_raised_as_it_is
    hostile: a_hostile_exception_is_answered_for
    hostile: the_text_of_an_exception_is_never_asked_for
66 falsy and lying exceptions
    by falsy_error, lying_error
    hostile: a_hostile_exception_is_tried_again_counted_and_raised_as_it_is
    hostile: a_hostile_exception_is_answered_for
67 groups of mixed kinds, cycles of causes, huge notes
    by error_group, cyclic_causes, huge_notes
    hostile: a_hostile_exception_is_tried_again_counted_and_raised_as_it_is
    hostile: a_hostile_exception_is_answered_for
    hostile: the_worst_of_a_group_decides
    hostile: an_exception_with_very_many_notes_is_given_no_more
68 recursion under a bulkhead
    by reentry
    load: a_call_that_calls_itself_under_a_bulkhead_of_one_is_refused_and_not_hung
    load: a_call_that_waits_for_its_own_seat_ends_at_its_limit
69 decorators on every kind of callable
    by means of an error inside each
    callables: a_fault_counts_whatever_kind_of_callable_it_strikes
    callables: methods_that_are_decorated_in_their_class_count_too
    callables: what_cannot_be_protected_is_refused_when_it_is_decorated
70 pickling of guarded functions and of errors
    by means of a pool of processes
    processes: a_guarded_function_travels_by_its_name_and_its_errors_come_back_whole
    processes: what_a_fault_raises_travels_too
71 free-threaded builds, sub-interpreters
    by means of threads that are switched as often as can be
    threads: threads_that_share_policies_lose_no_failure_and_no_seat
    not here: such a build, and a numpy that can be imported into a sub-interpreter
72 collector in critical sections, finalizers that use the policy
    by gc_storm
    garbage: finalizers_that_use_the_policy_they_interrupt_neither_deadlock_nor_lose_a_seat
    garbage: a_collector_that_never_rests_changes_nothing
+ a stream is cut
    by cut
    streams: a_stream_that_is_cut_after_items_is_not_begun_again_and_nothing_is_put_in_its_place
    streams: a_stream_that_is_cut_before_its_first_item_is_begun_again
+ a stream ends early, repeats, loses or garbles items
    by truncated, duplicate_items, lost_items, malformed_items
    streams: a_stream_with_a_flaw_fails_where_the_flaw_is_and_is_not_begun_again
    not yet: a contract for streams; the user's check inside the guard does it
+ a stream stalls
    by stall_at_first, stall_between, slow_items
    streams: a_stream_that_stalls_ends_at_its_limit
    streams: a_stream_that_stalls_before_its_first_item_is_begun_again
    streams: items_that_only_come_slowly_all_come
    not yet: a limit from one item to the next
+ a server limits the rate
    by rate_limit
    load: clients_of_a_rate_limit_come_back_when_it_says_and_none_of_them_is_a_storm
    load: a_rate_limit_that_outlasts_the_attempts_opens_the_breaker_for_as_long_as_it_says
+ a server is overrun
    by overload, overloaded
    load: a_server_that_is_overrun_refuses_and_one_behind_a_bulkhead_is_not_overrun
    errors: a_server_that_says_when_to_come_back_is_asked_then
"""
