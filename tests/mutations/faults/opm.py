"""Faults in OPM, and in what shows a method the whole batch first."""

from mutations.fault import Fault

METHOD = "src/ambidex/learn/methods/opm.py"
TESTS = "tests/learn/test_method_opm.py::"
RANKS = "tests/contract/test_ranks.py::test_two_ranks_train_as_one"
ORDER = "tests/contract/test_methods.py::test_permuting_modalities_permutes_the_result"

FAULTS = [
    Fault(
        name="opm: who is behind is dropped",
        file=METHOD,
        before="rates.clamp(max=1), torch.zeros_like(rho))",
        after="torch.zeros_like(rho), rates.clamp(0, 1))",
        caught_by=TESTS + "test_the_probabilities_follow_the_paper",
    ),
    Fault(
        name="opm: the sign of the ratio flipped",
        file=METHOD,
        before="torch.where(rho > 1, rates",
        after="torch.where(rho < 1, rates",
        caught_by=TESTS + "test_the_probabilities_follow_the_paper",
    ),
    Fault(
        name="opm: scores of this rank's samples alone",
        file=METHOD,
        before="scores, _ = over_step(step, true_class_scores(step.contributions, step.labels, present), present)",
        after="scores = true_class_scores(step.contributions, step.labels, present)",
        caught_by=RANKS + "[opm-{'warm_up': 0}-halves]",
    ),
    Fault(
        name="opm: every micro-batch takes the first draws",
        file=METHOD,
        before="factors[step.place]",
        after="factors[: len(step.labels)]",
        caught_by=RANKS + "[opm-{'warm_up': 0}-halves]",
    ),
    Fault(
        name="opm: each modality rescaled by its own rate",
        file=METHOD,
        before="(draws[name][mine] >= rate) / (1 - theta)",
        after="(draws[name][mine] >= rate) / (1 - rate)",
        caught_by=TESTS + "test_a_sample_loses_a_whole_feature_or_all_are_rescaled_alike",
    ),
    Fault(
        name="opm: theta does not weigh by length",
        file=METHOD,
        before="theta = (sizes * rates).sum(-1) / whole",
        after="theta = rates.mean(-1)",
        caught_by=TESTS + "test_theta_weighs_modalities_by_the_length_of_their_features",
    ),
    Fault(
        name="opm: kept where it should be dropped",
        file=METHOD,
        before="draws[name][mine] >= rate",
        after="draws[name][mine] < rate",
        caught_by=TESTS + "test_a_sample_loses_a_whole_feature_or_all_are_rescaled_alike",
    ),
    Fault(
        name="opm: draws in the order of the modalities",
        file=METHOD,
        before="zip(sorted(run.modalities)",
        after="zip(run.modalities",
        caught_by=ORDER + "[opm-{'warm_up': 0}]",
    ),
    Fault(
        name="opm: the coin's other side",
        file=METHOD,
        before="(coin < self.config.execute)",
        after="(coin > self.config.execute)",
        caught_by=TESTS + "test_the_coin_is_tossed_per_batch",
    ),
    Fault(
        name="opm: factors of an earlier batch in warm-up",
        file=METHOD,
        before="if not self.surveys(step.run):",
        after="if False:",
        caught_by=TESTS + "test_encoders_run_twice_only_where_micro_batches_accumulate",
    ),
    Fault(
        name="opm: the warm-up lasts an epoch more",
        file=METHOD,
        before="run.epoch >= self",
        after="run.epoch > self",
        caught_by=TESTS + "test_six_epochs_are_plain",
    ),
]
