"""The feature store gives back what went in, from mapped memory, and notices damage."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ambidex import cli
from ambidex.base.errors import DataError
from ambidex.base.files import sha256
from ambidex.data.store import mapped as mapped_module
from ambidex.data.store import reading as store_module
from ambidex.data.store import verified
from ambidex.data.store.reading import FeatureStore
from helpers.manifests import extract, extract_params, write_manifest
from helpers.media import write_image

TABLE = np.random.default_rng(0).normal(3, 2, (16, 5)).astype(np.float32)
PICTURES = np.random.default_rng(1).integers(0, 256, (16, 8, 8, 3)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store of 16 samples in shards of 6, 6 and 4."""
    manifest = tmp_path / "manifest"
    manifest.mkdir()
    np.save(manifest / "table.npy", TABLE)
    for k, picture in enumerate(PICTURES):
        write_image(manifest / f"{k}.png", picture)
    rows = [{"view": f"table.npy[{k}]", "eye": f"{k}.png"} for k in range(16)]
    modalities = {"view": {"kind": "vector"}, "eye": {"kind": "frames", "count": 1, "size": 8}}
    params = extract_params(modalities, shard_size=6)
    extract(write_manifest(manifest, rows), tmp_path / "features", params)
    return tmp_path / "features"


@pytest.mark.parametrize("small", [0, 2**20])
@pytest.mark.parametrize("rows", [list(range(16)), [15, 0, 6, 5, 6, 12], [3], []])
def test_gather_gives_the_rows_asked_for_in_order(
    folder: Path, rows: list[int], small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped_module, "_SMALL_ROW", small)
    store = FeatureStore.open(folder)
    view, eye = (store.gather(name, torch.tensor(rows, dtype=torch.int64)) for name in ("view", "eye"))
    assert torch.equal(view, torch.from_numpy(TABLE[rows]))
    assert torch.equal(eye, torch.from_numpy(PICTURES[rows].transpose(0, 3, 1, 2))[:, None])
    assert (view.dtype, eye.dtype) == (torch.float32, torch.uint8)
    view.zero_()  # a copy: the store is untouched
    assert torch.equal(store.gather("view", torch.tensor([0])), torch.from_numpy(TABLE[:1]))


def test_rows_are_the_callers_own(folder: Path) -> None:
    store = FeatureStore.open(folder)
    store.rows("train").zero_()
    assert store.rows("train").tolist() == [0, 1, 2, 3, 8, 9, 10, 11]


def test_what_is_known_about_the_samples(folder: Path) -> None:
    store = FeatureStore.open(folder)
    assert store.modalities == ("view", "eye")  # the order of the parameters, not of the alphabet
    assert store.inputs["view"].shape == (5,)
    assert store.inputs["eye"].shape == (1, 3, 8, 8)
    assert store.sample_ids == [f"s{k}" for k in range(16)]
    assert store.labels.tolist() == [0, 1] * 8
    assert store.rows("train").tolist() == [0, 1, 2, 3, 8, 9, 10, 11]
    assert store.rows("val").tolist() == [4, 5, 12, 13]
    assert store.groups[:4] == ["g0", "g1", "g2", "g0"]
    assert store.info["counts"] == {"train": 8, "val": 4, "test": 4}
    assert [shard["samples"] for shard in store.info["shards"]] == [6, 6, 4]
    assert len(store) == 16


def test_statistics_are_those_of_the_training_split(folder: Path) -> None:
    store = FeatureStore.open(folder)
    train = store.rows("train").numpy()
    np.testing.assert_allclose(store.inputs["view"].mean, TABLE[train].astype(float).mean(0), rtol=1e-9)
    np.testing.assert_allclose(store.inputs["view"].std, TABLE[train].astype(float).std(0), rtol=1e-9)
    np.testing.assert_allclose(store.inputs["eye"].mean, (PICTURES[train] / 255).mean((0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(store.inputs["eye"].std, (PICTURES[train] / 255).std((0, 1, 2)), rtol=1e-9)


def test_a_flipped_byte_in_a_shard_is_found(folder: Path) -> None:
    file = folder / "shard-00001.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(
        DataError, match=r"shard-00001\.safetensors: is damaged .* run extract again"
    ) as caught:
        FeatureStore.open(folder)
    assert "\n" not in str(caught.value)
    assert len(FeatureStore.open(folder, verify=False)) == 16  # at one's own risk


def test_a_flipped_byte_is_found_after_the_store_was_verified(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verified, "SETTLED", -1.0)
    reads = []
    monkeypatch.setattr(store_module, "sha256", lambda path: reads.append(path.name) or sha256(path))
    for _ in range(2):
        FeatureStore.open(folder)
    assert sorted(reads) == ["samples.csv", *(f"shard-0000{k}.safetensors" for k in range(3))]
    file = folder / "shard-00001.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(DataError, match=r"shard-00001\.safetensors: is damaged"):
        FeatureStore.open(folder)


def test_verify_reads_a_store_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verified, "SETTLED", -1.0)
    FeatureStore.open(folder)
    reads = []
    monkeypatch.setattr(store_module, "sha256", lambda path: reads.append(path) or sha256(path))
    assert cli.main(["verify", str(folder)]) == 0
    assert len(reads) == 4
    assert "16 samples in 3 shards" in capsys.readouterr().out
    file = folder / "shard-00001.safetensors"
    file.write_bytes(b"x" * file.stat().st_size)
    assert cli.main(["verify", str(folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "shard-00001.safetensors: is damaged" in line


@pytest.mark.parametrize("verify", [True, False])
def test_a_cut_missing_or_foreign_file_is_found(folder: Path, verify: bool) -> None:
    file = folder / "shard-00002.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    with pytest.raises(DataError, match=r"shard-00002\.safetensors: has \d+ bytes, expected \d+"):
        FeatureStore.open(folder, verify)
    file.write_bytes(b"x" * len(whole))
    with pytest.raises(DataError, match=r"shard-00002\.safetensors: is .* run extract"):
        FeatureStore.open(folder, verify)
    file.unlink()
    with pytest.raises(DataError, match=r"shard-00002\.safetensors: cannot be read"):
        FeatureStore.open(folder, verify)


def test_a_changed_index_is_found(folder: Path, tmp_path: Path) -> None:
    index = folder / "index.json"
    info = json.loads(index.read_text())
    for change, message in (
        ({"version": 99}, "store version 99, expected 3"),
        ({"classes": ["b", "a"]}, "fingerprint does not fit"),
        ({"shards": []}, "fingerprint does not fit"),
    ):
        index.write_text(json.dumps({**info, **change}))
        with pytest.raises(DataError, match=message):
            FeatureStore.open(folder)
    index.write_text("{")
    with pytest.raises(DataError, match=r"is not JSON .* run extract again"):
        FeatureStore.open(folder)
    with pytest.raises(DataError, match="no feature store here"):
        FeatureStore.open(tmp_path)


@pytest.mark.parametrize("name", ["../shard-00000.safetensors", "/etc/passwd", "", 7, None])
def test_a_file_outside_the_store_is_never_opened(folder: Path, name: object) -> None:
    """Also where somebody made the fingerprint fit again."""
    index = folder / "index.json"
    info = json.loads(index.read_text())
    info["shards"][0]["file"] = name
    info["fingerprint"] = store_module.store_fingerprint(info)
    index.write_text(json.dumps(info))
    with pytest.raises(
        DataError, match=r"index\.json: shards\.0\.file: .*expected .*run extract again"
    ) as caught:
        FeatureStore.open(folder)
    assert "\n" not in str(caught.value)


def test_a_modality_whose_name_is_a_path_is_refused(folder: Path) -> None:
    """Charts and tables have it in their file names."""
    index = folder / "index.json"
    info = json.loads(index.read_text())
    old = info["order"][0]
    info["order"][0], info["modalities"]["../x"] = "../x", info["modalities"].pop(old)
    info["fingerprint"] = store_module.store_fingerprint(info)
    index.write_text(json.dumps(info))
    with pytest.raises(
        DataError, match=r"index\.json: order\.0: got '\.\./x', expected a name .*in the same folder"
    ):
        FeatureStore.open(folder)


def test_opening_and_gathering_touch_only_the_rows_asked_for(tmp_path: Path) -> None:
    """Memory grows by far less than the store: 48 MiB mapped, one row read."""
    manifest = tmp_path / "manifest"
    write_image(manifest / "a.png", np.zeros((64, 64, 3), np.uint8))
    params = extract_params({"eye": {"kind": "frames", "count": 4, "size": 512}}, shard_size=4)
    extract(write_manifest(manifest, [{"eye": "a.png"}] * 16), tmp_path / "features", params)
    before = _resident()
    store = FeatureStore.open(tmp_path / "features")
    row = store.gather("eye", torch.tensor([7]))
    assert row.shape == (1, 4, 3, 512, 512)
    assert _resident() - before < 24 * 2**20


def _resident() -> int:
    """Resident bytes of this process."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    except OSError:
        pytest.skip("needs /proc/self/statm")


def test_a_view_has_other_splits_and_its_own_statistics(folder: Path) -> None:
    store = FeatureStore.open(folder)
    train, held = torch.tensor([0, 5, 7, 12, 15]), torch.tensor([1, 2])
    view = store.with_splits({"train": train, "held": held})
    assert view.rows("train").tolist() == train.tolist()
    assert view.rows("held").tolist() == held.tolist()
    assert not len(view.rows("test"))
    assert view.gather("view", torch.tensor([5])).equal(torch.from_numpy(TABLE[[5]]))
    chosen = TABLE[train.numpy()].astype(float)
    np.testing.assert_allclose(view.inputs["view"].mean, chosen.mean(0), rtol=1e-9)
    np.testing.assert_allclose(view.inputs["view"].std, chosen.std(0), rtol=1e-9)
    pictures = PICTURES[train.numpy()] / 255
    np.testing.assert_allclose(view.inputs["eye"].mean, pictures.mean((0, 1, 2)), rtol=1e-9)
    assert view._mapped is store._mapped  # no byte of the shards is copied
    assert len({store.fingerprint, view.fingerprint, store.with_splits({"train": held}).fingerprint}) == 3
    assert store.rows("train").tolist() == [0, 1, 2, 3, 8, 9, 10, 11]  # the store itself is as it was
    assert store.inputs["view"].mean != view.inputs["view"].mean


def test_a_view_with_a_row_on_both_sides_or_without_training_is_refused(folder: Path) -> None:
    store = FeatureStore.open(folder)
    with pytest.raises(DataError, match="row 3 stands in both 'train' and 'held'"):
        store.with_splits({"train": torch.tensor([1, 3]), "held": torch.tensor([3])})
    with pytest.raises(DataError, match="split 'train' has no samples"):
        store.with_splits({"held": torch.tensor([3])})
