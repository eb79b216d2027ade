"""A cluster takes the machine away: SIGTERM in training, and checkpoints in a folder that outlives the pod."""

import errno
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from ambidex.base import outputs
from ambidex.base.errors import PreemptedError, StorageError
from ambidex.cli import main
from ambidex.commands import study
from ambidex.commands.freshness import up_to_date
from ambidex.learn.loop.stopping import stop_on_sigterm
from ambidex.learn.method import Phase
from ambidex.resolve.cell import resolve
from ambidex.stages import run
from helpers.memory_store import engine
from helpers.runs import extracted, small_params, write_params
from helpers.stopping import command, same_model, sigterm_in_step, started


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    return extracted(tmp_path_factory.mktemp("run"))


def _params(checkpoints=None, seed=0, **train):
    runtime = {"checkpoints": None if checkpoints is None else str(checkpoints)}
    return small_params(train={"method": "ogm_ge", "seed": seed, **train}, runtime=runtime)


def _train(layout, params, output):
    return run("train", params, {"features": layout.features}, {"model": output})


@pytest.mark.slow
def test_sigterm_ends_the_command_with_75_and_a_rerun_with_the_same_bits(layout, tmp_path):
    settings = {"method": "ogm_ge", "epochs": 80, "optimizer": "adam", "schedule": "cosine"}
    plain = write_params(tmp_path / "plain.yaml", train=settings)
    volume = tmp_path / "volume"
    kept = write_params(tmp_path / "kept.yaml", train=settings, runtime={"checkpoints": str(volume)})
    first, second = tmp_path / "pod-1" / "model", tmp_path / "pod-2" / "model"
    running = started(command("train", kept, layout.features, first), volume, "*/checkpoint.pt")
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 75
    (line,) = [line for line in said.splitlines() if line.startswith("ambidex:")]
    (place,) = volume.iterdir()
    assert line.startswith("ambidex: stopped by SIGTERM after step ")
    assert line.endswith(f"; a rerun resumes from {place}")
    assert "Traceback" not in said
    assert list(tmp_path.glob("pod-1/*")) == []
    before = torch.load(place / "checkpoint.pt", weights_only=True)
    shutil.rmtree(tmp_path / "pod-1", ignore_errors=True)  # the pod is gone
    assert before["number"] < 80 * 4
    for params, output in ((kept, second), (plain, tmp_path / "whole")):
        _, _, _, *arguments = command("train", params, layout.features, output)
        assert main(arguments) == 0
    assert same_model(tmp_path / "whole", second)
    assert list(volume.iterdir()) == []
    assert not (second / "checkpoint.pt").exists()


def test_a_rerun_takes_only_the_steps_that_are_left(layout, tmp_path):
    """60 samples in batches of 16 are four steps (the last four samples are enough for one): 12 in three epochs."""
    with pytest.raises(PreemptedError, match="after step 6 of epoch 2"), sigterm_in_step(6):
        _train(layout, _params(), tmp_path / "model")
    with pytest.raises(PreemptedError, match="after step 12 of epoch 3"), sigterm_in_step(6):
        _train(layout, _params(), tmp_path / "model")
    with sigterm_in_step(1):  # never reached: nothing is left but to validate
        _train(layout, _params(), tmp_path / "model")
    _train(layout, _params(), tmp_path / "whole")
    assert same_model(tmp_path / "whole", tmp_path / "model")


@pytest.mark.parametrize("fresh", [False, True])
def test_passes_of_one_epoch_are_told_apart(tmp_path, fresh):
    """Two passes of three steps each, over the fusion and then over all: stopped in the first and in the second.

    With a fresh optimiser for each pass too, which a rerun within the pass must not begin again.
    """

    def two_passes():
        found = engine(tmp_path / "cut", "multi_task", epochs=2)
        found.method.phases = lambda run: (
            Phase("head", tuple(run.model.fusion.parameters()), fresh),
            Phase(fresh=fresh),
        )
        return found

    for number in (2, 3, 5):  # after steps 2, 5 (the second of pass two) and 10
        with pytest.raises(PreemptedError), sigterm_in_step(number):
            two_passes().fit()
    last = two_passes()
    last.fit()
    shutil.rmtree(tmp_path / "cut")
    whole = two_passes()
    whole.fit()
    assert last.state.number == whole.state.number == 12
    expected = whole.model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in last.model.state_dict().items())


def test_cells_that_share_the_folder_do_not_mix(layout, tmp_path):
    volume = tmp_path / "volume"
    for seed in (0, 1):
        with pytest.raises(PreemptedError), sigterm_in_step(5):
            _train(layout, _params(volume, seed), tmp_path / f"cut-{seed}" / "model")
    assert len(list(volume.iterdir())) == 2
    _train(layout, _params(volume, 2), tmp_path / "other" / "model")
    for seed in (0, 1):
        with sigterm_in_step(99):
            _train(layout, _params(volume, seed), tmp_path / f"pod-{seed}" / "model")
        _train(layout, _params(None, seed), tmp_path / f"whole-{seed}" / "model")
        assert same_model(tmp_path / f"whole-{seed}" / "model", tmp_path / f"pod-{seed}" / "model")
    assert list(volume.iterdir()) == []


def test_pretrain_and_crossfit_keep_their_work_there_too(layout, tmp_path):
    volume = tmp_path / "volume"
    runtime = {"checkpoints": str(volume)}
    section = {"modality": "left", "epochs": 2}
    one = small_params(pretrain=section, runtime=runtime)
    with pytest.raises(PreemptedError), sigterm_in_step(3):
        run("pretrain", one, {"features": layout.features}, {"encoder": tmp_path / "left"})
    assert [path.name[:5] for path in volume.iterdir()] == ["left-"]
    run("pretrain", one, {"features": layout.features}, {"encoder": tmp_path / "left"})
    run(
        "pretrain",
        small_params(pretrain=section),
        {"features": layout.features},
        {"encoder": tmp_path / "whole"},
    )
    assert same_model(tmp_path / "left", tmp_path / "whole")

    given = {"train": {"method": "joint", "epochs": 2}, "crossfit": {"folds": 2}}
    parts = {"features": layout.features}
    with pytest.raises(PreemptedError), sigterm_in_step(6):  # in the second fold
        run("crossfit", small_params(**given, runtime=runtime), parts, {"crossfit": tmp_path / "cut"})
    (place,) = volume.iterdir()
    assert (place / "fold-0").exists()
    volume = volume.rename(tmp_path / "mounted-elsewhere")
    runtime = {"checkpoints": str(volume)}
    found = run("crossfit", small_params(**given, runtime=runtime), parts, {"crossfit": tmp_path / "cut"})
    assert found == run("crossfit", small_params(**given), parts, {"crossfit": tmp_path / "whole-crossfit"})
    assert list(volume.iterdir()) == []


def test_where_unfinished_work_stands_makes_no_output_stale(layout, tmp_path):
    output = tmp_path / "model"
    _train(layout, _params(tmp_path / "volume", epochs=1), output)
    inputs = {"features": layout.features}
    assert "volume" not in (output / "params.yaml").read_text()
    assert up_to_date("train", resolve(_params(None, epochs=1)), inputs, output)
    assert up_to_date("train", resolve(_params(tmp_path / "another", epochs=1)), inputs, output)
    assert not up_to_date("train", resolve(_params(None, epochs=2)), inputs, output)


def test_a_study_ends_as_well(monkeypatch, tmp_path, capsys):
    seen = []

    def stop(stage, params, inputs, outputs):
        seen.append(stage)
        if stage == "train":
            raise PreemptedError("stopped by SIGTERM after step 1")
        return {}

    monkeypatch.setattr(study, "run_stage", stop)
    params = write_params(tmp_path / "params.yaml", methods={"joint": {}, "multi_task": {}})
    assert main(["study", "--params", str(params), "--runs", str(tmp_path / "runs")]) == 75
    assert seen.count("train") == 1
    assert capsys.readouterr().err == "ambidex: stopped by SIGTERM after step 1\n"


WAITING = """
import sys, time
from ambidex.learn.loop.stopping import stop_on_sigterm
with stop_on_sigterm() as stop:
    print("ready", flush=True)
    while True:
        time.sleep(0.01)
        if stop.asked:
            print("asked", flush=True)
"""


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(second):
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "asked\n"
    assert process.poll() is None
    process.send_signal(second)
    process.stdout.close()
    assert process.wait(10) == -second


def test_outside_training_sigterm_is_what_it_was():
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_sigterm() as stop:
        assert signal.getsignal(signal.SIGTERM) is not before
        signal.raise_signal(signal.SIGTERM)
        assert stop.asked
    assert signal.getsignal(signal.SIGTERM) is before
    found = []

    def elsewhere():
        with stop_on_sigterm() as stop:
            found.append((stop.asked, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [(False, before)]


@pytest.fixture
def another_file_system(tmp_path, monkeypatch):
    """Renaming between `volume` and the rest fails, as between a volume and a pod's own disk."""
    volume = tmp_path / "volume"
    real = Path.rename

    def rename(self, target):
        if (volume in self.parents) != (volume in Path(target).parents):
            raise OSError(errno.EXDEV, "Invalid cross-device link", str(self))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    return volume


def test_the_result_moves_from_another_file_system(layout, tmp_path, another_file_system):
    _train(layout, _params(another_file_system), tmp_path / "model")
    _train(layout, _params(), tmp_path / "whole")
    assert same_model(tmp_path / "model", tmp_path / "whole")
    assert {p.name for p in (tmp_path / "model").iterdir()} == {
        p.name for p in (tmp_path / "whole").iterdir()
    }
    assert not another_file_system.exists()  # nobody else had made it, and nothing is left in it


def test_a_move_that_breaks_off_loses_nothing(layout, tmp_path, another_file_system, monkeypatch):
    real, copied = shutil.copyfile, []

    def full(source, target):
        copied.append(real(source, target))
        if len(copied) == 3:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", full)
        with pytest.raises(StorageError, match="No space left"):
            _train(layout, _params(another_file_system), tmp_path / "model")
    assert [p.name for p in tmp_path.iterdir()] == ["volume"]
    with sigterm_in_step(1):  # no step is taken again
        _train(layout, _params(another_file_system), tmp_path / "model")
    assert (tmp_path / "model" / "model.safetensors").exists()


def test_between_two_real_file_systems(tmp_path):
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here (/dev/shm)")
    unfinished = memory / f"ambidex-test-{tmp_path.name}"
    (unfinished / "inner").mkdir(parents=True)
    try:
        (unfinished / "inner" / "a").write_text("new")
        (unfinished / "checkpoint.pt").write_text("of no use any more")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "b").write_text("old")
        for folder in (unfinished, tmp_path / "out"):
            (folder / "card.json").write_text('{"ambidex": "0", "stage": "train"}')
        outputs.finish(unfinished, tmp_path / "out", leave=("checkpoint.pt", "never there"))
        assert not unfinished.exists()
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    found = [str(p.relative_to(tmp_path)) for p in sorted(tmp_path.rglob("*"))]
    assert found == ["out", "out/card.json", "out/inner", "out/inner/a"]
