"""One fold of crossfit: a model of the other folds, encoders included, and what it says about this one."""

import shutil
from pathlib import Path

import torch
from torch import Tensor

from ambidex.base.files import write_json
from ambidex.base.outputs import whole_folder
from ambidex.base.readers import Record
from ambidex.base.statistics import accuracy
from ambidex.data.store.reading import FeatureStore
from ambidex.decide.crossfitted import CrossFitted, write_cross_fitted
from ambidex.decide.fitting import sources_of
from ambidex.judge.evaluation import Outputs, collect
from ambidex.judge.held_out import HeldOut, Source
from ambidex.judge.probes import fit_own_probe
from ambidex.learn.runtime import device
from ambidex.net.model import MultimodalNet, load_model
from ambidex.resolve.cell import Cell
from ambidex.stages import pretrain, train

HELD = "held_out"
FOLD_FILE = "fold.json"


class Fold(Record):
    """What fold.json says of a fold that is done."""

    samples: int
    accuracy: float
    train_samples: int
    train_accuracy: float


def score_fold(cell: Cell, store: FeatureStore, rows: Tensor, number: int, place: Path) -> None:
    """Train on all training samples but `rows` [n], and write what the model says about `rows` to `place`.

    A run that was stopped goes on from its last epoch; the models go when `place` is written.
    """
    others = store.rows("train")
    others = others[~torch.isin(others, rows)]
    val = store.rows("val")
    view = store.with_splits({"train": others, HELD: rows} | ({"val": val} if len(val) else {}))
    work = place.with_name(f"{place.name}.models")
    encoders = _encoders(cell, view, work / "encoders")
    if not (work / "model").exists():
        train.fit(cell, view, encoders, work / "model")
    model, params = load_model(work / "model"), cell.params
    section = params.evaluate
    splits = [split for split in ("train", "val", HELD) if len(view.rows(split))]
    shapes = (section.absent, section.permutations, section.seed)
    seen = collect(model, view, splits, section.batch_size, device(params.runtime), *shapes)
    sources = _sources(model, seen)
    held = seen[HELD]
    fold = torch.full((len(rows),), number, dtype=torch.int64)
    held_out = HeldOut(model.modalities, held.labels, held.groups, sources)
    metrics = {
        "samples": len(rows),
        "accuracy": accuracy(held.logits, held.labels),
        "train_samples": len(others),
        "train_accuracy": accuracy(seen["train"].logits, seen["train"].labels),
    }
    with whole_folder(place) as folder:
        write_cross_fitted(folder, CrossFitted(held_out, held.sample_ids, fold, store.classes))
        write_json(folder / FOLD_FILE, metrics)
    shutil.rmtree(work)


def _encoders(cell: Cell, view: FeatureStore, folder: Path) -> Path | None:
    """Unimodal classifiers that never saw the fold either; None where the cell does not start from such."""
    if not cell.starts_from_encoders:
        return None
    params = cell.params
    for modality in params.modalities:
        if not (folder / modality).exists():
            section = params.pretrain.model_copy(update={"modality": modality, "seed": params.train.seed})
            pretrain.fit(params.model_copy(update={"pretrain": section}), view, folder / modality)
    return folder


def _sources(model: MultimodalNet, seen: dict[str, Outputs]) -> dict[Source, Tensor]:
    """What there is to weigh for the held-out fold, each [n, M, C] float32."""
    held = seen[HELD]
    labels = {split: outputs.labels for split, outputs in seen.items() if split != HELD}
    probes = []
    for m in model.modalities:
        features = {split: outputs.features for split, outputs in seen.items()}
        probe = fit_own_probe(features, m, labels, held.logits.shape[1], seen["train"].groups)
        probes.append(probe.logits[HELD])
    return sources_of(held, probes, model.has_branches)
