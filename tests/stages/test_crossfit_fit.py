"""evaluate on a cross-fitted training split: what it fits, what it refuses, and data without any validation."""

import json
import shutil
from collections import Counter

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from ambidex.base.errors import DataError, ParamsError
from ambidex.cli import main
from ambidex.data.store.reading import FeatureStore
from ambidex.decide.allocators import ALLOCATORS
from ambidex.decide.crossfitted import read_held_out
from ambidex.judge.evaluation import collect
from ambidex.net.model import load_model
from ambidex.stages import run
from helpers.runs import CLASSES, extracted, raw_params, small_params

CELL = ("--method", "joint", "--regime", "frozen", "--seed", "0")
ASKED = ("--set", "evaluate.fit_on=crossfit")
TRAIN = {"method": "joint", "regime": "scratch"}
FIT = {
    "fit_on": "crossfit",
    "allocators": ["modality", "temperature"],
    "allocator": "modality",
    "diagnostics": ["capability"],
}


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    """A store with validation, one model and its cross-fitted training split."""
    found = extracted(tmp_path_factory.mktemp("run"))
    params = small_params(train=TRAIN, crossfit={"folds": 3})
    run("train", params, {"features": found.features}, {"model": found.model("joint", "scratch", 0)})
    run("crossfit", params, {"features": found.features}, {"crossfit": found.crossfit("joint", "scratch", 0)})
    return found


def evaluate(layout, report, section=None, **inputs):
    given = {
        "features": layout.features,
        "model": layout.model("joint", "scratch", 0),
        "crossfit": layout.crossfit("joint", "scratch", 0),
        **inputs,
    }
    params = small_params(train=TRAIN, evaluate={**FIT, **(section or {})})
    return run("evaluate", params, {k: v for k, v in given.items() if v is not None}, {"report": report})


@pytest.fixture(scope="module")
def report(layout):
    """What evaluate makes of them."""
    evaluate(layout, layout.root / "report")
    return layout.root / "report"


def state(report, name):
    return load_file(report / "allocators" / f"{name}.safetensors")


def test_allocators_are_fitted_on_the_cross_fitted_rows_and_on_validation(layout, report, tmp_path):
    rows = read_held_out(layout.crossfit("joint", "scratch", 0))
    store, model = FeatureStore.open(layout.features), load_model(layout.model("joint", "scratch", 0))
    val = collect(model, store, ["val"], 64, torch.device("cpu"))["val"]
    z = torch.cat([rows.sources["contributions"], val.stacked()])
    groups = [*rows.groups, *val.groups]
    sizes = Counter(groups).values()
    effect = 1 + (sum(n * n for n in sizes) / len(groups) - 1) / 10
    kind = ALLOCATORS.get("modality")
    fitted = kind.fit(kind.Config(shrinkage=4 * effect), z, torch.cat([rows.labels, val.labels]), groups)
    by_hand = fitted.state_dict()
    assert by_hand
    assert all(torch.equal(values, by_hand[n]) for n, values in state(report, "modality").items())
    evaluate(layout, tmp_path / "val", {"fit_on": "val"}, crossfit=None)
    assert any(
        not torch.equal(values, by_hand[n]) for n, values in state(tmp_path / "val", "modality").items()
    )
    cards = [json.loads((folder / "card.json").read_text()) for folder in (report, tmp_path / "val")]
    assert [card["fit_on"] for card in cards] == ["crossfit", "val"]


def test_typicality_on_cross_fitted_samples_is_the_pool(layout, tmp_path):
    """They have no typicality; test has, and must not be weighed by it."""
    evaluate(layout, tmp_path / "r", {"allocators": ["pooled", "typicality"], "allocator": "typicality"})
    said = load_file(tmp_path / "r" / "predictions.safetensors")
    assert torch.equal(said["allocator/typicality"], said["allocator/pooled"])
    assert not torch.equal(said["allocator/pooled"], said["allocator/uniform"])
    fitted, pool = state(tmp_path / "r", "typicality"), state(tmp_path / "r", "pooled")
    assert fitted["beta"] == 0
    assert torch.equal(fitted["factor"], pool["factor"])
    evaluate(layout, tmp_path / "val", {"fit_on": "val", "allocators": ["typicality"]}, crossfit=None)
    assert (state(tmp_path / "val", "typicality")["level"] != 0).all()  # validation has a typicality


@pytest.mark.slow
def test_a_refusal_and_a_note_name_the_cross_fitted_split(layout, tmp_path, monkeypatch):
    from ambidex.judge import held_out

    monkeypatch.setattr(held_out, "TOLERANCE", -2.0)  # nothing stands alone
    for standalone, key in (("refuse", "refusal"), ("probes", "note")):
        evaluate(layout, tmp_path / key, {"standalone": standalone})
        told = json.loads((tmp_path / key / "allocators/temperature.json").read_text())[key]
        assert "% on the cross-fitted training split and validation where a probe" in told


def test_held_out_labels_change_the_fit_and_test_labels_do_not(layout, report, tmp_path, monkeypatch):
    changed = tmp_path / "changed"
    shutil.copytree(layout.crossfit("joint", "scratch", 0), changed)
    tensors = load_file(changed / "crossfit.safetensors")
    tensors["labels"] = (tensors["labels"] + 1) % len(CLASSES)
    save_file(tensors, changed / "crossfit.safetensors")
    evaluate(layout, tmp_path / "other", crossfit=changed)
    store = FeatureStore.open(layout.features)
    test = store.rows("test")
    store.labels[test] = (store.labels[test] + 1) % len(CLASSES)
    monkeypatch.setattr(FeatureStore, "open", classmethod(lambda cls, path, verify=True: store))
    evaluate(layout, tmp_path / "blind")
    for name in ("modality", "temperature"):
        before, other, blind = (state(r, name) for r in (report, tmp_path / "other", tmp_path / "blind"))
        assert any(not torch.equal(values, other[key]) for key, values in before.items()), name
        assert all(torch.equal(values, blind[key]) for key, values in before.items()), name


def test_fitting_on_the_training_split_itself_is_refused(layout, tmp_path):
    with pytest.raises(ParamsError, match=r"evaluate\.fit_on: got 'train'; allowed: val, crossfit$"):
        small_params(evaluate={"fit_on": "train"})
    for folder in (layout.features, layout.model("joint", "scratch", 0), tmp_path):
        with pytest.raises(DataError, match="is not an output of crossfit"):
            evaluate(layout, tmp_path / "r", crossfit=folder)
    assert not (tmp_path / "r").exists()


def test_what_does_not_belong_to_the_model_is_one_line(layout, tmp_path):
    wanted = "run `ambidex crossfit --method joint --regime scratch --seed 0` first"
    with pytest.raises(ParamsError, match=wanted):
        evaluate(layout, tmp_path / "r", crossfit=None)
    with pytest.raises(ParamsError, match=r"evaluate\.fit_on: is 'val'; to fit on .*set evaluate\.fit_on"):
        evaluate(layout, tmp_path / "r", {"fit_on": "val"})
    other = tmp_path / "other"
    shutil.copytree(layout.crossfit("joint", "scratch", 0), other)
    card = json.loads((other / "card.json").read_text())
    for change, message in (
        ({"seed": 7}, "was made for seed 7, the model is of seed 0"),
        ({"features": "x"}, "was made from another feature store"),
    ):
        (other / "card.json").write_text(json.dumps({**card, **change}))
        with pytest.raises(DataError, match=message):
            evaluate(layout, tmp_path / "r", crossfit=other)
    assert not (tmp_path / "r").exists()


@pytest.fixture(scope="module")
def no_val(tmp_path_factory):
    """params.yaml and a manifest with train and test only; 15 speakers with 6 samples each."""
    folder = tmp_path_factory.mktemp("no-val")
    draws = np.random.default_rng(2)
    count, speakers = 90, 15
    labels = np.arange(count) % len(CLASSES)
    lines = ["sample_id,label,split,group,left,right"]
    for modality, spread in (("left", 1.0), ("right", 2.0)):
        centres = 2 * draws.normal(size=(len(CLASSES), 6))
        values = centres[labels] + spread * draws.normal(size=(count, 6))
        np.save(folder / f"{modality}.npy", values.astype(np.float32))
    for i in range(count):
        speaker = i // len(CLASSES) % speakers
        split = "train" if speaker < 10 else "test"
        lines.append(f"s{i:02d},{CLASSES[labels[i]]},{split},p{speaker},left.npy[{i}],right.npy[{i}]")
    (folder / "clips.csv").write_text("\n".join(lines) + "\n")
    raw = raw_params(
        prepare={"dataset": "manifest", "source": str(folder / "clips.csv"), "val_fraction": 0},
        pretrain={"selection": "last"},
        train={"selection": "last", "method": "joint", "regime": "frozen"},
        crossfit={"folds": 3},
        evaluate={"allocators": ["modality"], "allocator": "modality"},
        study={"methods": ["joint"], "regimes": ["frozen"], "seeds": [0]},
    )
    (folder / "params.yaml").write_text(yaml.safe_dump(raw))
    return folder


def cli(folder, verb, *arguments):
    return main([verb, "--params", str(folder / "params.yaml"), "--runs", str(folder / "runs"), *arguments])


def test_data_without_validation_end_to_end(no_val, capsys):
    for verb in ("prepare", "extract", "pretrain", "train"):
        assert cli(no_val, verb) == 0, capsys.readouterr().err
    runs = no_val / "runs"
    assert not len(FeatureStore.open(runs / "features").rows("val"))
    assert "no split 'val'" in json.loads((runs / "manifest/dataset.json").read_text())["notes"]
    assert "val" not in json.loads((runs / "models/joint-frozen-0/metrics.json").read_text())
    assert cli(no_val, "evaluate", *CELL) == 2
    said = capsys.readouterr().err
    assert "split 'val' has no samples" in said
    assert "run crossfit first" in said
    assert cli(no_val, "evaluate", *CELL, *ASKED) == 2
    assert "run `ambidex crossfit --method joint --regime frozen --seed 0` first" in capsys.readouterr().err
    assert cli(no_val, "crossfit", *CELL) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("crossfit: fold")]
    assert [line.split(":")[1] for line in lines] == [" fold 1/3", " fold 2/3", " fold 3/3"]
    assert cli(no_val, "evaluate", *CELL, *ASKED) == 0
    report = runs / "reports/joint-frozen-0"
    metrics = json.loads((report / "metrics.json").read_text())
    assert metrics["accuracy"] > 0.6
    assert metrics["samples"] == {"test": 30, "train": 60}
    details = json.loads((report / "details.json").read_text())
    assert set(details["branches"]["left"]) == {"test"}
    assert (report / "report.html").exists()


def test_a_study_without_validation_cross_fits_its_cells(no_val, capsys):
    assert cli(no_val, "study", *ASKED) == 0, capsys.readouterr().err
    capsys.readouterr()
    assert cli(no_val, "study", *ASKED) == 0
    said = capsys.readouterr().out
    assert "crossfit: " in said
    assert "wrote" not in said, said


def test_training_without_validation_needs_the_last_epoch(no_val, capsys):
    assert cli(no_val, "prepare") == cli(no_val, "extract") == 0
    assert cli(no_val, "pretrain", "--modality", "left", "--set", "pretrain.selection=val_nll") == 2
    said = capsys.readouterr().err
    assert "split 'val' has no sample" in said
    assert "--set pretrain.selection=last" in said
