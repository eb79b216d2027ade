"""Faults in OGM-GE, and in the scores that it shares with others."""

from mutations.fault import Fault

METHOD = "src/ambidex/learn/methods/ogm_ge.py"
SCORES = "src/ambidex/learn/methods/_scores.py"
TESTS = "tests/learn/test_method_ogm_ge.py::"
RANKS = "tests/contract/test_ranks.py::test_two_ranks_train_as_one"

WEIGHTS = "src/ambidex/learn/methods/_weights.py"
MATRICES = TESTS + "test_of_encoders_without_convolutions_all_matrices_are_scaled_by_k_and_no_bias"

FAULTS = [
    Fault(
        name="ogm_ge: nothing but kernels, and so joint training without convolutions",
        file=WEIGHTS,
        before="weight.ndim == KERNEL_AXES] or parameters",
        after="weight.ndim == KERNEL_AXES]",
        caught_by=MATRICES,
    ),
    Fault(
        name="ogm_ge: matrices beside kernels by default",
        file=WEIGHTS,
        before="return [weight for weight in parameters if weight.ndim == KERNEL_AXES] or parameters",
        after="return parameters",
        caught_by=TESTS + "test_only_convolution_kernels_of_the_leader_are_scaled_and_by_exactly_k",
    ),
    Fault(
        name="ogm_ge: norms of several axes are weights",
        file=WEIGHTS,
        before=" and not isinstance(module, NORMS)",
        after="",
        caught_by=TESTS + "test_weights_have_several_axes_and_are_of_no_norm",
    ),
    Fault(
        name="ogm_ge: frozen encoders are modulated without a word",
        file=METHOD,
        before='trained="edits the gradients of the encoders alone"',
        after='trained=""',
        caught_by="tests/contract/test_acts.py::test_it_differs_from_joint_training_or_refuses[ogm_ge-mlp-frozen]",
    ),
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
        before="zip(step.run.modalities, factors, strict=True)",
        after="zip(step.run.modalities, factors.flip(0), strict=True)",
        caught_by=TESTS + "test_only_convolution_kernels_of_the_leader_are_scaled_and_by_exactly_k",
    ),
    Fault(
        name="ogm_ge: biases and norms scaled too",
        file=METHOD,
        before="self.edited = {name: select(run.model.encoder(name)) for name in run.modalities}",
        after="self.edited = {name: run.model.own(name) for name in run.modalities}",
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
        before="spreads = _spreads(gradients) if",
        after="spreads = _spreads([gradient * factor for gradient in gradients]) if",
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
        before="        if not gradients:\n            return\n",
        after="        if not gradients or bool(factor == 1):\n            return\n",
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
        before="self.coefficients(*over_step(step, sums, present))",
        after="self.coefficients(sums)",
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
        before="_counted(stacked.softmax(-1).gather(-1, index), present)",
        after="stacked.softmax(-1).amax(-1, keepdim=True)",
        caught_by=TESTS + "test_coefficients_follow_the_paper",
    ),
]
