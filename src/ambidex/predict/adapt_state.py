"""What is remembered of a group of clips between calls, as a file: written whole or not at all, for one model alone."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ambidex.base.convex import Array
from ambidex.base.errors import DataError
from ambidex.base.files import digest, sha256, write_json
from ambidex.base.readers import Record, Source, read_json
from ambidex.decide.adaptation.adapting import AdaptationState
from ambidex.decide.adaptation.lapses import Evidence
from ambidex.decide.adaptation.prior import AdaptationPrior
from ambidex.decide.adaptation.typicality import Moments
from ambidex.net.model import MODEL_FILE, WEIGHTS_FILE

FORMAT = 1
_AGAIN = "name another file, or delete it to start anew"
_Count = Annotated[float, Field(ge=0)]


class _Evidence(Record):
    by_rate: list[list[list[float]]]
    at_means: list[float]
    samples: _Count


class _Moments(Record):
    count: _Count
    log_distance: float
    first: list[float]
    second: list[_Count]


class _State(Record):
    format: int
    model: str
    evidence: _Evidence
    moments: dict[str, _Moments]
    digest: str


def model_digest(folder: Path) -> str:
    """Of a model's description and numbers: another model, or one that was fitted anew, has another."""
    return digest([sha256(folder / name) for name in (MODEL_FILE, WEIGHTS_FILE)])


def write_state(path: Path, state: AdaptationState, folder: Path) -> None:
    """Write the state of a group for the model in `folder`, in place of an older one."""
    evidence = state.evidence
    value: dict[str, Any] = {
        "format": FORMAT,
        "model": model_digest(folder),
        "evidence": {
            "by_rate": evidence.by_rate.tolist(),
            "at_means": evidence.at_means.tolist(),
            "samples": float(evidence.samples),
        },
        "moments": {name: _moments_json(moments) for name, moments in state.moments.items()},
    }
    write_json(path, value | {"digest": digest(value)})


def read_state(path: Path, prior: AdaptationPrior, folder: Path) -> AdaptationState | None:
    """The state in `path` for the model in `folder`, whose `prior` adapts; None where there is no file yet.

    Raises DataError with one line where it is damaged, no such file, or of another model.
    """
    if not path.exists():
        return None
    source = Source(str(path), DataError, _AGAIN)
    value = read_json(path, _State, hint=_AGAIN)
    if value["format"] != FORMAT:
        raise source.wrong(f"has format {value['format']}, this ambidex reads {FORMAT}")
    if value["digest"] != digest({key: own for key, own in value.items() if key != "digest"}):
        raise source.wrong("is damaged: its digest is not that of its numbers")
    if value["model"] != model_digest(folder):
        raise source.wrong(f"belongs to another model than {folder}, or to it before it was evaluated again")
    expected = Evidence.none(len(prior.probes))
    evidence = Evidence(
        _array(value["evidence"]["by_rate"], expected.by_rate.shape, source, "evidence.by_rate"),
        _array(value["evidence"]["at_means"], expected.at_means.shape, source, "evidence.at_means"),
        float(value["evidence"]["samples"]),
    )
    return AdaptationState(evidence, _moments_of(value["moments"], prior, source))


def _moments_json(moments: Moments) -> dict[str, Any]:
    return {
        "count": float(moments.count),
        "log_distance": moments.log_distance,
        "first": moments.first.tolist(),
        "second": moments.second.tolist(),
    }


def _moments_of(value: dict[str, Any], prior: AdaptationPrior, source: Source) -> dict[str, Moments]:
    if unknown := sorted(set(value) - set(prior.probes)):
        raise source.wrong(f"moments.{unknown[0]}: the model has no such modality")
    moments = {}
    for name, own in value.items():
        axes = (prior.typicality(name).axes.shape[1],)
        first, second = (_array(own[k], axes, source, f"moments.{name}.{k}") for k in ("first", "second"))
        moments[name] = Moments(float(own["count"]), float(own["log_distance"]), first, second)
    return moments


def _array(value: list[Any], shape: tuple[int, ...], source: Source, key: str) -> Array:
    try:
        array = np.array(value, dtype=np.float64)
    except ValueError:  # rows of different lengths
        array = np.empty(0)
    if array.shape != shape:
        raise source.wrong(f"{key}: expected numbers of shape {' x '.join(map(str, shape))}")
    return array
