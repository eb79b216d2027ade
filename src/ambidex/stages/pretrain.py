"""pretrain: one unimodal classifier. Its encoder and its validation and test results are first-class outputs."""

from pathlib import Path
from typing import Any

import torch

from ambidex.base.errors import ParamsError
from ambidex.base.progress import progress
from ambidex.base.statistics import accuracy, brier, ece, macro_f1, nll
from ambidex.base.torchrun import first_rank
from ambidex.configuration.params import Params
from ambidex.configuration.values import Choice
from ambidex.data.store.reading import FeatureStore
from ambidex.learn.loop.temperature import temperature
from ambidex.learn.methods.joint import Joint
from ambidex.net.features import encoded
from ambidex.net.fusion.concat import Concat
from ambidex.net.model import MultimodalNet
from ambidex.stages import Paths
from ambidex.stages._training import architecture_for, build_model, deliver, remarked, run_engine


def run(params: Params, inputs: Paths, outputs: Paths) -> dict[str, Any]:
    """inputs: features. outputs: encoder (of the modality `pretrain.modality`)."""
    return fit(params, FeatureStore.open(inputs["features"]), outputs["encoder"])


def fit(params: Params, store: FeatureStore, output: Path) -> dict[str, Any]:
    """Train on the splits of `store`, and measure on its val and test where there are such; `output` is the folder."""
    section = params.pretrain
    modality = section.modality
    if modality is None or modality not in params.modalities:
        raise ParamsError(
            f"pretrain.modality: got {modality!r}, expected one of {', '.join(params.modalities)}"
        )
    store = store.having(modality)
    model = build_model(architecture_for(store, params, [modality], Choice(name="concat")), section.seed)
    folder, selected, fabric = run_engine(
        model, Joint(Joint.Config()), params, section, store, output, seed=section.seed
    )
    metrics: dict[str, Any] = {"modality": modality, "epoch": selected["epoch"] + 1}
    if not first_rank():  # the first one alone measures and writes
        return metrics
    calibrate = section.calibrate and len(store.rows("val")) > 0
    metrics |= _measured(model, store, 4 * section.batch_size, fabric.device, calibrate)
    metrics |= remarked(selected, f"pretrain {modality}, seed {section.seed}")
    facts = {"modality": modality, "seed": section.seed, "selection": section.selection}
    facts |= {"steps": selected["steps"], "seconds": round(selected["seconds"], 3)}
    deliver(folder, output, "pretrain", params, model, store, metrics, **facts)
    return metrics


@torch.no_grad()
def _measured(
    model: MultimodalNet, store: FeatureStore, batch_size: int, device: torch.device, calibrate: bool
) -> dict[str, Any]:
    """`val` and `test`, where there are such -> what the classifier reaches there. Leaves the model on the CPU.

    With `calibrate` its head is divided by the `temperature` that fits val best, before anything is measured.
    """
    rows = {split: store.rows(split) for split in ("val", "test") if len(store.rows(split))}
    model = model.to(device).eval()
    with progress("evaluate", sum(map(len, rows.values())), "samples") as advance:
        features = {s: encoded(model, store, r, batch_size, device, advance) for s, r in rows.items()}
    model = model.cpu()
    metrics: dict[str, Any] = {}
    if calibrate:
        val = rows["val"]
        groups = [store.groups[row] for row in val.tolist()]
        metrics["temperature"] = temperature(model.fuse(features["val"])[0], store.labels[val], groups)
        assert isinstance(model.fusion, Concat)
        for parameter in model.fusion.linear.parameters():
            parameter.div_(metrics["temperature"])
    for split, own in features.items():
        logits, labels = model.fuse(own)[0], store.labels[rows[split]]
        metrics[split] = {
            "accuracy": accuracy(logits, labels),
            "macro_f1": macro_f1(logits, labels),
            "nll": nll(logits, labels),
            "ece": ece(logits, labels),
            "brier": brier(logits, labels),
        }
    return metrics
