"""A small run on disk: two modalities of ready vectors, prepared and extracted by the real stages."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from ambidex.base.files import write_csv, write_json
from ambidex.base.layout import Layout
from ambidex.configuration.optimisation import PLAIN_LOOP
from ambidex.configuration.params import Params
from ambidex.resolve import parse_params
from ambidex.stages import run

CLASSES = ("red", "green", "blue")
SIZES = {"train": 60, "val": 30, "test": 30}


def raw_params(**sections: Any) -> dict[str, Any]:
    """Parameters of the small run; `sections` are merged into the sections of the same name."""
    loop = {**PLAIN_LOOP, "epochs": 3, "batch_size": 16, "learning_rate": 0.01}
    raw: dict[str, Any] = {
        "extract": {
            "modalities": {"left": {"kind": "vector"}, "right": {"kind": "vector"}},
            "shard_size": 50,
        },
        "model": {"encoders": {m: {"name": "mlp", "hidden": [16], "dim": 8} for m in ("left", "right")}},
        "pretrain": dict(loop),
        "train": {**loop, "regime": "scratch"},
        "evaluate": {"resamples": 100},
        "compare": {"resamples": 100},
        "runtime": {"accelerator": "cpu", "threads": 1},
    }
    for name, section in sections.items():
        raw[name] = {**raw.get(name, {}), **section}
    return raw


def small_params(**sections: Any) -> Params:
    """raw_params, validated."""
    return parse_params(raw_params(**sections))


def write_params(path: Path, **sections: Any) -> Path:
    """raw_params as a YAML file."""
    path.write_text(yaml.safe_dump(raw_params(**sections)))
    return path


def write_manifest(layout: Layout, seed: int = 0) -> None:
    """A manifest of made-up vectors: `left` tells all classes apart with noise, `right` more weakly."""
    draws = np.random.default_rng(seed)
    total = sum(SIZES.values())
    labels = np.arange(total) % len(CLASSES)
    arrays = {}
    for modality, spread in (("left", 1.0), ("right", 2.0)):
        centres = draws.normal(size=(len(CLASSES), 6)) * 2
        arrays[modality] = (centres[labels] + draws.normal(size=(total, 6)) * spread).astype(np.float32)
    splits = [split for split, size in SIZES.items() for _ in range(size)]
    groups = [f"{split}-{i % 5}" for i, split in enumerate(splits)]
    write_vectors(layout, arrays, labels, splits, groups, f"made-up-{seed}")


def write_vectors(
    layout: Layout,
    arrays: Mapping[str, NDArray[np.float32]],
    labels: Sequence[int],
    splits: Sequence[str],
    groups: Sequence[str],
    fingerprint: str,
) -> None:
    """A manifest of vectors: modality -> [N, D], and of each sample its class number, split and group."""
    folder = layout.manifest
    folder.mkdir(parents=True)
    np.savez(folder / "vectors.npz", **arrays)
    rows = [
        {
            "sample_id": f"s{i:03d}",
            "label": CLASSES[labels[i]],
            "split": splits[i],
            "group": groups[i],
            **{m: f"vectors.npz#{m}[{i}]" for m in arrays},
        }
        for i in range(len(labels))
    ]
    write_csv(folder / "manifest.csv", rows)
    facts = {
        "dataset": "made_up",
        "classes": list(CLASSES),
        "modalities": list(arrays),
        "root": None,
        "protocol": "groups disjoint",
        "leaky": False,
        "truth": {},
        "notes": [],
        "fingerprint": fingerprint,
    }
    write_json(folder / "dataset.json", facts)


def extracted(root: Path, params: Params | None = None) -> Layout:
    """A run folder with manifest and feature store."""
    layout = Layout(root)
    write_manifest(layout)
    run("extract", params or small_params(), {"manifest": layout.manifest}, {"features": layout.features})
    return layout


def pretrained(layout: Layout, params: Params, seed: int = 0) -> None:
    """Add the unimodal classifiers of one seed."""
    for modality in params.modalities:
        section = params.pretrain.model_copy(update={"modality": modality, "seed": seed})
        chosen = params.model_copy(update={"pretrain": section})
        run("pretrain", chosen, {"features": layout.features}, {"encoder": layout.encoder(modality, seed)})
