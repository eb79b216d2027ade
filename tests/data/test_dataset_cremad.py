"""CREMA-D folders: names, splits, missing counterparts."""

import csv
import gzip

import pytest

from ambidex.base.errors import DataError, ParamsError
from helpers.cremad import CLIPS, EMOTIONS, write_tree
from helpers.datasets import list_samples, prepare
from helpers.media import tone, write_wav

ACTORS = ("1001", "1002", "1003", "1004")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("cremad"))


def coverage(folder):
    with (folder / "coverage.csv").open(newline="") as stream:
        return {row["clip"]: row["status"] for row in csv.DictReader(stream)}


def test_actors_are_kept_apart(tree, tmp_path):
    rows, facts = prepare(tmp_path / "out", "cremad", tree)
    assert len(rows) == 24
    assert facts["classes"] == list(EMOTIONS)
    assert rows[0] == {
        "sample_id": "1001_DFA_ANG_XX",
        "label": "ANG",
        "split": rows[0]["split"],
        "group": "1001",
        "audio": "AudioWAV/1001_DFA_ANG_XX.wav",
        "visual": "VideoFlash/1001_DFA_ANG_XX.flv",
    }
    homes = {actor: {r["split"] for r in rows if r["group"] == actor} for actor in ACTORS}
    assert all(len(home) == 1 for home in homes.values())
    assert (facts["protocol"], facts["leaky"]) == ("actors disjoint", False)
    assert facts["notes"][0] == "all 24 clips found"


def test_other_video_folders(tmp_path):
    source = write_tree(tmp_path / "mp4", ending="mp4", videos="VideoMP4")
    (source / "VideoFlash").mkdir()  # empty: passed over
    assert list_samples("cremad", source, tmp_path).rows[0].paths["visual"].startswith("VideoMP4/")
    with pytest.raises(DataError, match=r"found 24 clips in AudioWAV/\*.wav and 0 in VideoFlash"):
        list_samples("cremad", source, tmp_path, video_folder="VideoFlash")


def test_clips_without_a_counterpart_are_reported(tmp_path):
    source = write_tree(tmp_path / "tree")
    (source / f"VideoFlash/{CLIPS[0]}.flv").unlink()
    (source / f"AudioWAV/{CLIPS[7]}.wav").unlink()
    (source / "AudioWAV/notes.wav").write_text("not a clip")
    rows, facts = prepare(tmp_path / "out", "cremad", source)
    assert len(rows) == 22
    found = coverage(tmp_path / "out")
    assert (found[CLIPS[0]], found[CLIPS[7]], found[CLIPS[1]]) == ("no video", "no audio", "found")
    assert facts["notes"][0] == "22 of 24 clips found (91.7 %); 1 no audio, 1 no video; see coverage.csv"
    assert "ANG 75.0 %" in facts["notes"][1]


def field_list(path, clips=CLIPS, column="ogm_split"):
    """Actor 1004 is for testing."""
    lines = [f"clip,{column}", *(f"{c},{'test' if c.startswith('1004') else 'train'}" for c in clips)]
    text = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return str(path)


@pytest.mark.parametrize(("name", "column"), [("list.csv", "split"), ("list.csv.gz", "ogm_split")])
def test_the_field_split_is_marked_as_leaky(tree, tmp_path, name, column):
    options = {"split": "field", "field_list": field_list(tmp_path / name, column=column)}
    rows, facts = prepare(tmp_path / "out", "cremad", tree, options=options, val_fraction=0.34)
    assert {r["sample_id"] for r in rows if r["split"] == "test"} == {c for c in CLIPS if c[:4] == "1004"}
    assert facts["counts"]["val"] == dict.fromkeys(EMOTIONS, 1)
    val = {r["group"] for r in rows if r["split"] == "val"}
    assert val & {r["group"] for r in rows if r["split"] == "train"}
    assert facts["leaky"]
    assert facts["protocol"] == "field split, all actors on both sides"


def test_a_listed_clip_that_is_missing_is_reported(tree, tmp_path):
    clips = [*CLIPS, "1091_WSI_SAD_XX"]
    options = {"split": "field", "field_list": field_list(tmp_path / "list.csv", clips)}
    prepare(tmp_path / "out", "cremad", tree, options=options)
    assert coverage(tmp_path / "out")["1091_WSI_SAD_XX"] == "neither stream"


def test_names_that_do_not_match_are_counted_and_shown(tree, tmp_path):
    listed = [f"109{k}_WSI_SAD_XX" for k in range(3)]
    options = {"split": "field", "field_list": field_list(tmp_path / "list.csv", listed)}
    with pytest.raises(DataError) as caught:
        prepare(tmp_path / "out", "cremad", tree, options=options)
    assert str(caught.value) == (
        f"{tree}: 0 of 3 listed clips match one of the 24 clips there; listed is '1090_WSI_SAD_XX', there is "
        "'1001_DFA_ANG_XX'; each needs its sound and its video"
    )
    write_wav(tmp_path / "other/AudioWAV/anna-angry.wav", tone(0.05, 8000), 8000)
    with pytest.raises(DataError, match=r"; 1 files are named otherwise, for example 'anna-angry\.wav'"):
        list_samples("cremad", tmp_path / "other", tmp_path)


def test_nothing_found_says_what_was_looked_for(tmp_path):
    with pytest.raises(DataError) as caught:
        list_samples("cremad", tmp_path, tmp_path)
    assert "found 0 clips in AudioWAV/*.wav and 0 in Video*/*.flv or *.mp4" in str(caught.value)


def test_wrong_lists_and_options(tree, tmp_path):
    with pytest.raises(ParamsError, match="field_list names the clips of split: field"):
        prepare(tmp_path / "out", "cremad", tree, options={"split": "field"})
    wrong = tmp_path / "list.csv"
    for text, said in (
        ("clip,part\n1001_DFA_ANG_XX,train\n", "column 'split' is missing"),
        (
            "clip,split\n1001-ANG,train\n",
            "list.csv, line 2: clip '1001-ANG' is not named like 1001_DFA_ANG_XX",
        ),
        (
            "clip,split\n1001_DFA_ANG_XX,train\n1001_DFA_ANG_XX,test\n",
            "line 3: clip '1001_DFA_ANG_XX' stands",
        ),
    ):
        wrong.write_text(text)
        with pytest.raises(DataError) as caught:
            list_samples("cremad", tree, tmp_path, split="field", field_list=str(wrong))
        assert said in str(caught.value)


@pytest.fixture(scope="module")
def real(shared_data, tmp_path_factory):
    """The published list, what it says of each clip, and a folder where empty files stand in for 7,442 recordings."""
    labels = shared_data / "cremad_labels.csv.gz"
    with gzip.open(labels, "rt") as stream:
        known = {row["clip"]: row for row in csv.DictReader(stream)}
    source = tmp_path_factory.mktemp("real")
    for folder, ending in (("AudioWAV", "wav"), ("VideoFlash", "flv")):
        (source / folder).mkdir()
        for clip in known:
            (source / folder / f"{clip}.{ending}").touch()
    return labels, known, source


def test_the_real_names_and_the_real_field_split(real, tmp_path):
    """Every published clip name is understood; val comes out of the 6,698, and the result is marked as leaky."""
    labels, known, source = real
    rows, facts = prepare(
        tmp_path / "out", "cremad", source, options={"split": "field", "field_list": str(labels)}
    )
    assert len(rows) == 7_442
    assert all(row["label"] == known[row["sample_id"]]["emotion"] for row in rows)
    assert all(row["group"] == known[row["sample_id"]]["actor"] for row in rows)
    listed = {split: sum(row["split"] in of for row in rows) for split, of in FIELD.items()}
    assert listed == {"train": 6_698, "test": 744}
    for split, of in FIELD.items():
        assert {r["sample_id"] for r in rows if r["split"] in of} == {
            clip for clip, row in known.items() if row["ogm_split"] == split
        }
    assert (facts["leaky"], facts["protocol"]) == (True, "field split, all actors on both sides")
    assert facts["notes"][0] == "all 7442 clips found"


FIELD = {"train": ("train", "val"), "test": ("test",)}
"""what the field calls a split, and what is made of it"""


@pytest.mark.slow
def test_actors_of_the_real_labels_are_kept_apart(real, tmp_path):
    """91 actors; the share of each emotion in a split is within 2 points of its share in the whole set."""
    _, known, source = real
    rows, facts = prepare(tmp_path / "out", "cremad", source)
    assert len(rows) == 7_442
    actors = {split: {r["group"] for r in rows if r["split"] == split} for split in ("train", "val", "test")}
    assert sum(map(len, actors.values())) == len(set().union(*actors.values())) == 91
    whole = {e: sum(row["emotion"] == e for row in known.values()) / 7_442 for e in EMOTIONS}
    for counts in facts["counts"].values():
        total = sum(counts.values())
        assert all(abs(counts[e] / total - whole[e]) < 0.02 for e in EMOTIONS)
    assert sum(facts["counts"]["test"].values()) / 7_442 == pytest.approx(0.25, abs=0.02)
    assert (facts["leaky"], facts["protocol"]) == (False, "actors disjoint")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-50]), "is not a whole gzip file"),
        (lambda path: path.write_bytes(gzip.compress(b"clip,ogm_split\n")), "has a header and no rows"),
        (
            lambda path: path.write_bytes(
                gzip.compress(gzip.decompress(path.read_bytes()).replace(b"_IEO_NEU", b"_IEO_NUE", 1))
            ),
            "line 2: clip '1001_IEO_NUE_XX' is not named like 1001_DFA_ANG_XX",
        ),
    ],
)
def test_damage_to_the_real_list(shared_data, tree, tmp_path, harm, said):
    path = tmp_path / "list.csv.gz"
    path.write_bytes((shared_data / "cremad_labels.csv.gz").read_bytes())
    harm(path)
    with pytest.raises(DataError) as caught:
        list_samples("cremad", tree, tmp_path, split="field", field_list=str(path))
    assert f"{path}" in str(caught.value)
    assert said in str(caught.value)
