"""Faults in what the recipe adds to the loop, and in the line on validation far from test."""

from mutations.fault import Fault

LENGTH, REMARKS = "src/ambidex/learn/loop/length.py", "src/ambidex/learn/loop/remarks.py"
LONG, RECIPE = "tests/learn/test_length.py::", "tests/learn/test_recipe.py::"
FAR = "tests/report/test_far_apart.py::"

FAULTS = [
    Fault(
        name="recipe: the floor counts epochs that are not whole",
        file=LENGTH,
        before="math.ceil(params.min_steps / max(1, steps))",
        after="params.min_steps // max(1, steps)",
        caught_by=LONG + "test_epochs_by_hand",
    ),
    Fault(
        name="recipe: the floor holds where epochs are asked for",
        file=LENGTH,
        before="return params.epochs",
        after="return max(params.epochs, math.ceil(params.min_steps / max(1, steps)))",
        caught_by=LONG + "test_epochs_by_hand",
    ),
    Fault(
        name="recipe: patience counts epochs in which the method waits",
        file=LENGTH,
        before="max(best, waits)",
        after="best",
        caught_by=LONG + "test_patience_lasts_its_steps_and_begins_when_the_method_acts",
    ),
    Fault(
        name="recipe: a run that ended early trains on after a resume",
        file="src/ambidex/learn/engine.py",
        before="if self._stalled():",
        after="if epoch > first and self._stalled():",
        caught_by=LONG + "test_the_engine_ends_early_and_a_resumed_run_at_the_same_epoch",
    ),
    Fault(
        name="recipe: the epoch is chosen by samples where there are groups",
        file="src/ambidex/learn/loop/by_group.py",
        before="values.get(GROUP_NLL, values.get(NLL))",
        after="values.get(NLL)",
        caught_by=RECIPE + "test_the_epoch_is_chosen_by_group",
    ),
    Fault(
        name="recipe: the temperature ignores groups",
        file="src/ambidex/learn/loop/temperature.py",
        before="each if weights is None else each * weights",
        after="each",
        caught_by=RECIPE + "test_temperature_is_the_one_that_scipy_finds",
    ),
    Fault(
        name="recipe: the entropy of smoothed labels counts as a loss",
        file=REMARKS,
        before="loss - smoothed_entropy(classes, smoothing) <",
        after="loss <",
        caught_by=RECIPE + "test_a_first_epoch_without_loss_is_saturated",
    ),
    Fault(
        name="recipe: a preset inherits clipping and patience",
        file="src/ambidex/resolve/presets.py",
        before="{**PLAIN_LOOP, **preset.train}",
        after="{**preset.train}",
        caught_by="tests/resolve/test_method_presets.py::"
        "test_it_does_not_inherit_what_our_defaults_add_to_the_loop",
    ),
    Fault(
        name="recipe: a patience beside a preset is as published",
        file="src/ambidex/resolve/presets.py",
        before="published = {**preset.options, **_loop(preset)}",
        after="published = {**preset.options, **preset.train}",
        caught_by="tests/resolve/test_method_presets.py::test_the_note_says_what_was_set_otherwise",
    ),
    Fault(
        name="recipe: nobody is told that a training ended in its warm-up",
        file="src/ambidex/stages/_training.py",
        before="return line or remark(",
        after="return remark(",
        caught_by="tests/stages/test_train.py::test_a_training_within_its_warm_up_says_so",
    ),
    Fault(
        name="recipe: the temperature multiplies",
        file="src/ambidex/stages/pretrain.py",
        before='parameter.div_(metrics["temperature"])',
        after='parameter.mul_(metrics["temperature"])',
        caught_by="tests/stages/test_train.py::"
        "test_a_classifier_is_left_as_sure_as_validation_shows_and_training_starts_from_it",
    ),
    Fault(
        name="far apart: the plain sum is not looked at",
        file="src/ambidex/report/far_apart.py",
        before='if "val" in whole else []',
        after="if False else []",
        caught_by=FAR + "test_the_plain_sum_is_named_too",
    ),
]
