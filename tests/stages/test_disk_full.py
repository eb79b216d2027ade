"""A disk that fills up, or may not be written: one line, nothing already written lost, and a rerun goes on."""

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ambidex.base.errors import AmbidexError, StorageError
from ambidex.base.layout import Layout
from ambidex.cli import main
from ambidex.learn import engine
from ambidex.learn.loop.checkpoint import load_checkpoint, save_checkpoint
from ambidex.stages import run
from helpers.outputs import snapshot
from helpers.runs import extracted, small_params, write_params
from helpers.stopping import command, same_model


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return extracted(tmp_path_factory.mktemp("run"))


def prepare_inputs(layout: Layout, stage: str) -> dict[str, Path]:
    """What `stage` reads, made where it is not there yet."""
    if stage in ("evaluate", "compare") and not layout.models.exists():
        run("train", params(), {"features": layout.features}, {"model": layout.model("joint", "scratch", 0)})
    if stage == "compare" and not layout.reports.exists():
        run(
            "evaluate",
            params(),
            _inputs(layout)["evaluate"],
            {"report": layout.report("joint", "scratch", 0)},
        )
    for index in (0, 1) if stage == "merge" else ():
        part = params(extract={"part": f"{index}/2"})
        run("extract", part, {"manifest": layout.manifest}, {"features": layout.part(index)})
    return _inputs(layout)[stage]


CLIPS = {"samples_per_class": 18, "classes": 3, "seconds": 0.3, "size": 16}


def params(**sections: Any) -> Any:
    evaluate = {"diagnostics": [], "allocators": ["uniform"], "allocator": "modality", "folds": 2}
    given = {
        "evaluate": evaluate,
        "crossfit": {"folds": 2},
        "pretrain": {"modality": "left", "epochs": 1},
        "train": {"method": "joint", "epochs": 1},
        "study": {"methods": ["joint"], "regimes": ["scratch"], "seeds": [0]},
        "prepare": {"options": {**CLIPS, "train_speakers": 3, "val_speakers": 2, "test_speakers": 2}},
    }
    return small_params(
        **{name: {**given.get(name, {}), **sections.get(name, {})} for name in {*given, *sections}}
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(disk: Path, free: int) -> Path:
    """Fill `disk` up to `free` bytes."""
    ballast = disk / "ballast"
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(descriptor, b"x" * 4096)
    os.ftruncate(descriptor, max(0, os.fstat(descriptor).st_size - free))
    os.close(descriptor)
    return ballast


def _inputs(layout: Layout) -> dict[str, dict[str, Path]]:
    features = {"features": layout.features}
    return {
        "prepare": {},
        "extract": {"manifest": layout.manifest},
        "merge": {"parts": layout.parts},
        "pretrain": features,
        "train": features,
        "crossfit": features,
        "evaluate": {**features, "model": layout.model("joint", "scratch", 0)},
        "compare": {"reports": layout.reports},
    }


def fails(call: Callable[[], object]) -> str:
    with pytest.raises(AmbidexError) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3
    return str(caught.value)


SLOW = ("merge", "crossfit", "evaluate", "compare")


@pytest.mark.parametrize(
    "stage", ["extract", "pretrain", *(pytest.param(stage, marks=pytest.mark.slow) for stage in SLOW)]
)
def test_every_stage_says_it_in_a_line_and_keeps_the_older_output(
    layout: Layout, small_disk: Path, stage: str
) -> None:
    output = {"out": small_disk / "out"}
    names = {"extract": "features", "merge": "features", "pretrain": "encoder", "evaluate": "report"}
    outputs = {names.get(stage, {"compare": "study"}.get(stage, stage)): output["out"]}
    again = params(runtime={"threads": 1}, crossfit={"seed": 1}, pretrain={"epochs": 2})
    inputs = prepare_inputs(layout, stage)
    run(stage, params(), inputs, outputs)
    before = snapshot(output["out"])
    for free in (0, 2 * 4096, 8 * 4096):  # none, and some: the disk is full at another file
        ballast = fill(small_disk, free)
        told = fails(lambda: run(stage, again, inputs, outputs))
        assert "No space left" in told or "disk full" in told
        assert snapshot(output["out"]) == before
        ballast.unlink()
    run(stage, again, inputs, outputs)
    assert snapshot(output["out"]) != before
    assert [path.name for path in small_disk.iterdir()] == ["out"]


@pytest.mark.slow
def test_prepare_says_it_in_a_line(layout: Layout, small_disk: Path) -> None:
    """Its clips are written by another library, which has errors of its own."""
    run("prepare", params(), {}, {"manifest": small_disk / "out"})
    before = snapshot(small_disk / "out")
    for free in (0, 4096, 10 * 4096, 40 * 4096):
        ballast = fill(small_disk, free)
        assert "No space left" in fails(
            lambda: run("prepare", params(), {}, {"manifest": small_disk / "out"})
        )
        ballast.unlink()
        assert snapshot(small_disk / "out") == before
    assert [path.name for path in small_disk.iterdir()] == ["out"]


def test_training_names_the_last_checkpoint_and_goes_on_from_it(
    layout: Layout, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, inputs = params(train={"epochs": 4}), {"features": layout.features}
    saved: list[int] = []

    def save(folder: Path, state: dict[str, Any]) -> None:
        save_checkpoint(folder, state)
        saved.append(state["epoch"])
        if len(saved) == 2:
            fill(small_disk, 0)

    with monkeypatch.context() as patched:
        patched.setattr(engine, "save_checkpoint", save)
        told = fails(lambda: run("train", given, inputs, {"model": small_disk / "out"}))
    folder = small_disk / "out.partial"
    assert "No space left on device" in told
    assert f"the last checkpoint, after epoch 2, stands in {folder}" in told
    (small_disk / "ballast").unlink()
    checkpoint = folder / "checkpoint.pt"
    assert checkpoint.exists()
    seen: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(
            engine,
            "save_checkpoint",
            lambda f, state: (seen.append(state["epoch"]), save_checkpoint(f, state)),
        )
        run("train", given, inputs, {"model": small_disk / "out"})
    assert seen == [3, 4]  # the two epochs that were left
    run("train", given, inputs, {"model": small_disk / "whole"})
    assert same_model(small_disk / "out", small_disk / "whole")
    assert {path.name for path in small_disk.iterdir()} == {"out", "whole"}
    assert load_checkpoint(folder, "") is None


def test_a_file_that_may_not_grow_is_the_same(layout: Layout, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, limits[1]))
    try:
        with pytest.raises(StorageError, match="File too large; no checkpoint was written yet"):
            run("train", params(), {"features": layout.features}, {"model": tmp_path / "out"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    run("train", params(), {"features": layout.features}, {"model": tmp_path / "out"})
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_disk_that_is_read_only(layout: Layout, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    told = fails(
        lambda: run("train", params(), {"features": layout.features}, {"model": small_disk / "a/out"})
    )
    assert "Read-only file system" in told
    assert str(small_disk) in told


def test_the_command_line_says_one_line(
    layout: Layout, small_disk: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = write_params(tmp_path / "params.yaml", train={"method": "joint", "epochs": 1})
    fill(small_disk, 16 * 4096)
    _, _, _, *arguments = command("train", file, layout.features, small_disk / "out")
    assert main(arguments) == 3
    told = capfd.readouterr().err
    (line,) = [line for line in told.splitlines() if line.strip() and "epochs" not in line]
    assert line.startswith("ambidex: ")
    assert "No space left on device" in line
    assert sys.executable not in told
