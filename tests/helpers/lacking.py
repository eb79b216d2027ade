"""Samples of two vectors, some of which lack one, as a user would write them."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

SIZES = {"train": 60, "val": 30, "test": 30}
CLASSES = ("red", "green", "blue")


def lacks(i: int) -> str:
    """Which modality sample i lacks."""
    return "left" if i % 5 == 2 else "right" if i % 7 == 3 else ""


def write_data(folder: Path) -> Path:
    folder.mkdir(parents=True)
    draws = np.random.default_rng(0)
    total = sum(SIZES.values())
    splits = [split for split, size in SIZES.items() for _ in range(size)]
    labels = np.arange(total) % 3
    rows: list[dict[str, Any]] = []
    for name, spread in (("left", 0.7), ("right", 1.0)):
        np.save(
            folder / f"{name}.npy",
            (2 * np.eye(3, 4)[labels] + spread * draws.normal(size=(total, 4))).astype("f4"),
        )
    for i in range(total):
        cells = {m: "" if m == lacks(i) else f"{m}.npy[{i}]" for m in ("left", "right")}
        rows.append(
            {
                "sample_id": f"s{i}",
                "label": CLASSES[labels[i]],
                "split": splits[i],
                "group": f"{splits[i]}{i % 6}",
                **cells,
            }
        )
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / "manifest.csv"
