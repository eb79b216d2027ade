"""Two processes that want one output: the second is told who is in its way, and the first one's result is right."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ambidex.base.errors import BusyError
from ambidex.base.layout import Layout
from ambidex.base.outputs import lock
from ambidex.base.outputs.lock import lock_file
from ambidex.base.readers import read_json
from ambidex.cli import main
from ambidex.commands import study
from ambidex.commands.levels import Level
from ambidex.stages import run
from helpers.outputs import snapshot
from helpers.runs import extracted, small_params, write_params
from helpers.stopping import command, same_model, started

LONG = {"method": "joint", "epochs": 400}
SOME = {"method": "joint", "epochs": 60}
SHELL = "import subprocess, sys; subprocess.run(sys.argv[1:])"


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return extracted(tmp_path_factory.mktemp("run"))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_PATIENCE", 0.2)


@pytest.mark.slow
def test_an_orphan_still_holds_its_output(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parent is killed (a shell, make, dvc), the training lives on: it is no leftover of a dead process."""
    out = tmp_path / "out"
    params = write_params(tmp_path / "params.yaml", train=LONG)
    arguments = command("train", params, layout.features, out)
    parent = started([sys.executable, "-c", SHELL, *arguments], tmp_path, "out.partial/checkpoint.pt")
    holder = read_json(lock_file(out))["pid"]
    os.kill(holder, signal.SIGSTOP)  # it stays where it is, and has the lock
    try:
        assert holder != parent.pid
        parent.kill()
        parent.wait()
        given, features = small_params(train=LONG), {"features": layout.features}
        with pytest.raises(BusyError, match=f"process {holder} on .* is writing it, since 20") as caught:
            run("train", given, features, {"model": out})
        assert "\n" not in str(caught.value)
        with pytest.raises(BusyError):  # neither may another stage, nor with other parameters
            run("train", small_params(), features, {"model": out})
        assert (tmp_path / "out.partial/checkpoint.pt").exists()
    finally:
        os.kill(holder, signal.SIGKILL)
    monkeypatch.setattr(lock, "_PATIENCE", 60.0)  # until it is really gone
    for stream in (parent.stdout, parent.stderr):
        assert stream is not None
        stream.close()
    short = small_params(train={"method": "joint"})
    run("train", short, features, {"model": out})
    run("train", short, features, {"model": tmp_path / "whole"})
    assert same_model(out, tmp_path / "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"out", "whole", "params.yaml"}


@pytest.mark.slow
def test_two_pods_share_a_folder_of_checkpoints(layout: Layout, tmp_path: Path) -> None:
    """Their outputs are each on a disk of its own; the unfinished work is one."""
    volume = tmp_path / "volume"
    runtime = {"checkpoints": str(volume)}
    params = write_params(tmp_path / "params.yaml", train=SOME, runtime=runtime)
    first = started(
        command("train", params, layout.features, tmp_path / "pod-1/out"), volume, "*.partial/checkpoint.pt"
    )
    first.send_signal(signal.SIGSTOP)
    given, features = small_params(train=SOME, runtime=runtime), {"features": layout.features}
    with pytest.raises(BusyError, match=f"{volume}/out-.*: process {first.pid} on"):
        run("train", given, features, {"model": tmp_path / "pod-2/out"})
    assert not (tmp_path / "pod-2").exists()
    first.send_signal(signal.SIGTERM)
    first.send_signal(signal.SIGCONT)
    first.communicate(timeout=60)
    assert first.returncode == 75
    (place,) = volume.iterdir()  # no lock is left
    (place / "stray.csv.tmp-1").write_text("of a killed run")
    shutil.rmtree(tmp_path / "pod-1", ignore_errors=True)
    run("train", given, features, {"model": tmp_path / "pod-2/out"})
    assert list(volume.iterdir()) == []
    assert not list((tmp_path / "pod-2/out").glob("*tmp*"))


@pytest.mark.parametrize("make", ["file", "folder", "link"])
def test_a_users_folder_among_the_checkpoints_stays(layout: Layout, tmp_path: Path, make: str) -> None:
    volume, given = tmp_path / "volume", {"train": {"method": "joint", "epochs": 1}}
    params = small_params(**given, runtime={"checkpoints": str(volume)})
    with pytest.raises(BusyError) as caught:  # where it grows: the lock's name says it
        _locked_name(layout, params, tmp_path)
    place = volume / str(caught.value)
    place.parent.mkdir(exist_ok=True)
    {"file": place.touch, "folder": lambda: (place / "mine").mkdir(parents=True)}.get(
        make, lambda: place.symlink_to(tmp_path)
    )()
    before = snapshot(volume)
    with pytest.raises(Exception, match="an unfinished out-"):
        run("train", params, {"features": layout.features}, {"model": tmp_path / "out"})
    assert snapshot(volume) == before


def _locked_name(layout: Layout, params: object, tmp_path: Path) -> None:
    from ambidex.stages import _training

    real = _training.workplace

    def told(*given: object) -> Path:
        raise BusyError(real(*given).name)  # type: ignore[arg-type]

    _training.workplace = told  # type: ignore[assignment]
    try:
        run("train", params, {"features": layout.features}, {"model": tmp_path / "out"})  # type: ignore[arg-type]
    finally:
        _training.workplace = real


def test_an_input_made_anew_meanwhile_is_noticed(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ambidex.stages import _training

    features = shutil.copytree(layout.features, tmp_path / "features")
    real = _training.save_model

    def save(*given: object, **facts: object) -> None:
        (features / "card.json").write_text('{"stage": "extract", "code": "another"}')
        real(*given, **facts)  # type: ignore[arg-type]

    monkeypatch.setattr(_training, "save_model", save)
    params = small_params(train={"method": "joint", "epochs": 1})
    with pytest.raises(BusyError, match=r"features \(.*features\) changed while it was read"):
        run("train", params, {"features": features}, {"model": tmp_path / "out"})
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_two_studies_at_once_end_with_one_line(tmp_path: Path) -> None:
    from helpers.small import small_params as shipped

    params = shipped(tmp_path / "params.yaml")
    arguments = ["study", "--params", str(params), "--runs", str(tmp_path / "runs")]
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "ambidex.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=250) for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes[0] == 0
    assert codes[1] == 75
    assert not any("Traceback" in errors for _, errors in said)
    assert main(arguments) == 0
    assert [
        str(path) for path in (tmp_path / "runs").rglob("*") if "lock" in path.name or "partial" in path.name
    ] == []


def test_a_study_whose_cell_is_being_written_stops_there_and_calls_it_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the other process writes is needed for the comparison: the same command goes on later."""
    asked: list[Path] = []

    def busy(stage: str, params: object, layout: Layout) -> None:
        asked.append(layout.root)
        raise BusyError("models/joint-scratch-0: process 7 is writing it")

    monkeypatch.setattr(study, "_bring_up_to_date", busy)
    params = small_params(study={"methods": ["joint"], "regimes": ["scratch"], "seeds": [0, 1]})
    with pytest.raises(BusyError, match="process 7"):
        list(study._run_cells(Level(params, Layout(tmp_path))))
    assert len(asked) == 1
