"""Several views in a .mat of version 5 or a .npz."""

import numpy as np
import pytest
import scipy.sparse
from scipy.io import savemat

from ambidex.base.errors import DataError
from ambidex.data.media.vectors import read_vector
from ambidex.testing import check_dataset
from helpers.datasets import list_samples, prepare

LABELS = np.arange(30) % 3 + 1


@pytest.fixture
def views():
    draws = np.random.default_rng(0)
    return [draws.normal(size=(30, width)) for width in (4, 7, 2)]


def cells(arrays):
    box = np.empty((1, len(arrays)), dtype=object)
    for k, array in enumerate(arrays):
        box[0, k] = array
    return box


@pytest.fixture
def mat(tmp_path, views):
    """As multi-view sets are shared: X {1, M}, a view of which lies on its side, Y [N, 1] as doubles."""
    path = tmp_path / "handwritten.mat"
    savemat(path, {"X": cells([views[0], views[1].T, views[2]]), "Y": LABELS[:, None].astype(float)})
    return path


def test_a_mat_file(mat, views, tmp_path):
    rows, facts = prepare(tmp_path / "out", "multiview", mat)
    assert facts["modalities"] == ["view_1", "view_2", "view_3"]
    assert facts["classes"] == ["1", "2", "3"]
    assert facts["root"] is None
    for k in (0, 11, 29):
        assert rows[k]["label"] == str(LABELS[k])
        for view, array in zip(facts["modalities"], views, strict=True):
            read = read_vector(rows[k][view], tmp_path / "out")
            np.testing.assert_array_equal(read, array[k].astype(np.float32))
    assert {row["split"] for row in rows} == {"train", "val", "test"}
    assert "refused" in check_dataset("multiview", mat)


def test_an_npz_file_and_a_mat_file_hold_the_same(mat, views, tmp_path):
    path = tmp_path / "views.npz"
    subject = np.array([f"p{k // 5}" for k in range(30)])
    np.savez(path, Left=views[0], right=views[1], labels=LABELS, test=np.arange(30) < 10, subject=subject)
    rows, facts = prepare(tmp_path / "out", "multiview", path, options={"test": "test", "groups": "subject"})
    assert facts["modalities"] == ["left", "right"]
    assert [row["split"] == "test" for row in rows] == [k < 10 for k in range(30)]
    val = {row["group"] for row in rows if row["split"] == "val"}
    assert val
    assert not val & {row["group"] for row in rows if row["split"] == "train"}
    np.testing.assert_array_equal(
        read_vector(rows[3]["left"], tmp_path / "out"), views[0][3].astype(np.float32)
    )


def test_sparse_views_and_other_names(tmp_path, views):
    path = tmp_path / "bbc.mat"
    box = cells([scipy.sparse.csc_matrix(views[0]), views[1]])
    names = np.array(["sport", "art", "news"], dtype=object)[LABELS - 1]
    savemat(path, {"data": box, "topic": names[:, None], "other": np.eye(2)})
    with pytest.raises(
        DataError, match=r"no variable with the labels; it has: .*; name one with prepare.options"
    ):
        list_samples("multiview", path, tmp_path)
    listing = list_samples("multiview", path, tmp_path, labels="topic")
    assert [row.label for row in listing.rows[:3]] == ["sport", "art", "news"]
    read = read_vector(listing.rows[5].paths["view_1"], tmp_path)
    np.testing.assert_array_equal(read, views[0][5].astype(np.float32))


def test_damage(mat, views, tmp_path):
    whole = mat.read_bytes()
    mat.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"handwritten\.mat: "):
        list_samples("multiview", mat, tmp_path)
    for start, said in ((b"MATLAB 7.3 MAT-file", "is of version 7.3"), (b"\x80\x04cos", "is neither a .mat")):
        mat.write_bytes(start + whole)
        with pytest.raises(DataError, match=said):
            list_samples("multiview", mat, tmp_path)
    savemat(mat, {"X": cells([views[0], views[1][:29]]), "Y": LABELS[:, None]})
    with pytest.raises(
        DataError, match=r"view 'view_2' is float64 of shape \[29, 7\], expected .* \[30, D\]"
    ):
        list_samples("multiview", mat, tmp_path)
    broken = views[1].copy()
    broken[4, 2] = np.nan
    savemat(mat, {"X": cells([views[0], broken]), "Y": LABELS[:, None]})
    with pytest.raises(DataError, match="view 'view_2', row 4, column 2 is no finite number"):
        list_samples("multiview", mat, tmp_path)
    savemat(mat, {"X": cells(views), "Y": LABELS[:, None] + 0.5})
    with pytest.raises(DataError, match=r"array 'Y' is float64 .* expected whole numbers or text"):
        list_samples("multiview", mat, tmp_path)
    savemat(mat, {"X": views[0], "Y": LABELS[:, None]})
    with pytest.raises(DataError, match="'X' is float64, expected a cell array"):
        list_samples("multiview", mat, tmp_path)


def test_a_pickle_in_an_npz_is_not_loaded(tmp_path, views):
    path = tmp_path / "bad.npz"
    np.savez(path, view=views[0], labels=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match=r"is not a \.npz of plain arrays"):
        list_samples("multiview", path, tmp_path)
