"""Faults in what stands between a damaged file and the rest of the product."""

from mutations.fault import Fault

READERS, TRUST = "tests/base/test_readers.py::", "tests/base/test_trust.py::"
HOSTILE = "tests/pipelines/test_client_hostile.py::"

FAULTS = [
    Fault(
        name="readers: any depth of JSON",
        file="src/ambidex/base/readers/json.py",
        before="    if deeper(value, DEPTH):",
        after="    if deeper(value, 900):",
        caught_by=READERS + "test_json_that_no_program_of_ours_wrote_is_one_line",
    ),
    Fault(
        name="readers: aliases are not weighed",
        file="src/ambidex/base/readers/yaml.py",
        before="        _weigh(node, {}, set())\n",
        after="",
        caught_by=READERS + "test_yaml_that_nobody_means_is_one_line_at_once",
    ),
    Fault(
        name="readers: a FIFO is waited for",
        file="src/ambidex/base/readers/weights.py",
        before="        open_regular(path).close()",
        after="        path.stat()",
        caught_by=READERS + "test_only_a_regular_file_is_read_and_nobody_waits[device-read_tensors]",
    ),
    Fault(
        name="readers: a formula is written as it is",
        file="src/ambidex/base/files.py",
        before="return _APOSTROPHE + cell if isinstance(cell, str) and _runs(cell) else cell",
        after="return cell",
        caught_by=READERS + "test_cells_that_a_spreadsheet_would_run_are_written_as_text_and_come_back",
    ),
    Fault(
        name="store: the fingerprint leaves out what version 2 did",
        file="src/ambidex/data/store/reading.py",
        before='    if info["version"] >= VERSION:',
        after='    if info["version"] > VERSION:',
        caught_by=TRUST + "test_nothing_of_an_index_can_be_changed_unseen",
    ),
    Fault(
        name="weights: any type of number loads",
        file="src/ambidex/net/weights.py",
        before="        if headers[name].dtype != _name(tensor.dtype):",
        after="        if False:",
        caught_by=TRUST + "test_a_model_with_a_class_twice_or_weights_of_another_type_is_refused",
    ),
    Fault(
        name="predictions: rows need not add up to 1",
        file="src/ambidex/report/predictions.py",
        before="_ROUNDING = 1e-3\n",
        after="_ROUNDING = 1e3\n",
        caught_by=TRUST + "test_probabilities_that_are_none_are_refused",
    ),
    Fault(
        name="compare: classes in another order",
        file="src/ambidex/report/study/cells.py",
        before="        if here.classes != there.classes:",
        after="        if set(here.classes) != set(there.classes):",
        caught_by=TRUST + "test_reports_whose_classes_stand_in_another_order_are_not_compared",
    ),
    Fault(
        name="model: the weights file is written by another door",
        file="src/ambidex/base/files.py",
        before="        temporary.write_bytes(data)\n",
        after="        os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600))\n"
        "        temporary.write_bytes(data)\n",
        caught_by=TRUST + "test_every_file_of_a_model_has_the_rights_that_the_umask_leaves",
    ),
    Fault(
        name="charts: names are mathematics",
        file="src/ambidex/report/theme.py",
        before='    "text.parse_math": False,',
        after='    "text.parse_math": True,',
        caught_by="tests/report/test_report_charts.py::test_class_names_of_any_kind_are_drawn_as_they_are",
    ),
    Fault(
        name="client: time-outs count from the last byte",
        file="pipelines/kubeflow/transport.py",
        before="            status, body = within(timeout, lambda: self._exchange(request, timeout))",
        after="            status, body = self._exchange(request, timeout)",
        caught_by=HOSTILE + "test_no_server_holds_the_client_up",
    ),
    Fault(
        name="client: a run is what the server says",
        file="pipelines/kubeflow/replies.py",
        before='    return check(reply, Run, Source(f"{tried}: the answer", ClientError, _HINT))',
        after="    return reply",
        caught_by=HOSTILE + "test_a_malformed_answer_is_one_line",
    ),
]
