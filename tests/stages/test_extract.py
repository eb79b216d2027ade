"""The extract stage: from a manifest of real media files to a feature store."""

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ambidex.base.errors import DataError, StorageError
from ambidex.data.media.decode import decode
from ambidex.data.media.requests import Pictures
from ambidex.data.store import extraction
from ambidex.data.store.manifest import read_manifest
from ambidex.data.store.reading import FeatureStore
from ambidex.stages import extract as stage
from helpers.manifests import extract, extract_params, write_manifest
from helpers.media import random_pictures, tone, write_clip, write_image, write_wav

AUDIO = {"kind": "log_mel", "seconds": 0.5, "sample_rate": 8_000, "n_fft": 256, "hop": 128, "n_mels": 20}
VISUAL = {"kind": "frames", "count": 2, "size": 16}
BOTH = {"audio": AUDIO, "visual": VISUAL}


def clips(folder: Path, count: int) -> list[dict[str, Any]]:
    """Rows whose modalities name the same clip."""
    names = [write_clip(folder / f"{k}.mp4", seconds=0.5, seed=k).name for k in range(count)]
    return [{"audio": name, "visual": name} for name in names]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """24 clips of two classes."""
    folder = tmp_path / "manifest"
    return write_manifest(folder, clips(folder, 24))


def files_of(folder: Path) -> dict[str, bytes]:
    """The content of everything that must not hang on how it was made."""
    names = [p for p in folder.iterdir() if p.name not in ("card.json", "params.yaml")]
    return {path.name: path.read_bytes() for path in names}


@pytest.mark.parametrize("kind", ["log_mel", "log_stft"])
def test_every_stored_tensor_is_the_one_that_was_extracted(tmp_path: Path, kind: str) -> None:
    """Number by number, in its place: one that is transposed in memory must not be stored as it lies there."""
    folder, wants = tmp_path / "manifest", {"audio": {**AUDIO, "kind": kind}, "visual": VISUAL}
    rows = clips(folder, 8)
    params = extract_params(wants)
    store = extract(write_manifest(folder, rows), tmp_path / "features", params)
    for row, given in enumerate(rows):
        sample = extraction.extract_sample(given, params.extract.kinds, folder)
        for name, tensor in sample.items():
            np.testing.assert_array_equal(store.gather(name, torch.tensor([row]))[0].numpy(), tensor)


def test_clips_become_tensors_with_labels_and_records(manifest: Path, tmp_path: Path) -> None:
    store = extract(manifest, tmp_path / "features", extract_params(BOTH, shard_size=10))
    assert store.inputs["audio"].shape == (20, 32)
    assert store.inputs["visual"].shape == (2, 3, 16, 16)
    assert store.labels.tolist() == [0, 1] * 12
    assert [shard["samples"] for shard in store.info["shards"]] == [10, 10, 4]
    everything = store.gather("audio", torch.arange(24)).double()
    train = everything[store.rows("train")]
    np.testing.assert_allclose(store.inputs["audio"].mean, [float(train.mean())], rtol=1e-9)
    np.testing.assert_allclose(store.inputs["audio"].std, [float(train.std(correction=0))], rtol=1e-9)
    folder = tmp_path / "features"
    assert json.loads((folder / "metrics.json").read_text()) == {
        "samples": 24, "rejected": 0, "train": 12, "val": 6, "test": 6,
    }  # fmt: skip
    assert store.info["protocol"] == "made up"
    assert json.loads((folder / "card.json").read_text())["timing"]["clips"] == 24
    assert (folder / "rejected.csv").read_text() == "sample_id,modality,path,reason\n"
    assert not (tmp_path / "features.partial").exists()
    assert not (folder / "progress").exists()


def test_the_number_of_workers_changes_nothing(manifest: Path, tmp_path: Path) -> None:
    extract(manifest, tmp_path / "one", extract_params(BOTH, shard_size=20, workers=1))
    extract(manifest, tmp_path / "two", extract_params(BOTH, shard_size=20, workers=2))
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_a_file_that_two_modalities_name_is_decoded_once(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(
        extraction, "decode", lambda path, wants: seen.append(path.name) or decode(path, wants)
    )
    rows = read_manifest(manifest, list(BOTH)).rows
    extraction.extract_rows(rows, extract_params(BOTH).extract.kinds, manifest)
    assert sorted(seen) == sorted(f"{k}.mp4" for k in range(24))


def test_wav_png_and_vectors_side_by_side(tmp_path: Path) -> None:
    folder, views = tmp_path / "manifest", np.random.default_rng(0).normal(size=(8, 6))
    for k in range(8):
        write_wav(folder / "sound" / f"{k}.wav", tone(0.3, 8_000, 200 + 50 * k), 8_000)
        write_image(folder / f"{k}.png", random_pictures(1, (16, 16), k)[0])
    np.savez(folder / "views.npz", fourier=views)
    rows = [{"a": f"sound/{k}.wav", "b": f"{k}.png", "c": f"views.npz#fourier[{k}]"} for k in range(8)]
    params = extract_params({"c": {"kind": "vector"}, "a": AUDIO, "b": VISUAL}, shard_size=3)
    store = extract(write_manifest(folder, rows), tmp_path / "features", params)
    assert store.modalities == ("c", "a", "b")
    assert torch.equal(store.gather("c", torch.arange(8)), torch.from_numpy(views.astype(np.float32)))
    assert len(set(store.gather("a", torch.arange(8))[:, :, 5].argmax(dim=1).tolist())) > 3  # tones differ
    assert torch.equal(*store.gather("b", torch.tensor([4])).unbind(1))


def test_paths_may_be_relative_to_a_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = clips(Path("media/here"), 8)
    write_manifest(tmp_path / "manifest", rows, root="media/here")
    assert len(extract(tmp_path / "manifest", tmp_path / "features", extract_params(BOTH))) == 8


def broken(folder: Path) -> dict[str, str]:
    """Five files that cannot be used, by name, and how their reason starts."""
    whole = write_clip(folder / "whole.mp4", seconds=0.5).read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("a note, renamed\n" * 50)
    write_clip(folder / "silent.mp4", seconds=0.5, audio=False)
    return {
        "cut.mp4": "truncated: ",
        "empty.mp4": "file is empty",
        "gone.mp4": "file is missing",
        "silent.mp4": "has no audio stream",
        "text.mp4": "not a media file",
    }


def test_broken_clips_are_listed_with_reasons_and_the_rest_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "manifest"
    reasons = broken(folder)
    good = clips(folder, 16)
    bad = [{"audio": name, "visual": name} for name in reasons]
    rows = [*bad, *good[:3], {"audio": "1.mp4", "visual": "gone.mp4"}, *good[3:]]
    params = extract_params(BOTH, shard_size=5, max_rejected_fraction=0.3)
    features = tmp_path / "features"
    store = extract(write_manifest(folder, rows), features, params)
    assert store.sample_ids == [f"s{k}" for k in range(5, 22) if k != 8]
    assert [(shard["file"][6:11], shard["samples"]) for shard in store.info["shards"]] == [
        ("00001", 4), ("00002", 5), ("00003", 5), ("00004", 2),
    ]  # fmt: skip
    assert not (features / "shard-00000.safetensors").exists()  # all of its rows were rejected
    with (features / "rejected.csv").open(newline="") as stream:
        listed = list(csv.DictReader(stream))
    assert [row["path"] for row in listed] == [*reasons, "gone.mp4"]
    assert all(row["reason"].startswith(reasons[row["path"]]) for row in listed)
    assert [row["modality"] for row in listed] == ["audio+visual"] * 5 + ["visual"]
    assert store.info["rejected"] == 6
    found = FeatureStore.open(features).gather("visual", torch.tensor([15, 4, 3, 9]))
    expected = [
        decode(folder / f"{k}.mp4", [Pictures(VISUAL["count"], VISUAL["size"])])[0] for k in (15, 4, 3, 9)
    ]
    assert np.array_equal(found.numpy(), np.stack(expected))


def test_too_many_broken_clips_stop_after_the_last_and_a_rerun_needs_only_the_rest(tmp_path: Path) -> None:
    folder = tmp_path / "manifest"
    rows = clips(folder, 16)
    good = (folder / "15.mp4").read_bytes()
    (folder / "15.mp4").write_bytes(b"")
    write_manifest(folder, rows)
    params = extract_params(BOTH, shard_size=4)
    with pytest.raises(DataError) as caught:
        extract(folder, tmp_path / "features", params)
    partial = tmp_path / "features.partial"
    assert str(caught.value) == (
        "1 of 16 samples rejected (6.2%), more than extract.max_rejected_fraction allows (2.0%); "
        f"most often (1): file is empty (0 bytes); all: {partial / 'rejected.csv'}"
    )
    assert not (tmp_path / "features").exists()
    assert "s15,audio+visual,15.mp4" in (partial / "rejected.csv").read_text()
    (folder / "15.mp4").write_bytes(good)
    store = extract(folder, tmp_path / "features", params)
    assert len(store) == 16
    assert json.loads((tmp_path / "features" / "card.json").read_text())["timing"]["clips"] == 4  # one shard


SCRIPT = """
import sys
from pathlib import Path
from helpers.manifests import extract, extract_params
if __name__ == "__main__":
    manifest, features, modalities = Path(sys.argv[1]), Path(sys.argv[2]), eval(sys.argv[3])
    extract(manifest, features, extract_params(modalities, shard_size=2, workers=2))
"""


@pytest.mark.slow
def test_kill_and_resume_without_redoing_finished_shards(tmp_path: Path) -> None:
    folder = tmp_path / "manifest"
    big = [write_clip(folder / f"{k}.mp4", seconds=1, fps=25, size=(320, 240), seed=k).name for k in range(4)]
    rows = [{"audio": big[k % 4], "visual": big[k % 4]} for k in range(80)]
    write_manifest(folder, rows)
    (tmp_path / "script.py").write_text(SCRIPT)
    partial = tmp_path / "features.partial"
    paths = [str(Path(__file__).parents[1]), str(Path(stage.__file__).parents[2])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    arguments = [sys.executable, "script.py", str(folder), str(tmp_path / "features"), repr(BOTH)]
    process = subprocess.Popen(arguments, cwd=tmp_path, env=environment, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(list(partial.glob("progress/*.json"))) < 3 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (tmp_path / "features").exists()
    _wait_until_session_is_empty(process.pid)
    finished = {p.stem: (p.stat().st_ino, p.stat().st_mtime_ns) for p in partial.glob("progress/*.json")}
    assert 3 <= len(finished) < 40
    shards = {s: _identity(partial / f"{s}.safetensors") for s in finished}
    store = extract(folder, tmp_path / "features", extract_params(BOTH, shard_size=2))
    assert len(store) == 80
    assert {s: _identity(tmp_path / "features" / f"{s}.safetensors") for s in finished} == shards
    done = json.loads((tmp_path / "features" / "card.json").read_text())["timing"]["clips"]
    assert done == 80 - 2 * len(finished)
    extract(folder, tmp_path / "again", extract_params(BOTH, shard_size=2))
    assert files_of(tmp_path / "features") == files_of(tmp_path / "again")


def _identity(path: Path) -> tuple[int, int]:
    return path.stat().st_ino, path.stat().st_mtime_ns


def _wait_until_session_is_empty(session: int) -> None:
    """Workers leave when their parent was killed."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if not any(_session(p) == session for p in Path("/proc").glob("[0-9]*")):
            return
        time.sleep(0.05)
    pytest.fail("worker processes outlive their killed parent")


def _session(process: Path) -> int | None:
    try:
        state, _, _, session = (process / "stat").read_text().rpartition(")")[2].split()[:4]
    except OSError:
        return None
    return None if state == "Z" else int(session)


@pytest.mark.parametrize("change", ["shard", "media", "params", "manifest"])
def test_finished_shards_are_redone_where_something_changed(tmp_path: Path, change: str) -> None:
    folder = tmp_path / "manifest"
    rows = clips(folder, 16)
    (folder / "15.mp4").write_bytes(b"")  # the last of four shards is rejected, three are finished
    write_manifest(folder, rows)
    modalities = {name: dict(value) for name, value in BOTH.items()}
    with pytest.raises(DataError, match="1 of 16 samples"):
        extract(folder, tmp_path / "features", extract_params(modalities, shard_size=4))
    write_clip(folder / "15.mp4", seconds=0.5, seed=15)
    redone = {"shard": 8, "media": 8, "params": 16, "manifest": 16}[change]
    if change == "shard":
        file = tmp_path / "features.partial" / "shard-00001.safetensors"
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    elif change == "media":
        write_clip(folder / "0.mp4", seconds=0.5, seed=77)
    elif change == "params":
        modalities["visual"]["size"] = 8
    else:
        write_manifest(folder, [{**row, "group": "other"} for row in rows])
    extract(folder, tmp_path / "features", extract_params(modalities, shard_size=4))
    timing = json.loads((tmp_path / "features" / "card.json").read_text())["timing"]
    assert timing["clips"] == redone


def test_a_class_without_training_samples_stops_at_once_or_after_rejection(tmp_path: Path) -> None:
    folder = tmp_path / "manifest"
    rows = clips(folder, 8)
    write_manifest(folder, rows, classes=("a", "b", "c"), root=str(folder))
    table = (folder / "manifest.csv").read_text()
    (folder / "manifest.csv").write_text(table.replace(",c,train,", ",c,val,"))
    with pytest.raises(DataError, match="class 'c' has no training sample; every class needs one"):
        extract(folder, tmp_path / "features", extract_params(BOTH))
    for k in (1, 3):  # the two training samples of class b
        (folder / f"{k}.mp4").write_bytes(b"")
    write_manifest(folder, rows)
    with pytest.raises(DataError, match=r"rejected\.csv: class 'b' has no training sample left"):
        extract(folder, tmp_path / "features", extract_params(BOTH, max_rejected_fraction=0.5))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "sample_id,label,",
            "sample_id,name,",
            r"manifest\.csv: column 'label' is missing; it has: sample_id, name",
        ),
        (
            ",visual\n",
            ",eyes\n",
            r"manifest\.csv: has no 'visual', which extract\.modalities names; it has: audio, eyes$",
        ),
        ("s3,b,", "s3,dog,", r"manifest\.csv:5: label 'dog' is not in the class list: a, b"),
        (",val,", ",dev,", r"manifest\.csv:6: split 'dev', expected one of train, val, test"),
        ("s3,", "s2,", r"manifest\.csv:5: sample_id 's2' stands there twice"),
        (",3.mp4,", ",,", r"manifest\.csv:5: column 'audio' is empty"),
    ],
)
def test_mistakes_in_the_manifest_are_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    folder = write_manifest(
        tmp_path / "manifest", [{"audio": f"{k}.mp4", "visual": f"{k}.mp4"} for k in range(8)]
    )
    table = folder / "manifest.csv"
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(DataError, match=message) as caught:
        extract(folder, tmp_path / "features", extract_params(BOTH))
    assert "\n" not in str(caught.value)


def test_missing_or_damaged_manifest_files_are_one_line(tmp_path: Path) -> None:
    folder = write_manifest(tmp_path / "manifest", [{"audio": "a", "visual": "a"}] * 8)
    (folder / "dataset.json").write_text("{")
    with pytest.raises(DataError, match=r"dataset\.json: is not JSON .*; run prepare again"):
        extract(folder, tmp_path / "features", extract_params(BOTH))
    (folder / "dataset.json").unlink()
    with pytest.raises(DataError, match=r"dataset\.json: cannot be read"):
        extract(folder, tmp_path / "features", extract_params(BOTH))


def test_a_vector_of_another_length_is_rejected(tmp_path: Path) -> None:
    folder = tmp_path / "manifest"
    folder.mkdir()
    for k in range(8):
        np.save(folder / f"{k}.npy", np.ones(4 if k == 5 else 3))
    write_manifest(folder, [{"view": f"{k}.npy"} for k in range(8)])
    params = extract_params({"view": {"kind": "vector"}}, max_rejected_fraction=0.2)
    assert extract(folder, tmp_path / "features", params).inputs["view"].shape == (3,)
    assert 's5,view,5.npy,"has 4 values, expected 3"' in (tmp_path / "features" / "rejected.csv").read_text()
    with pytest.raises(DataError, match="8 of 8 samples rejected"):
        extract(folder, tmp_path / "features", extract_params({"view": {"kind": "vector", "size": 9}}))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True
    ).returncode:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_one_line_and_finished_shards_survive(
    tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "manifest"
    write_image(folder / "a.png", random_pictures(1, (16, 16))[0])
    write_manifest(folder, [{"visual": "a.png"}] * 16)
    params = extract_params({"visual": {"kind": "frames", "count": 1, "size": 256}}, shard_size=4)
    with pytest.raises(StorageError, match=r"disk full: 3\.0 MiB more needed, [12]\.\d MiB free"):
        extract(folder, small_disk / "features", params)  # seen before the work starts
    monkeypatch.setattr(
        stage, "_check_space", lambda *a: None
    )  # as if somebody else filled the disk meanwhile
    with pytest.raises(
        StorageError, match=r"disk full: 1\.\d MiB more needed, 0\.\d MiB free; finished shards"
    ) as caught:
        extract(folder, small_disk / "features", params)
    assert "\n" not in str(caught.value)
    kept = sorted((small_disk / "features.partial").glob("*.safetensors"))
    assert [path.name for path in kept] == ["shard-00000.safetensors", "shard-00001.safetensors"]
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    before = [_identity(path) for path in kept]
    assert len(extract(folder, small_disk / "features", params)) == 16
    assert [_identity(small_disk / "features" / path.name) for path in kept] == before


def test_real_clips_and_their_broken_friends(shared_data: Path, tmp_path: Path) -> None:
    sources = sorted((shared_data / "grid_clips").glob("*.mpg"))
    folder = tmp_path / "manifest"
    reasons = broken(folder)
    whole = sources[0].read_bytes()
    (folder / "cut.mpg").write_bytes(whole[: len(whole) // 2])
    names = [*map(str, sources), "cut.mpg", "silent.mp4", "empty.mp4", "text.mp4"]
    write_manifest(folder, [{"audio": name, "visual": name} for name in names])
    audio = {"kind": "log_mel", "seconds": 3.0}
    params = extract_params({"audio": audio, "visual": {"kind": "frames"}}, max_rejected_fraction=0.3)
    store = extract(folder, tmp_path / "features", params)
    assert len(store) == 10
    assert store.gather("audio", torch.arange(10)).shape == (10, 64, 301)
    assert store.gather("visual", torch.arange(10)).shape == (10, 3, 3, 64, 64)
    with (tmp_path / "features" / "rejected.csv").open(newline="") as stream:
        found = {row["path"]: row["reason"] for row in csv.DictReader(stream)}
    assert found.keys() == {"cut.mpg", "silent.mp4", "empty.mp4", "text.mp4"}
    assert len(set(found.values())) == 4
    assert found["cut.mpg"].startswith("truncated: ")
    assert all(found[name].startswith(reasons[name]) for name in reasons.keys() & found.keys())
    assert FeatureStore.open(tmp_path / "features").fingerprint == store.fingerprint
