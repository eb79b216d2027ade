"""Faults in what calls a difference clear, in a study or a run, and in what is said of it."""

from mutations.fault import Fault

STATISTICS = "src/ambidex/base/statistics.py"
FAMILIES = "src/ambidex/report/study/significance.py"
TESTS = "tests/base/test_statistics.py::"
STUDY = "tests/report/test_study_tests.py::"
CLARITY = "src/ambidex/report/clarity.py"
JUDGE = "tests/report/test_one_judge.py::"
CHOICE = "src/ambidex/report/study/choice.py"
TAKE = "tests/report/test_study_choice.py::"

FAULTS = [
    Fault(
        name="study: vectors on a shelf are written over one another",
        file="src/ambidex/report/study/measured.py",
        before="        self._filled += 1\n",
        after="        self._filled += 0\n",
        caught_by="tests/report/test_study_tests.py::test_a_shelf_keeps_copies_of_any_length",
    ),
    Fault(
        name="study: answers that changed on disk are taken unchecked",
        file="src/ambidex/report/predictions.py",
        before="        _check_probabilities(name, p, self._shape, Source(",
        after="        _ = (name, p, self._shape, Source(",
        caught_by="tests/base/test_trust.py::test_probabilities_are_checked_again_when_they_are_asked_for",
    ),
    Fault(
        name="study: the luck of a seed counts as an effect",
        file=FAMILIES,
        before='{**test, **_over_seeds(by_unit(difference, unit), compare), "p_models": test["p"]}',
        after='{**test, "p_models": test["p"]}',
        caught_by=STUDY + "test_the_luck_of_a_seed_is_not_an_effect",
    ),
    Fault(
        name="study: seeds that agree by chance are a proof",
        file=STATISTICS,
        before="of_seed = torch.maximum(of_seed, rest)",
        after="of_seed = of_seed + 0 * rest",
        caught_by=TESTS + "test_seeds_that_agree_by_chance_prove_nothing",
    ),
    Fault(
        name="study: samples say nothing",
        file=STATISTICS,
        before="of_sample = (of_sample - rest).clamp_min(0)",
        after="of_sample = 0 * of_sample",
        caught_by=TESTS + "test_crossed_is_a_test_over_samples_where_all_seeds_agree",
    ),
    Fault(
        name="study: degrees of freedom of the samples",
        file=STATISTICS,
        before="(of_seed.square() / (seeds - 1)",
        after="(of_seed.square() / (samples - 1)",
        caught_by=TESTS + "test_crossed_is_a_t_test_over_seeds_where_samples_say_nothing",
    ),
    Fault(
        name="study: all rows are main rows",
        file=FAMILIES,
        before="for key in family if key in main",
        after="for key in list(family)[:2]",
        caught_by=STUDY + "test_main_rows_are_corrected_among_themselves_and_the_rest_over_all",
    ),
    Fault(
        name="study: samples of one group count as strangers",
        file=FAMILIES,
        before="_over_seeds(by_unit(difference, unit), compare)",
        after="_over_seeds(difference, compare)",
        caught_by=STUDY + "test_samples_of_one_group_are_no_strangers",
    ),
    Fault(
        name="study: what is clear on its own is called chance",
        file=CLARITY,
        before='"alone" if count > 1 and _leaves_out_0(test["low"], test["high"]) else "same"',
        after='"same"',
        caught_by=JUDGE + "test_table_page_sentence_and_chart_say_the_same_of_one_test",
    ),
    Fault(
        name="run: allocators that a reader picks are not corrected",
        file=CLARITY,
        before="significant = count == 1 or corrected[name] < LEVEL",
        after="significant = True",
        caught_by=JUDGE + "test_of_one_run_the_headline_is_one_comparison_and_the_others_are_many",
    ),
    Fault(
        name="run: another allocator's gain is the headline's",
        file="src/ambidex/report/finding.py",
        before='        if self.own == "better":\n            return f"re-weighting',
        after='        if self.own == "better" or self.other:\n            return f"re-weighting',
        caught_by=JUDGE + "test_no_finding_contradicts_its_reasons",
    ),
    Fault(
        name="study: the recipe holds where nothing was found",
        file="src/ambidex/report/study/repair.py",
        before="    if better:\n        return",
        after="    if True:\n        return",
        caught_by=JUDGE + "test_the_recipe_holds_only_where_something_was_found",
    ),
    Fault(
        name="study: one brace too many in a suggestion",
        file="src/ambidex/report/study/repair.py",
        before='train: {{learning_rate: 0.003}}}}"',
        after='train: {{learning_rate: 0.003}}}}}}"',
        caught_by="tests/configuration/test_suggestions.py::test_braces_and_brackets_close",
    ),
    Fault(
        name="power: seeds that agree by chance are not held against the study",
        file="src/ambidex/report/study/power_of_tests.py",
        before="a, b = np.maximum(of_seed, rest), np.maximum(of_sample - rest, 0)",
        after="a, b = of_seed, np.maximum(of_sample - rest, 0)",
        caught_by="tests/house/test_power.py::test_simulated_studies_find_it_in_four_of_five",
    ),
    Fault(
        name="power: the correction of marks is forgotten",
        file="src/ambidex/report/study/power.py",
        before="compare.significance / len(triples)",
        after="compare.significance",
        caught_by="tests/house/test_power.py::test_the_study_measures_its_main_rows_against_the_reference",
    ),
    Fault(
        name="metrics.json: every allocator stands in it again",
        file="src/ambidex/report/result.py",
        before='        "samples": details["samples"],\n    }',
        after='        "samples": details["samples"],\n        "allocators": details["allocators"],\n    }',
        caught_by="tests/report/test_headline_numbers.py::test_evaluate_has_the_same_numbers_for_any_modalities_and_classes",
    ),
    Fault(
        name="choice: the dearest one that is near the best",
        file=CHOICE,
        before="candidates.sort(key=lambda c: (c.cost, c.nll))",
        after="candidates.sort(key=lambda c: (-c.cost, c.nll))",
        caught_by=TAKE + "test_the_cheaper_one_is_taken_where_the_gain_may_be_chance",
    ),
    Fault(
        name="choice: a clear gain is chance",
        file=CHOICE,
        before="if c.difference <= c.margin",
        after="if c.difference >= 0",
        caught_by=TAKE + "test_a_clear_gain_is_worth_its_cost",
    ),
    Fault(
        name="choice: the first cell says which samples are compared",
        file=CHOICE,
        before="max(counts, key=lambda key: counts[key])",
        after="next(iter(counts))",
        caught_by=TAKE + "test_most_cells_say_which_samples_are_compared",
    ),
    Fault(
        name="choice: steps of pretraining that no record holds are zeros",
        file=CHOICE,
        before="    return None if None in steps else sum(",
        after="    return sum(",
        caught_by=TAKE + "test_costs_that_no_record_holds_are_no_zeros",
    ),
    Fault(
        name="choice: a card may record negative steps, the cheapest of all",
        file="src/ambidex/base/records.py",
        before="steps: int | None = Field(None, ge=0)",
        after="steps: int | None = None",
        caught_by="tests/base/test_records.py::test_a_value_that_no_stage_writes_is_named",
    ),
    Fault(
        name="choice: groups of a damaged report are counted as far as they go",
        file="src/ambidex/report/held_out_file.py",
        before="if tensors[name].max() > most:",
        after="if False:",
        caught_by=TAKE + "test_the_file_comes_back_and_a_damaged_one_is_a_line",
    ),
    Fault(
        name="choice: the allocator has seen the fold that judges it",
        file="src/ambidex/decide/allocators/_crossed.py",
        before="held_out.subset(rest.tolist()), held_out",
        after="held_out, held_out",
        caught_by="tests/decide/test_cross_validated.py::test_each_sample_is_judged_by_a_fit_without_its_fold[scale]",
    ),
    Fault(
        name="study: the page prints the classes where it says how many there are",
        file="src/ambidex/report/study/page.py",
        before="{len(card['classes'])} classes",
        after="{card['classes']} classes",
        caught_by="tests/stages/test_compare.py::test_files_page_and_table",
    ),
]
