"""crossfit: no sample is scored by anything that has seen it, finished folds are kept, and evaluate fits on it."""

import json
import shutil

import numpy as np
import pytest
import torch

from ambidex.base.errors import DataError, ParamsError
from ambidex.base.layout import Layout
from ambidex.data.store.reading import FeatureStore
from ambidex.decide.crossfitted import read_cross_fitted, read_held_out
from ambidex.stages import _fold, run
from ambidex.stages import crossfit as crossfit_stage
from helpers.runs import CLASSES, extracted, small_params, write_vectors

FOLDS = 3
COPIES = 3
GROUPS = {"train": 20, "test": 5}
MEMORISE = {"epochs": 25, "learning_rate": 0.02, "selection": "last"}
BRIEF = MEMORISE | {"epochs": 2}
"""for what is the same however long a fold trains"""


def params_for(regime="scratch", method="joint", loop=MEMORISE, **sections):
    loop = {"train": {**loop, "regime": regime, "method": method}, "pretrain": dict(loop)}
    sections = {"crossfit": {"folds": FOLDS}, **sections}
    return small_params(**{**loop, **sections})


def memorable(root, change=None):
    """A store without validation: a group is one random vector with a random label, and near copies of it.

    Every sample can be known by heart and nothing else can be learnt. `change(arrays, labels)` alters it first.
    """
    draws = np.random.default_rng(5)
    splits = [split for split, count in GROUPS.items() for _ in range(count * COPIES)]
    units = np.repeat(np.arange(len(splits) // COPIES), COPIES)
    labels = draws.integers(0, len(CLASSES), units.max() + 1)[units]
    arrays = {}
    for modality in ("left", "right"):
        centres = draws.normal(size=(units.max() + 1, 24))
        arrays[modality] = (centres[units] + 0.01 * draws.normal(size=(len(units), 24))).astype(np.float32)
    if change is not None:
        change(arrays, labels)
    layout = Layout(root)
    write_vectors(layout, arrays, labels.tolist(), splits, [f"g{u:02d}" for u in units], "memorable")
    run("extract", params_for(), {"manifest": layout.manifest}, {"features": layout.features})
    return layout


def crossfit(layout, params, name="out"):
    output = layout.root / "crossfit" / name
    return run("crossfit", params, {"features": layout.features}, {"crossfit": output}), output


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    return memorable(tmp_path_factory.mktemp("memorable"))


@pytest.fixture(scope="module")
def scored(layout):
    """Metrics and folder of a run with pretrained, frozen encoders: the most there is to leak."""
    return crossfit(layout, params_for("frozen", "multi_task"), "joint-frozen-0")


@pytest.fixture(scope="module")
def brief(layout):
    """The same, hardly trained."""
    return crossfit(layout, params_for("frozen", "multi_task", BRIEF), "brief")


@pytest.mark.parametrize(
    ("regime", "method"),
    [
        ("frozen", "multi_task"),
        ("scratch", "joint"),
        pytest.param("scratch", "unimodal_ensemble", marks=pytest.mark.slow),
    ],
)
def test_what_was_learnt_by_heart_is_of_no_use_out_of_fold(layout, scored, regime, method):
    metrics, output = scored if regime == "frozen" else crossfit(layout, params_for(regime, method), method)
    details = json.loads((output / "details.json").read_text())
    assert metrics["train_accuracy"] > 0.95
    assert metrics["accuracy"] < 0.6  # chance is 1/3; a leak gives what training gives
    for source in details["alone"].values():
        assert max(source.values()) < 0.6


def test_every_training_sample_is_there_once_and_groups_stay_whole(layout, scored):
    found = read_cross_fitted(scored[1])
    store = FeatureStore.open(layout.features)
    rows = store.rows("train").tolist()
    assert found.sample_ids == [store.sample_ids[i] for i in rows]
    assert found.held_out.labels.tolist() == store.labels[rows].tolist()
    assert found.held_out.groups == [store.groups[i] for i in rows]
    sides: dict[str, set[int]] = {}
    for group, fold in zip(found.held_out.groups, found.folds.tolist(), strict=True):
        sides.setdefault(group, set()).add(fold)
    assert all(len(folds) == 1 for folds in sides.values())
    assert set(found.folds.tolist()) == set(range(FOLDS))
    assert (found.held_out.modalities, found.classes) == (("left", "right"), CLASSES)
    assert set(found.held_out.sources) == {"contributions", "probes"}


@pytest.mark.parametrize("regime", ["frozen", pytest.param("scratch", marks=pytest.mark.slow)])
def test_labels_and_inputs_of_a_fold_do_not_reach_what_is_said_about_it(layout, brief, tmp_path, regime):
    """Other labels for a whole fold, another input for one sample: what is said of the others stays, bit for bit."""
    params = params_for(regime, "multi_task" if regime == "frozen" else "joint", BRIEF)
    output = brief[1] if regime == "frozen" else crossfit(layout, params, "other")[1]
    before = read_cross_fitted(output)
    inside = (before.folds == 1).nonzero()[:, 0].tolist()

    def change(arrays, labels):
        labels[inside] = (labels[inside] + 1) % len(CLASSES)
        arrays["left"][inside[0]] += 100

    after = read_cross_fitted(crossfit(memorable(tmp_path, change), params)[1])
    assert torch.equal(after.folds, before.folds)
    assert not torch.equal(after.held_out.labels, before.held_out.labels)
    for name, values in before.held_out.sources.items():
        assert torch.equal(after.held_out.sources[name][inside[1:]], values[inside[1:]]), name
        assert not torch.equal(after.held_out.sources[name], values), name


def test_what_is_kept_of_a_run(layout, scored):
    metrics, output = scored
    assert sorted(path.name for path in output.iterdir()) == [
        "card.json", "crossfit.json", "crossfit.safetensors", "details.json", "metrics.json", "params.yaml",
    ]  # fmt: skip
    assert not output.with_name(f"{output.name}.partial").exists()
    card = json.loads((output / "card.json").read_text())
    store = FeatureStore.open(layout.features)
    assert (card["method"], card["regime"], card["seed"]) == ("multi_task", "frozen", 0)
    assert (card["features"], card["selection"]) == (store.fingerprint, "last")
    held_out = read_held_out(output)
    hits = held_out.sources["contributions"].sum(1).argmax(1) == held_out.labels
    assert metrics["accuracy"] == pytest.approx(hits.float().mean().item())
    details = json.loads((output / "details.json").read_text())
    assert [fold["samples"] for fold in details["by_fold"]] == read_cross_fitted(
        output
    ).folds.bincount().tolist()


def test_own_heads_are_kept_where_there_are_any(layout):
    params = params_for("scratch", "multi_task", BRIEF, methods={"multi_task": {"heads": "own"}})
    _, output = crossfit(layout, params, "own")
    sources = read_held_out(output).sources
    assert set(sources) == {"contributions", "own_heads", "probes"}
    assert not torch.equal(sources["contributions"], sources["own_heads"])


def test_a_run_that_was_stopped_keeps_its_finished_folds(layout, brief, monkeypatch):
    params, trained = params_for("frozen", "multi_task", BRIEF), []
    fit = _fold.train.fit

    def counted(params, store, encoders, output):
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(output.parent.name)
        return fit(params, store, encoders, output)

    monkeypatch.setattr(_fold.train, "fit", counted)
    with pytest.raises(KeyboardInterrupt):
        crossfit(layout, params, "stopped")
    assert not (layout.root / "crossfit/stopped").exists()
    assert trained == ["fold-0.models", "fold-1.models"]
    trained.clear()
    metrics, output = crossfit(layout, params, "stopped")
    assert trained == ["fold-2.models"]
    assert metrics == brief[0]
    assert (output / "crossfit.safetensors").read_bytes() == (brief[1] / "crossfit.safetensors").read_bytes()


def test_a_run_that_was_stopped_while_it_took_the_folds_away_needs_none_of_them(layout, brief, monkeypatch):
    """Of each fold some file or other is gone."""
    params, trained = params_for("frozen", "multi_task", BRIEF), []
    real = shutil.rmtree

    def cut(path, **how):
        if path.name == "fold-1":
            (path / "fold.json").unlink()
            raise KeyboardInterrupt
        real(path, **how)

    with monkeypatch.context() as patched:
        patched.setattr(crossfit_stage.shutil, "rmtree", cut)
        with pytest.raises(KeyboardInterrupt):
            crossfit(layout, params, "swept")
    assert not (layout.root / "crossfit/swept").exists()
    monkeypatch.setattr(_fold.train, "fit", lambda *arguments: trained.append(arguments))
    metrics, output = crossfit(layout, params, "swept")
    assert metrics == brief[0]
    assert not trained
    files = [sorted(path.name for path in folder.rglob("*")) for folder in (output, brief[1])]
    assert files[0] == files[1]
    assert (output / "crossfit.safetensors").read_bytes() == (brief[1] / "crossfit.safetensors").read_bytes()


def test_folds_of_other_parameters_are_not_taken_over(layout, monkeypatch):
    fit, calls = _fold.train.fit, []

    def once(*arguments):
        calls.append(arguments)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return fit(*arguments)

    monkeypatch.setattr(_fold.train, "fit", once)
    with pytest.raises(KeyboardInterrupt):
        crossfit(layout, params_for(loop=BRIEF), "changed")
    monkeypatch.setattr(_fold.train, "fit", fit)
    other = params_for(
        loop=BRIEF,
        model={"encoders": {m: {"name": "mlp", "hidden": [], "dim": 4} for m in ("left", "right")}},
    )
    _, output = crossfit(layout, other, "changed")
    fresh = crossfit(layout, other, "fresh")[1]
    assert (output / "crossfit.safetensors").read_bytes() == (fresh / "crossfit.safetensors").read_bytes()


def test_with_validation_the_epoch_is_chosen_there(tmp_path):
    layout = extracted(tmp_path)
    assert len(FeatureStore.open(layout.features).rows("val"))
    params = small_params(crossfit={"folds": 2}, train={"selection": "val_nll", "method": "joint"})
    metrics, output = crossfit(layout, params)
    assert metrics["accuracy"] > 0.6  # here there is something to learn
    ids = set(read_cross_fitted(output).sample_ids)
    store = FeatureStore.open(layout.features)
    assert ids == {store.sample_ids[i] for i in store.rows("train").tolist()}


def test_what_cannot_be_cross_fitted_is_one_line(layout, tmp_path):
    with pytest.raises(ParamsError, match=r"train\.selection: 'oracle' chooses the epoch by what crossfit"):
        crossfit(layout, params_for(train={**MEMORISE, "selection": "oracle", "regime": "scratch"}))
    wrong = params_for(train={**MEMORISE, "selection": "val_nll", "regime": "scratch", "method": "joint"})
    with pytest.raises(DataError, match=r"split 'val' has no sample.*--set train\.selection=last"):
        crossfit(layout, wrong)

    def one_group(arrays, labels):
        labels[labels == 2] = 0
        labels[:COPIES] = 2

    lonely = memorable(tmp_path, one_group)
    with pytest.raises(DataError, match=r"all training samples of class 'blue' are in fold \d of 3"):
        crossfit(lonely, params_for())
    assert not (lonely.root / "crossfit").exists()


def test_a_damaged_output_is_one_line(scored, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(scored[1], folder)
    (folder / "crossfit.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(DataError, match=r"crossfit\.safetensors: is not a readable .*; run crossfit again"):
        read_held_out(folder)
    with pytest.raises(DataError, match="holds no cross-fitted samples"):
        read_held_out(tmp_path)
    names = json.loads((scored[1] / "crossfit.json").read_text())
    shutil.copy(scored[1] / "crossfit.safetensors", folder)
    (folder / "crossfit.json").write_text(json.dumps({**names, "sample_ids": names["sample_ids"][1:]}))
    with pytest.raises(DataError, match=r"does not fit crossfit\.json"):
        read_held_out(folder)
