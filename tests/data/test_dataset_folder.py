"""Own data without a CSV: class folders with samples, as folders or as files of one name."""

import numpy as np
import pytest

from ambidex.base.errors import DataError, ParamsError
from ambidex.testing import check_dataset
from helpers.datasets import extract, list_samples, prepare
from helpers.media import random_pictures, tone, write_clip, write_image, write_wav

CLASSES = ("laughing", "singing")
PEOPLE = ("anna", "ben", "carl", "dora")


def fill(place, number):
    """The sound and the picture of a sample, unlike those of all others."""
    write_wav(place.with_name(f"{place.name}.wav"), tone(0.05, 8_000, 200 + 20 * number), 8_000)
    write_image(place.with_name(f"{place.name}.jpg"), random_pictures(1, (16, 16), number)[0])


@pytest.fixture
def flat(tmp_path):
    """laughing/anna_0.wav and .jpg, and so on: 2 classes, 4 people, 2 samples each."""
    folder = tmp_path / "flat"
    number = 0
    for label in CLASSES:
        for person in PEOPLE:
            for take in range(2):
                fill(folder / label / f"{person}_{take}", number)
                number += 1
    return folder


def test_files_of_one_name_are_one_sample(flat, tmp_path):
    rows, facts = prepare(tmp_path / "out", "folder", flat, options={"group": "^([a-z]+)_"})
    assert (len(rows), facts["classes"], facts["modalities"]) == (16, list(CLASSES), ["audio", "image"])
    row = next(row for row in rows if row["sample_id"] == "singing/ben_1")
    expected = {
        "label": "singing",
        "group": "ben",
        "audio": "singing/ben_1.wav",
        "image": "singing/ben_1.jpg",
    }
    assert {key: row[key] for key in expected} == expected
    homes = {person: {row["split"] for row in rows if row["group"] == person} for person in PEOPLE}
    assert all(len(home) == 1 for home in homes.values())
    assert set().union(*homes.values()) == {"train", "val", "test"}
    assert "refused" in check_dataset("folder", flat)


def test_sample_folders_of_any_kinds_in_split_folders(tmp_path):
    source = tmp_path / "data"
    for number, (split, label) in enumerate((s, c) for s in ("train", "valid", "test") for c in CLASSES):
        place = source / split / label / f"take_{number}"
        write_clip(place / "film.mp4", seconds=0.2, size=(32, 32), seed=number, audio=False)
        np.save(place / "pose.npy", np.full((3, 2), number, np.float32))
        (place / "notes.txt").write_text(f"a note {number}")
        (place / ".DS_Store").touch()
        (place / "licence.pdf").touch()
    rows, facts = prepare(tmp_path / "out", "folder", source)
    assert facts["modalities"] == ["visual", "text", "sequence"]
    assert [row["split"] for row in rows] == ["test"] * 2 + ["train"] * 2 + ["val"] * 2
    assert rows[0]["text"] == "test/laughing/take_4/notes.txt"
    store = extract(
        tmp_path / "out",
        visual={"kind": "frames", "count": 1, "size": 16},
        text={"kind": "text"},
        sequence={"kind": "sequence"},
    )
    assert store.gather("sequence", store.rows("test"))[:, 0, 0].tolist() == [4, 5]
    assert facts["notes"][0].startswith(
        "6 files of no modality left out, such as 'test/laughing/take_4: licence.pdf'"
    )


def test_patterns_say_which_file_is_what(flat, tmp_path):
    options = {"modalities": {"left": ["*_[0-9].WAV"], "right": ["*.jpg"]}}
    listing = list_samples("folder", flat, tmp_path, **options)
    assert listing.modalities == ("left", "right")
    assert listing.rows[0].paths == {"left": "laughing/anna_0.wav", "right": "laughing/anna_0.jpg"}


def test_a_missing_file(flat, tmp_path):
    (flat / "singing/carl_0.wav").unlink()
    with pytest.raises(
        DataError, match=r"singing/carl_0: column 'audio' is empty; .*allow_missing=\[audio\]"
    ):
        prepare(tmp_path / "out", "folder", flat)
    rows, _ = prepare(tmp_path / "out", "folder", flat, allow_missing=["audio"])
    assert sum(row["audio"] == "" for row in rows) == 1


def test_a_folder_of_no_class(flat, tmp_path):
    fill(flat / "sining" / "eva_0", 99)
    with pytest.raises(DataError) as caught:
        prepare(tmp_path / "out", "folder", flat, options={"classes": list(CLASSES)})
    assert "sining/eva_0: label 'sining' is not in the class list; did you mean 'singing'?" in str(
        caught.value
    )


def test_two_files_of_one_modality(flat, tmp_path):
    (flat / "laughing/anna_0.flac").touch()
    with pytest.raises(DataError, match=r"'anna_0.flac' and 'anna_0.wav' are both audio; .*: \['\*\.wav'\]"):
        list_samples("folder", flat, tmp_path)


def test_what_cannot_be_grouped_or_found(flat, tmp_path):
    with pytest.raises(DataError, match=r"laughing/anna_0: its name holds no group that \^\(x\)_ finds"):
        list_samples("folder", flat, tmp_path, group="^(x)_")
    with pytest.raises(ParamsError, match="has no bracket"):
        prepare(tmp_path / "out", "folder", flat, options={"group": "^x_"})
    with pytest.raises(
        DataError, match=r"no samples, .*; not used are 32 files such as 'laughing/anna_0: anna_0.jpg'"
    ):
        list_samples("folder", flat, tmp_path, modalities={"audio": ["*.mp3"]})
    with pytest.raises(DataError, match=r"anna_0\.wav: is no folder"):
        list_samples("folder", flat / "laughing/anna_0.wav", tmp_path)
