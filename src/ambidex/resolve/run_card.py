"""The run card: what is written beside every output, resolved parameters and where it came from."""

import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

import ambidex
from ambidex.base.files import digest, sha256, write_json, write_text
from ambidex.base.records import (
    CARD_FILE,
    DETAILS_FILE,
    METRICS_FILE,
    PARAMS_FILE,
    running_code,
    running_inputs,
    running_plugins,
)
from ambidex.configuration.params import Params, Runtime

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
    plugins = running_plugins()
    origin = {**provenance(), "inputs": running_inputs()} | ({"plugins": plugins} if plugins else {})
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
    here = Path(ambidex.__file__).resolve().parent
    try:
        head = _git(here, "rev-parse", "HEAD")
        return head + ("+" if _git(here, "status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return os.environ.get("AMBIDEX_REVISION") or None


@cache
def library_fingerprint() -> str:
    """A digest of every source file of the library, each byte of it: the same copy gives the same digest anywhere."""
    here = Path(ambidex.__file__).resolve().parent
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
