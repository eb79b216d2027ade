"""Faults in adapting without labels."""

from mutations.fault import Fault

TYPICALITY = "tests/decide/test_decide_typicality.py::"
TESTS = "tests/decide/test_adaptation.py::"
LAPSES = "src/ambidex/decide/adaptation/lapses.py"
ADAPTING = "src/ambidex/decide/adaptation/adapting.py"

STATE = "src/ambidex/predict/adapt_state.py"
STATES = "tests/decide/test_adapt_state.py::"

FAULTS = [
    Fault(
        name="adaptation: the state of another model is taken",
        file=STATE,
        before="    return digest([sha256(folder / name) for name in (MODEL_FILE, WEIGHTS_FILE)])",
        after="    return digest([sha256(folder / name) for name in (MODEL_FILE,)])",
        caught_by=STATES + "test_a_state_belongs_to_one_model",
    ),
    Fault(
        name="adaptation: a state whose numbers were changed is taken",
        file=STATE,
        before='    if value["digest"] != digest(',
        after='    if not value["digest"] and digest(',
        caught_by=STATES + "test_a_damaged_file_is_one_line",
    ),
    Fault(
        name="adaptation: a damaged model adapts from Python",
        file="src/ambidex/decide/layer.py",
        before="        if damage := self.adaptation.damage():",
        after="        if (damage := self.adaptation.damage()) is None and False:",
        caught_by="tests/decide/test_decision.py::test_what_adapting_needs_is_saved_and_older_models_do_without",
    ),
    Fault(
        name="adaptation: a modality that may be broken keeps the prior of a sound one",
        file=LAPSES,
        before="np.where(sick[:, :, None], -np.log(len(GRID)), log_priors)",
        after="np.where(sick[:, :, None], log_priors, log_priors)",
        caught_by=TESTS + "test_the_posterior_of_two_modalities_is_that_of_brute_force",
    ),
    Fault(
        name="adaptation: older batches are forgotten",
        file=LAPSES,
        before="                posterior = priors[:, m] + before[:, m] + by_rate[:, m]\n",
        after="                posterior = priors[:, m] + by_rate[:, m]\n",
        caught_by=TESTS + "test_batches_one_after_another_are_one_batch_and_forgetting_forgets",
    ),
    Fault(
        name="adaptation: a group like validation's is changed a little",
        file=ADAPTING,
        before="        return parts if self.refusal else parts * self.factor.to(parts)[:, None]\n",
        after="        return parts * (0.99 * self.factor.to(parts)[:, None])\n",
        caught_by=TESTS + "test_a_group_like_validation_is_left_alone_exactly",
    ),
    Fault(
        name="adaptation: what stands for an absent modality is taken for its feature",
        file=ADAPTING,
        before="        h = features[name] if name not in lacking else features[name][lacking[name]]\n",
        after="        h = features[name]\n",
        caught_by=TESTS + "test_a_modality_that_samples_lack_is_judged_by_those_that_have_it",
    ),
    Fault(
        name="adaptation: one sample that is not finite costs all others",
        file=ADAPTING,
        before="    if not finite.all():",
        after="    if finite.all():",
        caught_by=TESTS + "test_a_sample_that_says_nothing_finite_does_not_cost_the_others",
    ),
    Fault(
        name="adaptation: class shares of a damaged model may be negative",
        file="src/ambidex/decide/adaptation/prior.py",
        before="(self.shares > 0).all()\n            and abs",
        after="abs",
        caught_by=TESTS + "test_numbers_that_no_fit_leaves_behind_are_named",
    ),
    Fault(
        name="typicality: a sample is compared with the mean of all classes",
        file="src/ambidex/decide/nearness.py",
        before="                means[c] = h[labels == c].mean(dim=0)\n",
        after="                means[c] = centre\n",
        caught_by=TYPICALITY + "test_nearness_is_the_mahalanobis_distance_to_the_nearest_class",
    ),
    Fault(
        name="typicality: it weighs by features without a clear gain",
        file="src/ambidex/decide/allocators/typicality.py",
        before="(float(x) for x in minimum.x) if choice.place else PLAIN",
        after="(float(x) for x in minimum.x)",
        caught_by=TYPICALITY + "test_without_a_clear_gain_or_without_scores_it_is_the_pool",
    ),
]
