"""Faults in the readers of the field's data sets: splits, groups, classes, coverage, and what a pickle may do."""

from mutations.fault import Fault

FOLDER = "src/ambidex/data/datasets/"
TESTS = "tests/data/test_dataset_"

FAULTS = [
    Fault(
        name="datasets: a pickle's names are looked up",
        file=FOLDER + "_plain_pickle.py",
        before='        raise _ForeignError(f"{module}.{name}")',
        after="        return super().find_class(module, name)",
        caught_by=TESTS + "cmu.py::test_nothing_is_run",
    ),
    Fault(
        name="datasets: an array is of any type",
        file=FOLDER + "_plain_pickle.py",
        before=" or _DTYPE.match(name) is None",
        after="",
        caught_by=TESTS + "cmu.py::test_nothing_is_run",
    ),
    Fault(
        name="datasets: an array of big numbers is read the wrong way round",
        file=FOLDER + "_plain_pickle.py",
        before='is_big = isinstance(state, tuple) and len(state) > 1 and state[1] == ">"',
        after="is_big = False",
        caught_by=TESTS + "cmu.py::test_the_order_of_bytes",
    ),
    Fault(
        name="datasets: a sentiment of 0 is negative",
        file=FOLDER + "_sentiment.py",
        before="return _classes(config)[int(score >= 0)]",
        after="return _classes(config)[int(score > 0)]",
        caught_by=TESTS + "cmu.py::test_classes",
    ),
    Fault(
        name="datasets: a segment is a video of its own",
        file=FOLDER + "_sentiment.py",
        before='return text.partition("$_$")[0].strip()',
        after="return text.strip()",
        caught_by=TESTS + "cmu.py::test_samples_splits_and_videos",
    ),
    Fault(
        name="datasets: groups of UCF101 are those of all actions",
        file=FOLDER + "ucf101.py",
        before="group=f\"{match['action']}_{match['group']}\",",
        after="group=match['group'],",
        caught_by=TESTS + "ucf101.py::test_an_official_split",
    ),
    Fault(
        name="datasets: pictures without movement make two clips one",
        file=FOLDER + "ucf101.py",
        before="original=Listing(",
        after="original=None and Listing(",
        caught_by=TESTS + "ucf101.py::test_pictures_without_movement_make_no_two_clips_one",
    ),
    Fault(
        name="datasets: a title on both sides is nobody's business",
        file=FOLDER + "food101.py",
        before="leaky=shared > 0,",
        after="leaky=False,",
        caught_by=TESTS + "food101.py::test_a_page_on_both_sides_makes_the_field_split_leaky",
    ),
    Fault(
        name="datasets: AV-MNIST keeps the components of least energy",
        file=FOLDER + "av_mnist.py",
        before="kept = vectors[:, ::-1]",
        after="kept = vectors[:, ::1]",
        caught_by=TESTS + "av_mnist.py::test_energy_is_that_of_principal_components",
    ),
    Fault(
        name="datasets: takes for testing are trained on",
        file=FOLDER + "av_mnist.py",
        before='return "test" if take in _TEST_TAKES else "val"',
        after='return "test" if take in _TEST_TAKES and take else "val"',
        caught_by=TESTS + "av_mnist.py::test_no_recording_is_in_two_splits_of_the_field",
    ),
    Fault(
        name="datasets: a view that lies on its side is read as it lies",
        file=FOLDER + "multiview.py",
        before="values = (array if len(array) == count else array.T).astype(np.float32)",
        after="values = array.reshape(count, -1).astype(np.float32)",
        caught_by=TESTS + "multiview.py::test_a_mat_file",
    ),
    Fault(
        name="datasets: an id that ends in digits is cut",
        file=FOLDER + "_kinetics.py",
        before="match = None if len(clip) == _ID else _CLIP.match(clip)",
        after="match = _CLIP.match(clip)",
        caught_by=TESTS + "balanced_av.py::test_the_published_list",
    ),
    Fault(
        name="datasets: a clip that is not there counts as one",
        file=FOLDER + "_clip_list.py",
        before='FOUND if file else "missing"',
        after="FOUND",
        caught_by=TESTS + "vggsound.py::test_the_published_list",
    ),
    Fault(
        name="datasets: the first of two files of a modality wins",
        file=FOLDER + "folder.py",
        before="            if modality in row.paths:",
        after="            if False:",
        caught_by=TESTS + "folder.py::test_two_files_of_one_modality",
    ),
    Fault(
        name="compare: methods.csv is silent about a leaky protocol",
        file="src/ambidex/report/study/methods.py",
        before="leaky=row.leaky,",
        after="",
        caught_by="tests/stages/test_compare.py::test_missing_cells_and_refused_allocators_are_shown",
    ),
]
