"""evaluate as a stage: numbers against scikit-learn on the written predictions, files, page, one-line errors."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from ambidex.base.errors import DataError, ModelError, ParamsError
from ambidex.base.files import write_json
from ambidex.decide.allocators import ALLOCATORS
from ambidex.stages import run
from helpers.pages import read_page
from helpers.runs import CLASSES, extracted, pretrained, small_params
from helpers.undrawn import undrawn

pytestmark = pytest.mark.charts

PREDICTORS = (
    "allocator/uniform",
    "allocator/modality",
    "allocator/category",
    "branch/left",
    "branch/right",
    "unimodal/left",
    "unimodal/right",
)

NAMED = {"allocators": ["uniform", "temperature", "modality", "category"], "allocator": "modality"}


def _params(**evaluate):
    """The small run's parameters with allocators by name, whatever the default is."""
    return small_params(evaluate={**NAMED, **evaluate})


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    """One trained model, its unimodal classifiers, and its report."""
    params = _params()
    found = extracted(tmp_path_factory.mktemp("run"))
    pretrained(found, params)
    model = found.model("multi_task", "scratch", 0)
    run("train", params, {"features": found.features}, {"model": model})
    run("evaluate", params, _inputs(found), {"report": found.report("multi_task", "scratch", 0)})
    return found


def _inputs(layout):
    model = layout.model("multi_task", "scratch", 0)
    return {"features": layout.features, "model": model, "encoders": layout.encoders(0)}


@pytest.fixture(scope="module")
def report(layout):
    return layout.report("multi_task", "scratch", 0)


@pytest.fixture(scope="module")
def metrics(report):
    return json.loads((report / "metrics.json").read_text())


@pytest.fixture(scope="module")
def details(report):
    return json.loads((report / "details.json").read_text())


def test_metrics_are_those_of_the_written_predictions(report, details):
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    said = load_file(report / "predictions.safetensors")
    labels = said.pop("labels").numpy()
    assert set(PREDICTORS) <= set(said)
    for name, probabilities in said.items():
        p = probabilities.double().numpy()
        p /= p.sum(axis=1, keepdims=True)
        kind, _, who = name.partition("/")
        if kind == "probe":  # not a predictor of the model
            continue
        group = {"allocator": "allocators", "branch": "branches", "unimodal": "unimodal"}[kind]
        found = details[group][who] if kind == "allocator" else details[group][who]["test"]
        assert found["accuracy"] == pytest.approx(accuracy_score(labels, p.argmax(1)))
        assert found["macro_f1"] == pytest.approx(f1_score(labels, p.argmax(1), average="macro"))
        assert found["nll"] == pytest.approx(log_loss(labels, p, labels=range(len(CLASSES))), rel=1e-5)


def test_the_headline_is_the_allocator_that_was_asked_for(metrics, details):
    chosen, plain = (details["allocators"][name] for name in ("modality", "uniform"))
    assert metrics["allocator"] == metrics["allocator_asked"] == "modality"
    assert {key: metrics[key] for key in ("accuracy", "nll", "ece")} == {
        key: chosen[key] for key in ("accuracy", "nll", "ece")
    }
    gap = metrics["joint_probe_accuracy"] - plain["accuracy"]
    assert metrics["decision_gap"] == pytest.approx(gap)
    assert metrics["plain_sum"] == {key: plain[key] for key in metrics["plain_sum"]}
    assert metrics["recovered"]["difference"] == pytest.approx(chosen["accuracy"] - plain["accuracy"])
    alone = {m: found["test"]["accuracy"] for m, found in details["unimodal"].items()}
    assert metrics["best_alone"] == {"modality": max(alone, key=alone.get), "accuracy": max(alone.values())}


def test_every_sample_is_listed_with_what_was_said_about_it(layout, report):
    rows = list(csv.DictReader((report / "predictions.csv").open()))
    said = load_file(report / "predictions.safetensors")
    with (layout.features / "samples.csv").open() as stream:
        store = [row for row in csv.DictReader(stream) if row["split"] == "test"]
    assert [row["sample_id"] for row in rows] == [row["sample_id"] for row in store]
    assert [row["label"] for row in rows] == [row["label"] for row in store]
    headline = said["allocator/modality"]
    assert [row["predicted"] for row in rows] == [CLASSES[c] for c in headline.argmax(1)]
    hits = [row["correct"] == "1" for row in rows]
    assert hits == [row["label"] == row["predicted"] for row in rows]
    assert [row["branch/left"] for row in rows] == [CLASSES[c] for c in said["branch/left"].argmax(1)]


def test_the_cache_holds_contributions_that_sum_to_the_logits(report):
    cache = load_file(report / "cache.safetensors")
    for split in ("val", "test"):
        total = cache[f"{split}/contributions/left"] + cache[f"{split}/contributions/right"]
        torch.testing.assert_close(total, cache[f"{split}/logits"])
        assert len(cache[f"{split}/features/left"]) == len(cache[f"{split}/labels"])


def test_a_stored_allocator_predicts_what_was_reported(report):
    cache, said = load_file(report / "cache.safetensors"), load_file(report / "predictions.safetensors")
    about = json.loads((report / "allocators" / "category.json").read_text())
    kind = ALLOCATORS.get("category")
    allocator = kind.empty(kind.Config.model_validate(about["config"]), len(about["modalities"]), 3)
    allocator.load_state_dict(load_file(report / "allocators" / "category.safetensors"))
    stacked = torch.stack([cache[f"test/contributions/{m}"] for m in about["modalities"]], dim=1)
    with torch.no_grad():
        torch.testing.assert_close(allocator(stacked).softmax(1), said["allocator/category"])


def test_the_page_stands_alone_and_every_chart_is_also_a_file(report):
    page, text = read_page(report / "report.html")
    drawn = {anchor.removeprefix("chart-") for anchor in page.anchors if anchor.startswith("chart-")}
    assert drawn >= {
        "accuracy", "shares", "contributions", "head", "shapley", "reliability", "allocators", "weights",
        "recall", "confusion_matrix", "history",
    }  # fmt: skip
    assert len(page.images) == len(drawn)
    for name in drawn:
        with Image.open(report / "plots" / f"{name}.png") as image:
            assert min(image.info["dpi"]) >= 150
            assert np.asarray(image.convert("L")).std() > 5
    assert "leaky" not in text


def test_plot_data_is_what_dvc_plots_expects(report):
    from sklearn.metrics import confusion_matrix

    rows = list(csv.DictReader((report / "plots" / "confusion.csv").open()))
    assert list(rows[0]) == ["actual", "predicted"]
    assert len(rows) == 30
    said = load_file(report / "predictions.safetensors")
    expected = confusion_matrix(said["labels"], said["allocator/modality"].argmax(1), labels=range(3))
    found = confusion_matrix([r["actual"] for r in rows], [r["predicted"] for r in rows], labels=CLASSES)
    assert (found == expected).all()
    shares = list(csv.DictReader((report / "plots" / "shares.csv").open()))
    assert {row["modality"] for row in shares} == {"left", "right"}
    for label in CLASSES:
        parts = [float(row["share"]) for row in shares if row["class"] == label and row["share"]]
        assert not parts or sum(parts) == pytest.approx(1, abs=1e-5)
    assert (report / "tables" / "capability.csv").exists()


def test_the_card_says_where_the_report_comes_from(layout, report):
    card = json.loads((report / "card.json").read_text())
    index = json.loads((layout.features / "index.json").read_text())
    assert (card["method"], card["regime"], card["seed"]) == ("multi_task", "scratch", 0)
    assert card["features"] == index["fingerprint"]
    assert (card["protocol"], card["leaky"], card["selection"]) == ("groups disjoint", False, "val_nll")
    assert tuple(card["classes"]) == CLASSES


def test_the_same_model_gives_the_same_report_without_encoders_fewer_rows(layout, tmp_path, metrics):
    again = tmp_path / "again"
    assert run("evaluate", _params(), _inputs(layout), {"report": again}) == metrics
    first = layout.report("multi_task", "scratch", 0)
    names = ("metrics.json", "details.json", "predictions.csv", "cache.safetensors", "plots/accuracy.png")
    for name in (*names, "report.html"):
        assert (again / name).read_bytes() == (first / name).read_bytes(), name
    inputs = {key: path for key, path in _inputs(layout).items() if key != "encoders"}
    params = _params(allocators=["uniform"], allocator="uniform", diagnostics=["probes"])
    alone = run("evaluate", params, inputs, {"report": tmp_path / "alone"})
    kept = json.loads((tmp_path / "alone" / "details.json").read_text())
    assert kept["unimodal"] == {}
    assert kept["shapley"] == {}
    assert alone["allocator"] == "uniform"
    page, _ = read_page(tmp_path / "alone" / "report.html")
    assert "chart-shares" not in page.anchors


def _altered(layout, tmp_path, change):
    """A copy of the model whose folder was changed by `change`."""
    model = tmp_path / "model"
    shutil.copytree(layout.model("multi_task", "scratch", 0), model)
    change(model)
    return {**_inputs(layout), "model": model}


def _rewrite(name, edit):
    def change(model):
        value = json.loads((model / name).read_text())
        edit(value)
        write_json(model / name, value)

    return change


def test_an_oracle_selection_is_marked(layout, tmp_path):
    inputs = _altered(layout, tmp_path, _rewrite("card.json", lambda card: card.update(selection="oracle")))
    with undrawn():
        run("evaluate", _params(diagnostics=["probes"]), inputs, {"report": tmp_path / "r"})
    assert "oracle selection" in (tmp_path / "r" / "report.html").read_text()
    assert json.loads((tmp_path / "r" / "card.json").read_text())["selection"] == "oracle"


def test_a_refused_headline_falls_back_to_the_plain_sum_and_says_so(layout, tmp_path, monkeypatch):
    from ambidex.judge import held_out

    monkeypatch.setattr(held_out, "TOLERANCE", -2.0)
    params = _params(allocator="temperature", diagnostics=["probes"], standalone="refuse")
    with undrawn():
        found = run("evaluate", params, _inputs(layout), {"report": tmp_path / "r"})
    assert (found["allocator"], found["allocator_asked"]) == ("uniform", "temperature")
    kept = json.loads((tmp_path / "r" / "details.json").read_text())["allocators"]
    assert found["accuracy"] == kept["uniform"]["accuracy"]
    assert "alone reaches" in kept["temperature"]["refused"]
    assert not (tmp_path / "r" / "allocators" / "temperature.safetensors").exists()
    _, text = read_page(tmp_path / "r" / "report.html")
    assert "the headline is the plain sum" in text


def _wider_input(value):
    value["architecture"]["inputs"]["left"]["shape"] = [7]
    value["architecture"]["inputs"]["left"]["mean"] = [0.0] * 7
    value["architecture"]["inputs"]["left"]["std"] = [1.0] * 7


def test_a_model_of_other_inputs_is_refused_in_one_line(layout, tmp_path):
    def widen(model):
        _rewrite("model.json", _wider_input)(model)
        weights = load_file(model / "model.safetensors")
        for name, tensor in weights.items():
            if "left" in name and tensor.shape[-1:] == (6,):
                weights[name] = torch.zeros(*tensor.shape[:-1], 7)
        save_file(weights, model / "model.safetensors")

    inputs = _altered(layout, tmp_path, widen)
    with pytest.raises(
        ModelError, match=r"model file of another architecture: 'left' is vector \[7\], in the store"
    ):
        run("evaluate", _params(), inputs, {"report": tmp_path / "r"})
    assert not (tmp_path / "r").exists()


def test_a_model_of_other_classes_is_refused_in_one_line(layout, tmp_path):
    def rename(value):
        value["architecture"]["classes"] = ["green", "red", "blue"]

    inputs = _altered(layout, tmp_path, _rewrite("model.json", rename))
    with pytest.raises(ModelError, match="another order"):
        run("evaluate", _params(), inputs, {"report": tmp_path / "r"})


def test_weights_that_are_not_finite_are_named(layout, tmp_path):
    def spoil(model):
        weights = load_file(model / "model.safetensors")
        name = next(n for n in weights if n.startswith("encoders.right."))
        weights[name] = torch.full_like(weights[name], torch.nan)
        save_file(weights, model / "model.safetensors")

    with pytest.raises(ModelError, match=r"of train sample 's000' is not finite"):
        run("evaluate", _params(), _altered(layout, tmp_path, spoil), {"report": tmp_path / "r"})


def test_an_encoder_of_another_modality_is_refused(layout, tmp_path):
    shutil.copytree(layout.encoder("right", 0), tmp_path / "encoders" / "left")
    inputs = {**_inputs(layout), "encoders": tmp_path / "encoders"}
    with pytest.raises(ModelError, match="expected a classifier of left alone, found right"):
        run("evaluate", _params(), inputs, {"report": tmp_path / "r"})


def test_an_unknown_diagnostic_and_an_empty_split_are_named(layout, tmp_path):
    wrong = _params().evaluate.model_copy(update={"diagnostics": ["shaply"]})
    params = _params().model_copy(update={"evaluate": wrong})
    with pytest.raises(
        ParamsError, match=r"evaluate.diagnostics: diagnostic 'shaply' .*did you mean 'shapley'"
    ):
        run("evaluate", params, _inputs(layout), {"report": tmp_path / "r"})


def test_a_store_without_validation_is_refused(layout, tmp_path, monkeypatch):
    from ambidex.data.store.reading import FeatureStore

    rows = FeatureStore.rows
    monkeypatch.setattr(
        FeatureStore, "rows", lambda self, split: rows(self, split)[: 0 if split == "val" else None]
    )
    with pytest.raises(DataError, match="split 'val' has no samples"):
        run("evaluate", _params(), _inputs(layout), {"report": tmp_path / "r"})


def test_without_charts_the_numbers_are_the_same_and_nothing_is_drawn(layout, report, tmp_path):
    plain = tmp_path / "report"
    run("evaluate", _params(charts=False), _inputs(layout), {"report": plain})
    assert (plain / "metrics.json").read_text() == (report / "metrics.json").read_text()
    assert (plain / "predictions.csv").read_text() == (report / "predictions.csv").read_text()
    assert sorted(path.name for path in (plain / "plots").iterdir()) == ["confusion.csv"]
    page, _ = read_page(plain / "report.html")
    assert page.images == []
    assert len(page.tables) > 2
