"""One set with one recipe and one seed: classifiers, their sum, multi-task training from scratch and from them."""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ambidex.base.readers import read_json
from ambidex.base.statistics import accuracy, nll
from ambidex.configuration.optimisation import PLAIN_LOOP
from ambidex.data.store.reading import FeatureStore
from ambidex.net.features import encoded
from ambidex.net.model import load_model
from ambidex.resolve.cell import resolve
from ambidex.stages import pretrain, train
from benchmarks.recipe.sets import params_of, store_of


@dataclass(frozen=True)
class Recipe:
    """Settings of the loop, and of pretrain alone."""

    loop: Mapping[str, Any]
    pretrain: Mapping[str, Any]


BEFORE = {**PLAIN_LOOP, "epochs": 8, "selection": "val_accuracy"}
RECIPES = {
    "eight epochs": Recipe(BEFORE, {"calibrate": False}),
    "shipped": Recipe({}, {}),
    "epoch by accuracy": Recipe({"selection": "val_accuracy"}, {}),
    "not calibrated": Recipe({}, {"calibrate": False}),
    "labels smoothed": Recipe({}, {"label_smoothing": 0.1}),
    "all smoothed": Recipe({"label_smoothing": 0.1}, {}),
    "no patience": Recipe({"patience": None}, {}),
    "constant rate": Recipe({"schedule": "constant"}, {}),
    "thirty epochs": Recipe({"epochs": 30}, {}),
    "sixty epochs": Recipe({"epochs": 60}, {}),
    "no clipping": Recipe({"clip_norm": None}, {}),
}
RESULTS = ("best alone", "sum of classifiers", "scratch", "pretrained")
"""what is measured on test: accuracy in per cent and NLL"""


def run_cell(name: str, recipe: str, seed: int, data: Path, folder: Path) -> dict[str, Any]:
    """Accuracy in per cent and NLL on test by RESULTS, the epochs that were trained, and CPU seconds."""
    settings = RECIPES[recipe]
    params = params_of(name, data, seed, settings.loop, settings.pretrain)
    store = store_of(name, params, folder)
    start = time.process_time()
    with tempfile.TemporaryDirectory(dir=folder) as work:
        place = Path(work)
        labels = store.labels[store.rows("test")]
        alone = {}
        for modality in params.modalities:
            section = params.pretrain.model_copy(update={"modality": modality})
            pretrain.fit(params.model_copy(update={"pretrain": section}), store, place / "alone" / modality)
            alone[modality] = _logits(place / "alone" / modality, store)
        scores = {m: _score(logits, labels) for m, logits in alone.items()}
        found: dict[str, Any] = {
            "best alone": max(scores.values()),
            "sum of classifiers": _score(torch.stack([*alone.values()]).sum(0), labels),
        }
        for regime in ("scratch", "pretrained"):
            train.fit(resolve(params, "multi_task", regime, seed), store, place / "alone", place / regime)
            found[regime] = _score(_logits(place / regime, store), labels)
            found[f"epochs {regime}"] = read_json(place / regime / "card.json")["epochs"]
    return {"set": name, "recipe": recipe, "seed": seed, **found, "seconds": time.process_time() - start}


@torch.inference_mode()
def _logits(folder: Path, store: FeatureStore) -> Tensor:
    model = load_model(folder).eval()
    features = encoded(model, store, store.rows("test"), 256, torch.device("cpu"))
    logits: Tensor = model.fuse(features)[0]
    return logits


def _score(logits: Tensor, labels: Tensor) -> list[float]:
    return [100 * accuracy(logits, labels), nll(logits, labels)]
