"""Faults in degradations: what they draw, whom they reach, and what severities share."""

from mutations.fault import Fault

WAYS = "src/ambidex/data/kinds/degradations/"
UNIT = "tests/data/test_degradations.py::"
STORE = "tests/stages/test_degrade.py::"
RUN = "tests/stages/test_degrade_run.py::"
STUDY = "tests/commands/test_study.py::"

FAULTS = [
    Fault(
        name="degrade: a class that nobody has is left out in silence",
        file="src/ambidex/data/store/degrading.py",
        before="    _check_classes(degrade, manifest.classes)\n",
        after="",
        caught_by="tests/stages/test_degrade.py::test_a_class_that_no_sample_has_is_one_line",
    ),
    Fault(
        name="degrade: noise is scaled by the power that it should have, not by the power that it has",
        file=WAYS + "sound_noise.py",
        before=" / np.square(noise).mean()",
        after="",
        caught_by=UNIT + "test_sound_has_the_ratio_of_powers_that_was_asked_for",
    ),
    Fault(
        name="degrade: a fraction is cut off and not rounded",
        file=WAYS + "__init__.py",
        before="return int(value + 0.5)",
        after="return int(value)",
        caught_by=UNIT + "test_exactly_a_fraction_of_each_split_lacks_it",
    ),
    Fault(
        name="degrade: a sample loses its last modality",
        file=WAYS + "absent.py",
        before="and len(row.paths) > 1",
        after="and len(row.paths) > 0",
        caught_by=UNIT + "test_exactly_a_fraction_of_each_split_lacks_it",
    ),
    Fault(
        name="degrade: what is drawn hangs on the split and not on the sample",
        file="src/ambidex/data/store/degrading.py",
        before="/{row.sample_id}/",
        after="/{row.split}/",
        caught_by=STORE + "test_noise_on_features_is_in_deviations_of_the_undegraded_training_samples",
    ),
    Fault(
        name="degrade: severity 0 leaves a trace in the store",
        file="src/ambidex/stages/_store.py",
        before='set() if extract.degrade.active else {"degrade"}',
        after="set()",
        caught_by=STORE + "test_severity_0_is_the_plain_store_to_the_last_byte",
    ),
    Fault(
        name="degrade: a model is taken where validation was degraded behind its back",
        file="src/ambidex/configuration/degrade.py",
        before='LEARNT_ON = ("train", "val")',
        after='LEARNT_ON = ("train",)',
        caught_by=RUN + "test_a_model_is_refused_where_training_would_have_seen_the_difference",
    ),
    Fault(
        name="degrade: severities share models that training would have made otherwise",
        file="src/ambidex/commands/levels.py",
        before="learns = bool(params.extract.degrade.in_learning.steps) or severities[0] > 0",
        after="learns = False",
        caught_by=STUDY + "test_severities_train_anew_where_training_sees_them",
    ),
]
