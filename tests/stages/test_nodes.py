"""Two nodes (torchrun --nnodes=2 on loopback): one shared folder, or one line at the start on both of them."""

import os
import re
import shutil
import socket
import subprocess
import sys

import pytest
from safetensors.torch import load_file

from ambidex.base.errors import ParamsError
from ambidex.base.torchrun import unmet_nodes
from ambidex.launch.distributed import run_stage
from helpers.runs import extracted, pretrained, small_params, write_params
from helpers.stopping import same_model

SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    found = extracted(tmp_path_factory.mktemp("run"))
    pretrained(found, small_params())
    return found


def _two_nodes(params, places, verb="train", extra=()):
    """Exit codes, what each node printed and said; `places`: the path options of each node."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
    given += ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}", "--local-addr=127.0.0.1"]
    command = [*given, "-m", "ambidex.cli", verb, "--params", str(params), *extra]
    env = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    nodes = [
        subprocess.Popen(
            [*command, *map(str, one)], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for one in places
    ]
    try:
        said = [node.communicate(timeout=200) for node in nodes]
    finally:
        for node in nodes:
            node.kill()
    return [node.returncode for node in nodes], [out for out, _ in said], [err for _, err in said]


def _lines(said):
    return [line for line in said.splitlines() if line.startswith("ambidex:")]


@SLOW
def test_two_nodes_train_as_two_processes_of_one(layout, tmp_path):
    params = write_params(tmp_path / "params.yaml", train={"method": "ogm_ge", "regime": "pretrained"})
    places = ["--features", layout.features, "--encoders", layout.encoders(0), "--out"]
    codes, printed, said = _two_nodes(params, [[*places, tmp_path / "shared"]] * 2)
    assert codes == [0, 0], said
    assert sum(out.count("train: wrote") for out in printed) == 1
    inputs = {"features": layout.features, "encoders": layout.encoders(0)}
    two = small_params(train={"method": "ogm_ge", "regime": "pretrained"}, runtime={"devices": 2})
    run_stage("train", two, inputs, {"model": tmp_path / "same"})
    assert same_model(tmp_path / "shared", tmp_path / "same")
    assert not list(tmp_path.glob("*.tmp-*"))


@SLOW
def test_both_modalities_are_pretrained_by_one_command(layout, tmp_path):
    """A second meeting of the same processes hears nothing of the first."""
    params = write_params(tmp_path / "params.yaml")
    root = tmp_path / "runs"
    shutil.copytree(layout.root, root)
    shutil.rmtree(root / "encoders")
    codes, _, said = _two_nodes(params, [["--runs", root]] * 2, verb="pretrain")
    assert codes == [0, 0], said
    for modality in ("left", "right"):
        found, expected = (
            load_file(place / "model.safetensors")
            for place in (root / f"encoders/0/{modality}", layout.encoder(modality, 0))
        )
        assert all((found[name] - expected[name]).abs().max() < 1e-5 for name in expected)


EXPECTED = {
    "folders": r"/[ab]: on \S+ \(rank 1\) this is not the folder that rank 0 on \S+ writes to",
    "features": r"rank 1 on \S+ has other features than rank 0 on ",
    "encoders": r"rank 1 on \S+ has other encoders than rank 0 on ",
    "missing": r"rank . on \S+: \S+/b/features: features should be here, and nothing is there",
    "parameters": r"rank 1 on \S+ has other parameters than rank 0 on ",
}


@SLOW
@pytest.mark.parametrize("change", EXPECTED)
def test_what_two_nodes_do_not_share_is_one_line_at_the_start(layout, tmp_path, change):
    """Either node may become the first rank."""
    params = write_params(tmp_path / "params.yaml", train={"method": "joint", "regime": "pretrained"})
    places = []
    for name in ("a", "b"):
        shutil.copytree(layout.root, tmp_path / name)
        inputs = ["--features", tmp_path / name / "features", "--encoders", tmp_path / name / "encoders/0"]
        output = tmp_path / (name if change == "folders" else "shared") / "model"
        places.append([*inputs, "--out", output])
    features, encoders = tmp_path / "b/features", tmp_path / "b/encoders/0"
    if change in ("features", "missing"):
        shutil.rmtree(features)
    if change == "features":
        other = extracted(tmp_path / "other", small_params(extract={"shard_size": 7}))
        shutil.copytree(other.features, features)
    if change == "encoders":
        shutil.copyfile(encoders / "left/model.safetensors", encoders / "right/model.safetensors")
    if change == "parameters":
        places[1] += ["--set", "train.learning_rate=0.5"]
    codes, _, said = _two_nodes(params, places)
    lines = [_lines(text) for text in said]
    assert all(codes)
    assert [len(one) for one in lines] == [1, 1], said
    assert lines[0] == lines[1]
    assert re.search(EXPECTED[change], lines[0][0]), lines
    assert not any("in run_engine" in text or "stages/" in text for text in said)
    assert not [*tmp_path.rglob("*.tmp-*"), *tmp_path.rglob("*.partial"), *tmp_path.rglob("checkpoint.pt")]


@pytest.mark.parametrize(("name", "value"), [("PET_NNODES", "2"), ("PET_NNODES", "1:4"), ("WORLD_SIZE", "2")])
def test_a_node_of_a_job_does_not_train_alone(layout, tmp_path, monkeypatch, name, value):
    """A TrainJob whose command is `ambidex train` and not torchrun: each node would train everything."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ParamsError, match=rf"^{name} is {value}, so .* `torchrun -m ambidex.cli train"):
        run_stage("train", small_params(), {"features": layout.features}, {"model": tmp_path / "model"})
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "started by torchrun")
    assert unmet_nodes() == ""


@pytest.mark.parametrize("value", ["", "1", "1:1", "x"])
def test_a_job_of_one_node_is_none(monkeypatch, value):
    monkeypatch.setenv("PET_NNODES", value)
    assert unmet_nodes() == ""


@SLOW
def test_options_left_for_torchrun_do_not_reach_our_own(layout, tmp_path, monkeypatch):
    """A TrainJob of one node sets them all; each would change or stop the launcher."""
    job = {
        "NNODES": "1",
        "NPROC_PER_NODE": "4",
        "NODE_RANK": "0",
        "MASTER_ADDR": "nowhere",
        "MASTER_PORT": "1",
    }
    job |= {
        "RDZV_BACKEND": "static",
        "MAX_RESTARTS": "3",
        "LOG_DIR": str(tmp_path / "logs"),
        "REDIRECTS": "3",
    }
    for name, value in job.items():
        monkeypatch.setenv(f"PET_{name}", value)
    inputs = {"features": layout.features}
    run_stage("train", small_params(runtime={"devices": 2}), inputs, {"model": tmp_path / "model"})
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert os.environ["PET_NNODES"] == "1"
