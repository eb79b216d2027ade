"""Distributions that are installed into a folder, and found there by the real importlib.metadata."""

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ambidex.base import entry_points
from ambidex.commands.plugins import registries
from helpers.checkout import ROOT

PAGE = ROOT / "docs/plugins.md"


def write_files_of_page(folder: Path, page: Path = PAGE) -> None:
    """Each block of code under a line that names its file, such as `lion.py`:, becomes that file."""
    blocks = re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    for name, text in blocks:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def pip_install(package: Path, target: Path) -> None:
    """Build and install a package into a folder, with pip, offline."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    done = subprocess.run(
        [*command, "--disable-pip-version-check", "--target", str(target), str(package)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr


def write_distribution(target: Path, name: str, groups: dict[str, dict[str, str]], **modules: str) -> None:
    """What pip leaves of a distribution: its modules (name -> source), METADATA and entry points by group."""
    folder = target / f"{name.replace('-', '_')}-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [
        f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in points.items())
        for group, points in groups.items()
    ]
    (folder / "entry_points.txt").write_text("\n".join(lines))
    for module, source in modules.items():
        (target / f"{module}.py").write_text(source)


@contextmanager
def installed(target: Path) -> Iterator[None]:
    """Within, this process finds what stands in `target`; afterwards nothing of it is left."""
    before = set(sys.modules)
    sys.path.insert(0, str(target))
    _look_again()
    try:
        yield
    finally:
        sys.path.remove(str(target))
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(target)):
                del sys.modules[name]
        _look_again()


def _look_again() -> None:
    importlib.invalidate_caches()
    entry_points.forget()
    for plugins in registries().values():
        plugins.forget()
