"""The Balanced Audiovisual Dataset: a JSON list of clips, which are there or not."""

import json

import pytest

from ambidex.base.errors import DataError
from ambidex.base.readers import read_json
from ambidex.testing import check_dataset
from helpers.datasets import list_samples, prepare
from helpers.media import write_clip

LABELS = ("singing", "bowling", "playing cello")
SUBSETS = ("training", "training", "validation", "testing")
LIST = "Imbalance_train_test_val.json"


@pytest.fixture
def tree(tmp_path):
    """12 clips of 3 classes, in each class 2 for training, 1 for validation, 1 for testing."""
    source = tmp_path / "balanced"
    clip = write_clip(tmp_path / "one.mp4", seconds=0.2, size=(32, 32)).read_bytes()
    database = {}
    for k in range(12):
        # the id alone, with its start, or with start and end, an id may hold '_' and digits
        name = (f"ab_12345{k:03d}", f"b{k:02d}_cdefghi_{k:06d}", f"c{k:02d}-defghij_{k}_{k + 10}")[k % 3]
        database[name] = {"label": LABELS[k // 4], "subset": SUBSETS[k % 4]}
        (source / "clips").mkdir(parents=True, exist_ok=True)
        (source / f"clips/{name}.mp4").write_bytes(clip + bytes([k]))
    (source / LIST).write_text(json.dumps({"labels": LABELS, "database": database}))
    return source


def change(tree, edit):
    content = read_json(tree / LIST)
    edit(content)
    (tree / LIST).write_text(json.dumps(content))


def test_the_published_list(tree, tmp_path):
    rows, facts = prepare(tmp_path / "out", "balanced_av", tree)
    assert facts["classes"] == list(LABELS)  # label order of the list, not by name
    counts = {split: set(facts["counts"][split].values()) for split in facts["counts"]}
    assert counts == {"train": {2}, "val": {1}, "test": {1}}
    places = {row["group"]: row["audio"] for row in rows}
    assert places["ab_12345000"] == "clips/ab_12345000.mp4"
    assert places["b01_cdefghi"] == "clips/b01_cdefghi_000001.mp4"
    assert places["c02-defghij"] == "clips/c02-defghij_2_12.mp4"
    assert facts["notes"][0] == "all 12 clips found"
    assert "refused" in check_dataset("balanced_av", tree)


def test_a_missing_clip(tree, tmp_path):
    (tree / "clips/ab_12345000.mp4").unlink()
    listing = list_samples("balanced_av", tree, tmp_path)
    assert listing.notes[0] == "11 of 12 clips found (91.7 %); 1 missing; see coverage.csv"
    assert "ab_12345000,singing,missing" in listing.extras["coverage.csv"]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("label", "siging", "label 'siging' is not in 'labels'; did you mean 'singing'?"),
        ("subset", "test", "subset 'test' does not exist; did you mean 'testing'?"),
        ("label", 3, "key 'label' is missing or no text"),
    ],
)
def test_a_damaged_entry(tree, tmp_path, key, value, said):
    change(tree, lambda content: content["database"]["ab_12345003"].update({key: value}))
    with pytest.raises(DataError) as caught:
        list_samples("balanced_av", tree, tmp_path)
    assert f"clip 'ab_12345003': {said}" in str(caught.value)


def test_a_list_of_another_form_or_cut_short(tree, tmp_path):
    whole = (tree / LIST).read_text()
    (tree / LIST).write_text(whole[:-20])
    with pytest.raises(DataError, match=r"Imbalance_train_test_val\.json: .*JSON"):
        list_samples("balanced_av", tree, tmp_path)
    for text, said in (('{"labels": ["a"]}', "key 'database'"), ("[]", "key 'labels'")):
        (tree / LIST).write_text(text)
        with pytest.raises(DataError, match=said):
            list_samples("balanced_av", tree, tmp_path)
