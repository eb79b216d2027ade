"""The golden comparison: a changed number is named, equal trees are equal."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from benchmarks.golden.__main__ import main
from benchmarks.golden.differences import EXCLUDED, compare_folders
from benchmarks.golden.jobs import JOBS, USUAL
from safetensors.torch import save_file

from helpers.checkout import ROOT


def folders(tmp_path: Path) -> tuple[Path, Path]:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        save_file({"a": torch.arange(4.0), "b": torch.zeros(2, dtype=torch.int64)}, folder / "m.safetensors")
        (folder / "metrics.json").write_text(json.dumps({"test": {"nll": [0.25, 1.5]}, "seconds": 1.0}))
        (folder / "p.csv").write_text("id,p\nx,0.5\ny,0.25\n")
    return here, there


def test_equal_folders_are_equal(tmp_path: Path) -> None:
    here, there = folders(tmp_path)
    assert compare_folders(here, there, "HEAD") == {"m.safetensors": "", "metrics.json": "", "p.csv": ""}


def test_the_first_number_that_differs_is_named(tmp_path: Path) -> None:
    here, there = folders(tmp_path)
    changed = torch.tensor([0.0, 1.0, 2.5, 3.5])
    save_file({"a": changed, "b": torch.zeros(2, dtype=torch.int64)}, here / "m.safetensors")
    (here / "metrics.json").write_text(json.dumps({"test": {"nll": [0.25, 1.75]}, "seconds": 2.0}))
    (here / "p.csv").write_text("id,p\nx,0.5\ny,0.125\n")
    (here / "new.json").write_text("{}")
    assert compare_folders(here, there, "HEAD") == {
        "m.safetensors": "a: number 2: 2.5 here, 2.0 in HEAD (2 of 4 numbers)",
        "metrics.json": "test.nll.1: 1.75 here, 1.5 in HEAD",
        "new.json": "only here",
        "p.csv": "line 3: p: '0.125' here, '0.25' in HEAD",
    }


def test_bits_count_not_values(tmp_path: Path) -> None:
    here, there = folders(tmp_path)
    zeros = torch.tensor([-0.0, 1.0, 2.0, 3.0])
    save_file({"a": zeros, "b": torch.zeros(2, dtype=torch.int64)}, here / "m.safetensors")
    (here / "metrics.json").write_text(json.dumps({"test": {"nll": [0.25, float("nan")]}, "seconds": 1.0}))
    (there / "metrics.json").write_text(json.dumps({"seconds": 5.0, "test": {"nll": [0.25, float("nan")]}}))
    verdicts = compare_folders(here, there, "HEAD")
    assert verdicts["m.safetensors"].startswith("a: number 0: -0.0 here, 0.0 in HEAD")
    assert verdicts["metrics.json"] == ""


def test_what_depends_on_the_time_is_a_short_list() -> None:
    assert len(EXCLUDED) < 12
    assert {"embedded", "methods", "crossfit", "film", "gated", "av_digits", "mfeat6"} == set(USUAL)
    assert JOBS["methods"].every_method


@pytest.mark.slow
def test_a_seeded_change_is_reported_and_equal_trees_are_equal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "src/ambidex", root / "src/ambidex", ignore=shutil.ignore_patterns("__pycache__"))
    author = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["add", "-A"], [*author, "commit", "-qm", "as it is"]):
        subprocess.run(["git", "-C", str(root), *words], check=True)
    asked = ["--root", str(root), "--against", "HEAD", "--jobs", "small"]
    assert main(asked) == 0
    assert capsys.readouterr().out.endswith("no difference\n")

    training = next(path for path in root.rglob("*.py") if 'derived_seed("init", seed)' in path.read_text())
    training.write_text(
        training.read_text().replace('derived_seed("init", seed)', 'derived_seed("init", seed + 1)')
    )
    assert main(asked) == 1
    lines = capsys.readouterr().out.splitlines()
    different = {line.split()[1].rstrip(":") for line in lines if line.startswith("  DIFFERENT")}
    assert "runs/models/multi_task-scratch-0/model.safetensors" in different
    assert not any("runs/features" in line for line in different)
