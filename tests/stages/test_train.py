"""pretrain and train as stages: regimes, records, kill -9 and resume, and one-line errors."""

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from ambidex.base.errors import DataError, ModelError, TrainingError
from ambidex.net.model import load_model
from ambidex.stages import run
from helpers.runs import extracted, pretrained, small_params, write_params


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    found = extracted(tmp_path_factory.mktemp("run"))
    pretrained(found, small_params())
    return found


def _train(layout, params, name):
    inputs = {"features": layout.features}
    if params.train.regime != "scratch":
        inputs["encoders"] = layout.encoders(0)
    output = layout.models / name
    metrics = run("train", params, inputs, {"model": output})
    return output, metrics


def test_pretrain_leaves_a_classifier_with_its_results(layout):
    from sklearn.metrics import accuracy_score, f1_score

    from ambidex.data.store.reading import FeatureStore

    folder = layout.encoder("left", 0)
    metrics = json.loads((folder / "metrics.json").read_text())
    store = FeatureStore.open(layout.features)
    model = load_model(folder)
    assert model.modalities == ("left",)
    for split in ("val", "test"):
        rows = store.rows(split)
        with torch.no_grad():
            predicted = model({"left": store.gather("left", rows)}).argmax(1)
        assert metrics[split]["accuracy"] == pytest.approx(accuracy_score(store.labels[rows], predicted))
        assert metrics[split]["macro_f1"] == pytest.approx(
            f1_score(store.labels[rows], predicted, average="macro")
        )
    assert metrics["test"]["accuracy"] > 0.6


def test_a_training_within_its_warm_up_says_so(layout, capsys):
    folder, metrics = _train(layout, small_params(train={"warmup_steps": 500}), "cold")
    steps = json.loads((folder / "card.json").read_text())["steps"]
    line = f"training ended within its warm-up, after {steps} of 500 steps"
    assert metrics["remark"].startswith(line)
    assert line in capsys.readouterr().err


def test_a_classifier_is_left_as_sure_as_validation_shows_and_training_starts_from_it(layout, tmp_path):
    """The same training without `calibrate` leaves the weights times the temperature."""
    params = small_params(pretrain={"modality": "left", "seed": 0, "calibrate": False})
    run("pretrain", params, {"features": layout.features}, {"encoder": tmp_path / "plain"})
    plain = load_file(tmp_path / "plain/model.safetensors")
    scaled = load_file(layout.encoder("left", 0) / "model.safetensors")
    metrics = json.loads((layout.encoder("left", 0) / "metrics.json").read_text())
    factor = metrics["temperature"]
    assert factor != pytest.approx(1, abs=0.02)
    for name, tensor in plain.items():
        expected = tensor / factor if name.startswith("fusion.linear.") else tensor
        assert torch.allclose(scaled[name], expected, rtol=1e-5)
    before = json.loads((tmp_path / "plain/metrics.json").read_text())
    assert "temperature" not in before
    assert metrics["val"]["nll"] < before["val"]["nll"]
    assert metrics["val"]["accuracy"] == before["val"]["accuracy"]
    shutil.rmtree(tmp_path / "plain")


def test_frozen_keeps_the_pretrained_encoders_and_pretrained_moves_them(layout):
    source = load_file(layout.encoder("right", 0) / "model.safetensors")
    names = [name for name in source if name.startswith("encoders.right.")]
    assert names
    for regime, moved in (("frozen", False), ("pretrained", True), ("scratch", True)):
        output, _ = _train(
            layout, small_params(train={"method": "joint", "regime": regime}), f"regime-{regime}"
        )
        weights = load_file(output / "model.safetensors")
        assert any(not torch.equal(source[name], weights[name]) for name in names) == moved, regime


def _classifiers(layout, inputs):
    with torch.no_grad():
        return {m: load_model(layout.encoder(m, 0))({m: x}) for m, x in inputs.items()}


@pytest.mark.parametrize("regime", ["frozen", "pretrained"])
def test_the_head_starts_as_the_unimodal_classifiers_or_anew(layout, regime):
    """After steps of (nearly) no length the model still says what it started with."""
    from ambidex.data.store.reading import FeatureStore

    store = FeatureStore.open(layout.features)
    inputs = {m: store.gather(m, store.rows("val")) for m in ("left", "right")}
    alone = _classifiers(layout, inputs)
    still = {"regime": regime, "epochs": 1, "learning_rate": 1e-12, "weight_decay": 0.0}
    gaps = {}
    for head in ("classifiers", "new"):
        given = {"method": "multi_task", "head": head, **still}
        output, _ = _train(
            layout,
            small_params(train=given, methods={"multi_task": {"heads": "own"}}),
            f"head-{regime}-{head}",
        )
        model = load_model(output)
        with torch.no_grad():
            features = model.encode(inputs)
            said, own = model.fuse(features)[0], model.branches(features)
        gaps[head] = (said - alone["left"] - alone["right"]).abs().max().item()
        gaps[head, "own"] = max((own[m] - alone[m]).abs().max().item() for m in own)
    assert max(gaps["classifiers"], gaps["classifiers", "own"]) < 1e-4
    assert min(gaps["new"], gaps["new", "own"]) > 0.5


def test_classifiers_of_other_classes_are_one_line_unless_the_head_is_new(layout, tmp_path):
    other = tmp_path / "encoders"
    shutil.copytree(layout.encoders(0), other)
    for path in other.glob("*/model.json"):
        told = json.loads(path.read_text())
        told["architecture"]["classes"][0] = "another"
        path.write_text(json.dumps(told))
    inputs = {"features": layout.features, "encoders": other}
    for head, refused in (("classifiers", True), ("new", False)):
        params = small_params(train={"method": "joint", "regime": "frozen", "head": head, "epochs": 1})
        output = {"model": layout.models / f"classes-{head}"}
        if refused:
            with pytest.raises(ModelError, match=r"left: classifier of left is .*train\.head=new"):
                run("train", params, inputs, output)
        else:
            run("train", params, inputs, output)


def test_an_only_step_that_diverges_is_one_line(layout):
    """No later step shows it: validation does."""
    given = {"method": "joint", "regime": "scratch", "epochs": 1, "batch_size": 10_000}
    params = small_params(train={**given, "optimizer": "sgd", "learning_rate": 1e30, "momentum": 0.0})
    with pytest.raises(TrainingError, match="loss of validation is not finite after epoch 1; no checkpoint"):
        _train(layout, params, "diverged")
    assert not (layout.models / "diverged").exists()


def test_a_model_carries_what_it_came_from(layout):
    output, metrics = _train(layout, small_params(train={"method": "multi_task", "seed": 3}), "card")
    card = json.loads((output / "card.json").read_text())
    index = json.loads((layout.features / "index.json").read_text())
    assert card["features"] == index["fingerprint"]
    assert (card["method"], card["regime"], card["seed"]) == ("multi_task", "scratch", 3)
    assert card["protocol"] == "groups disjoint"
    assert card["libraries"]["torch"]
    assert card["selection"] == "val_nll"
    assert json.loads((output / "metrics.json").read_text()) == metrics
    assert not (output / "checkpoint.pt").exists()
    assert not output.with_name("card.partial").exists()


def test_training_twice_gives_the_same_bits(layout):
    params = small_params(train={"method": "multi_task"})
    first, _ = _train(layout, params, "twice-a")
    second, _ = _train(layout, params, "twice-b")
    a, b = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_method_overrides_of_the_train_section_apply(layout):
    methods = {"joint": {"train": {"epochs": 1}}}
    output, _ = _train(layout, small_params(train={"method": "joint"}, methods=methods), "override")
    assert len((output / "history.csv").read_text().splitlines()) == 2


def test_test_labels_never_reach_training(layout, monkeypatch):
    """Changing the labels of the test split changes no weight."""
    from ambidex.data.store.reading import FeatureStore

    store = FeatureStore.open(layout.features)
    changed = FeatureStore.open(layout.features)
    test = changed.rows("test")
    changed.labels[test] = (changed.labels[test] + 1) % 3
    assert not torch.equal(store.labels, changed.labels)
    params = small_params(train={"method": "multi_task"})
    expected, _ = _train(layout, params, "blind-a")

    monkeypatch.setattr(FeatureStore, "open", classmethod(lambda cls, path, verify=True: changed))
    found, _ = _train(layout, params, "blind-b")
    a, b = load_file(expected / "model.safetensors"), load_file(found / "model.safetensors")
    assert all(torch.equal(a[name], b[name]) for name in a)


def _command(layout, params, output):
    arguments = ["train", "--params", str(params), "--features", str(layout.features), "--out", str(output)]
    return [sys.executable, "-m", "ambidex.cli", *arguments]


@pytest.mark.slow
def test_killed_at_any_moment_a_rerun_ends_with_the_same_bits(layout, tmp_path):
    settings = {"method": "ogm_ge", "epochs": 60, "optimizer": "adam", "schedule": "cosine"}
    params = write_params(tmp_path / "params.yaml", train=settings)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    subprocess.run(_command(layout, params, whole), check=True, capture_output=True)
    checkpoint = tmp_path / "cut.partial" / "checkpoint.pt"
    for pause in (0.0, 0.05):
        running = subprocess.Popen(
            _command(layout, params, cut), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        while running.poll() is None:
            if checkpoint.exists() and checkpoint.stat().st_mtime_ns != before:
                break
            time.sleep(0.002)
        time.sleep(pause)
        running.send_signal(signal.SIGKILL)
        running.wait()
        assert not cut.exists(), "killed too late for this test"
        assert torch.load(checkpoint, weights_only=True)["epoch"] < 60
    done = subprocess.run(_command(layout, params, cut), check=True, capture_output=True, text=True)
    assert done.returncode == 0
    a, b = load_file(whole / "model.safetensors"), load_file(cut / "model.safetensors")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert (whole / "history.csv").read_text() == (cut / "history.csv").read_text()


@pytest.mark.slow
def test_what_another_run_left_unfinished_is_not_mixed_in(layout, tmp_path):
    params = write_params(tmp_path / "params.yaml", train={"method": "joint", "epochs": 200})
    running = subprocess.Popen(
        _command(layout, params, tmp_path / "model"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    left = tmp_path / "model.partial"
    while not (left / "checkpoint.pt").exists():
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    (left / "tensorboard" / "old").write_text("")
    done = small_params(train={"method": "joint", "epochs": 2})
    run("train", done, {"features": layout.features}, {"model": tmp_path / "model"})
    assert len((tmp_path / "model" / "history.csv").read_text().splitlines()) == 3
    assert not (tmp_path / "model" / "tensorboard" / "old").exists()


def test_an_empty_split_is_one_line(layout, monkeypatch):
    from ambidex.data.store.reading import FeatureStore

    store = FeatureStore.open(layout.features)
    rows = store.rows
    monkeypatch.setattr(store, "rows", lambda split: rows(split)[:0] if split == "val" else rows(split))
    monkeypatch.setattr(FeatureStore, "open", classmethod(lambda cls, path, verify=True: store))
    with pytest.raises(DataError, match="split 'val' has no sample"):
        _train(layout, small_params(train={"method": "joint"}), "empty")


def test_pretrained_without_encoders_is_one_line(layout):
    params = small_params(train={"method": "joint", "regime": "pretrained"})
    with pytest.raises(DataError, match=r"train\.regime.*run pretrain"):
        run("train", params, {"features": layout.features}, {"model": layout.models / "x"})
    empty = layout.root / "none"
    empty.mkdir()
    with pytest.raises(DataError, match="no pretrained encoder of left"):
        run("train", params, {"features": layout.features, "encoders": empty}, {"model": layout.models / "x"})


def test_an_encoder_of_another_architecture_is_one_line(layout):
    other = {
        "left": {"name": "mlp", "hidden": [16], "dim": 9},
        "right": {"name": "mlp", "hidden": [16], "dim": 8},
    }
    params = small_params(train={"method": "joint", "regime": "frozen"}, model={"encoders": other})
    with pytest.raises(ModelError, match="encoder of left") as caught:
        _train(layout, params, "x")
    assert "\n" not in str(caught.value)
    assert not (layout.models / "x").exists()


def test_a_corrupt_shard_stops_training_with_one_line(layout, tmp_path):
    broken = tmp_path / "features"
    shutil.copytree(layout.features, broken)
    shard = sorted(broken.glob("*.safetensors"))[0]
    data = bytearray(shard.read_bytes())
    data[-3] ^= 0xFF
    shard.write_bytes(bytes(data))
    with pytest.raises(DataError, match=shard.name) as caught:
        run("train", small_params(), {"features": broken}, {"model": tmp_path / "model"})
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(("epochs", "expected"), [(3, True), (5, False)])
def test_it_says_where_training_ends_before_the_method_acts(layout, capsys, epochs, expected):
    params = small_params(
        train={"method": "opm", "epochs": epochs}, methods={"opm": {"warm_up": 4}}, runtime={"devices": 1}
    )
    _train(layout, params, f"opm-{epochs}")
    said = (
        "train: opm does not act in its first 4 epochs, and there are 3: this is joint training; train longer"
    )
    assert (said in capsys.readouterr().out) == expected
