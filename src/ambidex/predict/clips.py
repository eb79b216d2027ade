"""Clips that people name on the command line: which file is which modality, and how it becomes a tensor.

movie.mp4                        every modality is read from this one file
audio=a.wav,visual=b.png         a file for each modality
touch=features.npz#touch[7]      a ready vector, addressed as in a manifest
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ambidex.configuration import read_yaml
from ambidex.configuration.mistakes import explain
from ambidex.errors import DataError, ModelError
from ambidex.manifest import Row
from ambidex.media.extraction import Batch, Wants
from ambidex.media.limits import DEFAULT, Limits
from ambidex.media.pool import TASK, extracted
from ambidex.media.tensors import kind_of, shape_of
from ambidex.model import MODEL_FILE, Architecture, describe
from ambidex.params import Extract, Vector
from ambidex.records import PARAMS_FILE
from ambidex.registry import nearest

_PAIR = re.compile(r"([a-z][a-z0-9_]*)=")


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
        known = Extract.model_validate(_as_recorded(raw)).modalities
    except ValidationError as error:
        raise ModelError(explain(error, Extract, str(file), prefix="extract.")) from None
    wants = {}
    for name, given in architecture.inputs.items():
        want, spec = known.get(name), given.spec
        if isinstance(want, Vector):
            want = want.model_copy(update={"size": want.size or spec.shape[0]})
        if want is None or (kind_of(want), shape_of(want)) != (spec.kind, spec.shape):
            raise ModelError(
                f"{file}: extract.modalities.{name}: does not give the {spec.kind} that the model takes"
            )
        wants[name] = want
    return wants


def _as_recorded(raw: Any) -> Any:
    """The parameters of a model from before pictures were turned upright leave them as stored."""
    if not isinstance(raw, dict) or not isinstance(raw.get("modalities"), dict):
        return raw
    inputs = {
        name: {"orientation": "stored", **value}
        if isinstance(value, dict) and value.get("kind") == "frames"
        else value
        for name, value in raw["modalities"].items()
    }
    return {**raw, "modalities": inputs}


def clip_cells(text: str, wants: Wants) -> dict[str, str]:
    """Modality -> file or vector address of one clip as it was named. Raises DataError."""
    if not _names_modalities(text, wants):
        vectors = [name for name, want in wants.items() if isinstance(want, Vector)]
        if vectors and len(wants) > 1:
            raise DataError(f"'{vectors[0]}' is a vector, not media; name a file for each: {_form(wants)}")
        return dict.fromkeys(wants, text)
    cells: dict[str, str] = {}
    for pair in re.split(rf",(?=(?:{'|'.join(wants)})=)", text):
        name, _, cell = pair.partition("=")
        if name in cells:
            raise DataError(f"'{name}' is named twice")
        if not cell:
            raise DataError(f"'{name}=' names no file")
        cells[name] = cell
    if missing := [name for name in wants if name not in cells]:
        raise DataError(f"'{missing[0]}' is missing; expected {_form(wants)}")
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
    found = _PAIR.match(text)
    if found is None or (found[1] not in wants and Path(text).exists()):
        return False
    if found[1] not in wants:
        raise DataError(f"the model has no modality '{found[1]}'; {nearest(found[1], [*wants])}")
    return True


def _form(wants: Wants) -> str:
    kinds = {name: "FILE#ARRAY[ROW]" if isinstance(want, Vector) else "FILE" for name, want in wants.items()}
    return ",".join(f"{name}={kind}" for name, kind in kinds.items())
