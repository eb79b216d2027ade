"""crossfit: every training sample as a model says it that was trained without it.

For each fold of the training split the same method, regime and seed is trained on the other folds, encoders
included, and what that model says about the fold is kept. Allocators are fitted on that where there is no
validation split. The models themselves are not kept, nor are features: those of different models do not compare.

The epoch is chosen as `train` does it: on the store's own val split where there is one (no fold is part of it),
else the last one is kept. The fold itself is never looked at before its model is finished.
"""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ambidex.base.errors import DataError, ParamsError
from ambidex.base.folds import folds
from ambidex.base.outputs import Origin, Progress, finish, settle, workplace
from ambidex.base.readers import read_json
from ambidex.base.records import CARD_FILE, read_metrics, running_code
from ambidex.base.statistics import accuracy, nll
from ambidex.configuration.params import Evaluate, Params, Runtime
from ambidex.data.store.reading import FeatureStore
from ambidex.decide.crossfitted import CrossFitted, join, read_cross_fitted, write_cross_fitted
from ambidex.learn.runtime import prepare_torch
from ambidex.resolve.cell import Cell
from ambidex.resolve.run_card import write_records
from ambidex.stages import Paths
from ambidex.stages._fold import FOLD_FILE, Fold, score_fold
from ambidex.stages._method import check_method

_AGAIN = "delete its folder, and run crossfit again"


def run(cell: Cell, inputs: Paths, outputs: Paths) -> dict[str, Any]:
    """inputs: features. outputs: crossfit.

    Returns held-out accuracy of the sum and of every branch. Finished folds stay beside the output for the next
    run. Raises DataError where a class would be missing from what a fold's model is trained on, ParamsError for
    a selection that looks at the fold.
    """
    check_method(cell)
    params = cell.params
    _refuse_oracle(params)
    prepare_torch(params.runtime)
    store = FeatureStore.open(inputs["features"])
    parts = _parts(store, params)
    folder = _unfinished(outputs["crossfit"], params, store)
    if not (folder / CARD_FILE).exists():  # else a run was stopped while it took the folds away
        _score(cell, store, parts, folder)
    for fold in folder.glob("fold-*"):
        shutil.rmtree(fold)
    finish(folder, outputs["crossfit"])
    return read_metrics(outputs["crossfit"], hint=_AGAIN)


def _score(cell: Cell, store: FeatureStore, parts: list[Tensor], folder: Path) -> None:
    """Bring every fold into `folder`, then what they say together; the card comes last, when all is there."""
    done = [folder / f"fold-{number}" for number in range(len(parts))]
    for number, rows in enumerate(parts):
        if not done[number].exists():
            score_fold(_one_device(cell), store, rows, number, done[number])
        _report(number, len(parts), read_json(done[number] / FOLD_FILE, Fold, hint=_AGAIN))
    whole = join([read_cross_fitted(place) for place in done], torch.cat(parts))
    metrics, details = _numbers(whole, [read_json(place / FOLD_FILE, Fold, hint=_AGAIN) for place in done])
    write_cross_fitted(folder, whole)
    write_records(folder, "crossfit", cell.params, metrics, details, **_facts(cell, store))


def _one_device(cell: Cell) -> Cell:
    """Folds run one after the other on one device, and grow inside crossfit's own unfinished folder."""
    here = cell.given.runtime.model_copy(update={"devices": 1, "checkpoints": None})
    return replace(cell, given=cell.given.model_copy(update={"runtime": here}))


def _report(number: int, count: int, metrics: dict[str, Any]) -> None:
    """A line for a fold that is done."""
    print(
        f"crossfit: fold {number + 1}/{count}: accuracy {metrics['accuracy']:.3f} on {metrics['samples']} samples held "
        f"out, {metrics['train_accuracy']:.3f} on those trained on",
        file=sys.stderr,
    )


def _parts(store: FeatureStore, params: Params) -> list[Tensor]:
    """Store rows held out in each fold: whole groups, each class left with samples to train on."""
    rows, section = store.rows("train"), params.crossfit
    groups = [store.groups[i] for i in rows.tolist()]
    positions = folds(store.labels[rows].numpy(), groups, section.folds, section.seed)
    parts = [rows[torch.from_numpy(part)] for part in positions]
    if len(parts) < 2:
        raise DataError(f"{store.path}: split 'train' has {len(rows)} samples, too few for 2 folds")
    for number, held in enumerate(parts):
        others = torch.cat([part for part in parts if part is not held])
        missing = set(store.labels[held].tolist()) - set(store.labels[others].tolist())
        if missing:
            raise DataError(
                f"{store.path}: all training samples of class '{store.classes[min(missing)]}' are in fold "
                f"{number + 1} of {len(parts)}, so that its model could not know it; the class needs samples of "
                "at least 2 groups, or another crossfit.seed or crossfit.folds"
            )
    return parts


def _numbers(whole: CrossFitted, by_fold: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The headline numbers, and the details: accuracy of each modality alone by source, and of every fold."""
    held_out = whole.held_out
    total = held_out.sources["contributions"].sum(dim=1)
    trained = sum(fold["train_samples"] for fold in by_fold)
    alone = {
        name: {m: check.accuracy for m, check in held_out.branch_checks(name).items()}
        for name in held_out.sources
    }
    return {
        "accuracy": accuracy(total, held_out.labels),
        "nll": nll(total, held_out.labels),
        "train_accuracy": sum(fold["train_accuracy"] * fold["train_samples"] for fold in by_fold) / trained,
        "samples": len(held_out.labels),
        "folds": len(by_fold),
    }, {"alone": alone, "by_fold": by_fold}


def _unfinished(output: Path, params: Params, store: FeatureStore) -> Path:
    """The folder with the folds that are done, or a fresh one."""
    sections = {"crossfit", "pretrain", "train", "model", "augment", "methods", "runtime"}
    depends = params.model_dump(mode="json", include=sections, exclude={"runtime": set(Runtime.UNFINISHED)})
    depends["evaluate"] = {name: getattr(params.evaluate, name) for name in Evaluate.SHAPES_CONTRIBUTIONS}
    origin = Origin("crossfit", depends, {"features": store.fingerprint}, running_code())
    folder = workplace(output, params.runtime.checkpoints, origin.key)
    settle(folder, origin, Progress(_begun, _words))
    return folder


def _begun(folder: Path) -> bool:
    return (folder / CARD_FILE).exists() or any(folder.glob("fold-*"))


def _words(folder: Path) -> str:
    """How far the work in a folder is."""
    if (folder / CARD_FILE).exists():
        return "all folds, finished,"
    done = sum(1 for place in folder.glob("fold-*") if (place / FOLD_FILE).exists())
    return f"{done} finished folds" if done != 1 else "1 finished fold"


def _facts(cell: Cell, store: FeatureStore) -> dict[str, Any]:
    trained = cell.train.model_dump(include={"method", "regime", "seed", "selection"})
    protocol = {key: value for key, value in store.info.items() if key in ("protocol", "leaky")}
    return {"features": store.fingerprint, "learning": store.learning, **trained, **protocol}


def _refuse_oracle(params: Params) -> None:
    for name in ("pretrain", "train"):
        if getattr(params, name).selection == "oracle":
            raise ParamsError(
                f"{name}.selection: 'oracle' chooses the epoch by what crossfit must not see; use last or val_nll"
            )
