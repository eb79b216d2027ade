"""Token encoders and a head that attends over their tokens, on synthetic clips: train, evaluate, save, predict."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from ambidex.cli import main
from ambidex.configuration.optimisation import PLAIN_LOOP
from ambidex.data.store.reading import FeatureStore
from ambidex.net.additions.own_heads import OwnHeads
from ambidex.net.model import load_model
from helpers.small import small_params

ENCODER = {"name": "transformer", "patch": 8, "dim": 16, "layers": 1, "heads": 2}
MODEL = {"encoders": {"audio": ENCODER, "visual": ENCODER}, "fusion": {"name": "attention", "heads": 2}}
LOOP = {
    **PLAIN_LOOP,
    "method": "joint",
    "regime": "scratch",
    "epochs": 6,
    "learning_rate": 0.003,
    "accumulate": 2,
}
JUDGE = {
    "diagnostics": ["shapley", "utilisation"],
    "allocators": ["uniform", "modality"],
    "allocator": "modality",
}


def ambidex(root: Path, verb: str, *arguments: str) -> int:
    return main([verb, "--params", str(root / "params.yaml"), "--runs", str(root / "runs"), *arguments])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tokens")
    small_params(root / "params.yaml", model=MODEL, train=LOOP, evaluate=JUDGE)
    for verb in ("prepare", "extract", "train"):
        assert ambidex(root, verb) == 0
    return root


def test_it_learns_what_the_clips_show(project: Path) -> None:
    history = (project / "runs/models/joint-scratch-0/history.csv").read_text().splitlines()
    rows = [dict(zip(history[0].split(","), line.split(","), strict=True)) for line in history[1:]]
    assert float(rows[-1]["train/loss/task"]) < 0.7 * float(rows[0]["train/loss/task"])
    assert float(rows[-1]["train/accuracy/fused"]) > 0.6  # of three classes


def test_methods_that_edit_features_are_refused_before_anything_is_read(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for method, reason in (
        (
            "smv",
            "method smv: sets features to zero between encoders and head, and fusion 'attention' reads tokens",
        ),
        (
            "agm",
            "method agm: values features of zeros, and fusion 'attention' reads tokens; use fusion concat",
        ),
        ("multi_task", "method multi_task: heads 'split' needs contributions that sum to the logits"),
        ("opm", "method opm: needs contributions that sum to the logits, fusion 'attention' has none"),
    ):
        assert (
            ambidex(project, "train", "--method", method, "--set", "extract.modalities.visual.size=32") != 0
        )
        error = capsys.readouterr().err
        assert reason in error
        assert error.count("\n") == 1


def test_own_heads_read_the_pooled_feature(project: Path) -> None:
    assert ambidex(project, "train", "--method", "multi_task", "--set", "methods.multi_task.heads=own",
                   "--set", "train.epochs=1") == 0  # fmt: skip
    model = load_model(project / "runs/models/multi_task-scratch-0")
    store = FeatureStore.open(project / "runs/features")
    x = {m: store.gather(m, store.rows("test")) for m in model.modalities}
    features = model.encode(x)
    branches = model.branches(features)
    assert branches is not None
    heads = model.addition(OwnHeads).heads
    for name, said in branches.items():
        tokens = model.encoder(name).encode(model.normalise[name](x[name])).tokens
        assert tokens is not None
        assert torch.allclose(said, heads[name](tokens.mean(1)), atol=1e-5)


@pytest.mark.slow
def test_the_report_and_the_saved_model_say_the_same(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ambidex(project, "evaluate", "--save") == 0
    report = project / "runs/reports/joint-scratch-0"
    said = load_file(report / "predictions.safetensors")
    model = load_model(project / "runs/models/joint-scratch-0")
    store = FeatureStore.open(project / "runs/features")
    rows = store.rows("test")
    with torch.no_grad():
        logits = model({m: store.gather(m, rows) for m in model.modalities})
    np.testing.assert_allclose(said["allocator/uniform"], logits.softmax(1).numpy(), atol=1e-5)
    with (project / "runs/manifest/manifest.csv").open() as stream:
        table = {row["sample_id"]: row for row in csv.DictReader(stream)}
    clips = [table[store.sample_ids[i]] for i in rows[:3].tolist()]
    monkeypatch.chdir(project / "runs/manifest")
    capsys.readouterr()
    names = [f"audio={row['audio']},visual={row['visual']}" for row in clips]
    assert main(["predict", str(report / "model"), *names, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for line, expected in zip(lines, said["allocator/modality"], strict=False):
        assert [*line["probabilities"].values()] == pytest.approx(sorted(expected, reverse=True), abs=1e-4)
