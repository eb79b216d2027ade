"""Runs a job with the code of one checkout, through its command line alone."""

import csv
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from benchmarks.golden.jobs import DATA, PREDICT, Job

RUN = "run.txt"
"""exit code and last line of every command that failed"""
_KEPT = (".safetensors", ".json", ".jsonl", ".csv", ".md", RUN)
_CLIPS = 3


def commit_of(root: Path, revision: str) -> str:
    """The full commit of `revision`. Ends the program with one line where there is none."""
    return _git(root, "rev-parse", "--verify", f"{revision}^{{commit}}")


@contextmanager
def checked_out(root: Path, commit: str) -> Iterator[Path]:
    """A temporary worktree of `commit`."""
    with tempfile.TemporaryDirectory(prefix="ambidex-golden-tree-") as name:
        tree = Path(name) / "tree"
        _git(root, "worktree", "add", "--detach", str(tree), commit)
        try:
            yield tree
        finally:
            _git(root, "worktree", "remove", "--force", str(tree))


def snapshot(root: Path, work: Path) -> Path:
    """A copy of what the jobs need of the checkout `root`, so that editing it meanwhile changes nothing."""
    tree = work / "tree"
    shutil.copytree(root / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__"))
    if (root / "params.yaml").exists():
        shutil.copy(root / "params.yaml", tree / "params.yaml")
    return tree


def run_job(tree: Path, name: str, job: Job, work: Path, data: Path) -> Path:
    """Run `job` with the code in `tree`. Returns `work / name` with the files that are compared, nothing else.

    `data`: the checkout beside which DATA lies.
    """
    folder = work / name
    (folder / "runs").mkdir(parents=True)
    params = _params(tree, job, data)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    failures = [line for step in job.steps if (line := _run(tree, folder, step))]
    (folder / RUN).write_text("\n".join(failures))
    (folder / "params.yaml").unlink()
    _drop_the_rest(folder)
    return folder


def _params(tree: Path, job: Job, data: Path) -> dict[str, Any]:
    params = {key: dict(section) for key, section in job.params.items()}
    if job.data is not None:
        params["prepare"]["source"] = str((data / DATA / job.data).resolve())
    if job.every_method:
        shipped = yaml.safe_load((tree / "params.yaml").read_text())["methods"]
        params["methods"] = {name: {} for name in shipped} | params["methods"]
        params["study"]["methods"] = list(params["methods"])
    return params


def _run(tree: Path, folder: Path, step: Sequence[str]) -> str | None:
    """One command; a line where it fails. What `predict` prints is kept."""
    if step[0] == PREDICT:
        report = step[1]
        done = _ambidex(tree, folder, ["predict", f"runs/reports/{report}", *_clips(folder), "--json"])
        (folder / f"predict-{report}.jsonl").write_text(done.stdout)
    else:
        done = _ambidex(tree, folder, [*step, "--params", "params.yaml", "--runs", "runs"])
    if done.returncode == 0:
        return None
    said = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
    return f"ambidex {' '.join(step)}: exit code {done.returncode}: {said}"


def _ambidex(tree: Path, folder: Path, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str((tree / "src").resolve()), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ambidex.cli", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def _clips(folder: Path) -> list[str]:
    """The first test clips of the manifest, as `predict` takes them."""
    manifest = folder / "runs/manifest/manifest.csv"
    if not manifest.exists():
        return ["missing.mp4"]
    with manifest.open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["split"] == "test"]
    return [",".join(f"{m}=runs/manifest/{row[m]}" for m in ("audio", "visual")) for row in rows[:_CLIPS]]


def _drop_the_rest(folder: Path) -> None:
    """Media, charts, pages and TensorBoard files go: the numbers in them stand in the files that stay."""
    shutil.rmtree(folder / "runs/manifest/clips", ignore_errors=True)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and not path.name.endswith(_KEPT):
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"golden: git {words[0]}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.strip()
