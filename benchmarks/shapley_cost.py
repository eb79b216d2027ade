"""Shapley contributions on cached features, in passes over the data.

A pass loads a split from the store and encodes it. The cost is (pass + Shapley) / pass: 1.0 would be free, and
masking inputs needs 2^M passes. The encoders are small ones, whose pass is cheap: larger ones make the ratio better.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ambidex.coalitions import absent_features, shapley_contributions
from ambidex.encoders import InputSpec
from ambidex.media.extraction import Wants
from ambidex.media.store import FeatureStore
from ambidex.model import Architecture, ModalityInput, MultimodalNet
from ambidex.params import Choice, Frames, Spectrogram
from benchmarks.data import make_store
from benchmarks.rows import Row, row
from benchmarks.scale import Scale, sized
from benchmarks.timing import Seconds, in_turns

LIMIT = 1.25
SOUND = Spectrogram(kind="log_mel", sample_rate=8_000, seconds=1, n_fft=256, hop=128, n_mels=32)
FRAMES = Frames(kind="frames", count=3, size=32)
WANTS: dict[int, Wants] = {
    2: {"audio": SOUND, "visual": FRAMES},
    3: {"audio": SOUND, "visual": FRAMES, "touch": SOUND},
}
"""the inputs of the shipped params.yaml, and a third modality"""
BATCH = 256


@dataclass(frozen=True)
class Size:
    """Samples in the split, repetitions."""

    samples: int
    repetitions: int


SIZES = {"full": Size(512, 9), "quick": Size(256, 3), "tiny": Size(4, 1)}


def measure(scale: Scale) -> list[Row]:
    """Rows for additive and other heads, for two and three modalities."""
    size = sized(SIZES, scale)
    rows = []
    with tempfile.TemporaryDirectory(prefix="ambidex-bench-") as folder:
        for count, wants in WANTS.items():
            store = make_store(Path(folder) / str(count), wants, {"train": size.samples})
            for fusion in ("concat", "gated") if count == 2 else ("concat",):
                found = _passes(store, fusion, size.repetitions)
                note = f"{count} modalities, {fusion}, small_cnn, {size.samples} samples"
                rows.append(
                    row(f"Shapley, {count} modalities, {fusion} (passes)", found, limit=LIMIT, note=note)
                )
    return rows


def _passes(store: FeatureStore, fusion: str, repetitions: int) -> Seconds:
    torch.manual_seed(0)
    inputs = {
        name: ModalityInput(InputSpec(spec.kind, spec.shape), tuple(spec.mean), tuple(spec.std))
        for name, spec in store.inputs.items()
    }
    encoders = dict.fromkeys(inputs, Choice(name="small_cnn"))
    model = MultimodalNet(Architecture(inputs, encoders, Choice(name=fusion), store.classes)).eval()
    features = _one_pass(model, store)

    def shapley() -> None:
        background = absent_features({"train": features}, features, "mean")
        shapley_contributions(model, features, background)

    with torch.inference_mode():
        taken = in_turns({"pass": lambda: _one_pass(model, store), "shapley": shapley}, repetitions)
    return (taken["pass"] + taken["shapley"]) / taken["pass"]


@torch.inference_mode()
def _one_pass(model: MultimodalNet, store: FeatureStore) -> dict[str, Tensor]:
    parts = [
        model.encode({m: store.gather(m, rows) for m in model.modalities})
        for rows in torch.split(store.rows("train"), BATCH)
    ]
    return {m: torch.cat([part[m] for part in parts]) for m in model.modalities}
