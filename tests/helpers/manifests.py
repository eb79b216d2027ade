"""Manifests written by hand, and extraction of them, for tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ambidex import stages
from ambidex.base.files import write_csv, write_json
from ambidex.configuration.params import Params
from ambidex.data.store.reading import FeatureStore

SPLITS = ("train", "train", "val", "test")


def write_manifest(
    folder: Path, rows: Sequence[dict[str, Any]], classes: Sequence[str] = ("a", "b"), **facts: Any
) -> Path:
    """Write manifest.csv and dataset.json. Rows hold the modalities' cells; the rest is filled in where missing.

    Without a label, classes alternate; splits go round train, train, val, test for each class.
    """
    full = [
        {
            "sample_id": f"s{k}",
            "label": classes[k % len(classes)],
            "split": SPLITS[k // len(classes) % 4],
            "group": f"g{k % 3}",
            **row,
        }
        for k, row in enumerate(rows)
    ]
    write_csv(folder / "manifest.csv", full)
    known = {
        "dataset": "by hand",
        "protocol": "made up",
        "leaky": False,
        "truth": None,
        "notes": [],
        "root": None,
    }
    modalities = [name for name in full[0] if name not in ("sample_id", "label", "split", "group")]
    write_json(
        folder / "dataset.json",
        {**known, "classes": list(classes), "modalities": modalities, "fingerprint": "hand", **facts},
    )
    return folder


def extract_params(modalities: dict[str, Any], **options: Any) -> Params:
    encoders = {name: {"name": "mlp"} for name in modalities}
    return Params.model_validate(
        {"extract": {"modalities": modalities, "workers": 1, **options}, "model": {"encoders": encoders}}
    )


def extract(manifest: Path, features: Path, params: Params) -> FeatureStore:
    """Run the stage and open what it wrote."""
    stages.run("extract", params, {"manifest": manifest}, {"features": features})
    return FeatureStore.open(features)
