"""Faults in Diagnosing & Re-learning, and in the sweeps that it asks for."""

from mutations.fault import Fault

METHOD = "src/ambidex/learn/methods/relearning.py"
REHEARSAL = "src/ambidex/learn/loop/rehearsal.py"
TESTS = "tests/learn/test_method_relearning.py::"

FAULTS = [
    Fault(
        name="relearning: reset to the start of another modality",
        file=METHOD,
        before="self.initial[name], strict=True):\n                now",
        after="self.initial[run.modalities[0]], strict=True):\n                now",
        caught_by=TESTS + "test_a_reset_lies_on_the_way_back_and_touches_encoders_alone",
    ),
    Fault(
        name="relearning: the share kept and the share reset swapped",
        file=METHOD,
        before="now.mul_(1 - share).add_(start, alpha=share)",
        after="now.mul_(share).add_(start, alpha=1 - share)",
        caught_by=TESTS + "test_a_reset_lies_on_the_way_back_and_touches_encoders_alone",
    ),
    Fault(
        name="relearning: the start moves with the weights",
        file=METHOD,
        before="p.detach().clone()",
        after="p.detach()",
        caught_by=TESTS + "test_a_reset_lies_on_the_way_back_and_touches_encoders_alone",
    ),
    Fault(
        name="relearning: a reset after epoch 0",
        file=METHOD,
        before="rest == 0 and 0 < number <=",
        after="rest == 0 and 0 <= number <=",
        caught_by=TESTS + "test_resets_are_due_after_the_papers_epochs",
    ),
    Fault(
        name="relearning: a reset too few",
        file=METHOD,
        before="0 < number <= self",
        after="0 < number < self",
        caught_by=TESTS + "test_resets_are_due_after_the_papers_epochs",
    ),
    Fault(
        name="relearning: the gap of training to itself",
        file=METHOD,
        before='run.sweep("val")',
        after='run.sweep("train")',
        caught_by=TESTS + "test_a_reset_lies_on_the_way_back_and_touches_encoders_alone",
    ),
    Fault(
        name="relearning: the sign of the gap flipped",
        file=METHOD,
        before="abs(seen - unseen)",
        after="max(0.0, unseen - seen)",
        caught_by=TESTS + "test_strength_and_gap_make_the_share",
    ),
    Fault(
        name="relearning: purity of classes over clusters",
        file=METHOD,
        before="counts.max(axis=1)",
        after="counts.max(axis=0)",
        caught_by=TESTS + "test_purity_is_that_of_the_contingency_table",
    ),
    Fault(
        name="relearning: features not scaled",
        file=METHOD,
        before="return np.asarray(2 * (x - low) / span - 1)",
        after="return x",
        caught_by=TESTS + "test_each_dimension_is_scaled_as_by_scikit_learn",
    ),
    Fault(
        name="relearning: all dimensions scaled as one",
        file=METHOD,
        before="return np.asarray(2 * (x - low) / span - 1)",
        after="return np.asarray(2 * (x - x.min()) / (x.max() - x.min()) - 1)",
        caught_by=TESTS + "test_each_dimension_is_scaled_as_by_scikit_learn",
    ),
    Fault(
        name="relearning: a reset after the last epoch",
        file=METHOD,
        before=" and run.epoch + 1 < run.epochs",
        after="",
        caught_by=TESTS + "test_a_reset_lies_on_the_way_back_and_touches_encoders_alone",
    ),
    Fault(
        name="relearning: the checkpoint forgets the start",
        file=METHOD,
        before="ours.copy_(theirs)",
        after="pass",
        caught_by=TESTS + "test_a_checkpoint_keeps_where_the_encoders_started",
    ),
    Fault(
        name="relearning: no validation split goes unnoticed",
        file=METHOD,
        before="if run.validation == 0:",
        after="if False:",
        caught_by=TESTS + "test_without_enough_validation_it_refuses_in_one_line",
    ),
    Fault(
        name="relearning: a sweep in training mode",
        file=REHEARSAL,
        before="    model.eval()\n",
        after="    pass\n",
        caught_by=TESTS + "test_a_sweep_is_still_and_leaves_training_as_it_was",
    ),
    Fault(
        name="relearning: a sweep leaves evaluation mode behind",
        file=REHEARSAL,
        before="        module.training = training",
        after="        pass",
        caught_by=TESTS + "test_a_sweep_is_still_and_leaves_training_as_it_was",
    ),
    Fault(
        name="relearning: methods may sweep test",
        file="src/ambidex/learn/loop/passes.py",
        before='if split not in ("train", "val")',
        after='if split not in ("train", "val", "test")',
        caught_by=TESTS + "test_methods_cannot_sweep_test",
    ),
]
