"""What is written beside every output: resolved parameters and a run card that says where it came from."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from ambidex.base.errors import AmbidexError, DataError
from ambidex.base.files import digest, is_unfinished, sha256
from ambidex.base.readers import Record, read_json

PARAMS_FILE = "params.yaml"
CARD_FILE = "card.json"
METRICS_FILE = "metrics.json"
DETAILS_FILE = "details.json"
HEADLINES = 30
"""numbers that metrics.json may hold: `dvc metrics show` prints them all on one line"""


class Card(Record):
    """What readers trust in a card.json; a card of one stage lacks the keys of the others."""

    stage: str | None = None
    code: str | None = None
    revision: str | None = None
    inputs: dict[str, str] | None = None
    plugins: dict[str, str] = Field(default_factory=dict)
    libraries: dict[str, str] = Field(default_factory=dict)
    method: str | None = None
    regime: str | None = None
    seed: int | None = None
    modality: str | None = None
    selection: str | None = None
    features: str | None = None
    learning: str | None = None
    weights: str | None = None
    protocol: str | None = None
    leaky: bool | None = None
    degraded: str | None = None
    modalities: list[str] = Field(default_factory=list)
    allocators: list[str] = Field(default_factory=list)
    classes: list[str] = Field(default_factory=list)
    headline: str | None = None
    fit_on: str | None = None
    steps: int | None = Field(None, ge=0)
    seconds: float | None = Field(None, ge=0)
    remark: str | None = None
    few_groups: str | list[str] | None = None
    far_apart: str | None = None
    decision: dict[str, Any] | None = None


class Metrics(Record):
    """What readers trust in a metrics.json of pretrain and train."""

    epoch: int | None = None
    test: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class _Running:
    """What the cards of a running stage say of where its outputs come from."""

    inputs: Mapping[str, str] = field(default_factory=dict)
    code: str | None = None
    plugins: Mapping[str, str] = field(default_factory=dict)


_NOTHING = _Running()
_running: ContextVar[_Running] = ContextVar("running", default=_NOTHING)


@contextmanager
def running(inputs: Mapping[str, Path], code: str, plugins: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """While a stage runs: the cards it writes name its `code`, the `plugins` of other distributions that it uses, and
    the fingerprints of its inputs. Yields the latter."""
    fingerprints = {name: fingerprint(path) for name, path in inputs.items()}
    token = _running.set(_Running(fingerprints, code, plugins))
    try:
        yield fingerprints
    finally:
        _running.reset(token)


def running_inputs() -> Mapping[str, str]:
    """The fingerprints of the inputs of the running stage, by name; empty where no stage runs."""
    return _running.get().inputs


def running_code() -> str | None:
    """The fingerprint of the code that the running stage depends on; None where no stage runs."""
    return _running.get().code


def running_plugins() -> dict[str, str]:
    """The plug-ins of other distributions that the running stage uses; empty where no stage runs."""
    return dict(_running.get().plugins)


def fingerprint(path: Path) -> str:
    """What tells two versions of an input apart: its own records, or all those below it; a file's bytes.

    A folder that no stage wrote (raw media) is known by the names, sizes and times of its files.
    """
    if path.is_file():
        return sha256(path)[:16]
    cards = [path / CARD_FILE] if (path / CARD_FILE).exists() else sorted(path.glob(f"**/{CARD_FILE}"))
    if cards:
        folders = [card.parent for card in cards if not any(map(is_unfinished, card.relative_to(path).parts))]
        return digest({str(folder.relative_to(path)): _records(folder) for folder in folders})[:16]
    files = sorted(p for p in path.rglob("*") if p.is_file())
    return digest([(str(p.relative_to(path)), p.stat().st_size, p.stat().st_mtime_ns) for p in files])[:16]


def read_card(folder: Path, error: type[AmbidexError] = DataError, hint: str = "") -> dict[str, Any]:
    """The card.json of an output. Raises `error` with one line, which `hint` ends: not there, or damaged."""
    card: dict[str, Any] = read_json(folder / CARD_FILE, Card, error=error, hint=hint)
    return card


def read_metrics(
    folder: Path, schema: type[Record] = Metrics, error: type[AmbidexError] = DataError, hint: str = ""
) -> dict[str, Any]:
    """The metrics.json of an output, as read_card does."""
    metrics: dict[str, Any] = read_json(folder / METRICS_FILE, schema, error=error, hint=hint)
    return metrics


def read_details(
    folder: Path, schema: type[Record], error: type[AmbidexError] = DataError, hint: str = ""
) -> dict[str, Any]:
    """The details.json of an output, as read_card does; outputs of old hold the same in metrics.json."""
    path = folder / DETAILS_FILE
    details: dict[str, Any] = read_json(
        path if path.exists() else folder / METRICS_FILE, schema, error=error, hint=hint
    )
    return details


def _records(folder: Path) -> list[str]:
    """Digests of what write_records wrote: code, inputs, parameters and results."""
    paths = (folder / name for name in (CARD_FILE, PARAMS_FILE, METRICS_FILE, DETAILS_FILE))
    return [sha256(path) for path in paths if path.exists()]
