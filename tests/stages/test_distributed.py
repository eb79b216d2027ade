"""Training in two processes (gloo, on the CPU): the numbers of one, one writer, and one end for all."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ambidex.base.errors import DataError, ParamsError, TrainingError
from ambidex.base.layout import Layout
from ambidex.launch.distributed import run_stage
from ambidex.stages import run
from helpers.runs import extracted, pretrained, small_params, write_params, write_vectors
from helpers.stopping import command, same_model, started

SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    found = extracted(tmp_path_factory.mktemp("run"))
    pretrained(found, small_params())
    return found


def _params(devices, method="ogm_ge", **train):
    """Encoders are mlp without dropout: whole batch or two halves, the sum is the same."""
    return small_params(train={"method": method, **train}, runtime={"devices": devices})


def _train(layout, params, output):
    inputs = {"features": layout.features, "encoders": layout.encoders(0)}
    return run_stage("train", params, inputs, {"model": output})


def _closest(a, b):
    one, two = load_file(a / "model.safetensors"), load_file(b / "model.safetensors")
    return max((one[name] - two[name]).abs().max().item() for name in one)


def _assert_remarks_alone(err, trainings):
    """Three epochs cut a training short: its first process says so, once, and no process says anything else."""
    lines = err.splitlines()
    assert len(lines) == trainings
    assert all(": training was cut short: " in line for line in lines)


@SLOW
def test_two_halves_of_a_batch_train_as_the_whole(layout, tmp_path, capfd):
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    environment = dict(os.environ)
    one = _train(layout, _params(1), tmp_path / "one")
    two = _train(layout, _params(2), tmp_path / "two")
    assert _closest(tmp_path / "one", tmp_path / "two") < 1e-5
    assert two["epoch"] == one["epoch"]
    assert two["val"]["accuracy"] == one["val"]["accuracy"]
    assert two["val"]["nll"] == pytest.approx(one["val"]["nll"], abs=1e-5)
    assert two == json.loads((tmp_path / "two/metrics.json").read_text())

    found = sorted(path.name for path in (tmp_path / "two").iterdir())
    assert found == sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(list((tmp_path / "two/tensorboard").iterdir())) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
    numbers = [[float(x) for line in (tmp_path / name / "history.csv").read_text().splitlines()[1:]
                for x in line.split(",")] for name in ("one", "two")]  # fmt: skip
    assert numbers[0] == pytest.approx(numbers[1], abs=1e-5)  # also the sums over the training samples
    _assert_remarks_alone(capfd.readouterr().err, trainings=2)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers
    assert dict(os.environ) == environment


@SLOW
@pytest.mark.parametrize(
    ("method", "train", "methods"),
    [
        ("multi_task", {"regime": "pretrained", "accumulate": 2}, {"multi_task": {"heads": "own"}}),
        ("adaptive_head", {"regime": "frozen"}, {}),
        ("joint", {"batch_size": 13, "optimizer": "sgd", "clip_norm": 0.5}, {}),
        ("unimodal_ensemble", {}, {}),
    ],
)
def test_so_it_is_for_every_kind_of_method(layout, tmp_path, method, train, methods):
    for devices in (1, 2):
        params = small_params(
            train={"method": method, **train}, methods=methods, runtime={"devices": devices}
        )
        _train(layout, params, tmp_path / str(devices))
    assert _closest(tmp_path / "1", tmp_path / "2") < 1e-5


@SLOW
def test_patience_ends_two_processes_where_it_ends_one(tmp_path):
    """By validation groups of 20, 7 and 3 samples: each process scores a part of them."""
    layout, draws = Layout(tmp_path / "run"), np.random.default_rng(0)
    labels = np.arange(90) % 3
    centres = draws.normal(size=(2, 3, 6))
    noise = draws.normal(size=(2, 90, 6)).astype(np.float32)
    arrays = dict(zip(("left", "right"), (centres[:, labels] + noise).astype(np.float32), strict=True))
    groups = (
        [f"t{i % 5}" for i in range(40)]
        + ["a"] * 20
        + ["b"] * 7
        + ["c"] * 3
        + [f"u{i % 5}" for i in range(20)]
    )
    write_vectors(layout, arrays, labels, ["train"] * 40 + ["val"] * 30 + ["test"] * 20, groups, "uneven")
    loop = {"epochs": 30, "patience": 2, "patience_steps": 4, "learning_rate": 0.05}
    run("extract", _params(1), {"manifest": layout.manifest}, {"features": layout.features})
    rows = {}
    for devices in (1, 2):
        place = tmp_path / str(devices)
        run_stage("train", _params(devices, **loop), {"features": layout.features}, {"model": place})
        rows[devices] = list(csv.DictReader((place / "history.csv").read_text().splitlines()))
    scores = [[float(row["val/group_nll"]) for row in rows[devices]] for devices in (1, 2)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)  # as many, too
    best = scores[0].index(min(scores[0]))
    assert len(scores[0]) == best + 3 < 30
    assert _closest(tmp_path / "1", tmp_path / "2") < 1e-5


@SLOW
def test_pretrain_runs_in_two_processes(layout, tmp_path):
    found = {}
    for devices in (1, 2):
        params = small_params(pretrain={"modality": "left"}, runtime={"devices": devices})
        place = tmp_path / str(devices)
        found[devices] = run_stage("pretrain", params, {"features": layout.features}, {"encoder": place})
    assert _closest(tmp_path / "1", tmp_path / "2") < 1e-5
    assert found[1]["test"]["accuracy"] == found[2]["test"]["accuracy"]


@SLOW
def test_an_error_of_the_stage_is_raised_here(layout, tmp_path, capfd):
    inputs = {"features": layout.features, "encoders": tmp_path}
    params = _params(2, regime="pretrained")
    with pytest.raises(DataError, match=r"left: no pretrained encoder of left; run pretrain for it first"):
        run_stage("train", params, inputs, {"model": tmp_path / "model"})
    assert capfd.readouterr().err == ""
    assert not (tmp_path / "model").exists()


WATCHED = """
import os, sys
if os.environ.get("RANK") == "1":
    def watch(event, given):
        changes = event.startswith(("os.rename", "os.mkdir", "os.remove", "os.rmdir"))
        if changes or (event == "open" and isinstance(given[1], str) and set(given[1]) & set("wax+")):
            if {where!r} in str(given[0]):
                os.write(2, f"{{event}} {{given[0]}}".encode())

    sys.addaudithook(watch)
"""


@SLOW
def test_the_second_process_writes_nothing(layout, tmp_path, monkeypatch, capfd):
    _site(tmp_path, monkeypatch, WATCHED.format(where="model"))
    _train(layout, _params(2), tmp_path / "model")
    _assert_remarks_alone(capfd.readouterr().err, trainings=1)


RANKS = """
import os
from types import SimpleNamespace
import torch
import torch.distributed as dist
from ambidex.learn.loop.ranks import Ranks

dist.init_process_group("gloo")
ranks = Ranks(SimpleNamespace(global_rank=dist.get_rank(), world_size=dist.get_world_size()))
mine = float(ranks.rank + 1)
value = torch.tensor([mine, 10 * mine])
assert ranks.sum(value).tolist() == [3.0, 30.0] and value.tolist() == [mine, 10 * mine]
assert [ranks.any(flag) for flag in (False, ranks.rank == 1, ranks.rank == 0, True)] == [False, True, True, True]
assert [one["x"].tolist() for one in ranks.gather({"x": value})] == [[1.0, 10.0], [2.0, 20.0]]
model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1).double())
for number, parameter in enumerate(model.parameters()):
    if number != 1:
        parameter.grad = torch.arange(parameter.numel()).view_as(parameter).to(parameter.dtype) * mine
ranks.average_gradients(model.parameters())
for number, parameter in enumerate(model.parameters()):
    expected = torch.arange(parameter.numel()).view_as(parameter) * 1.5
    assert parameter.grad is None if number == 1 else torch.equal(parameter.grad, expected.to(parameter.dtype))
model[1].running_mean.fill_(mine)
model[1].num_batches_tracked.fill_(int(mine))
ranks.share_buffers(model)
assert model[1].running_mean.tolist() == [1.0] * 3 and model[1].num_batches_tracked.item() == 1
assert ranks.first == (os.environ["RANK"] == "0")
ranks.wait()
dist.destroy_process_group()
"""


@SLOW
def test_what_ranks_tell_each_other(tmp_path):
    (tmp_path / "ranks.py").write_text(RANKS)
    given = ["--standalone", "--nproc-per-node", "2", "--local-addr", "127.0.0.1", str(tmp_path / "ranks.py")]
    subprocess.run([sys.executable, "-m", "torch.distributed.run", *given], check=True, timeout=120)


SWEEPS = """
import sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from ambidex.learn.loop.batches import Batches
from helpers.memory_store import engine

torch.set_num_threads(1)
made, loaded = engine(Path(sys.argv[1]) / "engine", "multi_task", batch_size=1), []
made._build()
original = Batches.load
Batches.load = lambda self, rows, draws: loaded.append(len(rows)) or original(self, rows, draws)
found = {f"val/{name}": torch.tensor(value, dtype=torch.float64) for name, value in made.passes.score("val").items()}
counts = [len(loaded)]
for name, rows in (("all", None), ("some", torch.tensor([9, 3, 20, 4, 7, 1, 2, 11, 15])), ("few", torch.tensor([5]))):
    features, labels = made.passes.sweep("train", rows)
    found |= {f"{name}/{m}": h for m, h in features.items()} | {f"{name}/labels": labels}
    counts.append(len(loaded))
found["counts"] = torch.tensor(counts)
save_file({name: value.contiguous() for name, value in found.items()}, f"{sys.argv[1]}/found-{made.ranks.rank}")
"""


@SLOW
def test_ranks_share_a_sweep_and_get_the_bits_of_one_process(tmp_path):
    """Four samples at a time: 3 batches of val, 6 of train, 3 of nine rows and 1 of one row."""
    (tmp_path / "sweeps.py").write_text(SWEEPS)
    found = {}
    for count in (1, 2):
        place = tmp_path / str(count)
        place.mkdir()
        given = ["--standalone", f"--nproc-per-node={count}", "--local-addr=127.0.0.1"]
        env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "GLOO_SOCKET_IFNAME": "lo"}
        command = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            *given,
            str(tmp_path / "sweeps.py"),
            str(place),
        ]
        subprocess.run(command, check=True, timeout=120, env=env)
        found[count] = [load_file(place / f"found-{rank}") for rank in range(count)]
    (one,), pair = found[1], found[2]
    assert one.pop("counts").tolist() == [3, 9, 12, 13]
    assert [two.pop("counts").tolist() for two in pair] == [[2, 5, 7, 8], [1, 4, 5, 5]]
    for two in pair:
        assert two.keys() == one.keys()
        assert all(torch.equal(two[name], one[name]) for name in one)


FAULTS = """
import os
if os.environ.get("RANK") == "1":
    from ambidex.learn.engine import Engine
    original = Engine.update

    def update(self, *given):
        if self.state.number == 3:
            {fault}
        return original(self, *given)

    Engine.update = update
"""


def _site(tmp_path, monkeypatch, code):
    """Every Python that starts runs `code` first."""
    place = tmp_path / "site"
    place.mkdir()
    (place / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(place), *filter(None, sys.path)]))


@SLOW
@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (
            "given[0][0].inputs['left'].fill_(float('nan'))",
            TrainingError,
            r"^loss term 'task' is not finite at step 3; no checkpoint was written yet",
        ),
        (
            "os.kill(os.getpid(), 9)",
            TrainingError,
            r"^process 1 of 2 ended with SIGKILL.*out of memory",
        ),
        ("1 / 0", TrainingError, r"^process \d of 2 ended with exit code 1, and the others were stopped"),
    ],
    ids=["not finite", "killed", "bug"],
)
def test_one_failing_process_ends_all(layout, tmp_path, monkeypatch, capfd, fault, error, message):
    _site(tmp_path, monkeypatch, FAULTS.format(fault=fault))  # in the second rank's fourth step
    start = time.monotonic()
    with pytest.raises(error, match=message) as caught:
        _train(layout, _params(2, epochs=50), tmp_path / "model")
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 60
    said = capfd.readouterr().err
    if fault == "1 / 0":
        assert "ZeroDivisionError" in said
    elif "nan" in fault:
        assert "Traceback" not in said
    assert not (tmp_path / "model").exists()


@SLOW
def test_sigterm_stops_both_and_a_rerun_has_the_same_bits(layout, tmp_path):
    settings = {"method": "ogm_ge", "epochs": 60, "schedule": "cosine"}
    encoders = {m: {"name": "mlp", "hidden": [16], "dim": 8, "dropout": 0.3} for m in ("left", "right")}
    params = write_params(
        tmp_path / "params.yaml", train=settings, runtime={"devices": 2}, model={"encoders": encoders}
    )
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    running = started(command("train", params, layout.features, cut), tmp_path, "cut.partial/checkpoint.pt")
    running.send_signal(signal.SIGTERM)
    out, said = running.communicate(timeout=60)
    assert running.returncode == 75, said
    (line,) = said.splitlines()
    assert line.startswith("ambidex: stopped by SIGTERM after step ")
    assert line.endswith(f"; a rerun resumes from {tmp_path / 'cut.partial'}")
    assert out == ""
    state = torch.load(tmp_path / "cut.partial/checkpoint.pt", weights_only=True)
    assert len(state["ranks"]) == 2
    assert not torch.equal(*(one["random/cpu"] for one in state["ranks"]))  # dropout differs between halves
    for output in (cut, whole):
        done = subprocess.run(
            command("train", params, layout.features, output), check=True, capture_output=True, text=True
        )
        assert done.stdout.count("train: wrote") == 1
    assert same_model(cut, whole)


@SLOW
def test_the_launcher_killed_takes_its_processes_along(layout, tmp_path):
    params = write_params(
        tmp_path / "params.yaml", train={"method": "joint", "epochs": 100_000}, runtime={"devices": 2}
    )
    arguments = command("train", params, layout.features, tmp_path / "model")
    running = started(arguments, tmp_path, "model.partial/checkpoint.pt")
    ranks = [int(p.parent.name) for p in Path("/proc").glob("[0-9]*/stat") if _parent(p) == running.pid]
    ranks = [pid for pid in ranks if "ambidex.launch.rank" in Path(f"/proc/{pid}/cmdline").read_text()]
    assert len(ranks) == 2
    running.kill()
    running.wait()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() and _alive(pid) for pid in ranks):
        assert time.monotonic() < deadline, "ranks outlive their launcher"
        time.sleep(0.05)
    if running.stdout and running.stderr:
        running.stdout.close()
        running.stderr.close()


def _parent(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@SLOW
def test_torchrun_may_start_the_command_itself(layout, tmp_path):
    params = write_params(tmp_path / "params.yaml", train={"method": "ogm_ge"}, runtime={"devices": 2})
    given = ["--standalone", "--nproc-per-node", "2", "--local-addr", "127.0.0.1", "-m", "ambidex.cli"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", *given]
    places = ["--features", str(layout.features), "--out", str(tmp_path / "model")]
    arguments = ["train", "--params", str(params), *places]
    done = subprocess.run([*torchrun, *arguments], check=True, capture_output=True, text=True)
    assert done.stdout.count("train: wrote") == 1
    _train(layout, _params(2), tmp_path / "same")
    assert same_model(tmp_path / "model", tmp_path / "same")
    wrong = subprocess.run(
        [*torchrun, *arguments, "--set", "runtime.devices=3"], capture_output=True, text=True
    )
    assert wrong.returncode != 0
    assert "ambidex: runtime.devices: got 3, but 2 process(es) were started" in wrong.stderr


def test_what_cannot_be_started_is_one_line(layout, tmp_path, monkeypatch):
    inputs, outputs = {"features": layout.features}, {"model": tmp_path / "model"}
    with pytest.raises(ParamsError, match=r"runtime\.devices: got 2, but 1 process\(es\) were started"):
        run("train", _params(2), inputs, outputs)
    with pytest.raises(
        ParamsError, match=r"runtime\.devices: got 1000, expected at most \d+ on this machine's"
    ):
        run_stage("train", small_params(runtime={"devices": 1000, "accelerator": "cpu"}), inputs, outputs)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    on_gpus = small_params(runtime={"devices": 4, "accelerator": "cuda"})
    with pytest.raises(
        ParamsError, match=r"runtime\.devices: got 4, but torch sees 1 device\(s\) of kind cuda"
    ):
        run_stage("train", on_gpus, inputs, outputs)
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ParamsError, match="extract is the work of one process; start it without torchrun"):
        run_stage("extract", _params(1), {}, {})
