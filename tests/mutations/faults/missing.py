"""Faults where samples lack modalities: methods that count who is not there, numbers of nobody."""

from mutations.fault import Fault

METHODS = "tests/learn/test_methods_missing.py::"
AGM = "tests/learn/test_method_agm_missing.py::"
JUDGED = "tests/judge/test_missing_judged.py::"
NET = "tests/net/test_missing.py::"
FOLDER = "src/ambidex/learn/methods/"

FAULTS = [
    Fault(
        name="missing: scores are sums over different numbers of samples",
        file=FOLDER + "_scores.py",
        before="return sums * (step.whole / counts.clamp_min(1)), counts > 0",
        after="return sums, counts > 0",
        caught_by=METHODS + "test_ogm_ge_compares_means_over_those_that_have_a_modality",
    ),
    Fault(
        name="missing: who has no score is compared",
        file=FOLDER + "_scores.py",
        before="ratio = torch.where(scored[..., None, :] & scored[..., :, None], ratio, 0)",
        after="ratio = torch.where(scored[..., None, :] | scored[..., :, None], ratio, 0)",
        caught_by=METHODS + "test_ogm_ge_leaves_who_has_no_sample_out_of_the_comparison",
    ),
    Fault(
        name="missing: opm rescales by modalities that a sample lacks",
        file=FOLDER + "opm.py",
        before="whole = sizes.sum() if own is None else (sizes * own).sum(1)",
        after="whole = sizes.sum()",
        caught_by=METHODS + "test_opm_compares_the_modalities_that_a_sample_has",
    ),
    Fault(
        name="missing: a filled feature is scaled",
        file="src/ambidex/net/encoded.py",
        before="factor = torch.where(self.present, factor, torch.ones_like(factor))",
        after="factor = factor + 0",
        caught_by=NET + "test_scaling_leaves_what_is_absent_as_it_is",
    ),
    Fault(
        name="missing: a batch without a modality counts in its trace",
        file=FOLDER + "inforeg.py",
        before="(self.batches - self.unseen)",
        after="(self.batches - 0 * self.unseen)",
        caught_by=METHODS + "test_inforeg_averages_traces_over_the_batches_that_have_a_modality",
    ),
    Fault(
        name="missing: a coalition counts modalities that a sample lacks",
        file=FOLDER + "smv.py",
        before="here.get(m, one) for m in s",
        after="one for m in s",
        caught_by=METHODS + "test_smv_plays_each_sample_s_own_game",
    ),
    Fault(
        name="missing: a copy keeps what the sample lacks",
        file=FOLDER + "smv.py",
        before="self.copies[name] = self.copies[name] * here",
        after="self.copies[name] = self.copies[name] * 1",
        caught_by=METHODS + "test_smv_copies_what_a_sample_has",
    ),
    Fault(
        name="missing: prototypes are means over filled features",
        file=FOLDER + "pmr.py",
        before="members = members * here[name]",
        after="members = members * 1",
        caught_by=METHODS + "test_pmr_means_and_losses_are_of_those_that_have_a_modality",
    ),
    Fault(
        name="missing: a class may be left without a prototype by the draw",
        file=FOLDER + "pmr.py",
        before='own = run.having("train", name, len(run.labels)).nonzero()[:, 0]',
        after="own = torch.arange(len(run.labels))",
        caught_by=METHODS + "test_pmr_draws_prototypes_for_every_class_that_a_modality_has",
    ),
    Fault(
        name="missing: filled features are clustered",
        file=FOLDER + "relearning.py",
        before="return (features[modality], labels) if here is None else",
        after="return (features[modality], labels) if here is not None else",
        caught_by=METHODS + "test_relearning_judges_the_samples_that_have_a_modality",
    ),
    Fault(
        name="missing: a turn trains on filled features",
        file=FOLDER + "reconboost.py",
        before="weighted = torch.where(present[:, None], weighted, 0)",
        after="weighted = torch.where(present[:, None], weighted, weighted)",
        caught_by=METHODS + "test_reconboost_trains_a_turn_on_those_that_have_its_modality",
    ),
    Fault(
        name="missing: the adaptive head hears who is absent",
        file=FOLDER + "adaptive_head.py",
        before="plain = silenced(plain, step.features)",
        after="plain = dict(plain)",
        caught_by=METHODS + "test_adaptive_head_weighs_what_a_sample_has",
    ),
    Fault(
        name="missing: an absent modality plays in agm's game",
        file="src/ambidex/learn/loop/responses.py",
        before="values[number] = torch.where(alone, logits, values[number])",
        after="values[number] = torch.where(alone, values[number], values[number])",
        caught_by=AGM + "test_losses_are_of_the_samples_that_have_the_modality",
    ),
    Fault(
        name="missing: agm's mean moves without a sample",
        file=FOLDER + "agm.py",
        before="self.means = torch.where(scored, moved, self.means)",
        after="self.means = moved",
        caught_by=AGM + "test_a_modality_without_a_sample_in_the_step_keeps_its_mean",
    ),
    Fault(
        name="missing: the usual feature is a mean over filled ones",
        file="src/ambidex/net/contributions/coalitions.py",
        before="own = {m: train[m][here[m]] if m in here else train[m] for m in features}",
        after="own = {m: train[m] for m in features}",
        caught_by=JUDGED + "test_the_usual_feature_is_the_mean_over_those_that_have_the_modality",
    ),
    Fault(
        name="missing: a filled feature is lent to another sample",
        file="src/ambidex/net/contributions/coalitions.py",
        before="    if present is None:\n        return h[",
        after="    if True:\n        return h[",
        caught_by=JUDGED + "test_a_borrowed_feature_is_one_that_another_sample_has",
    ),
    Fault(
        name="missing: gaps of probes count who is absent",
        file="src/ambidex/judge/diagnose/probes.py",
        before='"head_slice_gap": {m: gap(right[m], own, m) for',
        after='"head_slice_gap": {m: gap(right[m], own) for',
        caught_by=JUDGED + "test_probes_and_parts_are_compared_on_the_samples_that_have_the_modality",
    ),
    Fault(
        name="missing: a strength is chosen on nobody",
        file="src/ambidex/judge/probes.py",
        before='if name != "val" or rows[name].any()',
        after="if True",
        caught_by=JUDGED + "test_validation_without_a_modality_chooses_no_strength",
    ),
    Fault(
        name="missing: scores of a modality that nobody has",
        file="src/ambidex/judge/diagnose/_scores.py",
        before="for m, z in outputs.branches.items() if outputs.has(m)",
        after="for m, z in outputs.branches.items()",
        caught_by=JUDGED + "test_a_validation_split_where_nobody_has_a_modality_is_measured_all_the_same",
    ),
    Fault(
        name="missing: one sample moves the statistics of batch norm",
        file="src/ambidex/net/model.py",
        before="if not len(x) or isinstance(part, _BatchNorm)",
        after="if not len(x)",
        caught_by=NET + "test_one_sample_with_a_modality_passes_batch_norm_with_its_running_statistics",
    ),
    Fault(
        name="missing: a mean of classifiers counts those that say nothing",
        file="src/ambidex/net/fusion/__init__.py",
        before="if self.branch_scale == 1 or not here:",
        after="if True:",
        caught_by=NET + "test_a_mean_is_over_the_modalities_that_a_sample_has",
    ),
    Fault(
        name="missing: accuracy of nobody is 0",
        file="src/ambidex/learn/loop/monitor.py",
        before="                del values[own]",
        after="                values[own] = 0.0",
        caught_by=NET + "test_accuracy_of_a_modality_that_nobody_has_is_not_written",
    ),
    Fault(
        name="missing: nothing at all is predicted from",
        file="src/ambidex/predict/prediction.py",
        before="if not any(m in own for m in modalities):",
        after="if False:",
        caught_by=NET + "test_a_sample_without_any_modality_is_not_predicted",
    ),
    Fault(
        name="missing: a store may say that a sample has nothing",
        file="src/ambidex/data/store/reading.py",
        before="if len(lacking) == len(counts):",
        after="if False:",
        caught_by="tests/stages/test_missing_run.py::test_a_store_that_says_nonsense_about_presence_is_refused",
    ),
    Fault(
        name="missing: contributions are averaged over who is absent",
        file="src/ambidex/judge/diagnose/logits.py",
        before="    if not test.present:\n        return None",
        after="    if True:\n        return None",
        caught_by="tests/report/test_report_missing.py::"
        "test_contributions_and_margins_are_of_those_that_have_the_modality",
    ),
    Fault(
        name="missing: a table names a class for who is absent",
        file="src/ambidex/report/predictions.py",
        before='here = self.present.get(modality) if kind != "allocator" else None',
        after="here = None",
        caught_by="tests/report/test_report_missing.py::"
        "test_a_table_of_predictions_has_no_answer_of_who_is_absent",
    ),
    Fault(
        name="missing: a probe of features trained alone is fitted on filled ones",
        file="src/ambidex/judge/probes.py",
        before="Encoded(h, present=evaluation.splits[name].present.get(m))",
        after="Encoded(h)",
        caught_by="tests/report/test_report_missing.py::"
        "test_a_probe_of_features_trained_alone_is_fitted_on_those_that_have_the_modality",
    ),
    Fault(
        name="missing: a method refuses such data when its output has begun to grow",
        file="src/ambidex/stages/train.py",
        before="    method.check(architecture := method.architecture(architecture), frozen=frozen)",
        after="    architecture = method.architecture(architecture)",
        caught_by="tests/stages/test_missing_run.py::test_methods_that_need_all_modalities_are_refused",
    ),
]
