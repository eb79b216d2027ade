"""Faults in how samples are gathered, in what a store remembers of its checksums, and in what a checkpoint leaves."""

from mutations.fault import Fault

VERIFIED = "src/ambidex/data/store/verified.py"
ON_VERIFIED = "tests/data/test_verified.py::"

MAPPED = "src/ambidex/data/store/mapped.py"
ON_MAPPED = "tests/data/test_mapped.py::"

FAULTS = [
    Fault(
        name="mapped: numbers at odd bytes are taken for others",
        file=MAPPED,
        before=" and (part.data_ptr() - origin) % width == 0",
        after="",
        caught_by=ON_MAPPED + "test_a_tensor_that_a_file_holds_at_an_odd_byte",
    ),
    Fault(
        name="mapped: a negative row counts from the end of a shard",
        file=MAPPED,
        before="if int(rows.min()) < 0 or int(rows.max()) >= self._count:",
        after="if False:",
        caught_by=ON_MAPPED + "test_a_sample_that_is_not_there_is_refused",
    ),
    Fault(
        name="verified: the time of the inode does not count",
        file=VERIFIED,
        before="times = [status.st_mtime_ns, status.st_ctime_ns]",
        after="times = [status.st_mtime_ns, 0]",
        caught_by=ON_VERIFIED + "test_a_changed_byte_is_noticed_also_where_size_and_time_are_set_back",
    ),
    Fault(
        name="verified: a young file is remembered",
        file=VERIFIED,
        before="_is_settled(before) and _stamps",
        after="_stamps",
        caught_by=ON_VERIFIED + "test_what_was_changed_a_moment_ago_is_not_remembered",
    ),
    Fault(
        name="verified: what changed meanwhile is remembered",
        file=VERIFIED,
        before=" and _stamps(files) == before:",
        after=":\n        mark = _mark(_stamps(files))",
        caught_by=ON_VERIFIED + "test_what_changes_while_it_is_compared_is_not_remembered",
    ),
    Fault(
        name="checkpoint: held in memory before it is written",
        file="src/ambidex/base/files.py",
        before="        temporary.replace(path)\n",
        after="        path.write_bytes(temporary.read_bytes())\n",
        caught_by="tests/learn/test_engine.py::test_a_checkpoint_is_never_held_in_memory_as_a_whole",
    ),
]
