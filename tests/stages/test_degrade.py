"""`extract.degrade`: what the store holds and says; the same in any order, parts and number of processes."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ambidex import stages
from ambidex.base.errors import ParamsError
from ambidex.configuration.params import Params
from ambidex.data.store.reading import FeatureStore
from ambidex.resolve import parse_params
from helpers.manifests import extract, extract_params, write_manifest
from helpers.media import tone, write_image, write_wav

WANTS = {
    "audio": {"kind": "log_mel", "seconds": 0.2, "sample_rate": 8_000, "n_fft": 256, "hop": 128, "n_mels": 8},
    "visual": {"kind": "frames", "count": 1, "size": 8},
    "touch": {"kind": "vector"},
}
STEPS = [
    {"modality": "audio", "name": "sound_noise", "snr": -10, "splits": ["test"]},
    {"modality": "visual", "name": "blur", "deviation": 3},
    {"modality": "touch", "name": "feature_noise", "deviation": 2, "splits": ["train", "test"]},
    {"modality": "touch", "name": "absent", "fraction": 0.5, "splits": ["val"]},
]
SAMPLES = 16


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "manifest"
    draws = np.random.default_rng(0)
    rows = []
    for k in range(SAMPLES):
        write_wav(folder / f"{k}.wav", tone(0.2, 8_000, 200 + 90 * k), 8_000)
        write_image(folder / f"{k}.png", draws.integers(0, 255, (8, 8, 3), dtype=np.uint8))
        rows.append({"audio": f"{k}.wav", "visual": f"{k}.png", "touch": f"touch.npz#t[{k}]"})
    np.savez(folder / "touch.npz", t=draws.normal(size=(SAMPLES, 5)) * 10)
    return write_manifest(folder, rows)


def params(
    severity: float = 1.0, seed: int = 0, steps: list[dict[str, Any]] = STEPS, **options: Any
) -> Params:
    degrade = {"severity": severity, "seed": seed, "steps": steps}
    return extract_params(WANTS, shard_size=3, degrade=degrade, **options)


@pytest.fixture(scope="module")
def plain(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return extract(manifest, tmp_path_factory.mktemp("plain") / "f", extract_params(WANTS, shard_size=3))


@pytest.fixture(scope="module")
def weak(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return extract(manifest, tmp_path_factory.mktemp("weak") / "f", params())


def content(store: FeatureStore) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in sorted(store.path.iterdir())
        if path.suffix == ".safetensors" or path.name in ("index.json", "samples.csv")
    }


def changed(one: FeatureStore, other: FeatureStore, modality: str) -> dict[str, list[bool]]:
    """Split -> of each sample, whether it is another."""
    rows = torch.arange(len(one))
    different = (one.gather(modality, rows) != other.gather(modality, rows)).flatten(1).any(dim=1)
    return {split: different[one.rows(split)].tolist() for split in ("train", "val", "test")}


def test_severity_0_is_the_plain_store_to_the_last_byte(
    manifest: Path, plain: FeatureStore, tmp_path: Path
) -> None:
    assert content(extract(manifest, tmp_path / "f", params(severity=0.0))) == content(plain)
    assert content(extract(manifest, tmp_path / "g", params(steps=[]))) == content(plain)


def test_each_step_weakens_its_splits_alone(plain: FeatureStore, weak: FeatureStore) -> None:
    audio, visual, touch = (changed(plain, weak, name) for name in WANTS)
    assert audio == {"train": [False] * 8, "val": [False] * 4, "test": [True] * 4}
    assert all(all(split) for split in visual.values())
    assert all([*touch["train"], *touch["test"]])
    assert sum(touch["val"]) == 2
    assert weak.present["touch"][weak.rows("val")].tolist() == [not gone for gone in touch["val"]]


def test_noise_on_features_is_in_deviations_of_the_undegraded_training_samples(
    manifest: Path, plain: FeatureStore, tmp_path: Path
) -> None:
    step = {"modality": "touch", "name": "feature_noise", "deviation": 2}
    alone = {"touch": WANTS["touch"]}
    stores = [
        extract(
            manifest, tmp_path / str(seed), extract_params(alone, degrade={"seed": seed, "steps": [step]})
        )
        for seed in range(12)
    ]
    rows = torch.arange(SAMPLES)
    noise = torch.stack([store.gather("touch", rows) - plain.gather("touch", rows) for store in stores])
    given = np.load(manifest / "touch.npz")["t"][plain.rows("train")].std(axis=0)
    np.testing.assert_allclose(noise.std(dim=(0, 1)), 2 * given, rtol=0.15)


def test_protocol_fingerprint_and_index_say_it(
    plain: FeatureStore, weak: FeatureStore, manifest: Path
) -> None:
    words = (
        "degraded at severity 1: audio sound_noise (snr -10) in test; visual blur (deviation 3); "
        "touch feature_noise (deviation 2) in train, test; touch absent (fraction 0.5, by sample) in val"
    )
    assert weak.info["degraded"] == words
    assert weak.info["protocol"] == f"made up; {words}"
    assert weak.info["extract"]["degrade"]["steps"][0]["snr"] == -10
    assert weak.fingerprint != plain.fingerprint
    assert "degraded" not in plain.info
    assert "degrade" not in plain.info["extract"]
    assert json.loads((weak.path / "card.json").read_text())["data"]["degraded"] == words


def test_a_sample_is_weakened_alike_in_any_order_parts_and_number_of_processes(
    manifest: Path, weak: FeatureStore, tmp_path: Path
) -> None:
    for index in range(2):
        one = params(part={"index": index, "of": 2})
        stages.run("extract", one, {"manifest": manifest}, {"features": tmp_path / f"parts/{index}"})
    stages.run("merge", params(), {"parts": tmp_path / "parts"}, {"features": tmp_path / "merged"})
    assert content(FeatureStore.open(tmp_path / "merged")) == content(weak)
    turned = shutil.copytree(manifest, tmp_path / "turned")
    head, *rows = (turned / "manifest.csv").read_text().splitlines()
    (turned / "manifest.csv").write_text("\n".join([head, *rows[::-1]]) + "\n")
    other = extract(turned, tmp_path / "other", params(workers=2))
    places = torch.tensor([other.sample_ids.index(name) for name in weak.sample_ids])
    for name in ("audio", "visual"):
        assert torch.equal(other.gather(name, places), weak.gather(name, torch.arange(SAMPLES)))
    torch.testing.assert_close(other.gather("touch", places), weak.gather("touch", torch.arange(SAMPLES)))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            {"modality": "smell", "name": "blur"},
            "degrade.steps.0.modality: no modality 'smell'; allowed: audio, ",
        ),
        (
            {"modality": "audio", "name": "blur"},
            "steps.0.name: 'blur' is nothing for audio .log_mel.; allowed: absent",
        ),
        (
            {"modality": "audio", "name": "sound_nose"},
            "steps.0.name: got 'sound_nose'; did you mean 'sound_noise'",
        ),
        (
            {"modality": "visual", "name": "blur", "sigma": 1},
            "steps.0.sigma: unknown key; allowed: deviation, ",
        ),
        ({"modality": "visual", "name": "blur", "deviation": -1}, "steps.0.deviation: got -1, expected"),
        (
            {"modality": "visual", "name": "blur", "deviation": True},
            "steps.0.deviation: got true, expected a number",
        ),
        (
            {"modality": "visual", "name": "blur", "splits": ["tests"]},
            "steps.0.splits.0: got 'tests'; did you mean",
        ),
        ({"modality": "visual"}, "steps.0.name: missing; allowed: "),
    ],
)
def test_a_wrong_step_is_one_line(step: dict[str, Any], message: str) -> None:
    raw = {
        "extract": {"modalities": WANTS, "degrade": {"steps": [step]}},
        "model": {"encoders": {name: {"name": "mlp"} for name in WANTS}},
    }
    with pytest.raises(ParamsError, match=message) as error:
        parse_params(raw)
    assert "\n" not in str(error.value)


def test_a_class_that_no_sample_has_is_one_line(manifest: Path, tmp_path: Path) -> None:
    """Else nothing is taken, and the protocol says that it is."""
    steps = [STEPS[1], {"modality": "audio", "name": "absent", "classes": ["kat"]}]
    with pytest.raises(ParamsError, match=r"^extract\.degrade\.steps\.1\.classes: no class 'kat'; "):
        extract(manifest, tmp_path / "f", params(steps=steps))
