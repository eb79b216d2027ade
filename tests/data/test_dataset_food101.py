"""UPMC Food-101: pictures and the titles of their pages."""

import pytest

from ambidex.base.errors import DataError
from ambidex.base.readers import read_rows
from ambidex.testing import check_dataset
from helpers.datasets import extract, list_samples, prepare
from helpers.media import random_pictures, write_image

CLASSES = ("apple_pie", "baklava")


def write_tree(source, shared=False):
    """2 dishes; 6 training and 3 test pictures each. `shared`: a test picture is of a training picture's page."""
    number = 0
    for split, count in (("train", 6), ("test", 3)):
        lines = []
        for label in CLASSES:
            for k in range(count):
                name = f"{label}_{number}.jpg"
                write_image(
                    source / f"images/{split}/{label}/{name}", random_pictures(1, (16, 16), seed=number)[0]
                )
                title = f"Best {label}, number {number}"
                if shared and label == "baklava" and k == 0:
                    title = "Baklava  of ANKARA" if split == "train" else "Baklava of Ankara"
                lines.append(f'{name},"{title}",{label}')
                number += 1
        (source / "texts").mkdir(exist_ok=True)
        (source / f"texts/{split}_titles.csv").write_text("\n".join(lines) + "\n")
    return source


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path / "food")


def change(source, split, before, after):
    path = source / f"texts/{split}_titles.csv"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after, 1))


def test_pictures_and_titles(tree, tmp_path):
    rows, facts = prepare(tmp_path / "out", "food101", tree)
    assert (len(rows), facts["modalities"], facts["classes"]) == (18, ["image", "text"], list(CLASSES))
    row = next(row for row in rows if row["sample_id"] == "train/baklava_7")
    assert row["label"] == "baklava"
    assert row["image"] == "images/train/baklava/baklava_7.jpg"
    assert row["text"] == "Best baklava, number 7"
    counts = {split: sum(facts["counts"][split].values()) for split in ("train", "val", "test")}
    assert counts["test"] == 6
    assert counts["train"] + counts["val"] == 12
    assert facts["protocol"] == "field split, titles disjoint"
    assert not facts["leaky"]
    assert facts["notes"][:2] == ["all 18 pictures found", "2 classes, the published set has 101"]
    assert "refused" in check_dataset("food101", tree)


def test_a_list_with_a_header(tree, tmp_path):
    plain = list_samples("food101", tree, tmp_path)
    for split in ("train", "test"):
        path = tree / f"texts/{split}_titles.csv"
        rows = [line.rsplit(",", 1) for line in path.read_text().splitlines()]
        path.write_text("\n".join(["label,Image_path,text", *(f"{label},{rest}" for rest, label in rows)]))
    headed = list_samples("food101", tree, tmp_path)
    assert [row.paths for row in headed.rows] == [row.paths for row in plain.rows]
    assert [row.label for row in headed.rows] == [row.label for row in plain.rows]


def test_a_page_on_both_sides_makes_the_field_split_leaky(tmp_path):
    source = write_tree(tmp_path / "food", shared=True)
    _, facts = prepare(tmp_path / "out", "food101", source)
    assert facts["leaky"]
    assert facts["protocol"] == "field split, titles on both sides: 1"
    rows, facts = prepare(tmp_path / "new", "food101", source, options={"split": "title"})
    assert (facts["leaky"], facts["protocol"]) == (False, "titles disjoint")
    same = [row["split"] for row in rows if row["group"] == "baklava of ankara"]
    assert len(same) == 2
    assert len(set(same)) == 1


def test_a_missing_picture(tree, tmp_path):
    (tree / "images/test/apple_pie/apple_pie_12.jpg").unlink()
    rows, facts = prepare(tmp_path / "out", "food101", tree)
    assert len(rows) == 17
    assert facts["notes"][0] == "17 of 18 pictures found (94.4 %); 1 no picture; see coverage.csv"
    status = {row["clip"]: row["status"] for row in read_rows(tmp_path / "out/coverage.csv")}
    assert [clip for clip in status if status[clip] != "found"] == ["test/apple_pie_12"]


def test_damaged_lists(tree, tmp_path):
    change(tree, "test", ",baklava", ",baklawa")
    with pytest.raises(
        DataError, match=r"test_titles\.csv, line 4: class 'baklawa' has no folder .*'baklava'\?"
    ):
        list_samples("food101", tree, tmp_path)
    change(tree, "test", ",baklawa", "")
    with pytest.raises(
        DataError, match=r"test_titles\.csv, line 4: has 2 cells, expected image, text, label"
    ):
        list_samples("food101", tree, tmp_path)
    (tree / "texts/test_titles.csv").unlink()
    with pytest.raises(DataError, match=r"test_titles\.csv: cannot be read"):
        list_samples("food101", tree, tmp_path)


def test_a_sample_without_a_title_and_a_title_like_a_file(tree, tmp_path):
    change(tree, "train", '"Best apple_pie, number 0"', '"notes.txt"')
    change(tree, "train", '"Best apple_pie, number 1"', "")
    with pytest.raises(DataError, match=r"train_titles\.csv, line 2: column 'text' is empty"):
        prepare(tmp_path / "out", "food101", tree)
    rows, _ = prepare(tmp_path / "out", "food101", tree, allow_missing=["text"])
    texts = {row["sample_id"]: row["text"] for row in rows}
    assert (texts["train/apple_pie_0"], texts["train/apple_pie_1"]) == ("notes.txt .", "")


def test_the_kinds_read_pictures_and_titles(tree, tmp_path):
    rows, _ = prepare(tmp_path / "out", "food101", tree)
    store = extract(tmp_path / "out", image={"kind": "image", "size": 16}, text={"kind": "text", "length": 8})
    train = store.rows("train")
    assert store.gather("image", train).shape == (len(train), 1, 3, 16, 16)
    words = store.gather("text", train)[..., 1].sum(1).tolist()
    assert min(words) >= 4  # best, the dish, number and a number
    assert len(train) == sum(row["split"] == "train" for row in rows)
