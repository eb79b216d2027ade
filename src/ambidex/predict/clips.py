"""Clips that people name on the command line: which file is which modality, and how it becomes a tensor.

movie.mp4                        every modality is read from this one file
audio=a.wav,visual=b.png         a file for each modality
audio=a.wav                      of a model of several modalities: a sample that has this one alone
touch=features.npz#touch[7]      a ready vector, addressed as in a manifest
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ambidex.base.errors import DataError, ModelError
from ambidex.base.records import PARAMS_FILE
from ambidex.base.registry import nearest
from ambidex.configuration.mistakes import explain
from ambidex.configuration.params import Extract
from ambidex.data.kinds import KINDS, MediaKind, Wants
from ambidex.data.manifest import Row
from ambidex.data.media.addresses import parse
from ambidex.data.media.limits import DEFAULT, Limits
from ambidex.data.store.extraction import Batch
from ambidex.data.store.pool import TASK, extracted
from ambidex.net.model import MODEL_FILE, Architecture, describe
from ambidex.resolve import read_yaml

_PAIR = re.compile(r"([a-z][a-z0-9_]*)=")
_NEXT_PAIR = re.compile(f",{_PAIR.pattern}")


def wants_of(folder: Path, architecture: Architecture) -> Wants:
    """How each modality of the model in `folder` is made from media: as its feature store was.

    The parameters stand in model.json, in params.yaml for older models. Raises ModelError where they are missing
    or give other tensors than the model takes.
    """
    raw, file = describe(folder).get("extract"), folder / MODEL_FILE
    if raw is None and (folder / PARAMS_FILE).exists():
        file = folder / PARAMS_FILE
        raw = read_yaml(file).get("extract")
    if raw is None:
        raise ModelError(f"{folder}: does not say how its inputs are made from media; train it again")
    try:
        kinds = Extract.model_validate(_as_recorded(raw)).kinds
    except ValidationError as error:
        raise ModelError(explain(error, Extract, str(file), prefix="extract.")) from None
    wants = {}
    for name, spec in architecture.inputs.items():
        kind = kinds.get(name)
        if kind is not None and kind.tensor == spec.kind:
            kind = kind.fitted(spec.shape)
        if kind is None or (kind.tensor, kind.shape) != (spec.kind, spec.shape):
            raise ModelError(
                f"{file}: extract.modalities.{name}: does not give the {spec.kind} that the model takes"
            )
        wants[name] = kind
    return wants


def _as_recorded(raw: Any) -> Any:
    """The parameters of a model; keys that its kinds did not have yet get the value that they stood for then."""
    if not isinstance(raw, dict) or not isinstance(raw.get("modalities"), dict):
        return raw
    inputs = {
        name: KINDS.get(value["kind"]).as_recorded(value)
        if isinstance(value, dict) and value.get("kind") in KINDS.names()
        else value
        for name, value in raw["modalities"].items()
    }
    return {**raw, "modalities": inputs}


def clip_cells(text: str, wants: Wants) -> dict[str, str]:
    """Modality -> file or vector address of one clip as the user names it, without modalities that it does not name.

    Raises DataError.
    """
    if not _names_modalities(text, wants):
        others = [name for name, kind in wants.items() if not isinstance(kind, MediaKind)]
        if others and len(wants) > 1:
            what = wants[others[0]].config.kind
            raise DataError(
                f"'{others[0]}' is of kind {what}, not media; name a file for each: {_form(wants)}"
            )
        return dict.fromkeys(wants, text)
    cells: dict[str, str] = {}
    for pair in re.split(rf",(?=(?:{'|'.join(wants)})=)", text):
        name, _, cell = pair.partition("=")
        if name in cells:
            raise DataError(f"'{name}' is named twice")
        if not cell:
            raise DataError(f"'{name}=' names no file")
        _check_swallowed(cell, wants)
        cells[name] = cell
    return cells


def read_clips(
    clips: Sequence[Mapping[str, str]], wants: Wants, workers: int = 0, limits: Limits = DEFAULT
) -> Iterator[Batch]:
    """The clips' tensors and the reasons for those that cannot be read, a few clips at a time, in order.

    A clip's `sample_id` is its place in `clips`. `workers`: processes that decode; 0: one per core where it pays off.
    """
    rows = [Row(str(place), "", "", "", dict(cells)) for place, cells in enumerate(clips)]
    tasks = [rows[k : k + TASK] for k in range(0, len(rows), TASK)]
    return extracted(tasks, len(rows), wants, Path.cwd(), limits, workers)


def _names_modalities(text: str, wants: Wants) -> bool:
    """Whether `text` is made of `modality=file` pairs. Raises DataError for a modality that the model lacks."""
    match = _PAIR.match(text)
    if match is None or (match[1] not in wants and _exists(text)):
        return False
    if match[1] not in wants:
        raise _no_modality(match[1], wants)
    return True


def _check_swallowed(cell: str, wants: Wants) -> None:
    """Raise DataError where a modality that the model lacks stands in a file's name, and there is no such file."""
    match, inside = _NEXT_PAIR.search(cell), parse(cell)
    if match is not None and not _exists(inside.file if inside else cell):
        raise _no_modality(match[1], wants)


def _exists(file: str) -> bool:
    try:
        return Path(file).exists()
    except OSError:  # a name that is too long is no file's
        return False


def _no_modality(name: str, wants: Wants) -> DataError:
    return DataError(f"the model has no modality '{name}'; {nearest(name, [*wants])}")


def _form(wants: Wants) -> str:
    return ",".join(f"{name}={kind.cell_syntax}" for name, kind in wants.items())
