"""Faults in OGM-GE, and in the scores that it shares with others."""

from mutations.fault import Fault

METHOD = "src/ambidex/methods/ogm_ge.py"
SCORES = "src/ambidex/methods/_scores.py"
TESTS = "tests/unit/test_method_ogm_ge.py::"
RANKS = "tests/contract/test_ranks.py::test_two_ranks_train_as_one"

FAULTS = [
    Fault(
        name="ogm_ge: the sign of the ratio flipped",
        file=METHOD,
        before="torch.where(rho > 1, 1 -",
        after="torch.where(rho < 1, 1 -",
        caught_by=TESTS + "test_coefficients_follow_the_paper",
    ),
    Fault(
        name="ogm_ge: the wrong modality scaled",
        file=METHOD,
        before="zip(step.run.modalities, self.coefficients(scores), strict=True)",
        after="zip(step.run.modalities, self.coefficients(scores).flip(0), strict=True)",
        caught_by=TESTS + "test_only_convolution_kernels_of_the_leader_are_scaled_and_by_exactly_k",
    ),
    Fault(
        name="ogm_ge: biases and norms scaled too",
        file=METHOD,
        before="p.grad is not None and p.grad.ndim == 4",
        after="p.grad is not None",
        caught_by=TESTS + "test_only_convolution_kernels_of_the_leader_are_scaled_and_by_exactly_k",
    ),
    Fault(
        name="ogm_ge: the jump removed by default",
        file=METHOD,
        before="lead = rho - 1 if self.config.continuous else rho",
        after="lead = rho - 1",
        caught_by=TESTS + "test_coefficients_follow_the_paper",
    ),
    Fault(
        name="ogm_ge: noise of the scaled gradient",
        file=METHOD,
        before="spreads = _spreads(kernels) if",
        after="spreads = _spreads([kernel * factor for kernel in kernels]) if",
        caught_by=TESTS + "test_noise_is_of_the_gradient_before_it_is_scaled",
    ),
    Fault(
        name="ogm_ge: noise without the gradient's size",
        file=METHOD,
        before="gradient.addcmul_(noise, spread)",
        after="gradient.add_(noise)",
        caught_by=TESTS + "test_noise_has_the_gradients_own_spread_on_both_modalities",
    ),
    Fault(
        name="ogm_ge: noise on the leader alone",
        file=METHOD,
        before="        if not kernels:\n            return\n",
        after="        if not kernels or bool(factor == 1):\n            return\n",
        caught_by=TESTS + "test_noise_has_the_gradients_own_spread_on_both_modalities",
    ),
    Fault(
        name="ogm_ge: noise from the global random state",
        file=METHOD,
        before=".normal_(generator=run.rng)",
        after=".normal_()",
        caught_by=RANKS + "[ogm_ge-{}-halves]",
    ),
    Fault(
        name="ogm_ge: the window ends an epoch early",
        file=METHOD,
        before="<= self.config.end:",
        after="< self.config.end:",
        caught_by=TESTS + "test_the_window_is_inclusive",
    ),
    Fault(
        name="ogm_ge: scores of this rank's samples alone",
        file=METHOD,
        before="step.global_sum(true_class_scores(step.contributions, step.labels))",
        after="true_class_scores(step.contributions, step.labels)",
        caught_by=RANKS + "[ogm_ge-{}-halves]",
    ),
    Fault(
        name="ogm_ge: ratios of the others over oneself",
        file=SCORES,
        before="ratio.sum(1) - ratio.diagonal()",
        after="ratio.sum(0) - ratio.diagonal()",
        caught_by=TESTS + "test_coefficients_follow_the_paper",
    ),
    Fault(
        name="ogm_ge: the mean ratio counts oneself",
        file=SCORES,
        before="(len(scores) - 1)",
        after="len(scores)",
        caught_by=TESTS + "test_coefficients_follow_the_paper",
    ),
    Fault(
        name="ogm_ge: scores of the most probable class",
        file=SCORES,
        before="stacked.softmax(-1).gather(-1, index).sum((1, 2))",
        after="stacked.softmax(-1).amax(-1).sum(1)",
        caught_by=TESTS + "test_coefficients_follow_the_paper",
    ),
]
