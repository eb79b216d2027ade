"""Faults in what keeps one file from ending a run."""

from mutations.fault import Fault

ISOLATION = "src/ambidex/data/media/isolation.py"
LIMITS = "src/ambidex/data/media/limits.py"
EXTRACTION = "src/ambidex/data/store/extraction.py"
REASONS = "src/ambidex/data/media/reasons.py"
SOUND = "src/ambidex/data/kinds/_sounds.py"
ARRAYS = "src/ambidex/data/media/arrays.py"
FOREIGN = "src/ambidex/data/media/foreign.py"
WORKERS = "tests/data/test_media_isolation.py::"
FILES = "tests/stages/test_broken_files.py::"
TABLES = "tests/data/test_media_arrays.py::"

FAULTS = [
    Fault(
        name="extraction: a death is blamed on the item before",
        file=ISOLATION,
        before="self._answers(items[len(results) :], results)",
        after="self._answers(items[max(len(results) - 1, 0) :], results)",
        caught_by=WORKERS + "test_each_death_costs_its_item_alone_and_order_stays",
    ),
    Fault(
        name="extraction: a kill from outside is final",
        file=ISOLATION,
        before="killed != len(results)",
        after="False",
        caught_by=WORKERS + "test_a_kill_from_outside_is_tried_once_more",
    ),
    Fault(
        name="extraction: waiting counts as slowness",
        file=ISOLATION,
        before="                limits.stop()\n",
        after="",
        caught_by=WORKERS + "test_waiting_for_work_is_no_slowness",
    ),
    Fault(
        name="extraction: memory is not bounded",
        file=LIMITS,
        before="        _bound_memory(self.bytes)\n",
        after="        _bound_memory(2**50)\n",
        caught_by=WORKERS + "test_memory_is_bounded_for_each_item_anew",
    ),
    Fault(
        name="extraction: children run the program that called",
        file=ISOLATION,
        before="names.update(dict.fromkeys(before))",
        after="names.update({})",
        caught_by=WORKERS + "test_a_program_without_a_main_guard_works_also_from_stdin",
    ),
    Fault(
        name="extraction: only foreseen errors are a row's own",
        file=EXTRACTION,
        before='except Exception as error:\n            raise _SampleError("+"',
        after='except MediaError as error:\n            raise _SampleError("+"',
        caught_by=FILES + "test_crashes_errors_and_hangs_of_a_decoder",
    ),
    Fault(
        name="extraction: no memory is called damage",
        file=REASONS,
        before="    if any(map(_is_memory, causes)):\n",
        after="    if _is_memory(error):\n",
        caught_by=FILES + "test_crashes_errors_and_hangs_of_a_decoder",
    ),
    Fault(
        name="extraction: muted sound goes unnoticed",
        file=SOUND,
        before="float(np.ptp(decoded)) <= _SILENCE",
        after="float(np.abs(decoded).max()) <= _SILENCE",
        caught_by=FILES + "test_muted_sound_is_counted_not_rejected",
    ),
    Fault(
        name="extraction: pointers are read as media",
        file=FOREIGN,
        before="        if start.startswith(mark):\n            raise MediaError(reason)\n",
        after="        pass\n",
        caught_by=FILES + "test_what_no_decoder_should_see",
    ),
    Fault(
        name="extraction: a header is believed",
        file=ARRAYS,
        before="    if layout.nbytes > held:\n",
        after="    if False:\n",
        caught_by=TABLES + "test_headers_that_lie",
    ),
    Fault(
        name="extraction: an archive's array is inflated whatever its size",
        file=ARRAYS,
        before="                    _check_memory(layout.nbytes, most)\n",
        after="",
        caught_by=TABLES + "test_memory_is_bounded_before_it_is_taken",
    ),
    Fault(
        name="extraction: a message counts columns from 1 and rows from 0",
        file=ARRAYS,
        before="column {int(match[2]) - 1}",
        after="column {int(match[2])}",
        caught_by=TABLES + "test_tables_of_text_that_are_none[words]",
    ),
]
