"""Faults in the decision layer: what is fitted on what, what is saved, and who may import it."""

from mutations.fault import Fault

HEAD = "tests/net/test_head.py::"
SOURCES = "tests/decide/test_decide_sources.py::"
SAVED = "tests/decide/test_decision.py::"
MIXED = "tests/decide/test_decide_mixture.py::"
FEW = "tests/decide/test_decide_few_groups.py::"

FAULTS = [
    Fault(
        name="decide: own heads are read without a look whether they are classifiers",
        file="src/ambidex/decide/allocators/__init__.py",
        before=' and held_out.weak_branch("own_heads") is None:',
        after=":",
        caught_by=SOURCES + "test_else_the_probes_do_or_it_is_refused",
    ),
    Fault(
        name="decide: what is given for a candidate wins over what the picker gives it",
        file="src/ambidex/decide/options.py",
        before="{**others.get(other, {}), **config.options.get(other, {})}",
        after="{**config.options.get(other, {}), **others.get(other, {})}",
        caught_by="tests/decide/test_decide_options.py::"
        "test_one_that_picks_holds_the_others_parameters_with_its_own_on_top",
    ),
    Fault(
        name="decide: a saved layer is built and not filled",
        file="src/ambidex/decide/repaired.py",
        before="    fill(model.layer, read_chosen(path, _START, error=ModelError), path, OTHER)\n",
        after="",
        caught_by=SAVED + "test_whatever_an_allocator_weighs_is_in_the_saved_model[concat-probes-modality]",
    ),
    Fault(
        name="decide: a repaired net says what its trained head does",
        file="src/ambidex/decide/repaired.py",
        before="        logits, parts = self.layer(self.net, features)\n",
        after="        return self.net.fuse(features)\n",
        caught_by=HEAD + "test_a_repaired_net_is_a_head_whose_contributions_are_the_allocated_ones",
    ),
    Fault(
        name="decide: a coalition of a head that is not additive sees everyone",
        file="src/ambidex/net/contributions/coalitions.py",
        before="fused(self.head, features_of(parts))[0]",
        after="fused(self.head, features_of(self.present))[0]",
        caught_by=HEAD + "test_shapley_values_of_a_head_that_is_no_model_by_hand",
    ),
    Fault(
        name="decide: pretraining imports the evaluation again",
        file="src/ambidex/stages/pretrain.py",
        before="from ambidex.base.progress import progress\n",
        after="from ambidex.judge.evaluation import progress\n",
        caught_by="tests/stages/test_training_depends.py::"
        "test_training_imports_nothing_that_judges_or_repairs",
    ),
    Fault(
        name="decide: few groups do not make the answer softer",
        file="src/ambidex/decide/allocators/auto.py",
        before="fitted._replace(temperature=temperature, crossed=logits[place])\n",
        after="fitted._replace(crossed=logits[place])\n",
        caught_by=FEW + "test_the_answer_is_softer_the_fewer_groups_judge",
    ),
    Fault(
        name="decide: a prior counts samples, not groups",
        file="src/ambidex/decide/allocators/__init__.py",
        before="        counted = config.for_groups(held_out.groups)\n",
        after="        counted = config\n",
        caught_by=FEW + "test_a_prior_counts_groups_as_if_each_were_a_few_samples",
    ),
    Fault(
        name="decide: the plain sum comes before the pool and the mixture",
        file="src/ambidex/decide/allocators/auto.py",
        before="key=lambda place: names[place] != home)",
        after="key=lambda place: place)",
        caught_by=FEW + "test_one_speaker_is_heard_through_the_pool",
    ),
    Fault(
        name="decide: one group knows how groups differ",
        file="src/ambidex/base/folds.py",
        before="(CORRELATION + (1 - CORRELATION) / unit_size(units))",
        after="1 / unit_size(units)",
        caught_by="tests/decide/test_decide_folds.py::test_few_groups_share_what_is_assumed_of_groups",
    ),
    Fault(
        name="decide: a saved layer forgets its last temperature",
        file="src/ambidex/decide/repairing.py",
        before="        allocation.temperature,\n",
        after="",
        caught_by=SAVED + "test_whatever_an_allocator_weighs_is_in_the_saved_model[concat-probes-modality]",
    ),
    Fault(
        name="decide: one group is enough to be surer than the plain sum",
        file="src/ambidex/decide/allocators/auto.py",
        before="last_temperature(held_out.groups, config.caution, surer)",
        after="last_temperature(held_out.groups, config.caution)",
        caught_by=FEW + "test_the_answer_is_softer_the_fewer_groups_judge",
    ),
    Fault(
        name="decide: validation judges no more where train is cross-fitted",
        file="src/ambidex/decide/fitting.py",
        before='    if crossed is not None and "val" not in evaluation.splits:\n',
        after="    if crossed is not None:\n",
        caught_by="tests/stages/test_crossfit_fit.py::"
        "test_allocators_are_fitted_on_the_cross_fitted_rows_and_on_validation",
    ),
    Fault(
        name="decide: typicality weighs where no sample has such a score",
        file="src/ambidex/decide/allocators/typicality.py",
        before="if choice.place else PLAIN",
        after="if choice is not None else PLAIN",
        caught_by="tests/stages/test_crossfit_fit.py::test_typicality_on_cross_fitted_samples_is_the_pool",
    ),
    Fault(
        name="report: the smallest weights of a mixture are named",
        file="src/ambidex/report/repair_table.py",
        before="key=lambda name: -mixing[name])[:3]",
        after="key=lambda name: mixing[name])[:3]",
        caught_by="tests/report/test_report_tables.py::test_what_auto_chose_is_said_with_its_reason",
    ),
    Fault(
        name="decide: a mixture of many samples says the first rows alone",
        file="src/ambidex/decide/allocators/mixture.py",
        before="for block in torch.split(contributions, rows)])",
        after="for block in torch.split(contributions, rows)[:1]])",
        caught_by=MIXED + "test_some_rows_at_a_time_say_what_all_say_together",
    ),
    Fault(
        name="decide: a mixture's prior counts samples, not groups",
        file="src/ambidex/decide/allocators/mixture.py",
        before="self.prior * design_effect(groups)",
        after="self.prior",
        caught_by=MIXED + "test_groups_leave_more_to_the_weights_before",
    ),
    Fault(
        name="decide: a mixture averages logits, not probabilities",
        file="src/ambidex/decide/allocators/_mixing.py",
        before="(level + logits - norms).logsumexp(dim=0)",
        after="(weights[:, None, None] * (logits - norms)).sum(dim=0)",
        caught_by=MIXED + "test_it_says_the_mean_of_what_its_members_say",
    ),
    Fault(
        name="decide: mixing weights forget their prior",
        file="src/ambidex/decide/allocators/_mixing.py",
        before="counts = prior * v + (",
        after="counts = (",
        caught_by=MIXED + "test_weights_by_brute_force",
    ),
]
