"""Kinds of files that break whoever reads them, some of each: a row's failure is that row's, with its reason."""

import csv
import json
import random
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ambidex import stages
from ambidex.base.errors import DataError
from ambidex.cli import main
from ambidex.configuration.params import Part
from ambidex.data.manifest import Row
from ambidex.data.media.limits import Limits
from ambidex.data.store import pool
from ambidex.data.store.extraction import Batch
from ambidex.data.store.pool import TASK, extracted
from helpers import broken, killers
from helpers.manifests import extract, extract_params, write_manifest
from helpers.media import random_pictures, tone, write_clip, write_image, write_wav

AUDIO = {"kind": "log_mel", "seconds": 0.2, "sample_rate": 8_000, "n_fft": 256, "hop": 128, "n_mels": 20}
VISUAL = {"kind": "frames", "count": 1, "size": 8}
MEGABYTES = 512
LIMITS = Limits(3, MEGABYTES)


def reasons(files: Sequence[str], want: Mapping[str, Any], root: Path, workers: int = 1) -> dict[str, str]:
    """Cell -> reason of each that is rejected; `ok` for the others."""
    wants = extract_params({"m": dict(want)}).extract.kinds
    rows = [Row(str(k), "a", "train", "g", {"m": name}) for k, name in enumerate(files)]
    tasks = [rows[k : k + TASK] for k in range(0, len(rows), TASK)]
    batch = Batch()
    for part in extracted(tasks, len(rows), wants, root, LIMITS, workers):
        batch.add(part)
    assert batch.accepted == sorted(batch.accepted, key=int)
    assert sorted(map(int, [*batch.accepted, *(bad.sample_id for bad in batch.rejected)])) == list(
        range(len(files))
    )
    assert all(bad.modality == "m" and bad.path == files[int(bad.sample_id)] for bad in batch.rejected)
    found = {files[int(k)]: "ok" for k in batch.accepted}
    return found | {bad.path: bad.reason for bad in batch.rejected}


def mixed(bad: Sequence[str], good: Sequence[str]) -> list[str]:
    """The bad with a good one before every third of them, and a good one at the end."""
    names: list[str] = []
    for k, name in enumerate(bad):
        names += [good[k // 3 % len(good)], name] if k % 3 == 0 else [name]
    return [*names, good[0]]


@pytest.mark.parametrize("kind", ["not_regular", "pointers", "bombs"])
def test_what_no_decoder_should_see(tmp_path: Path, kind: str) -> None:
    write = getattr(broken, f"write_{kind}")
    expected = write(tmp_path, MEGABYTES) if kind == "bombs" else write(tmp_path)
    good = broken.write_whole(tmp_path)
    found = reasons(mixed(list(expected), good), AUDIO, tmp_path)
    assert found == expected | dict.fromkeys(good[: (len(expected) + 2) // 3], "ok")


def test_forms_that_are_not_supported_are_called_so(tmp_path: Path) -> None:
    expected = broken.write_unsupported(tmp_path)
    assert reasons(list(expected), VISUAL, tmp_path) == expected


def test_their_supported_relatives_are_read(tmp_path: Path) -> None:
    rows = (b"\0" + bytes(range(24))) * 8
    (tmp_path / "still.png").write_bytes(broken.png_bytes(8, 8, data=rows))
    (tmp_path / "page.tif").write_bytes(broken.tiff_bytes(1))
    (tmp_path / "thumbnail.tif").write_bytes(
        broken.tiff_bytes(2, kind=1)
    )  # the second page is a small version
    files = ["still.png", "page.tif", "thumbnail.tif"]
    assert reasons(files, VISUAL, tmp_path) == dict.fromkeys(files, "ok")


def _stand_ins(folder: Path) -> list[str]:
    for name in killers.REASONS:
        write_wav(folder / name, tone(0.2, 8_000), 8_000)
    return list(killers.REASONS)


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_crashes_errors_and_hangs_of_a_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(pool, "_row", killers.row)
    bad, good = _stand_ins(tmp_path), broken.write_whole(tmp_path)
    found = reasons(mixed(bad, good), AUDIO, tmp_path, workers)
    assert found == killers.REASONS | dict.fromkeys(good, "ok")


def test_the_file_that_killed_is_named_not_its_neighbour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_row", killers.row)
    write_wav(tmp_path / "segfault.wav", tone(0.2, 8_000), 8_000)
    write_image(tmp_path / "a.png", random_pictures(1, (8, 8))[0])
    wants = extract_params({"visual": VISUAL, "audio": AUDIO}).extract.kinds
    row = Row("s", "a", "train", "g", {"visual": "a.png", "audio": "segfault.wav"})
    (batch,) = extracted([[row]], 1, wants, tmp_path, LIMITS)
    assert [(bad.modality, bad.path) for bad in batch.rejected] == [("audio", "segfault.wav")]


def test_sound_of_any_number_of_channels_never_ends_a_run(tmp_path: Path) -> None:
    """FFmpeg's resampler crashed on many of these; whether they are read or refused, the others are."""
    counts = (0, 1, 2, 7, 8, 9, 16, 24, 63, 64, 65, 255, 65_535)
    for count in counts:
        (tmp_path / f"{count}.wav").write_bytes(broken.wav_bytes(count))
    for name, data in {
        "rate0.wav": broken.wav_bytes(1, rate=0),
        "rate.wav": broken.wav_bytes(1, rate=2**31 - 1),
        "bits0.wav": broken.wav_bytes(1, bits=0),
        "alaw8.wav": broken.wav_bytes(8, tag=6),
        "adpcm0.wav": broken.wav_bytes(0, tag=0x11, bits=4),
        "adpcm.wav": broken.wav_bytes(65_535, tag=2, bits=4),
        "tag.wav": broken.wav_bytes(1, tag=9_999),
    }.items():
        (tmp_path / name).write_bytes(data)
    found = reasons([path.name for path in sorted(tmp_path.iterdir())], AUDIO, tmp_path)
    assert [found[f"{count}.wav"] for count in (1, 2, 7)] == ["ok"] * 3
    assert all("\n" not in reason and len(reason) <= 300 for reason in found.values())


def files_of(folder: Path) -> dict[str, bytes]:
    names = [p for p in folder.iterdir() if p.name not in ("card.json", "params.yaml", "rejected.csv")]
    return {path.name: path.read_bytes() for path in names}


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """40 clips of two classes, the last of four muted."""
    folder = tmp_path / "manifest"
    rows = []
    for k in range(40):
        sound = tone(0.2, 8_000, 200 + 20 * k) * (k % 4 != 3)
        rows.append({"audio": write_wav(folder / f"{k}.wav", sound + 0.0 * k, 8_000).name})
    return write_manifest(folder, rows)


@pytest.mark.slow
def test_a_crash_changes_nothing_else_whatever_the_workers_and_parts(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is the one that the manifest without the guilty rows would have given, up to where shards are cut."""
    monkeypatch.setattr(pool, "_row", killers.row)
    for k, name in {5: "segfault.wav", 17: "exit.wav", 18: "abort.wav", 39: "killed.wav"}.items():
        shutil.copy(manifest / f"{k}.wav", manifest / name)
        table = (manifest / "manifest.csv").read_text()
        (manifest / "manifest.csv").write_text(table.replace(f",{k}.wav", f",{name}"))
    options = {"max_rejected_fraction": 0.2, "shard_size": 7}
    for workers in (1, 2):
        params = extract_params({"audio": AUDIO}, workers=workers, **options)
        store = extract(manifest, tmp_path / f"by{workers}", params)
    assert files_of(tmp_path / "by1") == files_of(tmp_path / "by2")
    assert store.sample_ids == [f"s{k}" for k in range(40) if k not in (5, 17, 18, 39)]
    for index in range(2):
        one = extract_params({"audio": AUDIO}, part=Part(index=index, of=2), **options)
        stages.run("extract", one, {"manifest": manifest}, {"features": tmp_path / "parts" / str(index)})
    whole = extract_params({"audio": AUDIO}, **options)
    stages.run("merge", whole, {"parts": tmp_path / "parts"}, {"features": tmp_path / "merged"})
    assert files_of(tmp_path / "merged") == files_of(tmp_path / "by1")
    with (tmp_path / "by1/rejected.csv").open(newline="") as stream:
        assert [(line["path"], line["reason"]) for line in csv.DictReader(stream)] == [
            (name, killers.REASONS[name]) for name in ("segfault.wav", "exit.wav", "abort.wav", "killed.wav")
        ]


def test_muted_sound_is_counted_not_rejected(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wav(manifest / "0.wav", np.full(1_600, 0.25, np.float32), 8_000)  # a constant is no sound either
    write_wav(manifest / "1.wav", tone(0.2, 8_000, amplitude=0.01), 8_000)  # quiet, but a sound
    store = extract(manifest, tmp_path / "features", extract_params({"audio": AUDIO}))
    line = "11 of 40 samples have silent sound (audio)"
    assert store.info["notes"] == [line]
    assert f"extract: {line}" in capsys.readouterr().err.splitlines()
    assert len(store) == 40


def test_errors_that_nobody_foresaw_are_counted_and_the_limit_still_holds(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pool, "_row", killers.row)
    table = (manifest / "manifest.csv").read_text()
    names = ("attribute.wav", "overflow.wav", "segfault.wav")
    for k, name in enumerate(names):
        shutil.copy(manifest / f"{k}.wav", manifest / name)
        table = table.replace(f",{k}.wav", f",{name}")
    (manifest / "manifest.csv").write_text(table)
    with pytest.raises(DataError) as caught:
        extract(manifest, tmp_path / "features", extract_params({"audio": AUDIO}, max_rejected_fraction=0.05))
    assert str(caught.value).startswith(
        "3 of 40 samples rejected (7.5%), more than extract.max_rejected_fraction allows (5.0%); most often (1): "
    )
    assert (
        "extract: 2 samples failed by an error that nobody foresaw; the first: attribute.wav: "
        "unexpected AttributeError: no such\\nthing"
    ) in capsys.readouterr().err.splitlines()
    params = extract_params({"audio": AUDIO}, max_rejected_fraction=0.075)
    assert len(extract(manifest, tmp_path / "features", params)) == 37


def test_the_limits_are_parameters(manifest: Path, tmp_path: Path) -> None:
    (manifest / "0.wav").write_bytes(b"RIFF" + bytes(65 * broken.MEBIBYTE))
    params = extract_params({"audio": AUDIO}, max_rejected_fraction=0.05, megabytes_per_file=64)
    extract(manifest, tmp_path / "features", params)
    with (tmp_path / "features/rejected.csv").open(newline="") as stream:
        (line,) = csv.DictReader(stream)
    assert line["reason"] == "has 65 MiB, more than extract.megabytes_per_file allows (64)"


def test_predict_goes_on_after_clips_that_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also for a handful of clips, which were once read in the process itself."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs/manifest"
    names = [write_clip(folder / f"{k}.mp4", 0.3, size=(16, 16), seed=k).name for k in range(8)]
    write_manifest(folder, [{"audio": name, "visual": name} for name in names])
    small = {"name": "small_cnn", "width": 2, "dim": 4}
    params = {
        "extract": {"modalities": {"audio": AUDIO, "visual": VISUAL}},
        "model": {"encoders": {"audio": small, "visual": small}},
        "train": {"method": "joint", "regime": "scratch", "epochs": 1},
        "runtime": {"accelerator": "cpu", "threads": 1},
    }
    (tmp_path / "params.yaml").write_text(json.dumps(params))
    assert main(["extract"]) == main(["train"]) == 0
    monkeypatch.setattr(pool, "_row", killers.row)
    bad = ["segfault.wav", "killed.wav", "attribute.wav", "sleep.wav"]
    for name in bad:
        shutil.copy(folder / "0.mp4", name)
    broken.write_not_regular(tmp_path)
    capsys.readouterr()
    clips = [str(folder / "1.mp4"), *bad, "fifo.wav", str(folder / "2.mp4")]
    assert main(["predict", "runs/models/joint-scratch-0", *clips, "--seconds", "3"]) == 2
    out, error = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()[2:]] == [clips[0], clips[-1]]
    *lines, last = error.splitlines()
    expected = killers.REASONS | {"fifo.wav": "is a FIFO, not a regular file"}
    assert lines == [f"ambidex: {name}: {expected[name]}" for name in [*bad, "fifo.wav"]]
    assert last == "ambidex: 1 of them failed by an error that nobody foresaw"


def test_the_inputs_that_broke_it_before(shared_data: Path) -> None:
    inputs = shared_data / "broken_inputs"
    files = sorted(path.name for path in inputs.iterdir() if path.is_file())
    heard, seen = (reasons(files, want, inputs) for want in (AUDIO, VISUAL))
    for found in (heard, seen):
        assert (
            found["anim.webp"] == "not supported: an animated WebP; convert it to a video, or to one picture"
        )
        assert found["README.md"] == "not a media file"
        assert found["adelay1.mp4"] == "ok"
        assert all("\n" not in reason and len(reason) <= 300 for reason in found.values())
    assert seen["8ch.wav"] == "has no video stream"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_mutated_media_never_end_a_run_nor_touch_their_neighbours(tmp_path: Path, seed: int) -> None:
    """200 files with bytes changed or cut off, a whole one after every ten."""
    draws = random.Random(seed)
    sources = [write_clip(tmp_path / f"s{ending}", 0.4, size=(32, 32)) for ending in (".mp4", ".mkv", ".flv")]
    sources += [write_wav(tmp_path / "s.wav", tone(0.3, 8_000), 8_000)]
    sources += [
        write_image(tmp_path / f"s{ending}", random_pictures(1, (32, 32))[0]) for ending in (".png", ".jpg")
    ]
    good = broken.write_whole(tmp_path)[0]
    files = []
    for k in range(200):
        source = draws.choice(sources)
        (tmp_path / f"{k}{source.suffix}").write_bytes(_mutated(source.read_bytes(), draws))
        files += [f"{k}{source.suffix}"] + [good] * (k % 10 == 9)
    for want in (AUDIO, VISUAL):
        found = reasons(files, want, tmp_path, workers=2)
        assert found[good] == ("ok" if want is AUDIO else "has no video stream")
        assert all("\n" not in reason and len(reason) <= 300 for reason in found.values())


def _mutated(data: bytes, draws: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(draws.choice((1, 3, 20))):
        place = draws.randrange(min(len(changed), draws.choice((64, 1_000, len(changed)))))
        changed[place] = draws.choice((0, 255, draws.randrange(256)))
    return bytes(changed[: draws.randrange(1, len(changed))] if draws.random() < 0.2 else changed)
