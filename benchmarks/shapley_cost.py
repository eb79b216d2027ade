"""Shapley contributions on cached features, in passes over the data, and against a pass for every coalition.

A pass loads a split from the store and encodes it. The cost is (pass + Shapley) / pass: 1.0 would be free. The other
way, which needs no cache, masks inputs and runs the whole model for each of the 2^M coalitions. The encoders are small
ones, whose pass is cheap: larger ones make both ratios better. Above six modalities orders are sampled.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ambidex.configuration.values import Choice
from ambidex.data.kinds import Wants
from ambidex.data.kinds.frames import Frames
from ambidex.data.kinds.log_mel import LogMel
from ambidex.data.store.reading import FeatureStore
from ambidex.net.contributions.coalitions import absent_features, shapley_contributions
from ambidex.net.contributions.shapley import EXACT_UP_TO, Coalition, coalitions
from ambidex.net.contributions.shapley import shapley as exact_shapley
from ambidex.net.model import Architecture, MultimodalNet
from benchmarks.data import make_store
from benchmarks.rows import Row, row
from benchmarks.scale import Scale, sized
from benchmarks.timing import Seconds, in_turns

LIMIT = 1.25
SOUND = LogMel.of(sample_rate=8_000, seconds=1, n_fft=256, hop=128, n_mels=32)
FRAMES = Frames.of(count=3, size=32)
WANTS: dict[int, Wants] = {
    2: {"audio": SOUND, "visual": FRAMES},
    3: {"audio": SOUND, "visual": FRAMES, "touch": SOUND},
    8: {f"sound{i}": SOUND for i in range(8)},
}
"""the inputs of the shipped params.yaml, a third modality, and so many that orders are sampled"""
HEADS = {2: ("concat", "gated"), 3: ("concat",), 8: ("gated",)}
BATCH = 256


@dataclass(frozen=True)
class Size:
    """Samples in the split, repetitions."""

    samples: int
    repetitions: int


SIZES = {"full": Size(512, 5), "quick": Size(256, 3), "tiny": Size(4, 1)}


def measure(scale: Scale) -> list[Row]:
    """Rows for additive and other heads, for two, three and eight modalities."""
    size = sized(SIZES, scale)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="ambidex-bench-") as folder:
        for count, wants in WANTS.items():
            store = make_store(Path(folder) / str(count), wants, {"train": size.samples})
            for fusion in HEADS[count]:
                note = f"{count} modalities, {fusion}, small_cnn, {size.samples} samples"
                rows += _rows(count, fusion, _taken(store, fusion, size.repetitions), note)
    return rows


def _rows(count: int, fusion: str, taken: dict[str, Seconds], note: str) -> list[Row]:
    cached = taken["pass"] + taken["shapley"]
    limit = LIMIT if count <= EXACT_UP_TO else None
    name = f"{count} modalities, {fusion}"
    rows = [row(f"Shapley, {name} (passes)", cached / taken["pass"], limit=limit, note=note)]
    if "masked" in taken:
        times = taken["masked"] / cached
        rows.append(
            row(
                f"2^M passes / Shapley, {name}",
                times,
                limit=2**count / LIMIT,
                at_least=True,
                note=f"masked inputs, {note}",
            )
        )
    return rows


def _taken(store: FeatureStore, fusion: str, repetitions: int) -> dict[str, Seconds]:
    """Seconds of a pass, of Shapley on its features and, where all coalitions are valued, of a pass for each."""
    torch.manual_seed(0)
    inputs = store.inputs
    encoders = dict.fromkeys(inputs, Choice(name="small_cnn"))
    model = MultimodalNet(Architecture(inputs, encoders, Choice(name=fusion), store.classes)).eval()
    features = _one_pass(model, store)

    def shapley() -> None:
        background = absent_features({"train": features}, features, "mean")
        shapley_contributions(model, features, background)

    def masked() -> None:
        values = {s: _masked_pass(model, store, s) for s in coalitions(model.modalities)}
        exact_shapley(values, model.modalities)

    tasks = {"pass": lambda: _one_pass(model, store), "shapley": shapley}
    if len(inputs) <= EXACT_UP_TO:
        tasks["masked"] = masked
    with torch.inference_mode():
        return in_turns(tasks, repetitions)


@torch.inference_mode()
def _masked_pass(model: MultimodalNet, store: FeatureStore, coalition: Coalition) -> Tensor:
    """z(S) [N, C] without a cache: the inputs of the others are zero."""
    parts = []
    for rows in torch.split(store.rows("train"), BATCH):
        given = {m: store.gather(m, rows) for m in model.modalities}
        parts.append(model({m: x if m in coalition else torch.zeros_like(x) for m, x in given.items()}))
    return torch.cat(parts)


@torch.inference_mode()
def _one_pass(model: MultimodalNet, store: FeatureStore) -> dict[str, Tensor]:
    parts = [
        model.encode({m: store.gather(m, rows) for m in model.modalities})
        for rows in torch.split(store.rows("train"), BATCH)
    ]
    return {m: torch.cat([part[m] for part in parts]) for m in model.modalities}
