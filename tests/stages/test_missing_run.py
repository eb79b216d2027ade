"""Empty cells from the manifest to the report and predict: samples of two vectors, some of which lack one."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_tensors
from safetensors.torch import save_file

from ambidex.base.errors import DataError
from ambidex.base.files import sha256
from ambidex.cli import main
from ambidex.data.store.reading import INDEX, FeatureStore, store_fingerprint
from ambidex.net.model import load_model
from helpers.lacking import lacks, write_data
from helpers.runs import raw_params


def ambidex(root: Path, verb: str, *arguments: str) -> int:
    return main([verb, "--params", str(root / "params.yaml"), "--runs", str(root / "runs"), *arguments])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("missing")
    source = write_data(root / "data")
    params = raw_params(
        prepare={"dataset": "manifest", "source": str(source), "allow_missing": ["left", "right"]},
        train={"method": "multi_task", "regime": "pretrained"},
        evaluate={
            "diagnostics": ["performance", "presence", "capability"],
            "allocators": ["uniform", "category"],
            "allocator": "category",
        },
    )
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    for verb in ("prepare", "extract"):
        assert ambidex(root, verb) == 0
    for m in ("left", "right"):
        assert ambidex(root, "pretrain", "--modality", m) == 0
    assert ambidex(root, "train") == 0
    return root


def test_empty_cells_are_refused_where_nothing_allows_them(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    def refused(*settings: str) -> str:
        assert (
            main(
                [
                    "prepare",
                    "--params",
                    str(project / "params.yaml"),
                    "--runs",
                    str(tmp_path / "runs"),
                    *settings,
                ]
            )
            != 0
        )
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert not (tmp_path / "runs/manifest").exists()
        return error

    others = sum(lacks(i) == "left" for i in range(120)) - 1
    assert (
        f"manifest.csv, line 4: column 'left' is empty (and {others} more such lines); "
        "where samples may lack it: prepare.allow_missing=[left, right]\n"
    ) in refused("--set", "prepare.allow_missing=[right]")
    assert "prepare.allow_missing: the data have no modality 'lef'; did you mean 'left'?" in refused(
        "--set", "prepare.allow_missing=[lef]"
    )
    rows = (project / "data/manifest.csv").read_text().splitlines()
    (project / "data/none.csv").write_text("\n".join([*rows, "s900,red,train,g9,,"]))
    none = refused("--set", f"prepare.source={project / 'data/none.csv'}")
    assert "line 122: has none of left, right; a sample needs one modality at least" in none
    bare = [
        ",".join(
            [
                *row.split(",")[:4],
                "" if "train" in row else row.split(",")[4],
                row.split(",")[5] or "right.npy[0]",
            ]
        )
        for row in rows
    ]
    (project / "data/bare.csv").write_text("\n".join([rows[0], *bare[1:]]))
    assert "no training sample has left" in refused(
        "--set", f"prepare.source={project / 'data/bare.csv'}", "--set", "prepare.shared_content=allow"
    )


def test_the_store_says_who_has_what_and_measures_those_alone(project: Path):
    store = FeatureStore.open(project / "runs/features")
    for m in ("left", "right"):
        numbers = [int(name[1:]) for name in store.sample_ids]
        assert store.present[m].tolist() == [lacks(i) != m for i in numbers]
        given = np.load(project / f"data/{m}.npy")
        for i, x in zip(numbers, store.gather(m, torch.arange(len(store))).numpy(), strict=True):
            assert np.array_equal(x, given[i] if lacks(i) != m else np.zeros(4))
        own = given[[i for i in range(60) if lacks(i) != m]].astype(np.float64)
        np.testing.assert_allclose(store.inputs[m].mean, own.mean(0), rtol=1e-9)
        np.testing.assert_allclose(store.inputs[m].std, own.std(0), rtol=1e-9)
    facts = json.loads((project / "runs/manifest/dataset.json").read_text())
    count = {m: sum(lacks(i) == m for i in range(120)) for m in ("left", "right")}
    assert facts["missing"] == count == store.info["missing"]
    assert any(
        note.startswith(f"samples without left: {sum(lacks(i) == 'left' for i in range(60))} of 60 in train")
        for note in facts["notes"]
    )


def test_what_stands_in_the_store_for_an_absent_modality_changes_no_weight(project: Path):
    """The same training, from a store whose absent rows hold garbage."""
    trained = load_tensors(project / "runs/models/multi_task-pretrained-0/model.safetensors")
    folder = project / "runs/features"
    info = json.loads((folder / INDEX).read_text())
    store, start = FeatureStore.open(folder), 0
    for entry in info["shards"]:
        tensors = {name: tensor.clone() for name, tensor in load_tensors(folder / entry["file"]).items()}
        rows = torch.arange(start, start + entry["samples"])
        for m, tensor in tensors.items():
            tensor[~store.present[m][rows]] = torch.nan
        save_file(tensors, folder / entry["file"])
        entry["sha256"], start = sha256(folder / entry["file"]), start + entry["samples"]
    info["fingerprint"] = store_fingerprint(info)
    (folder / INDEX).write_text(json.dumps(info))
    for m in ("left", "right"):
        assert ambidex(project, "pretrain", "--modality", m) == 0
    assert ambidex(project, "train") == 0
    again = load_tensors(project / "runs/models/multi_task-pretrained-0/model.safetensors")
    assert all(torch.equal(again[name], tensor) for name, tensor in trained.items())


def test_methods_that_need_all_modalities_are_refused(project: Path, capsys: pytest.CaptureFixture[str]):
    before = set((project / "runs/models").iterdir())
    assert ambidex(project, "train", "--method", "mla") != 0
    assert "method mla: needs samples that have every modality, and some lack one" in capsys.readouterr().err
    assert set((project / "runs/models").iterdir()) == before


def test_the_report_counts_by_pattern(project: Path):
    assert ambidex(project, "evaluate", "--save") == 0
    report = project / "runs/reports/multi_task-pretrained-0"
    model = load_model(project / "runs/models/multi_task-pretrained-0")
    store = FeatureStore.open(project / "runs/features")
    rows = store.rows("test")
    x = {m: store.gather(m, rows) for m in model.modalities}
    with torch.no_grad():
        parts = model.contributions(model.encode(x, store.presence(rows)))
    right = (sum(parts.values()).argmax(1) == store.labels[rows]).double()
    numbers = [int(store.sample_ids[i][1:]) for i in rows.tolist()]
    with (report / "tables/presence.csv").open() as stream:
        table = {row["modalities"]: row for row in csv.DictReader(stream) if row["split"] == "test"}
    assert [*table] == ["left+right", "left", "right"]
    for pattern, gone in (("left+right", ""), ("left", "right"), ("right", "left")):
        own = [right[k].item() for k, i in enumerate(numbers) if lacks(i) == gone]
        assert int(table[pattern]["samples"]) == len(own)
        assert float(table[pattern]["accuracy"]) == pytest.approx(np.mean(own))
    details = json.loads((report / "details.json").read_text())
    for m in ("left", "right"):
        here = torch.tensor([lacks(i) != m for i in numbers])
        own = (parts[m].argmax(1) == store.labels[rows]).double()[here].mean().item()
        assert details["branches"][m]["test"]["accuracy"] == pytest.approx(own)
    assert "right in" in (report / "report.html").read_text()


def test_predict_without_a_modality_says_so_and_says_what_the_report_says(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(project / "data")
    report = project / "runs/reports/multi_task-pretrained-0"
    said = load_file(report / "predictions.safetensors")["allocator/category"]
    clips = []
    for i in range(90, 120):
        clips.append(",".join(f"{m}={m}.npy[{i}]" for m in ("left", "right") if lacks(i) != m))
    capsys.readouterr()
    assert main(["predict", str(report / "model"), *clips, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err.splitlines() == [
        f"ambidex: {sum(lacks(i) == m for i in range(90, 120))} of 30 clips predicted without {m}"
        for m in ("left", "right")
    ]
    for i, line in enumerate(map(json.loads, out.splitlines())):
        assert [line["probabilities"][name] for name in ("blue", "green", "red")] == pytest.approx(
            [
                said[i][load_model(report / "model").architecture.classes.index(name)]
                for name in ("blue", "green", "red")
            ],
            abs=1e-5,
        )
        if gone := lacks(90 + i):
            assert line["shares"][gone] == 0


def test_predict_says_where_no_training_sample_lacked_the_modality(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Here some of test alone lack the right one: the fill for it was never trained."""
    data = shutil.copytree(project / "data", tmp_path / "data")
    with (data / "manifest.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    for i, row in enumerate(rows):
        if row["split"] == "train":
            row["right"] = f"right.npy[{i}]"
    with (data / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    raw = yaml.safe_load((project / "params.yaml").read_text())
    raw["prepare"]["source"] = str(data / "manifest.csv")
    raw["train"] |= {"regime": "scratch", "epochs": 1}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    for verb in ("prepare", "extract", "train"):
        assert ambidex(tmp_path, verb) == 0
    assert ambidex(tmp_path, "evaluate", "--save") == 0
    trained = tmp_path / "runs/models/multi_task-scratch-0"
    for model in (trained, tmp_path / "runs/reports/multi_task-scratch-0/model"):
        described = json.loads((model / "model.json").read_text())
        assert described["missing"] == {"left": sum(lacks(i) == "left" for i in range(60)), "right": 0}
        capsys.readouterr()
        assert main(["predict", str(model), *(f"{m}={data}/{m}.npy[0]" for m in ("left", "right"))]) == 0
        assert capsys.readouterr().err.splitlines() == [
            "ambidex: 1 of 2 clips predicted without left",
            "ambidex: 1 of 2 clips predicted without right; the model was trained on samples that all have right",
        ]
    del described["missing"]  # as an older model
    (trained / "model.json").write_text(json.dumps(described | {"architecture": _architecture(trained)}))
    assert main(["predict", str(trained), f"left={data}/left.npy[0]"]) == 0
    assert capsys.readouterr().err == "ambidex: 1 of 1 clips predicted without right\n"


def _architecture(model: Path) -> Any:
    return json.loads((model / "model.json").read_text())["architecture"]


@pytest.mark.parametrize(
    ("cell", "counts", "line"),
    [
        ("lef", None, r"samples\.csv:2: missing: got 'lef', expected names of modalities \(left, right\)"),
        ("left right", None, r"samples\.csv:2: missing: the sample has no modality at all"),
        (
            "left",
            None,
            r"samples\.csv: lacks modalities in \{'left': \d+, 'right': \d+\} samples, the index says",
        ),
        ("", {"left": "many"}, r"index\.json: missing\.left: got 'many', expected an integer"),
        ("", {"right": 3}, r"samples\.csv: lacks modalities in .* the index says \{'right': 3\}"),
    ],
)
def test_a_store_that_says_nonsense_about_presence_is_refused(
    project: Path, tmp_path: Path, cell: str, counts: dict[str, Any] | None, line: str
):
    folder = tmp_path / "features"
    shutil.copytree(project / "runs/features", folder)
    info, file = json.loads((folder / INDEX).read_text()), folder / "samples.csv"
    head, first, *rest = file.read_text().splitlines()
    file.write_text("\n".join([head, first.rpartition(",")[0] + "," + cell, *rest, ""]))
    info["samples"] |= {"bytes": file.stat().st_size, "sha256": sha256(file)}
    info["missing"] = counts or info["missing"]
    info["fingerprint"] = store_fingerprint(info)
    (folder / INDEX).write_text(json.dumps(info))
    with pytest.raises(DataError, match=line) as caught:
        FeatureStore.open(folder)
    assert "\n" not in str(caught.value)
