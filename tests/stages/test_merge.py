"""Extraction in parts: whatever the number of parts, merging them gives the store of one extract, bit for bit."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ambidex import stages
from ambidex.base.errors import DataError
from ambidex.configuration.params import Params, Part
from ambidex.data.store.reading import FeatureStore
from ambidex.stages import extract as stage
from helpers.manifests import extract, extract_params, write_manifest
from helpers.media import tone, write_image, write_wav

WANTS = {
    "audio": {"kind": "log_mel", "seconds": 0.2, "sample_rate": 8_000, "n_fft": 256, "hop": 128, "n_mels": 8},
    "visual": {"kind": "frames", "count": 1, "size": 8},
    "touch": {"kind": "vector"},
}
BROKEN = (3, 4, 5, 12)
"""samples that cannot be read: with shards of three, the second shard has none left, the fifth has two"""


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """17 samples of two classes, in six shards of three (the last of two), four of them broken."""
    folder = tmp_path_factory.mktemp("data") / "manifest"
    draws = np.random.default_rng(0)
    rows = []
    for k in range(17):
        write_wav(folder / f"{k}.wav", tone(0.2, 8_000, 200 + 90 * k), 8_000)
        write_image(folder / f"{k}.png", draws.integers(0, 255, (8, 8, 3), dtype=np.uint8))
        rows.append({"audio": f"{k}.wav", "visual": f"{k}.png", "touch": f"touch.npz#t[{k}]"})
    np.savez(folder / "touch.npz", t=draws.normal(size=(17, 5)) * 10)
    for k in BROKEN:
        (folder / f"{k}.wav").write_bytes(b"")
    return write_manifest(folder, rows)


def params(part: Part | None = None, **options: Any) -> Params:
    given = {"shard_size": 3, "max_rejected_fraction": 0.3, "part": part, **options}
    return extract_params(WANTS, **given)


def extract_parts(manifest: Path, folder: Path, indices: Sequence[int], of: int, **options: Any) -> Path:
    for index in indices:
        one = params(Part(index=index, of=of), **options)
        stages.run("extract", one, {"manifest": manifest}, {"features": folder / f"part-{index}"})
    return folder


def merge(parts: Path, features: Path, **options: Any) -> dict[str, Any]:
    return stages.run("merge", params(**options), {"parts": parts}, {"features": features})


def content(folder: Path) -> dict[str, bytes]:
    """Every file but the two that tell how the store was made."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name not in ("card.json", "params.yaml")}


@pytest.fixture(scope="module")
def whole(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "features"
    extract(manifest, folder, params())
    return folder


@pytest.fixture
def halves(manifest: Path, tmp_path: Path) -> Path:
    return extract_parts(manifest, tmp_path / "parts", range(2), 2)


@pytest.mark.parametrize("of", [1, 2, 3, 8])
def test_merged_parts_are_the_store_of_one_extract(
    manifest: Path, whole: Path, tmp_path: Path, of: int
) -> None:
    parts = extract_parts(manifest, tmp_path / "parts", range(of), of)
    metrics = merge(parts, tmp_path / "features")
    assert content(tmp_path / "features") == content(whole)
    assert metrics == json.loads((whole / "metrics.json").read_text())
    assert not (tmp_path / "features.partial").exists()
    held = [len(list((parts / f"part-{k}").glob("*.safetensors"))) for k in range(of)]
    assert sum(held) == 5  # the shard without samples has no file
    assert max(held) <= -(-6 // of)


def test_the_statistics_are_those_of_the_training_samples(halves: Path, tmp_path: Path) -> None:
    """Against NumPy on the tensors themselves: equal to one extract would not tell if both were wrong."""
    merge(halves, tmp_path / "features")
    store = FeatureStore.open(tmp_path / "features")
    train = store.rows("train")
    assert 0 < len(train) < len(store) == 13
    sound = store.gather("audio", train).double().numpy()
    assert store.inputs["audio"].mean == pytest.approx([sound.mean()], rel=1e-12)
    assert store.inputs["audio"].std == pytest.approx([sound.std()], rel=1e-12)
    touch = store.gather("touch", train).double().numpy()
    assert store.inputs["touch"].mean == pytest.approx(touch.mean(0).tolist(), rel=1e-12)
    assert store.inputs["touch"].std == pytest.approx(touch.std(0).tolist(), rel=1e-12)
    assert store.sample_ids == [f"s{k}" for k in range(17) if k not in BROKEN]


def test_a_part_decodes_its_own_samples_only(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    real = stage.extracted

    def listed(tasks: Any, *rest: Any) -> Any:
        seen.extend(row.paths["audio"].partition(".")[0] for task in tasks for row in task)
        return real(tasks, *rest)

    monkeypatch.setattr(stage, "extracted", listed)
    extract_parts(manifest, tmp_path / "parts", [1], 3)
    assert set(seen) <= {"3", "4", "5", "12", "13", "14"}
    assert {"13", "14"} <= set(seen)


def test_merging_needs_neither_media_nor_the_manifest(halves: Path, whole: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(halves, moved)
    shutil.rmtree(halves)
    merge(moved, tmp_path / "features")
    assert content(tmp_path / "features") == content(whole)
    assert (tmp_path / "features/params.yaml").read_text().count("part: null") == 1


def test_a_part_is_no_feature_store(halves: Path) -> None:
    with pytest.raises(DataError, match="it is one part of a store; run merge"):
        FeatureStore.open(halves / "part-0")


def test_too_many_broken_clips_are_counted_over_all_parts(manifest: Path, tmp_path: Path) -> None:
    """Four of 17 are broken, three of them in one part: each part alone stays below, together they do not."""
    limit = {"max_rejected_fraction": 0.2}  # 3.4 samples
    parts = extract_parts(manifest, tmp_path / "parts", range(2), 4, **limit)
    extract_parts(manifest, tmp_path / "parts", range(2, 4), 4, **limit)
    with pytest.raises(
        DataError, match=r"4 of 17 samples rejected \(23\.5%\), more than .* allows \(20\.0%\)"
    ):
        merge(parts, tmp_path / "features", **limit)
    assert not (tmp_path / "features").exists()
    assert len((tmp_path / "features.partial/rejected.csv").read_text().splitlines()) == 5
    with pytest.raises(DataError, match=r"3 of 17 samples rejected"):  # hopeless whatever the others hold
        extract_parts(manifest, tmp_path / "other", [1], 4, max_rejected_fraction=0.1)


def test_a_class_without_training_sample_is_noticed_when_merged(manifest: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(manifest, tmp_path / "manifest")
    for k in (1, 9):  # class b trains on 1, 3, 9, 11; 3 is broken
        (folder / f"{k}.wav").write_bytes(b"")
    (folder / "11.wav").write_bytes(b"")
    parts = extract_parts(folder, tmp_path / "parts", range(2), 2, max_rejected_fraction=0.9)
    with pytest.raises(DataError, match=r"rejected\.csv: class 'b' has no training sample left"):
        merge(parts, tmp_path / "features", max_rejected_fraction=0.9)


def _lose(parts: Path, manifest: Path) -> None:
    shutil.rmtree(parts / "part-1")


def _repeat(parts: Path, manifest: Path) -> None:
    shutil.copytree(parts / "part-1", parts / "again")


def _other_params(parts: Path, manifest: Path) -> None:
    extract_parts(manifest, parts, [1], 2, shard_size=4)


def _other_count(parts: Path, manifest: Path) -> None:
    extract_parts(manifest, parts, [2], 3)


def _other_manifest(parts: Path, manifest: Path) -> None:
    folder = shutil.copytree(manifest, parts.with_name("changed"))
    table = folder / "manifest.csv"
    table.write_text(table.read_text().replace(",g1,", ",g9,", 1))
    extract_parts(folder, parts, [1], 2)


def _other_code(parts: Path, manifest: Path) -> None:
    file = parts / "part-1/part.json"
    raw = json.loads(file.read_text())
    raw["origin"]["code"] = "0" * 16
    file.write_text(json.dumps(raw))


def _flip(parts: Path, manifest: Path) -> None:
    shard = parts / "part-1/shard-00003.safetensors"
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)


def _no_shard(parts: Path, manifest: Path) -> None:
    (parts / "part-1/shard-00003.safetensors").unlink()


def _cut(parts: Path, manifest: Path) -> None:
    file = parts / "part-1/part.json"
    file.write_text(file.read_text()[:100])


def _leads_out(parts: Path, manifest: Path) -> None:
    (parts.parent / "mine.safetensors").write_bytes((parts / "part-1/shard-00003.safetensors").read_bytes())
    file = parts / "part-1/part.json"
    file.write_text(file.read_text().replace('"shard-00003.safetensors"', '"../../mine.safetensors"'))


def _none(parts: Path, manifest: Path) -> None:
    for folder in parts.iterdir():
        folder.rename(folder.with_name(f"{folder.name}.partial"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_lose, r"parts: of 2 parts, missing: 1 \(counted from 0\)"),
        (_repeat, r"parts: part 1 of 2 is given twice, in again and part-1"),
        (
            _other_params,
            r"part-1: made from other parameters of extract than .*part-0; extract the parts again",
        ),
        (_other_count, r"part-2: made from another number of parts than .*part-0"),
        (_other_manifest, r"part-1: made from another manifest than .*part-0"),
        (_other_code, r"part-1: made from other code than .*part-0"),
        (_flip, r"part-1/shard-00003\.safetensors: is damaged"),
        (_no_shard, r"part-1/shard-00003\.safetensors: is missing"),
        (_cut, r"part-1/part\.json: is not JSON .*; extract this part again"),
        (_leads_out, r"part-1/part\.json: .*; extract this part again"),
        (_none, r"parts: no folder in it holds a part of a feature store; run extract with extract\.part"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_be_merged_is_one_line(
    manifest: Path, halves: Path, tmp_path: Path, spoil: Any, message: str
) -> None:
    spoil(halves, manifest)
    with pytest.raises(DataError, match=message) as caught:
        merge(halves, tmp_path / "features")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "features").exists()


def test_merge_asks_for_the_parameters_of_the_parts(halves: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="part-0: made with other parameters of extract than those given now"):
        merge(halves, tmp_path / "features", shard_size=5)


def test_a_part_may_be_written_as_a_fraction() -> None:
    assert extract_params(WANTS, part="2/3").extract.part == Part(index=2, of=3)
    with pytest.raises(ValueError, match="index is 3, and the last of 3 parts is 2"):
        extract_params(WANTS, part="3/3")


def test_linked_shards_read_back(halves: Path, whole: Path, tmp_path: Path) -> None:
    """Also through links to the parts or to their files, as a cluster hands them over; the store holds no link."""
    links = tmp_path / "links"
    (links / "0").mkdir(parents=True)
    for path in (halves / "part-0").iterdir():
        (links / "0" / path.name).symlink_to(path)
    (links / "1").symlink_to(halves / "part-1")
    merge(links, tmp_path / "features")
    shutil.rmtree(links)
    shutil.rmtree(halves)
    found, expected = FeatureStore.open(tmp_path / "features"), FeatureStore.open(whole)
    assert torch.equal(found.gather("visual", torch.arange(13)), expected.gather("visual", torch.arange(13)))
