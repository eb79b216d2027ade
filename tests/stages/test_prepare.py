"""prepare: what it writes, and one line for every mistake a user can make."""

import csv

import pytest

from ambidex import stages
from ambidex.base.errors import AmbidexError, DataError, ParamsError
from ambidex.base.readers import read_json
from helpers.datasets import prepare, prepare_params
from helpers.media import tone, write_clip, write_wav

CONSTANT = [
    f"column '{column}' is the same in all {{}} rows ('{file}'): nothing can be learnt from it, and it joins no groups"
    for column, file in (("audio", "a.wav"), ("visual", "clip.mp4"))
]
"""notes on the table below: all of its samples are one clip"""
ONE_GROUP = (
    "validation holds one group ('g4'): nothing can be learnt about how groups differ; `ambidex crossfit` "
    "(evaluate.fit_on: crossfit) judges over all 5 groups of train and val, or give val more groups"
)
HEADER = "sample_id,label,split,group,audio,visual"


@pytest.fixture
def table(tmp_path):
    """A manifest of 12 samples of 2 classes by 6 speakers, with real media; returns (folder, lines)."""
    write_clip(tmp_path / "clip.mp4", seconds=0.3)
    write_wav(tmp_path / "a.wav", tone(0.1, 8000), 8000)
    splits = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    lines = [f"s{k},{'ab'[k % 2]},{splits[k]},g{k // 2},a.wav,clip.mp4" for k in range(12)]
    return tmp_path, lines


def write(folder, lines, header=HEADER, ending="\n", prefix=""):
    path = folder / "own.csv"
    path.write_bytes((prefix + ending.join([header, *lines]) + ending).encode())
    return path


def refusal(folder, path, error=DataError, **section):
    """The message of a run that must fail and leave nothing behind."""
    with pytest.raises(error) as caught:
        prepare(folder / "out", "manifest", path, **section)
    message = str(caught.value)
    assert "\n" not in message
    assert not list(folder.glob("out*"))
    return message


def test_a_complete_manifest(table):
    folder, lines = table
    rows, facts = prepare(folder / "out", "manifest", write(folder, lines))
    assert [",".join(row.values()) for row in rows] == lines
    assert facts["classes"] == ["a", "b"]
    assert facts["modalities"] == ["audio", "visual"]
    assert facts["root"] == str(folder)
    assert facts["counts"] == {"train": {"a": 4, "b": 4}, "val": {"a": 1, "b": 1}, "test": {"a": 1, "b": 1}}
    assert (facts["protocol"], facts["leaky"]) == ("groups disjoint", False)
    assert facts["notes"] == [*(note.format(12) for note in CONSTANT), ONE_GROUP]
    assert read_json(folder / "out/metrics.json") == {
        "samples": {"train": 8, "val": 2, "test": 2},
        "groups": {"train": 4, "val": 1, "test": 1},
        "classes": 2,
    }
    assert read_json(folder / "out/card.json")["fingerprint"] == facts["fingerprint"]


def test_a_rerun_gives_the_same_bytes(table):
    folder, lines = table
    path = write(folder, [line.replace("train", "").replace("val", "").replace("test", "") for line in lines])
    for name in ("one", "two"):
        prepare(folder / name, "manifest", path)
    files = sorted(p.name for p in (folder / "one").iterdir())
    assert files == ["card.json", "dataset.json", "manifest.csv", "metrics.json", "params.yaml"]
    for name in files:
        assert (folder / "one" / name).read_bytes() == (folder / "two" / name).read_bytes()


def test_splits_are_made_by_whole_groups(table):
    folder, lines = table
    bare = [line.split(",") for line in lines]
    path = write(folder, [f"{c[0]},{c[1]},{c[3]},{c[4]}" for c in bare], "sample_id,label,group,audio")
    rows, facts = prepare(folder / "out", "manifest", path)
    homes = {row["group"]: {r["split"] for r in rows if r["group"] == row["group"]} for row in rows}
    assert all(len(home) == 1 for home in homes.values())
    assert {row["split"] for row in rows} == {"train", "val", "test"}
    few = "with 3 each train would keep less than two thirds of its share, or lose a class"
    assert facts["notes"][1:3] == [
        "train, val, test made by whole groups",
        f"val 2 and test 2 of 6 groups; {few}",
    ]
    names = " and ".join(
        f"'{group}'" for group in sorted({row["group"] for row in rows if row["split"] == "val"})
    )
    assert facts["notes"][3].startswith(f"validation holds two groups ({names}): ")


def test_without_groups_each_sample_is_its_own(table):
    folder, lines = table
    path = write(
        folder, [",".join([*line.split(",")[:2], "a.wav"]) for line in lines], "sample_id,label,audio"
    )
    rows, facts = prepare(folder / "out", "manifest", path)
    assert [row["group"] for row in rows] == [row["sample_id"] for row in rows]
    assert facts["protocol"] == "samples disjoint, no groups known"


def test_bom_crlf_blank_lines_and_spaces(table):
    folder, lines = table
    plain = prepare(folder / "plain", "manifest", write(folder, lines))[0]
    odd = write(folder, ["", *(line.replace(",", " , ") for line in lines)], ending="\r\n", prefix="\ufeff")
    assert prepare(folder / "odd", "manifest", odd)[0] == plain


def test_the_fingerprint_follows_the_data_and_not_the_place(table, tmp_path_factory):
    folder, lines = table
    first = prepare(folder / "one", "manifest", write(folder, lines))[1]["fingerprint"]
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in ("a.wav", "clip.mp4"):
        (elsewhere / name).write_bytes((folder / name).read_bytes())
    moved = prepare(elsewhere / "out", "manifest", write(elsewhere, lines))[1]["fingerprint"]
    write_wav(folder / "a.wav", tone(0.2, 8000), 8000)
    longer = prepare(folder / "two", "manifest", write(folder, lines))[1]["fingerprint"]
    relabelled = [lines[0].replace(",a,", ",b,"), *lines[1:]]
    other = prepare(folder / "three", "manifest", write(folder, relabelled))[1]["fingerprint"]
    assert moved == first
    assert len({first, longer, other}) == 3


def test_classes_in_the_order_asked_for_or_by_number(table):
    folder, lines = table
    options = {"classes": ["b", "a"]}
    assert prepare(folder / "x", "manifest", write(folder, lines), options=options)[1]["classes"] == [
        "b",
        "a",
    ]
    numbered = [line.replace(",a,", ",10,").replace(",b,", ",9,") for line in lines]
    assert prepare(folder / "y", "manifest", write(folder, numbered))[1]["classes"] == ["9", "10"]


def test_a_class_that_val_lacks_is_noted(table):
    folder, lines = table
    path = write(folder, [line for line in lines if ",b,val," not in line])
    notes = prepare(folder / "out", "manifest", path)[1]["notes"]
    assert notes == [*(note.format(11) for note in CONSTANT), "no sample of class b in split 'val'"]


def change(lines, index, old, new):
    return [line.replace(old, new) if k == index else line for k, line in enumerate(lines)]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (",a,", ",,", "own.csv, line 2: column 'label' is empty"),
        (",a,", ",A,", "own.csv, line 2: label 'A' is not in the class list; allowed: a, b"),
        (
            ",train,",
            ",trian,",
            "line 2: split 'trian' does not exist; did you mean 'train'? allowed: train, val,",
        ),
        ("s0,", "s5,", "own.csv, line 7: sample_id 's5' stands there twice (first in {}/own.csv, line 2)"),
        ("a.wav", "b.wav", "own.csv, line 2: column 'audio': {}/b.wav does not exist"),
        ("a.wav", "", "own.csv, line 2: column 'audio' is empty"),
        ("a.wav", ".", "own.csv, line 2: column 'audio': {} is a folder, expected a file"),
        ("a.wav", "b.npz#x[3]", "own.csv, line 2: column 'audio': {}/b.npz does not exist"),
        (",clip.mp4", "", "own.csv, line 2: has 5 cells, the header has 6"),
        (
            ",train,",
            ",,",
            "own.csv, line 2: column 'split' is empty, other rows have one; fill all of them or none",
        ),
    ],
)
def test_a_wrong_cell(table, old, new, said):
    folder, lines = table
    path = write(folder, change(lines, 0, old, new))
    assert said.format(folder) in refusal(folder, path, options={"classes": ["a", "b"]})


def test_missing_files_are_counted(table):
    folder, lines = table
    lines = [line.replace("a.wav", f"gone{k // 4}.wav") for k, line in enumerate(lines)]
    assert "gone0.wav does not exist (and 2 more such files)" in refusal(folder, write(folder, lines))


def test_empty_cells_are_counted_and_what_allows_them_is_named(table):
    folder, lines = table
    hint = "; where samples may lack it: prepare.allow_missing=[audio]"
    for count, more in ((1, ""), (2, " (and 1 more such line)"), (3, " (and 2 more such lines)")):
        emptied = [line.replace("a.wav", "") if k < count else line for k, line in enumerate(lines)]
        expected = f"own.csv, line 2: column 'audio' is empty{more}{hint}"
        assert refusal(folder, write(folder, emptied)).endswith(expected)


def test_a_group_in_two_splits(table):
    folder, lines = table
    path = write(folder, change(change(lines, 11, "g5", "g0"), 9, "g4", "g1"))
    message = refusal(folder, path)
    assert message.startswith("group 'g0' stands in train and test (and 1 more such groups)")
    assert "--set prepare.allow_shared_groups=true" in message
    facts = prepare(folder / "out", "manifest", path, allow_shared_groups=True)[1]
    assert facts["leaky"]
    assert facts["protocol"] == "groups on both sides of the split"


def test_a_class_without_training_samples(table):
    folder, lines = table
    path = write(folder, [line for line in lines if ",a,train" not in line])
    assert refusal(folder, path).startswith("no training sample of class a:")
    assert "of classes c, d:" in refusal(folder, write(folder, lines), options={"classes": [*"abcd"]})


def test_one_class_alone_is_refused(table):
    folder, lines = table
    path = write(folder, [line for line in lines if ",a," in line])
    assert refusal(folder, path) == "all samples are of class 'a', expected two classes or more"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty, expected a header line"),
        (HEADER + "\n", "has a header and no rows"),
        ("id,label,audio\n1,a,a.wav\n", "column 'sample_id' is missing; columns found: id, label, audio"),
        (
            "sample_id,labels,audio\n1,a,a.wav\n",
            "column 'label' is missing; did you mean 'labels'? columns found",
        ),
        ("sample_id,label,label\n1,a,b\n", "line 1: column 'label' stands there twice"),
        ("sample_id,label,split\n1,a,train\n", "no modality: a column of paths is missing"),
        ("sample_id,label,audio\n1,a,\xff\n", "is not UTF-8 text"),
    ],
)
def test_a_wrong_table(tmp_path, text, said):
    path = tmp_path / "own.csv"
    path.write_bytes(text.encode("latin-1"))
    assert said in refusal(tmp_path, path)


def test_a_source_that_is_not_there(tmp_path):
    assert refusal(tmp_path, tmp_path / "no.csv") == f"prepare.source: {tmp_path}/no.csv does not exist"
    assert refusal(tmp_path, "", ParamsError).startswith(
        "prepare.source: missing; the data set 'manifest' reads"
    )
    assert "manifest.csv: does not exist" in refusal(tmp_path, tmp_path)


def test_wrong_options_name_the_key(tmp_path):
    message = refusal(tmp_path, tmp_path, ParamsError, options={"modality": ["audio"]})
    assert "prepare.options.modality: unknown key; did you mean 'modalities'?" in message


def test_a_failed_run_leaves_the_older_manifest(table):
    folder, lines = table
    prepare(folder / "out", "manifest", write(folder, lines))
    before = (folder / "out/manifest.csv").read_bytes()
    with pytest.raises(AmbidexError):
        prepare(folder / "out", "manifest", write(folder, change(lines, 0, "a.wav", "b.wav")))
    assert (folder / "out/manifest.csv").read_bytes() == before
    assert not list(folder.glob("out.*"))


def test_only_the_columns_asked_for(table):
    folder, lines = table
    rows, _ = prepare(folder / "out", "manifest", write(folder, lines), options={"modalities": ["visual"]})
    assert list(rows[0]) == ["sample_id", "label", "split", "group", "visual"]


def test_the_real_digits(shared_data, tmp_path):
    source = shared_data / "av_digits" / "manifest.csv"
    params = prepare_params("manifest", source)
    metrics = stages.run("prepare", params, {}, {"manifest": tmp_path / "out"})
    assert metrics["samples"] == {"train": 1500, "val": 500, "test": 1000}
    assert metrics["groups"] == {"train": 3, "val": 1, "test": 2}
    with source.open(newline="") as given, (tmp_path / "out/manifest.csv").open(newline="") as written:
        assert list(csv.reader(given)) == list(csv.reader(written))
