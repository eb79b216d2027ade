"""evaluate --save: a model that alone predicts the report's headline, or one line that says why there is none."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from ambidex.base.errors import DataError, ModelError
from ambidex.base.files import sha256, write_json
from ambidex.base.layout import Layout
from ambidex.base.readers import read_json
from ambidex.data.store.reading import FeatureStore, store_fingerprint
from ambidex.decide.repaired import load_saved
from ambidex.stages import run
from ambidex.stages._checks import fitting_model
from helpers.runs import extracted, pretrained, small_params

QUICK = {"diagnostics": [], "allocators": ["uniform"], "allocator": "modality", "folds": 2}


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A model whose head is additive, one whose head is not, and classifiers of each modality."""
    found = extracted(tmp_path_factory.mktemp("run"))
    pretrained(found, small_params(pretrain={"epochs": 1}))
    for fusion in ("concat", "film"):
        params = small_params(train={"method": "joint", "epochs": 1}, model={"fusion": {"name": fusion}})
        run("train", params, {"features": found.features}, {"model": found.models / fusion})
    return found


def evaluate(layout: Layout, report: Path, model: Path | None = None, **section: Any) -> dict[str, Any]:
    params = small_params(evaluate={**QUICK, "save": True, **section})
    inputs = {"features": layout.features, "model": model or layout.models / "concat"}
    return run("evaluate", params, inputs, {"report": report})


@pytest.mark.parametrize(("fusion", "allocator"), [("concat", "category"), ("film", "pooled")])
def test_the_saved_model_predicts_the_headline(
    layout: Layout, tmp_path: Path, fusion: str, allocator: str
) -> None:
    evaluate(layout, tmp_path, layout.models / fusion, allocator=allocator)
    said = load_file(tmp_path / "predictions.safetensors")[f"allocator/{allocator}"]
    model, store = load_saved(tmp_path / "model"), FeatureStore.open(layout.features)
    inputs = {name: store.gather(name, store.rows("test")) for name in model.modalities}
    with torch.no_grad():
        torch.testing.assert_close(model(inputs).softmax(1), said, atol=1e-6, rtol=0)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "card.json", "metrics.json", "model.json", "model.safetensors", "params.yaml"
    ]  # fmt: skip


def test_a_saved_auto_keeps_the_options_of_the_one_it_chose(layout: Layout, tmp_path: Path) -> None:
    asked = {"candidates": ["confidence"], "standard_errors": 0}
    options = {"auto": asked, "confidence": {"measure": "margin"}}
    evaluate(layout, tmp_path, layout.models / "concat", allocator="auto", options=options)
    decision = read_json(tmp_path / "model/card.json")["decision"]
    assert (decision["asked"], decision["allocator"]) == ("auto", "confidence")
    assert decision["options"]["measure"] == "margin"
    assert decision["record"]["candidates"][1]["options"] == {"measure": "margin"}
    said = load_file(tmp_path / "predictions.safetensors")["allocator/auto"]
    model, store = load_saved(tmp_path / "model"), FeatureStore.open(layout.features)
    inputs = {name: store.gather(name, store.rows("test")) for name in model.modalities}
    with torch.no_grad():
        torch.testing.assert_close(model(inputs).softmax(1), said, atol=1e-6, rtol=0)


def test_the_card_says_what_was_fitted_and_on_what(layout: Layout, tmp_path: Path) -> None:
    metrics = evaluate(layout, tmp_path, options={"modality": {"shrinkage": 2.0}})
    card = read_json(tmp_path / "model/card.json")
    index = read_json(layout.features / "index.json")
    decision = card["decision"]
    assert decision["allocator"] == decision["asked"] == "modality"
    assert decision["options"] == {"folds": 2, "seed": 0, "shrinkage": 2.0}
    assert (decision["source"], decision["replaced"]) == ("contributions", None)
    assert decision["fitted_on"] == {"split": "val", "samples": 30, "groups": 5}
    assert "gradient_norm" in decision["record"]
    assert card["features"] == index["fingerprint"]
    assert card["weights"] == sha256(layout.models / "concat/model.safetensors")
    assert (card["method"], card["regime"], card["seed"]) == ("joint", "scratch", 0)
    assert read_json(tmp_path / "model/metrics.json")["test"]["nll"] == metrics["nll"]
    trained, kept = (
        yaml.safe_load((folder / "params.yaml").read_text())
        for folder in (layout.models / "concat", tmp_path / "model")
    )
    assert kept["evaluate"]["allocator"] == "modality"
    assert {**kept, "evaluate": None} == {**trained, "evaluate": None}


@pytest.mark.slow
def test_a_saved_model_is_judged_by_its_trained_head_and_fitted_afresh(
    layout: Layout, tmp_path: Path
) -> None:
    first = evaluate(layout, tmp_path / "first")
    again = evaluate(layout, tmp_path / "again", tmp_path / "first/model")
    assert again == first
    assert read_json(tmp_path / "again/model/card.json")["decision"]["replaced"] == "modality"
    one, other = (load_file(tmp_path / name / "model/model.safetensors") for name in ("first", "again"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)

    evaluate(layout, tmp_path / "without", save=False)  # saving changes nothing else in the report
    for name in ("metrics.json", "predictions.csv", "cache.safetensors", "report.html"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "without" / name).read_bytes(), name
    assert not (tmp_path / "without/model").exists()


def test_a_refused_allocator_leaves_the_report_and_no_model(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ambidex.judge import held_out

    monkeypatch.setattr(held_out, "TOLERANCE", -2.0)
    with pytest.raises(
        ModelError, match=r"no model was saved: allocator 'temperature' was refused: "
    ) as error:
        evaluate(layout, tmp_path / "r", allocator="temperature", standalone="refuse")
    assert "\n" not in str(error.value)
    assert read_json(tmp_path / "r/metrics.json")["allocator"] == "uniform"
    assert not (tmp_path / "r/model").exists()


def test_a_rule_that_borrows_other_samples_leaves_the_report_and_no_model(
    layout: Layout, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"no model was saved: .*evaluate\.absent: permuted"):
        evaluate(layout, tmp_path / "r", layout.models / "film", allocator="uniform", absent="permuted")
    assert (tmp_path / "r/report.html").exists()
    assert not (tmp_path / "r/model").exists()


def edited(path: Path, change: Callable[[Any], None]) -> None:
    value = json.loads(path.read_text())
    change(value)
    write_json(path, value)


def test_a_model_and_a_store_that_do_not_belong_together_are_refused(layout: Layout, tmp_path: Path) -> None:
    model = shutil.copytree(layout.models / "concat", tmp_path / "model")
    edited(model / "model.json", lambda described: described.update(features="f" * 64))
    with pytest.raises(
        ModelError, match=r"model\.json: was trained on another feature store \(fingerprint ffff"
    ):
        evaluate(layout, tmp_path / "r", model)
    edited(model / "model.json", lambda described: described.pop("features"))
    fitting_model(model, FeatureStore.open(layout.features))  # nothing is known against it

    encoders = shutil.copytree(layout.encoders(0), tmp_path / "encoders")
    edited(encoders / "right/model.json", lambda described: described.update(features="e" * 64))
    inputs = {"features": layout.features, "model": layout.models / "concat", "encoders": encoders}
    with pytest.raises(ModelError, match=r"encoders/right/model\.json: was trained on another feature store"):
        run("evaluate", small_params(evaluate=QUICK), inputs, {"report": tmp_path / "x"})
    assert not (tmp_path / "x").exists()


def test_the_same_media_extracted_again_are_the_same_store(layout: Layout, tmp_path: Path) -> None:
    again = extracted(tmp_path)
    assert FeatureStore.open(again.features).fingerprint == FeatureStore.open(layout.features).fingerprint


def spoiled_store(layout: Layout, folder: Path, row: int) -> tuple[Path, str]:
    """A copy of the store with an infinite number in one sample of `right`, and its fingerprint."""
    store = shutil.copytree(layout.features, folder)
    info = read_json(store / "index.json")
    place = row
    for entry in info["shards"]:
        if place < entry["samples"]:
            tensors = load_file(store / entry["file"])
            tensors["right"][place, 2] = torch.inf
            save_file(tensors, store / entry["file"])
            entry |= {
                "bytes": (store / entry["file"]).stat().st_size,
                "sha256": sha256(store / entry["file"]),
            }
            break
        place -= entry["samples"]
    info["fingerprint"] = store_fingerprint(info)
    write_json(store / "index.json", info)
    return store, info["fingerprint"]


@pytest.mark.parametrize(("row", "split"), [(3, "train"), (65, "val"), (119, "test")])
def test_an_input_that_is_not_finite_is_named(layout: Layout, tmp_path: Path, row: int, split: str) -> None:
    store, fingerprint = spoiled_store(layout, tmp_path / "features", row)
    model = shutil.copytree(layout.models / "concat", tmp_path / "model")
    edited(model / "model.json", lambda described: described.update(features=fingerprint))
    inputs = {"features": store, "model": model}
    with pytest.raises(
        DataError, match=rf"features: right of {split} sample 's{row:03d}' is not finite"
    ) as error:
        run("evaluate", small_params(evaluate=QUICK), inputs, {"report": tmp_path / "r"})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kept", "message"),
    [([], "split 'val' has no samples"), ([0], "samples 1, classes 1"), ([0, 3, 6], "samples 3, classes 1")],
)
def test_too_little_validation_is_one_line(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: list[int], message: str
) -> None:
    rows = FeatureStore.rows
    monkeypatch.setattr(
        FeatureStore, "rows", lambda self, split: rows(self, split)[kept if split == "val" else slice(None)]
    )
    with pytest.raises(DataError, match=message) as error:
        evaluate(layout, tmp_path / "r")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "r").exists()


def test_two_validation_samples_of_two_classes_are_enough(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = FeatureStore.rows
    monkeypatch.setattr(
        FeatureStore, "rows", lambda self, split: rows(self, split)[[0, 1] if split == "val" else slice(None)]
    )
    evaluate(layout, tmp_path / "r")
    assert read_json(tmp_path / "r/model/card.json")["decision"]["fitted_on"]["samples"] == 2
