"""train: one method in one regime with one seed, from the feature store to a model."""

from pathlib import Path
from typing import Any

from torch import nn

from ambidex.base.errors import DataError
from ambidex.base.files import sha256
from ambidex.base.torchrun import first_rank
from ambidex.data.store.reading import FeatureStore
from ambidex.net.model import WEIGHTS_FILE, MultimodalNet
from ambidex.resolve.cell import Cell
from ambidex.resolve.presets import preset_note
from ambidex.stages import Paths
from ambidex.stages._method import check_method, waiting_note
from ambidex.stages._training import (
    architecture_for,
    build_model,
    deliver,
    load_encoder,
    remarked,
    run_engine,
)


def run(cell: Cell, inputs: Paths, outputs: Paths) -> dict[str, Any]:
    """inputs: features, encoders (a folder per modality; for scratch only if the method asks). outputs: model."""
    check_method(cell)
    store = FeatureStore.open(inputs["features"])
    for note in filter(None, (preset_note(cell), waiting_note(cell, len(store.rows("train"))))):
        if first_rank():
            print(f"train: {note}", flush=True)
    return fit(cell, store, inputs.get("encoders"), outputs["model"])


def fit(cell: Cell, store: FeatureStore, encoders: Path | None, output: Path) -> dict[str, Any]:
    """Train on the splits of `store`, from `encoders` where they are needed; `output` is the model's folder."""
    params, train, method = cell.params, cell.train, cell.build()
    frozen = train.regime == "frozen"
    architecture = architecture_for(store, params, params.modalities, params.model.fusion)
    method.check(architecture := method.architecture(architecture), frozen=frozen)  # now of these data
    model = build_model(architecture, train.seed)
    options = {cell.plugin: cell.config.model_dump(mode="json")}
    starts: dict[str, str] = {}
    ready = method.needs.classifiers
    if cell.starts_from_encoders:
        asks = f"method {cell.plugin}" if ready else f"train.regime '{train.regime}'"
        starts = _load_pretrained(model, encoders, asks, ready or train.head == "classifiers")
    folder, selected, _ = run_engine(
        model,
        method,
        params,
        train,
        store,
        output,
        seed=train.seed,
        frozen=frozen,
        options=options,
        starts=starts,
    )
    metrics: dict[str, Any] = {"epoch": selected["epoch"] + 1}
    if selected["accuracy"] is not None:
        metrics["val"] = {key: selected[key] for key in ("accuracy", "nll")}
    metrics |= (remarks := remarked(selected, f"train {train.method}, {train.regime}, seed {train.seed}"))
    facts = {"method": train.method, "regime": train.regime, "seed": train.seed, "selection": train.selection}
    facts |= {"epochs": selected["epochs"], "steps": selected["steps"]}
    facts |= {"seconds": round(selected["seconds"], 3)} | remarks
    deliver(folder, output, "train", params, model, store, metrics, **facts)
    return metrics


def _load_pretrained(
    model: MultimodalNet, encoders: Path | None, asks: str, classifiers: bool
) -> dict[str, str]:
    """Start from pretrain's encoders, with `classifiers` their heads too where the fusion can.

    Returns the digest of each one's weights.
    """
    if encoders is None:
        raise DataError(
            f"{asks}: starts from the unimodal classifiers of its seed, and there are none; run pretrain with that "
            "seed first"
        )
    heads: dict[str, nn.Linear] = {}
    digests: dict[str, str] = {}
    for modality in model.modalities:
        folder = encoders / modality
        if not folder.exists():
            raise DataError(f"{folder}: no pretrained encoder of {modality}; run pretrain for it first")
        heads[modality] = load_encoder(model, modality, folder, classifier=classifiers)
        digests[modality] = sha256(folder / WEIGHTS_FILE)
    if classifiers:
        model.start_from(heads)
    return digests
