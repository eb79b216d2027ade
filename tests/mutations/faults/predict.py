"""Faults in what predict says of clips that lack a modality, or that are named wrongly."""

from mutations.fault import Fault

COMMAND = "src/ambidex/commands/predict.py"
CLIPS = "src/ambidex/predict/clips.py"
PREDICTION = "src/ambidex/predict/prediction.py"
ON_CLIPS = "tests/stages/test_predict.py::"
ON_MISSING = "tests/stages/test_missing_run.py::"
LACKED = ON_MISSING + "test_predict_says_where_no_training_sample_lacked_the_modality"

FAULTS = [
    Fault(
        name="predict: a rejected clip counts as predicted",
        file=COMMAND,
        before="        else:\n            predicted += 1\n",
        after="        if True:\n            predicted += 1\n",
        caught_by=ON_CLIPS + "test_one_bad_clip_costs_one_line_and_the_others_are_predicted",
    ),
    Fault(
        name="predict: a misspelt modality is a part of the path before it",
        file=CLIPS,
        before="    if match is not None and not _exists(",
        after="    if False and not _exists(",
        caught_by=ON_CLIPS + "test_a_clip_named_wrongly_is_one_line",
    ),
    Fault(
        name="predict: a file with a modality in its name is none",
        file=CLIPS,
        before="inside.file if inside else cell",
        after="cell",
        caught_by=ON_CLIPS + "test_a_clip_is_named_by_one_file_or_by_pairs",
    ),
    Fault(
        name="predict: what one modality was trained without counts for all",
        file=PREDICTION,
        before="not missing.get(modality)",
        after="not any(missing.values())",
        caught_by=LACKED,
    ),
    Fault(
        name="predict: a saved model forgets what its training lacked",
        file="src/ambidex/report/model_files.py",
        before="if key == MISSING",
        after="if False",
        caught_by=LACKED,
    ),
    Fault(
        name="predict: the title does not say that auto chose",
        file="src/ambidex/commands/predict.py",
        before='.get("asked", spec.allocator)',
        after='.get("allocator", spec.allocator)',
        caught_by="tests/stages/test_predict.py::test_the_title_says_who_chose_the_allocator",
    ),
]
