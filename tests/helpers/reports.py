"""A report folder as evaluate writes it, from made-up logits and contributions."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from ambidex.base.files import write_json
from ambidex.base.statistics import summary
from ambidex.report.predictions import Predictions, probabilities
from ambidex.report.study.cells import CACHE_FILE, DIAGNOSIS_FILE


def write_evaluation(
    folder: Path,
    cell: tuple[str, str, int],
    labels: torch.Tensor,
    classes: tuple[str, ...],
    said: dict[str, dict[str, torch.Tensor]],
    *,
    contributions: dict[str, torch.Tensor] | None = None,
    diagnosis: dict[str, Any] | None = None,
    allocators: dict[str, dict[str, Any]] | None = None,
    metrics: dict[str, Any] | None = None,
    ids: list[str] | None = None,
    **card: Any,
) -> Path:
    """`said`: kind (allocator, branch, probe, unimodal) -> name -> logits [N, C].

    `allocators`: what stands in details.json for an allocator besides its numbers on test (`refused` alone).
    """
    folder.mkdir(parents=True)
    everything: dict[str, torch.Tensor] = {}
    for kind, logits in said.items():
        everything |= probabilities(logits, kind)
    samples = ids or [f"s{i}" for i in range(len(labels))]
    Predictions(samples, samples, classes, labels, everything).write(folder, "allocator/uniform")
    told: dict[str, dict[str, Any]] = {
        name: {**summary(z, labels), "decision_imbalance": 0.25} for name, z in said["allocator"].items()
    }
    for name, extra in (allocators or {}).items():
        told[name] = {**told.get(name, {}), **extra}
    alone = {
        m: {"val": summary(z, labels), "test": summary(z, labels)}
        for m, z in said.get("unimodal", {}).items()
    }
    known = {"allocators": told, "unimodal": alone, "joint_probe_accuracy": 0.9, **(metrics or {})}
    write_json(folder / "details.json", known)
    if contributions:
        held = {f"test/contributions/{m}": z.contiguous() for m, z in contributions.items()}
        save_file(held, folder / CACHE_FILE)
    if diagnosis:
        write_json(folder / DIAGNOSIS_FILE, diagnosis)
    method, regime, seed = cell
    facts = {"method": method, "regime": regime, "seed": seed, "features": "store-1", "protocol": "made up"}
    facts |= {
        "modalities": ["left", "right"],
        "allocators": list(told),
        "headline": "modality",
        "classes": classes,
    }
    write_json(folder / "card.json", {**facts, "leaky": False, "selection": "val_nll", **card})
    return folder
