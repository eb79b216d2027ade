"""Faults in what outputs may replace, in their locks, and in how they take their place."""

from mutations.fault import Fault

GUARD = "src/ambidex/base/outputs/guard.py"
LOCK = "src/ambidex/base/outputs/lock.py"
DELIVERY = "src/ambidex/base/outputs/delivery.py"
UNFINISHED = "src/ambidex/base/outputs/unfinished.py"
ON_GUARD = "tests/base/test_outputs_guard.py::"
ON_LOCK = "tests/base/test_outputs_lock.py::"
ON_DELIVERY = "tests/base/test_outputs_delivery.py::"
STAYS = ON_GUARD + "test_what_is_the_users_stays"
KILLED = ON_DELIVERY + "test_killed_at_any_file_operation_nothing_is_lost"

FAULTS = [
    Fault(
        name="outputs: a link is followed",
        file=GUARD,
        before="        return path.lstat()\n",
        after="        return path.stat()\n",
        caught_by=(STAYS + "[a_link]", STAYS + "[a_dangling_link]"),
    ),
    Fault(
        name="outputs: an output of another stage is replaced",
        file=GUARD,
        before="    if made_by != stage:\n",
        after="    if False:\n",
        caught_by=STAYS + "[of_another_stage]",
    ),
    Fault(
        name="outputs: a saved model is replaced",
        file=GUARD,
        before='    if "decision" in card:\n',
        after="    if False:\n",
        caught_by=STAYS + "[a_saved_model]",
    ),
    Fault(
        name="outputs: a folder without card is replaced",
        file=GUARD,
        before="    if stage is None or not isinstance(made_by, str) or _OURS not in card:\n",
        after="    if not isinstance(made_by, str):\n        return ''\n    if stage is None:\n",
        caught_by=STAYS + "[a_folder]",
    ),
    Fault(
        name="outputs: a folder is a leftover by its name alone",
        file=UNFINISHED,
        before="    if is_marked(folder) and not folder.is_symlink():\n",
        after="    if True:\n",
        caught_by=ON_GUARD + "test_a_users_folder_that_looks_like_a_leftover_stays[a_folder-.partial]",
    ),
    Fault(
        name="outputs: what came meanwhile is thrown away",
        file=DELIVERY,
        before="        if reason := in_the_way(ready, stage):",
        after="        if reason := '':",
        caught_by=ON_GUARD + "test_what_came_there_meanwhile_stays",
    ),
    Fault(
        name="outputs: the old one goes before the new one comes",
        file=DELIVERY,
        before="    if exchange(ready, path):\n",
        after="    discard(path)\n    ready.rename(path)\n    return\n    if exchange(ready, path):\n",
        caught_by=KILLED + "[exchange]",
    ),
    Fault(
        name="outputs: nothing is mended after two renames",
        file=UNFINISHED,
        before="            old.rename(output)\n",
        after="            discard(old)\n",
        caught_by=KILLED + "[two renames]",
    ),
    Fault(
        name="outputs: strays of killed writes are delivered",
        file=UNFINISHED,
        before="        if _STRAY.search(path.name) and",
        after="        if False and",
        caught_by=ON_DELIVERY + "test_a_delivered_folder_has_its_own_files_and_no_others[exchange]",
    ),
    Fault(
        name="outputs: what a folder is known by goes first",
        file=UNFINISHED,
        before="        if path not in last:\n",
        after="        if True:\n",
        caught_by=KILLED,
    ),
    Fault(
        name="outputs: the lock is shared",
        file=LOCK,
        before="fcntl.LOCK_EX | fcntl.LOCK_NB",
        after="fcntl.LOCK_SH | fcntl.LOCK_NB",
        caught_by=ON_LOCK + "test_the_second_comer_gets_one_line_that_names_the_holder",
    ),
    Fault(
        name="outputs: a lock file that was removed is good enough",
        file=LOCK,
        before="            if _stands(descriptor, file):\n",
        after="            if True:\n",
        caught_by=ON_LOCK + "test_a_lock_file_that_was_just_removed_is_no_lock",
    ),
    Fault(
        name="outputs: an input that changed is not noticed",
        file=DELIVERY,
        before="    claim.check_inputs()\n",
        after="",
        caught_by=ON_DELIVERY + "test_an_input_that_changes_while_it_is_read_stops_the_output",
    ),
    Fault(
        name="files: a path may lead out of its folder",
        file="src/ambidex/base/files.py",
        before=' or ".." in parts',
        after="",
        caught_by=ON_DELIVERY + "test_a_path_from_a_file_stays_below_its_folder[../x]",
    ),
    Fault(
        name="evaluate: a saved model goes with the report",
        file="src/ambidex/stages/evaluate.py",
        before='        keep_saved_model(outputs["report"], folder)\n',
        after="",
        caught_by="tests/stages/test_saved_model.py::test_an_evaluation_without_save_keeps_it",
    ),
]
