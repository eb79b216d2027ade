"""Which folders a stage reads and writes under one root: what the command line and `study` share."""

from collections.abc import Iterator
from pathlib import Path

from ambidex.base.layout import Layout
from ambidex.configuration.params import Params
from ambidex.resolve.cell import Work, given_by
from ambidex.stages.table import TABLE

Places = dict[str, Path]


def places(stage: str, work: Work, layout: Layout) -> tuple[Places, Places]:
    """Inputs and outputs of one call of `stage`. Optional inputs are named only where they exist."""
    declaration, params = TABLE[stage], given_by(work)
    inputs = {
        read.artefact.name: place
        for read in declaration.reads
        if read.wanted(work)
        and ((place := read.artefact.place(params, layout)).exists() or not read.optional)
    }
    return inputs, {declaration.writes.name: declaration.writes.place(params, layout)}


def calls(stage: str, params: Params) -> Iterator[Params]:
    """The parameters of each call of `stage`: pretrain without a modality is one call for each."""
    if stage != "pretrain" or params.pretrain.modality is not None:
        yield params
        return
    for modality in params.modalities:
        yield with_values(params, "pretrain", modality=modality)


def with_values(params: Params, section: str, **values: object) -> Params:
    """`params` with some values of one section replaced. The values must be valid: they are not checked again."""
    changed = getattr(params, section).model_copy(update=values)
    return params.model_copy(update={section: changed})
