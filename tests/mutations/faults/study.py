"""Faults in what calls a difference between the rows of a study clear."""

from mutations.fault import Fault

STATISTICS = "src/ambidex/statistics.py"
FAMILIES = "src/ambidex/report/study/significance.py"
TESTS = "tests/unit/test_statistics.py::"
STUDY = "tests/unit/test_study_tests.py::"

FAULTS = [
    Fault(
        name="study: the luck of a seed counts as an effect",
        file=FAMILIES,
        before='{**test, **_over_seeds(by_unit(difference, unit)), "p_models": test["p"]}',
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
        before="for key in found if key in main",
        after="for key in list(found)[:2]",
        caught_by=STUDY + "test_main_rows_are_corrected_among_themselves_and_the_rest_over_all",
    ),
    Fault(
        name="study: samples of one group count as strangers",
        file=FAMILIES,
        before="_over_seeds(by_unit(difference, unit))",
        after="_over_seeds(difference)",
        caught_by=STUDY + "test_samples_of_one_group_are_no_strangers",
    ),
]
