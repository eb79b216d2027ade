"""Faults in what keeps content, groups and names together, and in how many groups are held out."""

from mutations.fault import Fault

CONTENT = "src/ambidex/data/datasets/_content.py"
SHARING = "src/ambidex/data/datasets/_sharing.py"
SPLITTING = "src/ambidex/data/datasets/_splitting.py"
NAMES = "src/ambidex/data/datasets/_names.py"
HEADER = "src/ambidex/data/media/csv_header.py"
TESTS = "tests/stages/test_prepare_sharing.py::"
SPLITS = "tests/data/test_splitting.py::"
WRITTEN = "tests/base/test_names.py::"
COLUMNS = "tests/stages/test_prepare_columns.py::"

FAULTS = [
    Fault(
        name="prepare: a link is another file",
        file="src/ambidex/data/datasets/_paths.py",
        before="identity = (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)",
        after="identity = str(path)",
        caught_by=TESTS + "test_only_files_of_equal_size_are_opened",
    ),
    Fault(
        name="prepare: a copy is another content",
        file=CONTENT,
        before="        of_name.update(dict.fromkeys(names[1:], names[0]))",
        after="        pass",
        caught_by=TESTS + "test_drawn_splits_keep_it_together",
    ),
    Fault(
        name="prepare: files of equal blocks are taken for copies",
        file=CONTENT,
        before="""copies += _equal(large, _digests("files that look equal", files, large, _whole).get)""",
        after="copies += large",
        caught_by=TESTS + "test_what_only_seems_the_same_is_not",
    ),
    Fault(
        name="prepare: the row of a vector does not count",
        file=CONTENT,
        before="((file, own.array), row + 1)",
        after="((file, own.array), 0)",
        caught_by=TESTS + "test_what_only_seems_the_same_is_not",
    ),
    Fault(
        name="prepare: vectors of equal values are strangers",
        file=CONTENT,
        before="        keys[VALUES] = _equal_samples(",
        after="        _equal_samples(",
        caught_by=TESTS + "test_npz_rows_of_equal_values_are_one_sample",
    ),
    Fault(
        name="prepare: only neighbours are joined",
        file=SHARING,
        before="return {group: top(group) for group in above}",
        after="return dict(above)",
        caught_by=TESTS + "test_joined_groups_are_the_components_of_the_graph_of_shared_files",
    ),
    Fault(
        name="prepare: content that was accepted is not marked",
        file="src/ambidex/stages/prepare.py",
        before="or crosses(rows, settled.keys)",
        after="",
        caught_by=TESTS + "test_accepted_content_makes_the_result_leaky_and_prepare_says_so",
    ),
    Fault(
        name="prepare: the copy in test is left out, not the one in train",
        file=SHARING,
        before="if order[rows.splits[k]] < last",
        after="if order[rows.splits[k]] == last",
        caught_by=TESTS + "test_copies_are_left_out_of_the_earlier_split",
    ),
    Fault(
        name="prepare: one group is enough to validate",
        file=SPLITTING,
        before="short = np.maximum(floor - members[..., 1:], 0).sum(axis=-1)",
        after="short = 0 * members.sum(axis=-1)",
        caught_by=SPLITS + "test_three_groups_validate_and_test_where_train_keeps_enough",
    ),
    Fault(
        name="prepare: train is left with too little",
        file=SPLITTING,
        before="counts[..., 0, :].sum(axis=-1) >= least - 1e-9",
        after="counts[..., 0, :].sum(axis=-1) >= 0 * least",
        caught_by=SPLITS + "test_three_groups_validate_and_test_where_train_keeps_enough",
    ),
    Fault(
        name="prepare: zero-width characters make another class",
        file=NAMES,
        before='return unicodedata.category(character) == "Cf" and character not in _VISIBLE',
        after='return character == "\\ufeff"',
        caught_by=WRITTEN + "test_what_nobody_sees_goes",
    ),
    Fault(
        name="prepare: a script loses its joiners",
        file=NAMES,
        before="return not _joins(text, place)",
        after="return True",
        caught_by=WRITTEN + "test_a_joiner_stays_where_the_script_needs_it",
    ),
    Fault(
        name="prepare: a source is ignored without a word",
        file="src/ambidex/stages/prepare.py",
        before="if prepare.source and Path(prepare.source)",
        after="if not prepare.source and Path(prepare.source)",
        caught_by="tests/stages/test_prepare_tables.py::test_a_source_that_would_be_ignored_is_refused",
    ),
    Fault(
        name="prepare: quoted numbers are a header",
        file=HEADER,
        before="numbers = [place for place, name in enumerate(names) if _is_number(name)]",
        after="numbers = [0] if start[:1].isdigit() else []",
        caught_by="tests/data/test_media_csv_header.py::test_a_header_that_is_none_is_refused",
    ),
    Fault(
        name="prepare: one group validates without a word",
        file="src/ambidex/base/few_groups.py",
        before="if not 0 < len(names) <= FEW",
        after="if not 1 < len(names) <= FEW",
        caught_by=(
            "tests/stages/test_few_groups.py::test_the_line_offers_what_there_is",
            "tests/judge/test_diagnose_finding.py::test_one_speaker_in_validation_is_named_with_the_way_out",
        ),
    ),
    Fault(
        name="prepare: the first line with an empty cell is one more",
        file="src/ambidex/data/datasets/_missing.py",
        before="others = count - 1",
        after="others = count",
        caught_by="tests/stages/test_prepare.py::test_empty_cells_are_counted_and_what_allows_them_is_named",
    ),
    Fault(
        name="prepare: a group has the samples of those after it",
        file="src/ambidex/data/datasets/_group_counts.py",
        before="self._starts[group + 1])",
        after="None)",
        caught_by=COLUMNS + "test_counts_of_groups_are_those_of_a_matrix",
    ),
    Fault(
        name="prepare: the fingerprint is of other text where rows come in parts",
        file="src/ambidex/stages/prepare.py",
        before="""yield ("," if start else "") + json_text(cells)[1:-1]""",
        after="""yield json_text(cells)[1:-1]""",
        caught_by=COLUMNS + "test_the_fingerprint_is_the_digest_of_facts_cells_and_sizes[7]",
    ),
    Fault(
        name="rows: a part of a part begins at the first row",
        file="src/ambidex/data/rows.py",
        before="return Window(self._rows, self._places[index])",
        after="return Window(self._rows, range(len(self._places))[index])",
        caught_by="tests/data/test_rows.py::test_a_part_of_a_part_is_the_same_as_of_a_list_also_in_another_process",
    ),
]
