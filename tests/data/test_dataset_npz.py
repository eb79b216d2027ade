"""Ready features in one .npz file."""

import numpy as np
import pytest

from ambidex.base.errors import DataError
from ambidex.data.media.vectors import read_vector
from helpers.datasets import list_samples, prepare


@pytest.fixture
def views(tmp_path):
    """30 samples, 3 classes, two views, a test mark, groups."""
    rng = np.random.default_rng(0)
    path = tmp_path / "views.npz"
    np.savez(
        path,
        left=rng.normal(size=(30, 4)).astype(np.float32),
        right=rng.integers(0, 9, size=(30, 2)),
        labels=np.arange(30) % 3 + 9,
        test=np.arange(30) < 6,
        speaker=np.array([f"p{k // 3}" for k in range(30)]),
    )
    return path


def test_rows_point_at_their_vectors(views, tmp_path):
    rows, facts = prepare(tmp_path / "out", "npz", views, options={"test": "test", "groups": "speaker"})
    assert facts["modalities"] == ["left", "right"]
    assert facts["classes"] == ["9", "10", "11"]
    assert rows[7]["left"] == "views.npz#left[7]"
    with np.load(views) as arrays:
        for k in (0, 13, 29):
            np.testing.assert_array_equal(read_vector(rows[k]["left"], views.parent), arrays["left"][k])
            assert rows[k]["label"] == str(arrays["labels"][k])
            assert rows[k]["group"] == arrays["speaker"][k]
    assert [row["split"] == "test" for row in rows] == [k < 6 for k in range(30)]
    val = {row["group"] for row in rows if row["split"] == "val"}
    assert val
    assert not val & {row["group"] for row in rows if row["split"] == "train"}


def test_chosen_modalities(views, tmp_path):
    assert list_samples("npz", views, tmp_path, modalities=["right"]).modalities == ("right",)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labels": "label"}, "array 'label' is missing; did you mean 'labels'? arrays found: left, right"),
        (
            {"modalities": ["labels"]},
            "array 'labels' is int64 of shape [30], expected numbers of shape [30, D]",
        ),
        ({"test": "labels"}, "array 'labels' is int64 of shape [30], expected true and false of shape [30]"),
        (
            {"groups": "left"},
            "array 'left' is float32 of shape [30, 4], expected whole numbers or text of shape [30]",
        ),
    ],
)
def test_wrong_arrays(views, tmp_path, options, said):
    with pytest.raises(DataError) as caught:
        list_samples("npz", views, tmp_path, **options)
    assert str(caught.value).startswith(f"{views}: ")
    assert said in str(caught.value)


def test_a_pickle_is_not_loaded(tmp_path):
    path = tmp_path / "bad.npz"
    np.savez(path, labels=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match=r"is not a \.npz of plain arrays"):
        list_samples("npz", path, tmp_path)


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "x.npz").write_text("no archive")
    with pytest.raises(DataError, match=r"is not a \.npz of plain arrays"):
        list_samples("npz", tmp_path / "x.npz", tmp_path)


def test_the_real_views(shared_data, tmp_path):
    source, options = shared_data / "mfeat6.npz", {"test": "test"}
    with pytest.raises(
        DataError, match=r"row 1903: its content is that of .*row 1213 too, in splits 'test' and 'train'"
    ):
        prepare(tmp_path / "out", "npz", source, options=options)
    rows, facts = prepare(tmp_path / "out", "npz", source, options=options, shared_content="drop")
    assert len(rows) == 1_999
    assert "01213" not in {row["sample_id"] for row in rows}
    assert facts["modalities"] == ["pix240", "fou76", "fac216", "zer47", "kar64", "mor6"]
    assert sum(row["split"] == "test" for row in rows) == 400
    assert {n for split in facts["counts"]["val"].values() for n in [split]} == {24}
