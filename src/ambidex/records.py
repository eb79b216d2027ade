"""What is written beside every output: resolved parameters and a run card that says where it came from."""

import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

import ambidex
from ambidex.configuration.outside import outside_plugins
from ambidex.errors import AmbidexError, DataError
from ambidex.files import digest, is_unfinished, sha256, write_json, write_text
from ambidex.params import Params, Runtime
from ambidex.readers import Record, read_json

PARAMS_FILE = "params.yaml"
CARD_FILE = "card.json"
METRICS_FILE = "metrics.json"
DETAILS_FILE = "details.json"
HEADLINES = 30
"""numbers that metrics.json may hold: `dvc metrics show` prints them all on one line"""
_LIBRARIES = (
    "torch",
    "torchaudio",
    "lightning-fabric",
    "safetensors",
    "av",
    "numpy",
    "scipy",
    "scikit-learn",
)


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
    weights: str | None = None
    protocol: str | None = None
    leaky: bool | None = None
    modalities: list[str] = Field(default_factory=list)
    allocators: list[str] = Field(default_factory=list)
    classes: list[str] = Field(default_factory=list)
    headline: str | None = None
    fit_on: str | None = None
    steps: int | None = None
    seconds: float | None = None
    decision: dict[str, Any] | None = None


class Metrics(Record):
    """What readers trust in a metrics.json of pretrain and train."""

    epoch: int | None = None
    test: dict[str, Any] = Field(default_factory=dict)


_running: ContextVar[tuple[Mapping[str, str], str | None]] = ContextVar("running", default=({}, None))


@contextmanager
def running(inputs: Mapping[str, Path], code: str) -> Iterator[Mapping[str, str]]:
    """While a stage runs: the cards it writes name its `code` and the fingerprints of its inputs. Yields the latter."""
    fingerprints = {name: fingerprint(path) for name, path in inputs.items()}
    token = _running.set((fingerprints, code))
    try:
        yield fingerprints
    finally:
        _running.reset(token)


def running_code() -> str | None:
    """The fingerprint of the code that the running stage depends on; None where no stage runs."""
    return _running.get()[1]


def fingerprint(path: Path) -> str:
    """What tells two versions of an input apart: its own records, or all those below it; a file's bytes.

    A folder that no stage wrote (raw media) is known by the names, sizes and times of its files.
    """
    if path.is_file():
        return sha256(path)[:16]
    cards = [path / CARD_FILE] if (path / CARD_FILE).exists() else sorted(path.glob(f"**/{CARD_FILE}"))
    if cards:
        finished = [
            card.parent for card in cards if not any(map(is_unfinished, card.relative_to(path).parts))
        ]
        return digest({str(folder.relative_to(path)): _records(folder) for folder in finished})[:16]
    found = sorted(p for p in path.rglob("*") if p.is_file())
    return digest([(str(p.relative_to(path)), p.stat().st_size, p.stat().st_mtime_ns) for p in found])[:16]


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


def write_records(
    folder: Path,
    stage: str,
    params: Params,
    metrics: dict[str, Any],
    details: dict[str, Any] | None = None,
    **facts: Any,
) -> None:
    """Write params.yaml (resolved), card.json, metrics.json and, where there are `details`, details.json into `folder`.

    `metrics` are the headline numbers, the same few for any data: at most HEADLINES.
    `facts` go into the card: data fingerprint, split protocol, selection rule, ... The section `platform` and the
    place of unfinished work are left out: they change no result, and these files tell the stages that read them
    whether to run again.
    """
    resolved = params.model_dump(mode="json", exclude={"platform": True, "runtime": set(Runtime.UNFINISHED)})
    write_text(folder / PARAMS_FILE, yaml.safe_dump(resolved, sort_keys=False))
    write_json(folder / METRICS_FILE, metrics)
    if details is not None:
        write_json(folder / DETAILS_FILE, details)
    plugins = outside_plugins(stage, params)
    origin = {**provenance(), "inputs": _running.get()[0]} | ({"plugins": plugins} if plugins else {})
    write_json(folder / CARD_FILE, {"stage": stage, **origin, **facts})


def provenance() -> dict[str, Any]:
    """Versions of code, Python and libraries; `code`: the fingerprint of what the running stage depends on."""
    return {
        "ambidex": ambidex.__version__,
        "revision": revision(),
        "code": running_code(),
        "python": platform.python_version(),
        "libraries": {name: version for name in _LIBRARIES if (version := _version(name))},
    }


@cache
def revision() -> str | None:
    """The git revision of the code, with `+` where it was changed since; outside a checkout what the image says."""
    here = Path(__file__).resolve().parent
    try:
        head = _git(here, "rev-parse", "HEAD")
        return head + ("+" if _git(here, "status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return os.environ.get("AMBIDEX_REVISION") or None


@cache
def library_fingerprint() -> str:
    """A digest of every source file of the library, each byte of it: the same copy gives the same digest anywhere."""
    here = Path(__file__).resolve().parent
    return digest({str(p.relative_to(here)): sha256(p) for p in sorted(here.rglob("*.py"))})[:16]


def _git(where: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(where), *arguments], capture_output=True, text=True, check=True, timeout=20
    )
    return done.stdout.strip()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
