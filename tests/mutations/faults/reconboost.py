"""Faults in ReconBoost, in its head, and in the fresh optimiser of its phases."""

from mutations.fault import Fault

METHOD = "src/ambidex/learn/methods/reconboost.py"
ENGINE = "src/ambidex/learn/engine.py"
HEAD = "src/ambidex/net/fusion/boosted.py"
TESTS = "tests/learn/test_method_reconboost.py::"
TURNS = "tests/learn/test_method_reconboost_turns.py::"

FAULTS = [
    Fault(
        name="reconboost: what the others know raises the weight",
        file=METHOD,
        before="self.config.w1 - self.config.w2 * confidence",
        after="self.config.w1 + self.config.w2 * confidence",
        caught_by=TESTS + "test_what_the_others_know_for_certain_weighs_least",
    ),
    Fault(
        name="reconboost: the gradient runs through what the others know",
        file=METHOD,
        before="{m: z.detach().float() for m, z in step.contributions.items() if m != name}",
        after="{m: z.float() for m, z in step.contributions.items() if m != name}",
        caught_by=TESTS + "test_what_the_others_know_is_a_constant",
    ),
    Fault(
        name="reconboost: a learner counts among the others",
        file=METHOD,
        before="for m, z in step.contributions.items() if m != name}",
        after="for m, z in step.contributions.items()}",
        caught_by=TESTS + "test_the_loss_of_a_turn_by_hand",
    ),
    Fault(
        name="reconboost: the loss of a turn is of the boosted logits",
        file=METHOD,
        before="scores = head.score(name, step.features[name]).float()",
        after="scores = step.contributions[name].float()",
        caught_by=TESTS + "test_the_loss_of_a_turn_by_hand",
    ),
    Fault(
        name="reconboost: no mean over classes",
        file=METHOD,
        before="return -weighted.mean() / scores.shape[1]",
        after="return -weighted.mean()",
        caught_by=TESTS + "test_without_w2_it_is_a_scaled_cross_entropy",
    ),
    Fault(
        name="reconboost: the consolidation pulls the older learner too",
        file=METHOD,
        before="kept = head.score(before, step.features[before]).detach().float()",
        after="kept = head.score(before, step.features[before]).float()",
        caught_by=TESTS + "test_the_papers_consolidation_pulls_the_newer_learner",
    ),
    Fault(
        name="reconboost: the released consolidation is a loss term",
        file=METHOD,
        before='if self.config.consolidation == "paper":',
        after="if True:",
        caught_by=TESTS + "test_released_consolidation_has_a_value_and_no_gradient",
    ),
    Fault(
        name="reconboost: the wrong modality has its turn",
        file=METHOD,
        before="return self.order[stage % len(self.order)]",
        after="return self.order[(stage + 1) % len(self.order)]",
        caught_by=TURNS + "test_a_turn_moves_its_modality_and_its_head_alone",
    ),
    Fault(
        name="reconboost: a turn is a pass over all encoders",
        file=METHOD,
        before="Phase(BOOST, trained, fresh=within == 0)",
        after="Phase(BOOST, fresh=within == 0)",
        caught_by=TURNS + "test_batch_norm_of_the_others_stands_still_in_a_turn",
    ),
    Fault(
        name="reconboost: rectification leaves the rate as it is",
        file=METHOD,
        before="return (Phase(RECTIFY, fresh=within == self.config.epochs_per_stage),)",
        after="kept = tuple(p for n, p in run.model.named_parameters() if n != 'fusion.rate')\n"
        "            return (Phase(RECTIFY, kept, within == self.config.epochs_per_stage),)",
        caught_by=TURNS + "test_the_rate_is_learned_in_rectification_alone",
    ),
    Fault(
        name="reconboost: rectification keeps the momentum of the turn",
        file=METHOD,
        before="Phase(RECTIFY, fresh=within == self.config.epochs_per_stage)",
        after="Phase(RECTIFY)",
        caught_by=TURNS + "test_each_phase_has_an_optimiser_of_its_own",
    ),
    Fault(
        name="reconboost: every epoch of a turn has a fresh optimiser",
        file=METHOD,
        before="Phase(BOOST, trained, fresh=within == 0)",
        after="Phase(BOOST, trained, fresh=True)",
        caught_by=TURNS + "test_each_phase_has_an_optimiser_of_its_own",
    ),
    Fault(
        name="engine: a run that goes on within a pass begins with a fresh optimiser",
        file=ENGINE,
        before="if phase.fresh and not skip:",
        after="if phase.fresh:",
        caught_by="tests/stages/test_preempted.py::test_passes_of_one_epoch_are_told_apart",
    ),
    Fault(
        name="engine: batch norm of encoders that a pass does not train moves",
        file=ENGINE,
        before="self.model.encoder(name).eval()",
        after="pass",
        caught_by=TURNS + "test_batch_norm_of_the_others_stands_still_in_a_turn",
    ),
    Fault(
        name="boosted: the rate is left out of the blocks",
        file=HEAD,
        before="weight = self.rate * self.common.weight",
        after="weight = self.common.weight",
        caught_by="tests/net/test_fusion_boosted.py::test_linear_learners_have_blocks",
    ),
]
