"""What the tests of data and models on S3 share: projects with DVC, running it, and reading a refusal."""

import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from components.data_versioning.remote import RemoteError

from ambidex.base.errors import AmbidexError

KEY, SECRET = "AKIATESTTESTTEST", "the-secret-that-nobody-may-read"
BUCKET, URL = "bucket", "s3://bucket/some/prefix"
ROOT = Path(__file__).resolve().parents[2]


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert SECRET not in said
    return done.stdout


def dvc(project: Path, *arguments: str) -> str:
    return run(sys.executable, "-m", "dvc", *arguments, cwd=project)


def commit(project: Path) -> None:
    run("git", "add", "-A", cwd=project)
    run("git", "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "x", cwd=project)


def new_project(folder: Path) -> Path:
    """A git repository with DVC in it; nothing tracked yet."""
    write(folder, {".dvc/config": b"", ".dvc/.gitignore": b"/config.local\n/tmp\n/cache\n"})
    run("git", "init", "-q", cwd=folder)
    return folder


def refused(action: Callable[[], object], *words: str, kind: type[AmbidexError] = RemoteError) -> str:
    """The one line with which `action` fails: it holds `words`, and neither it nor its traceback a secret."""
    with pytest.raises(kind) as caught:
        action()
    line = str(caught.value)
    assert "\n" not in line
    for word in words:
        assert word in line, line
    everything = "".join(traceback.format_exception(caught.value))
    assert SECRET not in everything
    assert KEY not in line
    return line
