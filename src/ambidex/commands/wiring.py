"""Which folders a stage reads and writes under one root: what the command line and `study` share."""

from collections.abc import Iterator
from pathlib import Path

from ambidex.configuration import method_choice
from ambidex.layout import Layout
from ambidex.params import Params

Places = dict[str, Path]


def places(stage: str, params: Params, layout: Layout) -> tuple[Places, Places]:
    """Inputs and outputs of one call of `stage`. Optional inputs are named only where they exist."""
    train, pretrain = params.train, params.pretrain
    cell = (train.method, train.regime, train.seed)
    encoders = {"encoders": layout.encoders(train.seed)}
    if stage == "prepare":
        return {}, {"manifest": layout.manifest}
    if stage == "extract":
        part = params.extract.part
        return {"manifest": layout.manifest}, {
            "features": layout.part(part.index) if part else layout.features
        }
    if stage == "merge":
        return {"parts": layout.parts}, {"features": layout.features}
    features = {"features": layout.features}
    if stage == "pretrain":
        return features, {"encoder": layout.encoder(str(pretrain.modality), pretrain.seed)}
    if stage == "crossfit":
        return features, {"crossfit": layout.crossfit(*cell)}
    if stage == "train":
        needed = encoders if train.regime != "scratch" or _needs_classifiers(params) else {}
        return {**features, **_existing(needed)}, {"model": layout.model(*cell)}
    if stage == "evaluate":
        wanted = {"crossfit": layout.crossfit(*cell)} if params.evaluate.fit_on == "crossfit" else {}
        read = {**features, "model": layout.model(*cell), **_existing(encoders | wanted)}
        return read, {"report": layout.report(*cell)}
    read = {"reports": layout.reports, **_existing({"encoders": layout.root / "encoders"})}
    return read, {"study": layout.study}


def calls(stage: str, params: Params) -> Iterator[Params]:
    """The parameters of each call that the user meant: pretrain without a modality means all of them."""
    if stage != "pretrain" or params.pretrain.modality is not None:
        yield params
        return
    for modality in params.modalities:
        yield with_values(params, "pretrain", modality=modality)


def with_values(params: Params, section: str, **values: object) -> Params:
    """`params` with some values of one section replaced. The values must be valid: they are not checked again."""
    changed = getattr(params, section).model_copy(update=values)
    return params.model_copy(update={section: changed})


def _needs_classifiers(params: Params) -> bool:
    """Whether the method sums the classifiers that pretrain left, whatever the regime."""
    from ambidex.method import METHODS

    return METHODS.get(method_choice(params, params.train.method)[0]).needs.classifiers


def _existing(candidates: Places) -> Places:
    return {name: path for name, path in candidates.items() if path.exists()}
