"""Putting folders into the DVC remote so that a `.dvc` pointer brings them back."""

from collections.abc import Mapping
from pathlib import Path

from components.data_versioning.remote import Remote


def publish(folders: Mapping[str, str | Path], remote: Remote, name: str) -> str:
    """Upload `folders` (name in the published folder -> path); returns the text of the pointer `NAME.dvc`."""
    raise NotImplementedError


def publish_to_page(folders: Mapping[str, str | Path], remote: Remote, name: str, page: str | Path) -> str:
    """publish, and write to `page` (Markdown) what to do with the pointer."""
    raise NotImplementedError
