"""A sequence modality from the manifest to the report, where only the order of the steps tells the classes apart."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from safetensors.numpy import load_file

from ambidex.cli import main
from ambidex.data.store.reading import FeatureStore
from ambidex.net.model import load_model

CLASSES = ("falling", "rising")
PERIOD = 8
LONGEST = 40
SPLITS = {"train": 64, "val": 32, "test": 32}


def saw(rising: bool, draws: np.random.Generator) -> NDArray[np.float64]:
    """[T, 2]: saw teeth of random phase, length and start. A falling one is a rising one read backwards."""
    steps = int(draws.integers(12, LONGEST + 1))
    phase = (np.arange(steps)[:, None] + draws.integers(0, PERIOD, 2)) % PERIOD
    teeth = phase / (PERIOD - 1) + draws.normal(0, 0.1, (steps, 2))
    return teeth if rising else teeth[::-1]


def write_data(folder: Path, sizes: dict[str, int] = SPLITS, broken: bool = False) -> Path:
    """A manifest with a .csv for each walk and a weak vector beside it; every second .csv has a header."""
    folder.mkdir(parents=True)
    draws = np.random.default_rng(0)
    rows, touch = [], []
    for split, size in sizes.items():
        for k in range(size):
            name, rising = f"{split}{k}", k % 2 == 1
            header = "left,right" if k % 4 < 2 else ""
            np.savetxt(folder / f"{name}.csv", saw(rising, draws), "%.5f", ",", header=header, comments="")
            touch.append(draws.normal(0.5 if rising else -0.5, 1, 3))
            cells = {"walk": f"{name}.csv", "touch": f"touch.npy[{len(rows)}]"}
            rows.append({"sample_id": name, "label": CLASSES[rising], "split": split, "group": name} | cells)
    np.save(folder / "touch.npy", np.stack(touch))
    if broken:
        (folder / "train3.csv").write_text("1,2,3\n4,5,6\n")
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / "manifest.csv"


def write_params(path: Path, source: Path, walk: dict[str, Any], encoder: dict[str, Any]) -> None:
    loop = {"epochs": 8, "batch_size": 16, "learning_rate": 0.02}
    params = {
        "prepare": {"dataset": "manifest", "source": str(source)},
        "extract": {"modalities": {"walk": walk, "touch": {"kind": "vector"}}, "max_rejected_fraction": 0.01},
        "augment": {"walk": {"kind": "sequence", "noise": 0.05, "time_mask": 0.1}},
        "model": {"encoders": {"walk": encoder, "touch": {"name": "mlp", "hidden": [], "dim": 4}}},
        "pretrain": loop,
        "train": {**loop, "method": "multi_task", "regime": "scratch"},
        "evaluate": {
            "resamples": 100, "diagnostics": ["performance"], "allocators": [], "allocator": "modality",
        },
        "runtime": {"accelerator": "cpu", "threads": 1},
    }  # fmt: skip
    path.write_text(yaml.safe_dump(params, sort_keys=False))


CNN = {"name": "sequence_cnn", "width": 8, "blocks": 2, "dim": 8}


def ambidex(root: Path, verb: str, *arguments: str) -> int:
    return main([verb, "--params", str(root / "params.yaml"), "--runs", str(root / "runs"), *arguments])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sequences")
    write_params(root / "params.yaml", write_data(root / "data"), {"kind": "sequence"}, CNN)
    for verb in ("prepare", "extract", "train"):
        assert ambidex(root, verb) == 0
    return root


@pytest.fixture(scope="module")
def report(project: Path) -> Path:
    assert ambidex(project, "evaluate", "--save") == 0
    return project / "runs/reports/multi_task-scratch-0"


def test_the_store_holds_every_sequence_padded_with_its_mask(project: Path) -> None:
    store = FeatureStore.open(project / "runs/features")
    files = [project / f"data/{name}.csv" for name in store.sample_ids]
    given = [np.loadtxt(file, delimiter=",", skiprows=int("left" in file.read_text())) for file in files]
    training = [x for x, split in zip(given, store.splits, strict=True) if split == "train"]
    spec = store.inputs["walk"]
    assert (spec.kind, spec.shape) == ("sequence", (max(map(len, training)), 3))
    joined = np.concatenate(training).astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(spec.mean, joined.mean(0), rtol=1e-9)
    np.testing.assert_allclose(spec.std, joined.std(0), rtol=1e-9)
    found = store.gather("walk", store.rows("test")).numpy()
    expected = [x for x, split in zip(given, store.splits, strict=True) if split == "test"]
    for sample, x in zip(found, expected, strict=True):
        steps = min(len(x), len(sample))
        assert np.array_equal(sample[:steps, :2], x[:steps].astype(np.float32))
        assert sample[:, 2].tolist() == [1] * steps + [0] * (len(sample) - steps)


@pytest.mark.slow
def test_the_report_says_that_the_order_of_steps_decides(report: Path) -> None:
    assert (report / "report.html").stat().st_size > 1_000
    said = load_file(report / "predictions.safetensors")
    right = {m: (said[f"branch/{m}"].argmax(1) == said["labels"]).mean() for m in ("walk", "touch")}
    assert right["walk"] > 0.9
    assert right["walk"] > right["touch"]


@pytest.mark.slow
def test_predict_says_what_the_report_says(
    project: Path, report: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / "data")
    said = load_file(report / "predictions.safetensors")["allocator/modality"]
    total = SPLITS["train"] + SPLITS["val"]
    clips = [f"walk=test{k}.csv,touch=touch.npy[{total + k}]" for k in range(4)]
    capsys.readouterr()
    assert main(["predict", str(report / "model"), *clips, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for line, expected in zip(lines, said, strict=False):
        assert [line["probabilities"][name] for name in CLASSES] == pytest.approx(expected, abs=1e-5)


def test_predict_reads_what_extract_read(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(project / "runs/models/multi_task-scratch-0")
    total = SPLITS["train"] + SPLITS["val"]
    clips = [f"walk={project}/data/test{k}.csv,touch={project}/data/touch.npy[{total + k}]" for k in range(8)]
    capsys.readouterr()
    assert main(["predict", model, *clips, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    store = FeatureStore.open(project / "runs/features")
    rows = store.rows("test")[:8]
    inputs = {m: store.gather(m, rows) for m in store.modalities}
    with torch.inference_mode():
        expected = load_model(Path(model))(inputs).softmax(1).tolist()
    for line, p in zip(lines, expected, strict=True):
        assert [line["probabilities"][name] for name in CLASSES] == pytest.approx(p, abs=1e-5)
    assert main(["predict", model, f"{project}/data/test0.csv"]) == 2
    assert (
        "'walk' is of kind sequence, not media; name a file for each: walk=FILE.csv,touch"
        in capsys.readouterr().err
    )


def test_a_model_of_another_length_is_refused(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / "runs", tmp_path / "runs")
    (tmp_path / "params.yaml").write_text((project / "params.yaml").read_text())
    longer = ("--set", "extract.modalities.walk={kind: sequence, length: 50}")
    assert ambidex(tmp_path, "extract", *longer) == 0
    assert ambidex(tmp_path, "evaluate", *longer) == 2


def test_a_sample_with_other_columns_is_rejected_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_params(
        tmp_path / "params.yaml", write_data(tmp_path / "data", broken=True), {"kind": "sequence"}, CNN
    )
    assert ambidex(tmp_path, "prepare") == 0
    assert ambidex(tmp_path, "extract") == 0
    with (tmp_path / "runs/features/rejected.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["sample_id"], row["modality"], row["path"]) == ("train3", "walk", "train3.csv")
    assert row["reason"].startswith("has 3 columns, expected 2")


def test_a_longer_sample_makes_finished_shards_anew(tmp_path: Path) -> None:
    write_params(
        tmp_path / "params.yaml", write_data(tmp_path / "data", broken=True), {"kind": "sequence"}, CNN
    )
    strict = ("--set", "extract.max_rejected_fraction=0", "--set", "extract.shard_size=50")
    assert ambidex(tmp_path, "prepare") == 0
    assert ambidex(tmp_path, "extract", *strict) == 2
    np.savetxt(tmp_path / "data/train3.csv", np.zeros((LONGEST + 9, 2)), delimiter=",")
    assert ambidex(tmp_path, "extract", *strict) == 0
    store = FeatureStore.open(tmp_path / "runs/features")
    assert store.inputs["walk"].shape == (LONGEST + 9, 3)
    assert len(store) == sum(SPLITS.values())


@pytest.mark.slow
def test_the_order_of_steps_is_lost_on_flattened_numbers(project: Path, tmp_path: Path) -> None:
    """64 training sequences of 12 to 40 steps whose phases differ: flattened they are memorised."""
    right = {}
    for encoder in ("{name: sequence_cnn, width: 8, blocks: 2, dim: 8}", "{name: mlp}"):
        out = tmp_path / encoder[7:10]
        arguments = ("--modality", "walk", "--set", f"model.encoders.walk={encoder}", "--out", str(out))
        assert ambidex(project, "pretrain", *arguments) == 0
        right[encoder[7:10]] = json.loads((out / "metrics.json").read_text())["test"]["accuracy"]
    assert right["seq"] > 0.9
    assert right["seq"] > right["mlp"] + 0.15
