"""A copy of the project in a git repository of its own, in which dvc can run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def checkout(folder: Path, program: str, params: Path = ROOT / "params.yaml") -> Path:
    """Copy what dvc needs into `folder`; `program` is the Python text that stands in for `ambidex`."""
    for name in ("dvc.yaml", ".dvcignore", ".gitignore", ".dvc/config"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    shutil.copy(params, folder / "params.yaml")
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    executable = folder / "bin/ambidex"
    executable.parent.mkdir()
    executable.write_text(f"#!{sys.executable}\n{program}")
    executable.chmod(0o755)
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return folder


def dvc(project: Path, *arguments: str) -> str:
    """What `dvc ...` prints in `project`; fails the test with its messages where it fails."""
    path = f"{project / 'bin'}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(project / "src"), "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=project, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
