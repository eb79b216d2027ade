"""What evaluate refuses before it measures anything: data and models that do not fit, numbers that are none."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ambidex.base.errors import DataError, ModelError
from ambidex.data.manifest import SPLITS
from ambidex.data.store.reading import FeatureStore
from ambidex.judge.evaluation import Outputs
from ambidex.net.model import MODEL_FILE, MultimodalNet, describe, load_model

_ROWS = 256
FEWEST = 2
"""validation samples, and classes among them: with fewer there is nothing to weigh"""


def fitting_model(folder: Path, store: FeatureStore) -> MultimodalNet:
    """The model in `folder`. Raises ModelError where it was not trained on `store`.

    Other inputs or classes cannot work. The same shapes from another store would, but its test split may hold what
    the model was trained on; a store that differs in test alone (`extract.degrade`) will do, and a model that came
    without records of its store is taken as it is.
    """
    model = load_model(folder)
    file = folder / MODEL_FILE
    start = f"{file}: model file of another architecture"
    for name, spec in model.architecture.inputs.items():
        if name not in store.inputs:
            raise ModelError(f"{start}: needs modality '{name}', the store has {', '.join(store.modalities)}")
        store_spec = store.inputs[name]
        here, there = (spec.kind, list(spec.shape)), (store_spec.kind, list(store_spec.shape))
        if here != there:
            raise ModelError(f"{start}: '{name}' is {here[0]} {here[1]}, in the store {there[0]} {there[1]}")
    if model.architecture.classes != store.classes:
        own, theirs = len(model.architecture.classes), len(store.classes)
        raise ModelError(f"{start}: its {own} classes are not the store's {theirs}, or in another order")
    described = describe(folder)
    trained_on = described.get("features")
    if trained_on not in (None, store.fingerprint) and not store.taught(described.get("learning")):
        raise ModelError(
            f"{file}: was trained on another feature store (fingerprint {trained_on[:12]}) than {store.path} "
            f"({store.fingerprint[:12]}), whose test split it may have seen; name its own store or train it again"
        )
    return model


def check_presence(store: FeatureStore, modalities: Sequence[str]) -> None:
    """Raise DataError where no test sample has a modality of the model: nothing could be said of it."""
    for name in modalities:
        if name in store.present and not store.present[name][store.rows("test")].any():
            raise DataError(
                f"{store.path}: no sample of split 'test' has {name}, so that nothing can be measured of it there; "
                "give test some that have it, or leave it out of extract.modalities and train again"
            )


def check_splits(store: FeatureStore, fit_on: str = "val") -> list[str]:
    """The splits there are. Raises DataError where one is missing, or validation too small to fit anything on.

    Validation may be missing where allocators are not fitted on it.
    """
    there = [split for split in SPLITS if len(store.rows(split))]
    for split in SPLITS:
        if split not in there and (split != "val" or fit_on == "val"):
            hint = "; without one, run crossfit first, then add --set evaluate.fit_on=crossfit"
            raise DataError(
                f"{store.path}: split '{split}' has no samples; evaluate needs {', '.join(SPLITS)}"
                + (hint if split == "val" else "")
            )
    if fit_on != "val":
        return there
    labels = store.labels[store.rows("val")]
    classes = len(set(labels.tolist()))
    if len(labels) < FEWEST or classes < FEWEST:
        raise DataError(
            f"{store.path}: split 'val' has too little to fit a decision layer on: samples {len(labels)}, classes "
            f"{classes}; expected at least {FEWEST} of each"
        )
    return there


def check_inputs(store: FeatureStore, modalities: Sequence[str]) -> None:
    """Raise DataError naming the first sample of the store with an input that is not finite."""
    for split in SPLITS:
        for rows in torch.split(store.rows(split), _ROWS):
            for name in modalities:
                own = rows[store.presence(rows)[name]] if name in store.present else rows
                x = store.gather(name, own)
                if x.is_floating_point() and (bad := _first_bad(x)) is not None:
                    sample = store.sample_ids[int(own[bad])]
                    raise DataError(
                        f"{store.path}: {name} of {split} sample '{sample}' is not finite; run extract again"
                    )


def check_outputs(seen: Mapping[str, Outputs], folder: Path) -> None:
    """Raise ModelError naming the first sample for which the model in `folder` says what is not finite."""
    for split, outputs in seen.items():
        tensors = {"logits": outputs.logits} | {f"feature of {m}": h for m, h in outputs.features.items()}
        for what, tensor in tensors.items():
            if (bad := _first_bad(tensor)) is not None:
                sample = outputs.sample_ids[bad]
                raise ModelError(f"{folder}: {what} of {split} sample '{sample}' is not finite")


def _first_bad(x: Tensor) -> int | None:
    """The first row of x [N, ...] that holds a number that is not finite."""
    bad = (~x.isfinite()).flatten(1).any(dim=1)
    return int(bad.int().argmax()) if bad.any() else None
