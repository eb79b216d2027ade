"""Faults in what keeps cost low where classes and models are many."""

from mutations.fault import Fault

SET = "tests/base/test_working_set.py::"
WARM = "tests/commands/test_warm.py::"
LBFGSB = "tests/base/test_lbfgsb.py::"
WORK = "tests/decide/test_decide_work.py::"
TESTS = "tests/report/test_study_tests.py::"
MANY = "tests/report/test_report_many.py::"

FAULTS = [
    Fault(
        name="growth: nobody looks at what was left out of the working set",
        file="src/ambidex/base/working_set.py",
        before="        excess = -float(gradient[:bounded].min(initial=0.0))\n",
        after="        excess = 0.0\n",
        caught_by=SET + "test_the_optimum_is_that_of_nonnegative_least_squares[0.0]",
    ),
    Fault(
        name="growth: SciPy's routine holds a variable with an upper bound alone by a lower one",
        file="src/ambidex/base/lbfgsb.py",
        before="[2, 1, 3]",
        after="[2, 1, 1]",
        caught_by=LBFGSB + "test_the_steps_are_those_of_scipy[1]",
    ),
    Fault(
        name="growth: SciPy's inner routine is called whatever its version",
        file="src/ambidex/base/lbfgsb.py",
        before="        return None\n    from scipy",
        after="        pass\n    from scipy",
        caught_by=LBFGSB + "test_of_a_scipy_that_nobody_looked_at_the_wrapper_is_used",
    ),
    Fault(
        name="growth: a minimum's value is that of the last try",
        file="src/ambidex/base/convex.py",
        before="if latest is None or not np.array_equal(x, latest[0]):",
        after="if latest is None:",
        caught_by=LBFGSB + "test_where_the_last_try_was_worse_the_value_is_that_of_the_end",
    ),
    Fault(
        name="growth: auto tries a candidate of any size",
        file="src/ambidex/decide/allocators/auto.py",
        before="        if work > config.most_work:\n            return cls(name, kind, own, None, work)\n",
        after="",
        caught_by=WORK + "test_what_is_left_out_is_named_and_changes_nothing_else",
    ),
    Fault(
        name="growth: of many classes those with the least to see are shown",
        file="src/ambidex/report/many.py",
        before="key=lambda place: -weights[place]",
        after="key=lambda place: weights[place]",
        caught_by=MANY + "test_few_classes_are_all_shown_in_their_order_and_many_by_weight",
    ),
    Fault(
        name="growth: a difference that resamples may turn is taken for one that none can",
        file="src/ambidex/report/study/significance.py",
        before="_NEVER = 1e-9",
        after="_NEVER = 1e3",
        caught_by=TESTS + "test_columns_that_no_resample_can_turn_have_the_p_value_of_their_draws",
    ),
    Fault(
        name="growth: the bound of a crossing forgets that a unit is many samples",
        file="src/ambidex/base/statistics.py",
        before="totals, _ = _by_unit(values.double(), units)\n    turned",
        after="totals = values.double()\n    turned",
        caught_by="tests/base/test_statistics.py::"
        "test_the_bound_of_a_crossing_is_one_over_all_draws_there_are",
    ),
    Fault(
        name="growth: p-values that are corrected stay as coarse as those that are not",
        file="src/ambidex/report/study/significance.py",
        before="(small & corrected, fine)",
        after="(small & corrected, min(fine, _ENOUGH))",
        caught_by=TESTS + "test_what_is_corrected_is_found_finer_than_what_is_not",
    ),
    Fault(
        name="growth: a p-value counts the last block of resamples alone",
        file="src/ambidex/report/study/significance.py",
        before="count + len(block)",
        after="len(block)",
        caught_by=TESTS + "test_p_values_are_the_same_in_one_block_and_in_several",
    ),
    Fault(
        name="growth: a list of plug-ins imports them",
        file="src/ambidex/commands/plugins.py",
        before="        return plugin_list.from_source(_REGISTRIES[kind], kind)\n",
        after="        return plugin_list.listing(registry(kind), kind)\n",
        caught_by="tests/commands/test_plugin_list.py::test_a_list_imports_nothing_heavy",
    ),
    Fault(
        name="growth: a list of plug-ins read from files leaves out those of other distributions",
        file="src/ambidex/commands/plugin_list.py",
        before="if plugins.offers():",
        after="if False:",
        caught_by="tests/commands/test_plugin_list.py::"
        "test_plug_ins_of_other_distributions_are_listed_with_them",
    ),
    Fault(
        name="growth: an imported name is taken for that of the module itself",
        file="src/ambidex/base/source/declared.py",
        before="._constant(alias.name)",
        after="._constant(name)",
        caught_by="tests/base/test_declared.py::"
        "test_values_are_read_where_they_stand_and_where_they_are_imported_from",
    ),
    Fault(
        name="growth: a method without parameters is imported where it does not run",
        file="src/ambidex/resolve/__init__.py",
        before="if label not in bare}",
        after="}",
        caught_by="tests/configuration/test_configuration.py::"
        "test_only_methods_that_run_or_have_parameters_are_imported",
    ),
    Fault(
        name="growth: a stage runs in the folder of the warm process",
        file="src/ambidex/commands/warm.py",
        before='    os.chdir(asked["folder"])\n',
        after="",
        caught_by=WARM
        + "test_a_fork_has_folder_environment_and_streams_of_who_asked_and_returns_its_exit_code",
    ),
    Fault(
        name="growth: a stage that died in the warm process counts as done",
        file="src/ambidex/commands/warm.py",
        before="str(os.waitstatus_to_exitcode(status))",
        after="str(0)",
        caught_by=WARM + "test_a_stage_that_dies_takes_nobody_along",
    ),
    Fault(
        name="growth: a fork goes on where the warm process is killed",
        file="src/ambidex/commands/warm.py",
        before="        _end_with(server)\n",
        after="",
        caught_by=WARM + "test_a_warm_process_that_is_killed_takes_its_forks_along",
    ),
    Fault(
        name="growth: a fork serves a verb whose threads are others",
        file="src/ambidex/commands/warm_client.py",
        before=" or os.environ.get(BEGUN) != begun()",
        after="",
        caught_by=WARM + "test_what_imports_have_read_must_be_alike",
    ),
    Fault(
        name="growth: draws are kept for another seed",
        file="src/ambidex/base/statistics.py",
        before="generator = torch.Generator().manual_seed(seed)\n    rows",
        after="generator = torch.Generator().manual_seed(0)\n    rows",
        caught_by="tests/base/test_statistics.py::"
        "test_draws_that_are_kept_are_those_of_the_same_size_number_and_seed",
    ),
    Fault(
        name="growth: who is in no class is counted in the next column's first",
        file="src/ambidex/base/statistics.py",
        before="(places + (count + 1) * torch.arange(columns))",
        after="(places + count * torch.arange(columns))",
        caught_by="tests/base/test_statistics.py::"
        "test_shares_of_places_are_means_of_one_hot_columns[8000000]",
    ),
    Fault(
        name="growth: a probe is solved in float32 to the end",
        file="src/ambidex/judge/probes.py",
        before="self.rough if tolerance >= ROUGH else self.x",
        after="self.rough",
        caught_by="tests/judge/test_probe_strength.py::"
        "test_of_many_numbers_the_path_is_in_float32_and_the_optimum_is_the_same",
    ),
]
