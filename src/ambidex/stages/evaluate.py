"""evaluate: diagnosis and repair of one trained model, as numbers, files and a page for people.

One forward pass over train (for the probes), val and test; every diagnostic and allocator works on what it
collected. Nothing is fitted on test.
"""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from ambidex.allocation import REFERENCE, fit_allocators
from ambidex.decide import ALLOCATORS
from ambidex.diagnose import DIAGNOSTICS
from ambidex.errors import DataError, ModelError, ParamsError
from ambidex.evaluation import Evaluation, Outputs, Unimodal, collect, open_store
from ambidex.files import read_json, sha256, whole_folder
from ambidex.manifest import SPLITS
from ambidex.media.store import FeatureStore
from ambidex.model import MODEL_FILE, WEIGHTS_FILE, MultimodalNet, load_model
from ambidex.params import Evaluate, Params
from ambidex.records import CARD_FILE, METRICS_FILE
from ambidex.report.result import Result, run_metrics
from ambidex.report.run_files import write_report
from ambidex.runtime import device, prepare_torch
from ambidex.stages import Paths

HISTORY_FILE = "history.csv"


def run(params: Params, inputs: Paths, outputs: Paths) -> dict[str, Any]:
    """inputs: features, model, encoders (optional: a folder per modality). outputs: report.

    Returns the metrics, the headline first. Raises ParamsError (unknown allocator or diagnostic), ModelError
    (the model does not fit the store, or its outputs are not finite), DataError (a split is empty).
    """
    section = params.evaluate
    allocators, diagnostics = _names(section)
    prepare_torch(params.runtime)
    place = device(params.runtime)
    store = open_store(inputs["features"])
    model = _model(inputs["model"], store)
    card = _card(inputs["model"])

    def see(net: MultimodalNet, folder: Path) -> dict[str, Outputs]:
        seen = collect(net, store, SPLITS, section.batch_size, place, section.absent)
        _check_finite(seen, folder)
        return seen

    _check_splits(store)
    splits = see(model, inputs["model"])
    unimodal = _unimodal(inputs["encoders"], model, store, see) if "encoders" in inputs else {}
    evaluation = Evaluation(section, model, store.classes, model.modalities, splits, unimodal, card)
    result = Result(
        evaluation,
        {name: DIAGNOSTICS.get(name)().run(evaluation) for name in diagnostics},
        fit_allocators(evaluation, allocators),
        section.allocator,
        _history(inputs["model"]),
        store.info,
    )
    metrics = run_metrics(result)
    facts = _facts(card, store, inputs["model"]) | {
        "modalities": list(model.modalities),
        "allocators": allocators,
        "headline": section.allocator,
    }
    with whole_folder(outputs["report"]) as folder:
        write_report(folder, params, result, metrics, facts)
    return metrics


def _names(section: Evaluate) -> tuple[list[str], list[str]]:
    """Allocators to fit and diagnostics to run; the reference and the headline are always among the former."""
    allocators = list(dict.fromkeys([REFERENCE, *section.allocators, section.allocator]))
    diagnostics = DIAGNOSTICS.names() if section.diagnostics is None else section.diagnostics
    for key, plugins, names in (
        ("allocators", ALLOCATORS, allocators),
        ("diagnostics", DIAGNOSTICS, diagnostics),
    ):
        for name in names:
            try:
                plugins.get(name)
            except ParamsError as error:
                raise ParamsError(f"evaluate.{key}: {error}") from None
    return allocators, diagnostics


def _model(folder: Path, store: FeatureStore) -> MultimodalNet:
    """The model in `folder`. Raises ModelError where it was built for other inputs or classes than the store's."""
    model = load_model(folder)
    start = f"{folder / MODEL_FILE}: model file of another architecture"
    for name, given in model.architecture.inputs.items():
        if name not in store.inputs:
            raise ModelError(f"{start}: needs modality '{name}', the store has {', '.join(store.modalities)}")
        found = store.inputs[name]
        here, there = (given.spec.kind, list(given.spec.shape)), (found.kind, list(found.shape))
        if here != there:
            raise ModelError(f"{start}: '{name}' is {here[0]} {here[1]}, in the store {there[0]} {there[1]}")
    if model.architecture.classes != store.classes:
        own, known = len(model.architecture.classes), len(store.classes)
        raise ModelError(f"{start}: its {own} classes are not the store's {known}, or in another order")
    return model


def _card(folder: Path) -> dict[str, Any]:
    """The run card, with the selected epoch of the metrics; empty where the model came without records."""
    found: dict[str, Any] = {}
    for name, keys in ((METRICS_FILE, {"epoch"}), (CARD_FILE, None)):
        if (folder / name).exists():
            values = read_json(folder / name)
            found |= values if keys is None else {k: v for k, v in values.items() if k in keys}
    return found


def _history(folder: Path) -> list[dict[str, str]]:
    path = folder / HISTORY_FILE
    if not path.exists():
        return []
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def _unimodal(
    folder: Path,
    model: MultimodalNet,
    store: FeatureStore,
    see: Callable[[MultimodalNet, Path], dict[str, Outputs]],
) -> dict[str, Unimodal]:
    """The classifiers trained alone, for those modalities that have one in `folder`."""
    found: dict[str, Unimodal] = {}
    for name in model.modalities:
        place = folder / name
        if not (place / MODEL_FILE).exists():
            continue
        alone = _model(place, store)
        if alone.modalities != (name,):
            raise ModelError(
                f"{place}: expected a classifier of {name} alone, found {', '.join(alone.modalities)}"
            )
        seen = see(alone, place)
        metrics = read_json(place / METRICS_FILE) if (place / METRICS_FILE).exists() else {}
        features = {split: outputs.features[name] for split, outputs in seen.items()}
        found[name] = Unimodal(metrics, features, {split: outputs.logits for split, outputs in seen.items()})
    return found


def _check_splits(store: FeatureStore) -> None:
    for split in SPLITS:
        if not len(store.rows(split)):
            raise DataError(
                f"{store.path}: split '{split}' has no samples; evaluate needs {', '.join(SPLITS)}"
            )


def _check_finite(seen: dict[str, Outputs], folder: Path) -> None:
    for split, outputs in seen.items():
        tensors: Sequence[tuple[str, torch.Tensor]] = [("logits", outputs.logits), *outputs.features.items()]
        for name, tensor in tensors:
            bad = (~tensor.isfinite()).any(dim=1)
            if bad.any():
                sample = outputs.sample_ids[int(bad.int().argmax())]
                what = name if name == "logits" else f"feature of {name}"
                raise ModelError(f"{folder}: {what} of {split} sample '{sample}' is not finite")


def _facts(card: dict[str, Any], store: FeatureStore, model: Path) -> dict[str, Any]:
    """What the report's card carries on: which model, trained how, on what, seen through which store."""
    kept = {key: card.get(key) for key in ("method", "regime", "seed", "selection")}
    return {
        **kept,
        "classes": list(store.classes),
        "protocol": store.info.get("protocol", card.get("protocol")),
        "leaky": bool(store.info.get("leaky", card.get("leaky", False))),
        "features": store.fingerprint,
        "weights": sha256(model / WEIGHTS_FILE),
    }
