"""Kinetics-Sounds: lists, file names people have, missing clips, class lists."""

import csv
import gzip

import pytest

from ambidex.base.errors import DataError, ParamsError
from ambidex.base.readers import read_rows
from ambidex.data.datasets._kinetics import ClipFolder, Entry, read_entries
from ambidex.data.datasets._table import read_table
from helpers.datasets import list_samples, prepare
from helpers.media import write_clip

KINETICS = "label,youtube_id,time_start,time_end,split"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip") / "one.mp4", seconds=0.2, size=(32, 32)).read_bytes()


@pytest.fixture
def tree(tmp_path, clip):
    """Clips of 8 videos of 2 classes, and 2 that are listed but not there; (source, annotation lines)."""
    source = tmp_path / "clips"
    lines = []
    for k in range(10):
        label = ("tap dancing", "ripping paper")[k % 2]
        video = f"-a_{k}_12345{k}x"
        lines.append(f"{label},{video},{k},{k + 10},{('train', 'train', 'validate', 'test')[k // 2 % 4]}")
        name = (f"{video}_{k:06d}_{k + 10:06d}", f"{video}_{k}", video, f"{label}/{video}_{k:06d}")[k % 4]
        if k < 8:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / f"{name}.mp4").write_bytes(clip)
    return source, lines


def annotations(source, lines, header=KINETICS):
    path = source.parent / "list.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return str(path)


def test_clips_are_found_under_all_usual_names(tree, tmp_path):
    source, lines = tree
    options = {"annotations": annotations(source, lines)}
    rows, facts = prepare(tmp_path / "out", "kinetics_sounds", source, options=options)
    assert len(rows) == 8
    assert all(row["audio"] == row["visual"] for row in rows)
    assert rows[0]["sample_id"] == "-a_0_123450x_000000"
    assert rows[0]["group"] == "-a_0_123450x"
    assert [row["split"] for row in rows] == ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    assert rows[3]["audio"] == "ripping paper/-a_3_123453x_000003.mp4"
    assert facts["notes"][0] == "8 of 10 clips found (80.0 %); 2 missing; see coverage.csv"
    assert facts["notes"][1] == "found by class: ripping paper 80.0 %, tap dancing 80.0 %"
    rows = read_rows(tmp_path / "out/coverage.csv")
    found = [(row["clip"], row["label"], row["status"]) for row in rows]
    assert found[8] == ("-a_8_123458x_000008", "tap dancing", "missing")
    assert [status for _, _, status in found].count("found") == 8


@pytest.mark.parametrize(
    ("stem", "hit"),
    [
        ("vid_000012_000022", True),
        ("vid_12_22", True),
        ("vid_12-cut", True),
        ("vid", True),
        ("vid_000120", False),
        ("vid_120", False),
        ("xvid_12", False),
        ("vi", False),
    ],
)
def test_a_start_is_not_mistaken_for_a_longer_one(tmp_path, stem, hit):
    (tmp_path / f"{stem}.mp4").touch()
    assert (ClipFolder(tmp_path).find(Entry("vid", 12, "a", "", "")) is not None) is hit


def test_source_videos_are_kept_apart(tree, tmp_path, clip):
    source, lines = tree
    (source / "-a_0_123450x_50.mp4").write_bytes(clip)
    lines = [*lines, "tap dancing,-a_0_123450x,50,60,test"]
    options = {"annotations": annotations(source, lines)}
    with pytest.raises(DataError, match=r"group '-a_0_123450x' stands in train and test:"):
        prepare(tmp_path / "out", "kinetics_sounds", source, options=options)
    rows, _ = prepare(tmp_path / "out", "kinetics_sounds", source, options={**options, "split": "group"})
    assert len({row["split"] for row in rows if row["group"] == "-a_0_123450x"}) == 1


def test_the_class_list_chooses_and_orders(tree, tmp_path):
    source, lines = tree
    names = tmp_path / "names.txt"
    names.write_text("tap dancing\nripping paper\n")
    lines = [*lines, "yodelling,zzz,0,10,train"]
    options = {"annotations": annotations(source, lines), "classes_file": str(names)}
    _, facts = prepare(tmp_path / "out", "kinetics_sounds", source, options=options)
    assert facts["classes"] == ["tap dancing", "ripping paper"]
    assert facts["notes"][2] == "1 clips of other classes left out"


def test_names_that_do_not_match_are_counted_and_shown(tree, tmp_path):
    source, _ = tree
    lines = [f"{name},wrong{k},0,10,train" for k, name in enumerate(f"class{n}" for n in range(9))]
    with pytest.raises(DataError) as caught:
        prepare(
            tmp_path / "out", "kinetics_sounds", source, options={"annotations": annotations(source, lines)}
        )
    count = len(list(source.rglob("*.mp4")))
    assert f"0 of 9 listed clips match one of the {count} clips there" in str(caught.value)
    assert "; listed is 'wrong0_000000', there is '" in str(caught.value)
    assert "none for class0, class1, class2, class3, class4 and 4 more classes;" in str(caught.value)


def test_no_class_is_lost_silently(tree, tmp_path):
    source, lines = tree
    lines = [*lines, "tickling,gone,0,10,train"]
    options = {"annotations": annotations(source, lines)}
    said = r"8 of 11 listed clips match one of the 8 clips there; none for tickling; .*allow_missing_classes"
    with pytest.raises(DataError, match=said):
        prepare(tmp_path / "out", "kinetics_sounds", source, options=options)
    options["allow_missing_classes"] = True
    _, facts = prepare(tmp_path / "out", "kinetics_sounds", source, options=options)
    assert facts["classes"] == ["ripping paper", "tap dancing"]
    assert "dropped, no clip found: tickling" in facts["notes"]


def test_a_class_name_that_the_list_lacks(tree, tmp_path):
    source, lines = tree
    options = {"annotations": annotations(source, lines), "classes": ["tap dancing", "tapdancing"]}
    with pytest.raises(DataError) as caught:
        list_samples("kinetics_sounds", source, tmp_path, **options)
    said = "no clip has the label tapdancing; its labels are like: ripping paper, tap dancing"
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("header", "line", "said"),
    [
        ("label,youtube_id", "a,b", "column 'time_start' is missing"),
        ("name,youtube_id,time_start", "a,b,1", "column 'label' is missing"),
        (
            "label,youtube_id,time_start",
            "a,b,soon",
            "line 2: column 'time_start': 'soon' is not a number of seconds",
        ),
        ("clip,label", "abc,1", "line 2: clip 'abc' is not a video id, '_' and a start second"),
        ("label,youtube_id,time_start", "a,,1", "line 2: column 'youtube_id' is empty"),
    ],
)
def test_wrong_lists(tree, tmp_path, header, line, said):
    source, _ = tree
    with pytest.raises(DataError) as caught:
        list_samples("kinetics_sounds", source, tmp_path, annotations=annotations(source, [line], header))
    assert said in str(caught.value)


def test_wrong_class_lists(tree, tmp_path):
    source, lines = tree
    options = {"annotations": annotations(source, lines), "classes_file": str(tmp_path / "no.txt")}
    with pytest.raises(DataError, match=r"no\.txt: cannot be read"):
        list_samples("kinetics_sounds", source, tmp_path, **options)
    with pytest.raises(ParamsError, match="give classes or classes_file, not both"):
        prepare(tmp_path / "out", "kinetics_sounds", source, options={**options, "classes": ["a", "b"]})


def test_the_real_ids(shared_data, tmp_path):
    """All published ids are understood; an empty file per video stands in for the clips of four classes."""
    ids = shared_data / "kinetics_sounds_ids.csv.gz"
    with gzip.open(ids, "rt") as stream:
        known = [row for row in csv.DictReader(stream) if int(row["label"]) in (2, 10, 11, 30)]
    for row in known:
        (tmp_path / f"{row['clip']}.mp4").touch()
    options = {"annotations": str(ids), "allow_missing_classes": True}
    listing = list_samples("kinetics_sounds", tmp_path, tmp_path, **options)
    assert listing.classes == ("2", "10", "11", "30")
    assert len(listing.rows) == len(known) > 1000
    by_video = {row["clip"][:11]: row for row in known}  # an id has eleven characters, each stands there once
    assert {row.group for row in listing.rows} == set(by_video)
    for row in listing.rows:
        given = by_video[row.group]
        start = int(given["clip"][12:].partition("_")[0])
        assert row.sample_id == f"{row.group}_{start:06d}"
        assert (row.label, row.split) == (given["label"], given["field_split"])
    assert listing.notes[0].startswith(f"{len(known)} of 17396 clips found")


def test_the_real_list_as_a_whole(shared_data):
    """31 classes; the field's 14,799 and 2,597 clips; no video on both sides."""
    entries = read_entries(read_table(shared_data / "kinetics_sounds_ids.csv.gz"))
    videos = {
        split: [entry.video for entry in entries if entry.split == split] for split in ("train", "test")
    }
    assert {split: len(some) for split, some in videos.items()} == {"train": 14_799, "test": 2_597}
    assert {entry.label for entry in entries} == {str(k) for k in range(31)}
    assert not {*videos["train"]} & {*videos["test"]}


def test_a_class_list_in_another_unicode_form_names_the_same_classes(tree, tmp_path):
    source, lines = tree
    lines = [line.replace("tap dancing", "danse \u00e0 claquettes") for line in lines]
    names = tmp_path / "names.txt"
    names.write_text("danse a\u0300 claquettes\u200b\nripping\u00a0paper\n")
    options = {"annotations": annotations(source, lines), "classes_file": str(names)}
    facts = prepare(tmp_path / "out", "kinetics_sounds", source, options=options)[1]
    assert facts["classes"] == ["danse \u00e0 claquettes", "ripping paper"]
    assert sum(facts["counts"]["train"].values()) == 4
