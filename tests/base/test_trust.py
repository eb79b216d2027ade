"""What a reader trusts is checked: fingerprints, classes, types of tensors, probabilities, the rights of files."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ambidex.base.errors import DataError, ModelError, ParamsError
from ambidex.base.files import write_csv, write_json
from ambidex.base.layout import Layout
from ambidex.base.readers import read_json
from ambidex.configuration.params import Params
from ambidex.data.store.reading import FeatureStore, store_fingerprint
from ambidex.learn.loop.checkpoint import load_checkpoint
from ambidex.net.model import load_model, save_model
from ambidex.report.predictions import Predictions, read_predictions
from ambidex.report.study.cells import read_reports
from ambidex.resolve import parse_params
from helpers.evaluations import make_model
from helpers.reports import write_evaluation
from helpers.runs import extracted, raw_params, small_params


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return extracted(tmp_path_factory.mktemp("trust"))


@pytest.fixture
def features(layout: Layout, tmp_path: Path) -> Path:
    return Path(shutil.copytree(layout.features, tmp_path / "features"))


@pytest.mark.parametrize(
    "change",
    [
        {"leaky": True},
        {"leaky": None},
        {"protocol": "field split"},
        {"notes": ["fine"]},
        {"class_counts": {"train": [1, 1, 1]}},
        {"counts": {"train": 7}},
        {"truth": {"x": 1}},
        {"rejected": 0.0},
        {"manifest": "another"},
        {"dataset": "cremad"},
        {"more": 1},
        {"version": 2},
    ],
)
def test_nothing_of_an_index_can_be_changed_unseen(features: Path, change: dict[str, Any]) -> None:
    info = read_json(features / "index.json")
    (features / "index.json").write_text(json.dumps({**info, **change}))
    with pytest.raises(DataError, match=r"index\.json: was changed after extract"):
        FeatureStore.open(features)
    for key in change:
        if key in info:
            (features / "index.json").write_text(json.dumps({k: v for k, v in info.items() if k != key}))
            with pytest.raises(DataError, match=r"index\.json: "):
                FeatureStore.open(features)


def test_a_store_of_the_version_before_is_read(features: Path) -> None:
    """Its fingerprint covers seven keys, as it did when it was written."""
    info = {**read_json(features / "index.json"), "version": 2}
    keys = ("version", "order", "modalities", "classes", "shards", "samples", "extract")
    from ambidex.base.files import digest

    info["fingerprint"] = digest({key: info[key] for key in keys})
    assert info["fingerprint"] == store_fingerprint(info)
    write_json(features / "index.json", info)
    assert len(FeatureStore.open(features)) == 120


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ["red", "red", "blue"]}, "classes: 'red' stands there twice"),
        ({"classes": []}, "classes: got"),
        ({"leaky": "no"}, "leaky: got 'no', expected true or false"),
        ({"order": ["left", "nose"]}, "modalities.nose: missing"),
        ({"shards": [{"file": "../x", "samples": 1, "bytes": 1, "sha256": ""}]}, "shards.0.file: got '../x'"),
    ],
)
def test_an_index_of_wrong_types_names_the_key(features: Path, change: dict[str, Any], message: str) -> None:
    info = read_json(features / "index.json") | change
    (features / "index.json").write_text(json.dumps({**info, "fingerprint": store_fingerprint(info)}))
    with pytest.raises(DataError) as error:
        FeatureStore.open(features)
    assert message in str(error.value)


def test_samples_that_do_not_fit_the_index_are_named(features: Path) -> None:
    table = features / "samples.csv"
    whole = table.read_text()
    for old, new, message in (
        (",train,", ",Train,", "samples.csv:2: split: got 'Train'"),
        (",0,train", ",7,train", "samples.csv:2: label_index: got '7', expected a number below 3"),
        (",0,train", ",-1,train", "label_index: got '-1'"),
    ):
        table.write_text(whole.replace(old, new, 1))
        info = read_json(features / "index.json")
        info["samples"]["bytes"] = table.stat().st_size
        info["fingerprint"] = store_fingerprint(info)
        write_json(features / "index.json", info)
        with pytest.raises(DataError) as error:
            FeatureStore.open(features, verify=False)
        assert message in str(error.value)


def test_a_model_with_a_class_twice_or_weights_of_another_type_is_refused(tmp_path: Path) -> None:
    save_model(make_model(["a", "b"], 3), tmp_path)
    whole = load_file(tmp_path / "model.safetensors")
    name = next(name for name in whole if name.endswith("weight"))
    for kind, message in ((torch.float16, "F16"), (torch.float64, "F64"), (torch.int64, "I64")):
        save_file({**whole, name: whole[name].to(kind)}, tmp_path / "model.safetensors")
        with pytest.raises(ModelError, match=f"tensor '{name}' is of type {message}, expected F32"):
            load_model(tmp_path)
    save_file(whole, tmp_path / "model.safetensors")
    described = read_json(tmp_path / "model.json")
    described["architecture"]["classes"] = ["x", "y", "x"]
    write_json(tmp_path / "model.json", described)
    with pytest.raises(ModelError, match=r"model\.json: architecture\.classes: 'x' stands there twice"):
        load_model(tmp_path)


def test_loading_a_model_draws_no_more_random_numbers_than_building_it(tmp_path: Path) -> None:
    """The shapes are compared without: what comes after must not depend on whether a model was loaded."""
    model = make_model(["a", "b"], 3)
    save_model(model, tmp_path)
    torch.manual_seed(5)
    type(model)(model.architecture)
    built = torch.get_rng_state()
    torch.manual_seed(5)
    load_model(tmp_path)
    assert torch.equal(torch.get_rng_state(), built)


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_every_file_of_a_model_has_the_rights_that_the_umask_leaves(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        save_model(make_model(["a"], 2), tmp_path / "model")
        write_csv(tmp_path / "model/t.csv", [{"a": 1}])
    finally:
        os.umask(before)
    found = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "model").iterdir()}
    assert set(found.values()) == {0o666 & ~mask}, found


CLASSES = ("red", "green", "blue")
LABELS = torch.tensor([0, 1, 2, 0])
GOOD = torch.full((4, 3), 1 / 3)


def written(folder: Path, classes: tuple[str, ...] = CLASSES) -> Path:
    logits = {"uniform": torch.zeros(4, 3), "modality": torch.eye(3)[LABELS]}
    return write_evaluation(
        folder, ("joint", "scratch", int(folder.name)), LABELS, classes, {"allocator": logits}
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (-GOOD, "row 0 holds -0.3333"),
        (GOOD * float("nan"), "row 0 holds nan"),
        (GOOD * 0.5, "expected probabilities that add up to 1"),
        (torch.tensor([[1.0, 0, 0], [0, 1, 0], [2, -1, 0], [1, 0, 0]]), "row 2 holds 2, -1, 0"),
        (GOOD[:, :2], "got [4, 2] torch.float32, expected [4, 3]"),
        (GOOD[:2], "got [2, 3]"),
        (torch.ones(4, 3, dtype=torch.int64), "torch.int64"),
    ],
)
def test_probabilities_that_are_none_are_refused(tmp_path: Path, change: torch.Tensor, message: str) -> None:
    folder = written(tmp_path / "0")
    file = folder / "predictions.safetensors"
    save_file({**load_file(file), "allocator/uniform": change.contiguous()}, file)
    with pytest.raises(DataError) as error:
        read_predictions(folder, CLASSES)
    assert "predictions.safetensors: allocator/uniform: " in str(error.value)
    assert message in str(error.value)


def test_probabilities_are_checked_again_when_they_are_asked_for(tmp_path: Path) -> None:
    """They are not held, so that the file may have changed in between; names are not read at all."""
    folder = written(tmp_path / "0")
    file, read = folder / "predictions.safetensors", read_predictions(folder, CLASSES)
    assert torch.equal(read.probabilities["allocator/uniform"], GOOD)
    assert "allocator/unif" not in read.probabilities
    assert set(read.probabilities) == set(load_file(file)) - {"labels"}
    save_file({**load_file(file), "allocator/uniform": GOOD * 0.5}, file)
    with pytest.raises(DataError, match=r"allocator/uniform: .* that add up to 1"):
        read.logits("allocator/uniform")


def test_labels_beyond_the_classes_are_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "0")
    file = folder / "predictions.safetensors"
    for labels in (LABELS + 1, LABELS - 1, LABELS.float()):
        save_file({**load_file(file), "labels": labels}, file)
        with pytest.raises(DataError, match="labels: got"):
            read_predictions(folder, CLASSES)


def test_reports_whose_classes_stand_in_another_order_are_not_compared(tmp_path: Path) -> None:
    written(tmp_path / "0")
    written(tmp_path / "1", tuple(reversed(CLASSES)))
    study = small_params(study={"methods": ["joint"], "regimes": ["scratch"], "seeds": [0, 1]}).study
    with pytest.raises(DataError, match="the same in another order"):
        read_reports(tmp_path, study)


def test_predictions_of_samples_whose_names_are_formulas_come_back(tmp_path: Path) -> None:
    ids = ["=1+1", "-x", "'=", "plain"]
    said = {"allocator/uniform": GOOD}
    Predictions(ids, ids, CLASSES, LABELS, said).write(tmp_path, "allocator/uniform")
    found = read_predictions(tmp_path, CLASSES)
    assert found.sample_ids == found.groups == ids
    lines = (tmp_path / "predictions.csv").read_text().splitlines()[1:]
    assert not [line for line in lines if line.startswith(("=", "+", "-", "@"))]


def test_a_checkpoint_that_is_a_list_is_one_line(tmp_path: Path) -> None:
    from ambidex.base.errors import TrainingError

    torch.save([1, 2], tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match="found list, expected a checkpoint; delete it"):
        load_checkpoint(tmp_path, "f")


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("evaluate", "resamples", 10**11),
        ("compare", "resamples", 10**11),
        ("evaluate", "permutations", 10**9),
        ("evaluate", "folds", 10**6),
        ("evaluate", "bins", 10**9),
        ("train", "seed", 10**25),
        ("train", "seed", 1e25),
        ("train", "epochs", 10**9),
        ("train", "batch_size", 10**12),
        ("train", "learning_rate", float("inf")),
        ("train", "learning_rate", float("nan")),
        ("train", "weight_decay", 1e300),
        ("study", "seeds", [2**32]),
        ("study", "seeds", list(range(10_001))),
        ("runtime", "threads", 10**9),
        ("runtime", "devices", 10**9),
        ("crossfit", "folds", 10**9),
        ("extract", "shard_size", 10**12),
        ("methods", "pmr", {"epochs": 10**12}),
        ("methods", "agm", {"alpha": 1e40}),
        ("methods", "smv", {"alpha": 1e5}),
    ],
)
def test_every_number_of_the_parameters_is_bounded(section: str, key: str, value: Any) -> None:
    with pytest.raises(ParamsError) as error:
        parse_params(raw_params(**{section: {key: value}}))
    assert key in str(error.value)
    assert len(str(error.value)) < 300


def test_every_whole_number_of_the_schema_has_an_upper_bound() -> None:
    """So that a new parameter is not forgotten; plug-ins share the bound of every section."""
    unbounded = []
    schema = Params.model_json_schema()
    for block in [schema, *schema["$defs"].values()]:
        for name, field in block.get("properties", {}).items():
            for option in [field, *field.get("anyOf", [])]:
                if option.get("type") == "integer" and not {"maximum", "exclusiveMaximum"} & set(option):
                    unbounded.append(f"{block.get('title')}.{name}")
    assert [name for name in unbounded if not name.startswith("Platform.")] == []
