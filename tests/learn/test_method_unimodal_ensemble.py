"""Unimodal ensemble: its contributions are the unimodal classifiers' logits, in every regime, on stored tensors."""

import csv
import json

import pytest
import torch

from ambidex.base.errors import AmbidexError, DataError, ModelError
from ambidex.base.layout import Layout
from ambidex.commands.wiring import places
from ambidex.data.store.reading import FeatureStore
from ambidex.net.model import load_model
from ambidex.resolve.cell import resolve
from ambidex.stages import run
from helpers.memory_store import engine
from helpers.runs import extracted, pretrained, small_params

REGIMES = ("scratch", "pretrained", "frozen")


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    found = extracted(tmp_path_factory.mktemp("run"))
    pretrained(found, small_params())
    return found


def _train(layout, regime="scratch", **sections):
    params = small_params(train={"method": "unimodal_ensemble", "regime": regime}, **sections)
    inputs, outputs = places("train", resolve(params), layout)
    return outputs["model"], run("train", params, inputs, outputs)


@pytest.fixture(scope="module")
def trained(layout):
    return {regime: _train(layout, regime) for regime in REGIMES}


def _seen(folder, store, split, modalities):
    rows, model = store.rows(split), load_model(folder)
    with torch.no_grad():
        return model.fuse(model.encode({m: store.gather(m, rows) for m in modalities}))


def test_contributions_are_the_classifiers_logits(layout, trained):
    store = FeatureStore.open(layout.features)
    for split in ("val", "test"):
        logits, contributions = _seen(trained["scratch"][0], store, split, ("left", "right"))
        for m in ("left", "right"):
            alone, _ = _seen(layout.encoder(m, 0), store, split, (m,))
            torch.testing.assert_close(contributions[m], alone, rtol=0, atol=1e-6)
        torch.testing.assert_close(logits, contributions["left"] + contributions["right"], rtol=0, atol=0)


def test_the_result_is_the_same_in_every_regime_and_measured_by_hand(layout, trained):
    expected, metrics = trained["scratch"]
    wanted = load_model(expected).state_dict()
    for regime in REGIMES[1:]:
        folder, found = trained[regime]
        assert found == metrics
        assert all(torch.equal(v, wanted[k]) for k, v in load_model(folder).state_dict().items())
    store = FeatureStore.open(layout.features)
    logits, _ = _seen(expected, store, "val", ("left", "right"))
    right = (logits.argmax(1) == store.labels[store.rows("val")]).double().mean().item()
    assert metrics["val"]["accuracy"] == pytest.approx(right)
    assert metrics["epoch"] == 1


def test_it_leaves_the_records_of_any_method_and_one_row_of_history(trained):
    folder, metrics = trained["frozen"]
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    card = json.loads((folder / "card.json").read_text())
    assert (card["method"], card["regime"]) == ("unimodal_ensemble", "frozen")
    (row,) = csv.DictReader((folder / "history.csv").open())
    assert not [name for name in row if name.startswith("train/")]
    assert float(row["val/accuracy/fused"]) == pytest.approx(metrics["val"]["accuracy"])


def test_the_fusion_is_sum_whatever_was_asked_for(layout, trained, tmp_path):
    params = small_params(train={"method": "unimodal_ensemble"}, model={"fusion": {"name": "film"}})
    inputs, _ = places("train", resolve(params), layout)
    run("train", params, inputs, {"model": tmp_path / "model"})
    wanted = load_model(trained["scratch"][0]).state_dict()
    assert all(torch.equal(v, wanted[k]) for k, v in load_model(tmp_path / "model").state_dict().items())
    built = engine(tmp_path / "built", "unimodal_ensemble", fusion="gated").model
    assert built.architecture.fusion.name == "sum"


@pytest.mark.parametrize("regime", REGIMES)
def test_without_classifiers_it_is_one_line(tmp_path, layout, regime):
    empty = Layout(tmp_path)
    params = small_params(train={"method": "unimodal_ensemble", "regime": regime})
    inputs, outputs = places("train", resolve(params), empty)
    with pytest.raises(
        AmbidexError, match=r"^method unimodal_ensemble: .*; run pretrain with that seed first$"
    ):
        run("train", params, {**inputs, "features": layout.features}, outputs)
    empty.encoders(0).mkdir(parents=True)
    (empty.encoders(0) / "left").symlink_to(layout.encoder("left", 0))
    inputs, outputs = places("train", resolve(params), empty)
    with pytest.raises(DataError, match="no pretrained encoder of right; run pretrain for it first"):
        run("train", params, {**inputs, "features": layout.features}, outputs)
    assert not outputs["model"].exists()


def test_classifiers_of_other_classes_are_one_line(layout, tmp_path):
    for m in ("left", "right"):
        folder = tmp_path / m
        folder.mkdir()
        described = json.loads((layout.encoder(m, 0) / "model.json").read_text())
        described["architecture"]["classes"] = ["red", "green", "violet"]
        (folder / "model.json").write_text(json.dumps(described))
        (folder / "model.safetensors").symlink_to(layout.encoder(m, 0) / "model.safetensors")
    params = small_params(train={"method": "unimodal_ensemble"})
    inputs = {"features": layout.features, "encoders": tmp_path}
    with pytest.raises(ModelError, match=r"classifier of left .*violet.*run pretrain again") as caught:
        run("train", params, inputs, {"model": tmp_path / "model"})
    assert "\n" not in str(caught.value)


def test_only_a_method_that_asks_reads_the_encoders_from_scratch(layout):
    params = small_params(
        train={"method": "unimodal_ensemble"}, methods={"ume": {"use": "unimodal_ensemble"}}
    )
    assert places("train", resolve(params), layout)[0]["encoders"] == layout.encoders(0)
    assert "encoders" in places("train", resolve(params, "ume"), layout)[0]
    assert "encoders" not in places("train", resolve(params, "joint"), layout)[0]
