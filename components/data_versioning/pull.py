"""Fetching what a `.dvc` pointer names, without a git checkout."""

from pathlib import Path
from typing import Any

from components.data_versioning.remote import Remote


def pull(pointer: str, remote: Remote, folder: str | Path) -> dict[str, Any]:
    """Fetch what `pointer` names into `folder`; returns {md5, files, bytes}."""
    raise NotImplementedError
