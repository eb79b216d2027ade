"""AV-MNIST: weak pictures and noisy sound, made of idx files and recordings."""

import gzip
import shutil
import struct
import wave

import av
import numpy as np
import pytest
from sklearn.decomposition import PCA

from ambidex.base.errors import DataError
from ambidex.base.files import sha256
from ambidex.testing import check_dataset
from helpers.datasets import list_samples, prepare
from helpers.media import tone, write_wav

SPEAKERS = ("anna", "ben", "carl")
SMALL = {"train": 40, "val": 20, "test": 20}


def write_idx(path, array):
    data = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """100 training and 40 test pictures; 3 speakers say each digit 12 times."""
    source = tmp_path_factory.mktemp("mnist")
    draws = np.random.default_rng(0)
    shapes = draws.uniform(0, 200, (10, 28, 28))
    for name, count, ending in (("train", 100, ""), ("t10k", 40, ".gz")):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = np.clip(shapes[labels] + draws.normal(0, 20, (count, 28, 28)), 0, 255).astype(np.uint8)
        write_idx(source / f"{name}-images-idx3-ubyte{ending}", images)
        write_idx(source / f"{name}-labels-idx1-ubyte{ending}", labels)
    for digit in range(10):
        for s, speaker in enumerate(SPEAKERS):
            for take in range(12):
                hertz = 100 + 100 * digit + 20 * s + take
                write_wav(
                    source / f"recordings/{digit}_{speaker}_{take}.wav", tone(0.02, 8_000, hertz), 8_000
                )
    return source


@pytest.fixture
def tree(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "mnist")


def picture(path):
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="gray")


def sound(path):
    with wave.open(str(path)) as stream:
        return np.frombuffer(stream.readframes(stream.getnframes()), "<i2").astype(float)


def files(folder):
    return {str(p.relative_to(folder)): sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()}


def test_speakers_are_kept_apart(whole, tmp_path):
    rows, facts = prepare(tmp_path / "out", "av_mnist", whole, options=SMALL)
    counts = {split: sum(facts["counts"][split].values()) for split in SMALL}
    assert counts == SMALL
    assert {row["split"]: row["group"] for row in rows} == {"train": "anna", "val": "ben", "test": "carl"}
    assert (facts["protocol"], facts["leaky"]) == ("speakers disjoint", False)
    assert facts["classes"] == list("0123456789")
    assert "refused" in check_dataset("av_mnist", whole, {"train": 10, "val": 0, "test": 1})


def test_equal_seeds_give_equal_files(whole, tmp_path):
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        (tmp_path / name).mkdir()
        list_samples("av_mnist", whole, tmp_path / name, seed=seed, **SMALL)
    one, two, three = (files(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert sum(one[name] == three[name] for name in one) < 8  # of 160


def test_each_picture_is_used_once_with_a_sound_of_its_digit(whole, tmp_path):
    options = {**SMALL, "train": 80, "energy": 1, "noise": 0}
    listing = list_samples("av_mnist", whole, tmp_path, **options)
    originals = {sha256(path): path.stem for path in (whole / "recordings").iterdir()}
    for row in listing.rows:
        digit, speaker, _ = originals[sha256(tmp_path / row.paths["audio"])].split("_")
        assert (digit, speaker) == (row.label, row.group)
    raw = np.frombuffer((whole / "train-images-idx3-ubyte").read_bytes(), np.uint8, offset=16)
    given = {image.tobytes(): k % 10 for k, image in enumerate(raw.reshape(-1, 28, 28))}
    used = [row for row in listing.rows if row.split != "test"]
    seen = [
        given.pop(picture(tmp_path / row.paths["visual"]).tobytes()) for row in used
    ]  # popped twice: KeyError
    assert seen == [int(row.label) for row in used]
    assert not given


def test_energy_is_that_of_principal_components(whole, tmp_path):
    options = {**SMALL, "noise": 0}
    for name, energy in (("full", 1), ("weak", 0.4)):
        (tmp_path / name).mkdir()
        listing = list_samples("av_mnist", whole, tmp_path / name, energy=energy, **options)
    full, weak = (
        {
            r.sample_id: picture(tmp_path / name / r.paths["visual"]).astype(float).ravel()
            for r in listing.rows
        }
        for name in ("full", "weak")
    )
    train = [r.sample_id for r in listing.rows if r.split == "train"]
    pca = PCA().fit(np.stack([full[name] for name in train]))
    count = int((np.cumsum(pca.explained_variance_ratio_) <= 0.4).sum())
    assert count > 0
    for name in (train[0], "val_00003", "test_00007"):
        kept = (full[name] - pca.mean_) @ pca.components_[:count].T @ pca.components_[:count] + pca.mean_
        np.testing.assert_allclose(weak[name], np.clip(kept, 0, 255), atol=0.51)


def test_noise_has_the_stated_size(whole, tmp_path):
    for name, noise in (("clean", 0), ("noisy", 0.3)):
        (tmp_path / name).mkdir()
        rows = list_samples("av_mnist", whole, tmp_path / name, noise=noise, energy=1, **SMALL).rows
    clean, noisy = (
        np.stack([sound(tmp_path / n / r.paths["audio"]) for r in rows]) for n in ("clean", "noisy")
    )
    ratio = np.std(noisy - clean) / np.sqrt(np.mean(clean**2))
    assert ratio == pytest.approx(0.3, rel=0.03)
    assert abs(np.corrcoef((noisy - clean)[:2])[0, 1]) < 0.3  # not the same noise


def test_the_field_split_is_marked_as_leaky(whole, tmp_path):
    rows, facts = prepare(tmp_path / "out", "av_mnist", whole, options={**SMALL, "split": "field"})
    assert facts["leaky"]
    assert facts["protocol"] == "field split, all speakers on both sides"
    for split in SMALL:
        assert {row["group"] for row in rows if row["split"] == split} == set(SPEAKERS)


def test_no_recording_is_in_two_splits_of_the_field(whole, tmp_path):
    listing = list_samples("av_mnist", whole, tmp_path, split="field", noise=0, **SMALL)
    originals = {sha256(path): path.stem for path in (whole / "recordings").iterdir()}
    takes = {split: set() for split in SMALL}
    for row in listing.rows:
        takes[row.split].add(int(originals[sha256(tmp_path / row.paths["audio"])].rpartition("_")[2]))
    assert takes["test"] <= set(range(5))
    assert takes["val"] <= set(range(5, 10))
    assert takes["train"] == {10, 11}


def _cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def _label(path):
    path.write_bytes(path.read_bytes()[:-1] + bytes([11]))


@pytest.mark.parametrize(
    ("name", "harm", "said"),
    [
        ("train-images-idx3-ubyte", lambda path: path.unlink(), "train-images-idx3-ubyte: cannot be read"),
        ("train-images-idx3-ubyte", _cut, "has 78,316 bytes, its header says 78,416"),
        ("t10k-images-idx3-ubyte.gz", _cut, "t10k-images-idx3-ubyte.gz: is not a whole gzip file"),
        ("train-labels-idx1-ubyte", _label, "train-labels-idx1-ubyte: label 99 is 11, expected 0 to 9"),
        (
            "train-labels-idx1-ubyte",
            lambda path: path.write_bytes(b"no"),
            "is no idx file of bytes with 1 dimensions",
        ),
        ("recordings/3_anna_0.wav", lambda path: path.write_bytes(b"RIFF"), None),
        ("recordings", shutil.rmtree, "recordings: no recordings named like 7_jackson_32.wav"),
    ],
)
def test_damage(tree, tmp_path, name, harm, said):
    harm(tree / name)
    if said is None:  # one file of many: every take of it has to be drawn
        for take in range(1, 12):
            harm(tree / f"recordings/3_anna_{take}.wav")
        said = ".wav: is no whole wav file"
    with pytest.raises(DataError) as caught:
        list_samples("av_mnist", tree, tmp_path, **SMALL)
    assert said in str(caught.value)


def test_too_few_pictures_speakers_or_recordings(tree, tmp_path):
    with pytest.raises(
        DataError, match=r"train has 100 pictures, 120 are wanted; lower prepare.options.train"
    ):
        list_samples("av_mnist", tree, tmp_path, train=100, val=20, test=20)
    for path in (tree / "recordings").glob("*_carl_*"):
        path.unlink()
    with pytest.raises(DataError, match="2 speakers, the split by speaker needs 3 or more"):
        list_samples("av_mnist", tree, tmp_path, **SMALL)
    for path in (tree / "recordings").glob("7_*_?.wav"):
        path.unlink()
    with pytest.raises(DataError, match="no recording of digit 7 in field split 'val'"):
        list_samples("av_mnist", tree, tmp_path, split="field", **SMALL)
